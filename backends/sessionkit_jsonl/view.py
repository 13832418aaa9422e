"""One session's file, open for reading. Nothing here writes, nor waits but for a writer in the middle of a line."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from sessionkit.codec import decode_message
from sessionkit.errors import CorruptRecordWarning, CorruptSessionError, InvalidMessageError
from sessionkit.locks import release
from sessionkit.messages import ChatMessage
from sessionkit.record import SessionRecord
from sessionkit.warn import warn_caller
from sessionkit_jsonl import files
from sessionkit_jsonl.beginning import first_entries
from sessionkit_jsonl.lines import UnknownVersionError
from sessionkit_jsonl.reading import newest_first, stand
from sessionkit_jsonl.scanning import Scan, scan
from sessionkit_jsonl.standing import Entry
from sessionkit_jsonl.using import acquire_file
from sessionkit_jsonl.window import BrokenChainError, Window


class SessionView:
    """The session as it was at the moment of opening.

    Attributes:
        key: the session key; where it was not given, what the file says.
        standing: how things stand at the end of the file.
        record: the same by the rules of sessions; None where there is no session yet.
    """

    def __init__(self, path: str, key: str | None, descriptor: int, window: Window) -> None:
        self._path = path
        self.window = window
        try:
            self.standing = stand(window)
        except BrokenChainError:
            self.standing = scan_file(path, key, window).standing
        except UnknownVersionError as error:
            raise _explained(error, path, key) from None
        self.key = self._checked_key(key)
        self.record: SessionRecord | None = None
        if self.standing.exists:
            self.record = self.standing.record(lambda: files.modified(descriptor))

    def scan(self) -> Scan:
        """All that the file holds."""
        with files.OSErrors(self._path):  # of our own: a search asks from outside of `open_view`
            return scan_file(self._path, self.key, self.window)

    def messages(self) -> list[tuple[Entry, ChatMessage]]:
        """All messages, oldest first, with a warning for each line that can't be read, is out of place, or is gone."""
        found = self.scan()
        readable = self._decoded(found, found.live)
        missing = found.standing.message_count - len(found.live)
        if missing > 0 and not found.unreadable:  # cut out so that what is left of two lines makes one
            what = f"{missing} messages that it counts are not there any more"
            warn_caller(f"{self._path}: {what}; compact() counts anew", CorruptRecordWarning)
        return readable

    def newest_messages(self, count: int) -> list[tuple[Entry, ChatMessage]]:
        """The newest messages, oldest first, at a cost of as many."""
        entries = newest_first(self.window, self.standing.newest, self.standing.message_count)
        known = min(count, self.standing.message_count)
        return self._some(lambda: list(islice(entries, known))[::-1], slice(-count, None))

    def first_messages(self, count: int) -> list[tuple[Entry, ChatMessage]]:
        """The oldest messages, oldest first, at a cost of as many."""
        return self._some(lambda: first_entries(self.window, self.standing, count), slice(count))

    def texts(self, terms: Iterable[str]) -> Iterator[str]:
        """The searchable text of each message that may hold all of the terms."""
        found = self.scan()
        wanted = [term.encode() for term in terms]
        candidates = [entry for entry in found.live if _may_hold(entry.raw, wanted)]
        return (message.text for _, message in self._decoded(found, candidates))

    def _some(self, entries: Callable[[], list[Entry]], part: slice) -> list[tuple[Entry, ChatMessage]]:
        """What the entries hold; where they can't be found or read, that part of all messages."""
        try:
            readable, bad = decoded(entries())
            if not bad:
                return readable
        except (BrokenChainError, UnknownVersionError):
            pass  # the whole file tells which line is damaged
        return self.messages()[part]

    def _checked_key(self, key: str | None) -> str:
        snapshot = self.standing.snapshot
        if snapshot is not None and key is not None and snapshot.key != key:
            msg = f"{self._path} holds the session {snapshot.key!r}, not {key!r}, as its name says: rename or remove it"
            raise CorruptSessionError(msg, session_key=key, where=self._path)
        if not self.standing.exists and self.standing.unreadable:
            msg = f"{self._path} holds nothing that can be read; mend it, move it away, or delete the session"
            raise CorruptSessionError(msg, session_key=key, where=self._path)
        if key is not None:
            return key
        return "" if snapshot is None else snapshot.key

    def _decoded(self, found: Scan, entries: Iterable[Entry]) -> list[tuple[Entry, ChatMessage]]:
        """Those of these messages that can be read, with a warning for each line that can't be."""
        readable, bad = decoded(entries)
        for offset, _ in sorted(found.unreadable + bad):
            what = f"the line at byte {offset} can't be read, or is out of place, and was left out"
            warn_caller(f"{self._path}: {what}; compact() sets it aside", CorruptRecordWarning)
        return readable


@contextmanager
def open_view(path: str, key: str | None, *, timeout: float) -> Generator[SessionView | None]:
    """The session in that file, opened; None where there is no file."""
    with files.OSErrors(path):
        try:
            descriptor = files.open_session(path, files.READ)
        except FileNotFoundError:
            files.check_still_there(path)
            yield None
            return
        try:
            yield SessionView(path, key, descriptor, settled(descriptor, path, timeout))
        finally:
            os.close(descriptor)


def scan_file(path: str, key: str | None, window: Window) -> Scan:
    """All that a session's file holds."""
    try:
        return scan(window.everything())
    except UnknownVersionError as error:
        raise _explained(error, path, key) from None


def decoded(entries: Iterable[Entry]) -> tuple[list[tuple[Entry, ChatMessage]], list[tuple[int, bytes]]]:
    """The messages that can be read, and the offsets and bytes of those that can't."""
    readable: list[tuple[Entry, ChatMessage]] = []
    bad: list[tuple[int, bytes]] = []
    for entry in entries:
        try:
            readable.append((entry, decode_message(entry.raw)))
        except InvalidMessageError:
            bad.append((entry.at, entry.raw))
    return readable, bad


def _explained(error: UnknownVersionError, path: str, key: str | None) -> CorruptSessionError:
    """The error that says of which file and session it is that a line is of an unknown version."""
    return CorruptSessionError(f"{path}: {error}", session_key=key, where=path)


def settled(descriptor: int, path: str, timeout: float) -> Window:
    """The file at a moment when no record was half written.

    A writer may be in the middle of one where the last line lacks its newline. Once its lock is free, a line that still
    lacks it stays so.
    """
    window = Window(descriptor, os.lseek(descriptor, 0, os.SEEK_END))  # for a third of asking `fstat`
    if window.is_terminated:
        return window
    acquire_file(descriptor, path, shared=True, timeout=timeout)
    try:
        return Window(descriptor, os.lseek(descriptor, 0, os.SEEK_END))
    finally:
        release(descriptor)


def _may_hold(raw: bytes, terms: list[bytes]) -> bool:
    """A quick look that never says no wrongly.

    In ASCII a term stands in the JSON as in the text but for its case, unless characters are written as escapes.
    """
    if not raw.isascii() or rb"\u" in raw:
        return True
    lower = raw.lower()
    return all(term in lower for term in terms)
