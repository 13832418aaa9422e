"""The highest revision that any deleted session of a folder had, so that no revision repeats in a session created anew.

It is raised before a session's file is removed, and read after a session's file was created and locked. Whoever creates
a session again can only do so after the removal, and so starts above.

A number that no counting reaches is damage, and counts for nothing: one such file must not have every other session
start where its revisions can't be written any more.
"""

import os

from sessionkit.errors import BackendUnavailableError, CorruptSessionError
from sessionkit.private import has_other_names
from sessionkit_jsonl import files
from sessionkit_jsonl.using import acquire_common

NAME = ".revisions"
_TRIES = 10
_WIDTH = 20  # fixed, so that one small write in place replaces the number as a whole
_LARGEST = 2**62 + 2**61  # what is restored begins below 2**62; and from here there is room to count on to 2**63


class RevisionFloor:
    """A number in a file of its own, which only grows."""

    def __init__(self, folder: str, *, timeout: float, sync: bool) -> None:
        self._path = f"{folder}/{NAME}"
        self._timeout = timeout
        self._sync = sync

    def read(self, since: float | None = None) -> int:
        """The number; 0 where nothing was ever deleted. Waiting for its lock began at `since`, or begins now."""
        try:
            descriptor = files.open_session(self._path, files.READ)
        except FileNotFoundError:
            return 0
        try:
            acquire_common(descriptor, self._path, shared=True, timeout=self._timeout, since=since)
            return self._number(descriptor)
        finally:
            os.close(descriptor)  # which lets go of the lock

    def raise_to(self, revision: int, since: float | None = None) -> None:
        """Make it at least that number, so that every session that is created later starts above it."""
        if not is_believable(revision):
            return
        descriptor = self._to_write(since)
        try:
            number = self._number(descriptor)
            # Who wrote the number that is there may not have waited for the disk, or in vain: it is written again.
            if number < revision or self._sync:
                files.overwrite(descriptor, b"%0*d\n" % (_WIDTH, max(number, revision)))
            if self._sync:
                os.fsync(descriptor)
                files.sync_folder(self._path)
        finally:
            os.close(descriptor)

    def damage(self) -> str | None:
        """What is wrong with the file; None where it is as it should be, or not there."""
        try:
            descriptor = files.open_session(self._path, files.READ)
        except FileNotFoundError:
            return None
        try:
            acquire_common(descriptor, self._path, shared=True, timeout=self._timeout)
            text = os.pread(descriptor, 2 * _WIDTH, 0).strip(b"\0 \t\r\n")
        finally:
            os.close(descriptor)
        if text and not text.isdigit():
            return "it should hold one number, the highest revision of any deleted session, and does not"
        return None if is_believable(int(text or b"0")) else "it holds a revision that no session can have had"

    def replace(self, revision: int) -> None:
        """Set aside what is in the file, and put that number in its place."""
        with files.OSErrors(self._path):
            descriptor = self._to_write()
            try:
                size = os.fstat(descriptor).st_size
                files.set_aside(self._path, files.read(descriptor, 0, size))
                files.overwrite(descriptor, (b"%0*d\n" % (_WIDTH, revision)).ljust(size))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _to_write(self, since: float | None = None) -> int:
        """The file, open and locked; put in its own place as a copy first, where it has other names (hard links)."""
        for _ in range(_TRIES):
            descriptor = files.open_session(self._path, files.CREATE_IN_PLACE)
            try:
                acquire_common(descriptor, self._path, timeout=self._timeout, since=since)
                status = os.fstat(descriptor)
                if os.path.samestat(status, os.lstat(self._path)):
                    if not has_other_names(status):
                        return descriptor
                    files.replace(self._path, files.read(descriptor, 0, status.st_size), sync=self._sync)
            except FileNotFoundError:
                pass  # it was removed meanwhile
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        msg = f"{self._path} was replaced again and again; try again"
        raise BackendUnavailableError(msg, retryable=True)

    def _number(self, descriptor: int) -> int:
        # A power cut may leave zeroes: then no session was deleted yet.
        text = os.pread(descriptor, 2 * _WIDTH, 0).partition(b"\n")[0].strip(b"\0 \t\r")
        if text and not text.isdigit():
            msg = f"{self._path} should hold one number, the highest revision of any deleted session; write one there"
            raise CorruptSessionError(msg, where=self._path)
        number = int(text or b"0")
        return number if is_believable(number) else 0


def is_believable(revision: int) -> bool:
    """Whether a session can have got there."""
    return revision <= _LARGEST
