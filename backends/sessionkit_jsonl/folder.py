"""All sessions of a folder, for reading."""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from sessionkit.errors import CorruptRecordWarning, CorruptSessionError
from sessionkit.record import SessionRecord
from sessionkit.warn import warn_caller
from sessionkit_jsonl import files, names
from sessionkit_jsonl.known import Known, stamp_of
from sessionkit_jsonl.view import SessionView, open_view


class Folder:
    """Where the files are.

    Attributes:
        path: absolute, so that it stays the same wherever the process goes.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float) -> None:
        self.path = files.absolute(path)
        self._timeout = timeout
        self._known = Known()

    def file(self, session_key: str) -> str:
        """The path of the session's file."""
        return f"{self.path}/{names.file_name(session_key)}"

    def view(self, session_key: str) -> AbstractContextManager[SessionView | None]:
        """The session's file, opened; None where there is none."""
        return open_view(self.file(session_key), session_key, timeout=self._timeout)

    def views(self) -> Iterator[tuple[SessionView, SessionRecord]]:
        """Each session, open for as long as the loop is at it, and its record.

        A file that holds no session, or a damaged one, is left out with a warning.
        """
        for entry in self._entries():
            try:
                yield from self._view_by_name(entry.name)
            except CorruptSessionError as error:
                warn_left_out(error)

    def sessions(self) -> Iterator[tuple[str, SessionRecord]]:
        """Each session's key and its record, not to be changed; as `views`, but only changed files are opened."""
        entries = self._entries()
        self._known.keep_only({entry.name for entry in entries})
        for entry in entries:
            try:
                yield from self._session(entry)
            except CorruptSessionError as error:
                warn_left_out(error)

    def _entries(self) -> list[os.DirEntry[str]]:
        with files.OSErrors(self.path), os.scandir(self.path) as entries:
            return [entry for entry in entries if entry.name.endswith(names.SUFFIX)]

    def _session(self, entry: os.DirEntry[str]) -> Iterator[tuple[str, SessionRecord]]:
        since = time.time_ns()
        try:
            stamp = stamp_of(entry.stat(follow_symlinks=False))
        except OSError:
            stamp = None  # opening it says what is wrong, if it is still there
        found = stamp and self._known.get(entry.name, stamp)
        if found:
            yield found
            return
        for view, record in self._view_by_name(entry.name):
            if stamp:
                self._known.keep(entry.name, stamp, since, view.key, record)
            yield view.key, record

    def _view_by_name(self, name: str) -> Iterator[tuple[SessionView, SessionRecord]]:
        path = f"{self.path}/{name}"
        try:
            key = names.session_key(name)
        except ValueError as error:
            raise CorruptSessionError(f"{path}: {error}", where=path) from None
        with open_view(path, key, timeout=self._timeout) as view:
            if view is None or view.record is None:
                return
            if key is None and (not view.key or names.file_name(view.key) != name):
                msg = f"{path} does not hold the session that its name stands for"
                raise CorruptSessionError(msg, session_key=view.key or None, where=path)
            yield view, view.record


def warn_left_out(error: CorruptSessionError) -> None:
    """Say that a session is missing in an answer, and why."""
    warn_caller(f"left out: {error}", CorruptRecordWarning)
