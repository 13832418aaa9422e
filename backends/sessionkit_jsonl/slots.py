"""Which thread writes to which session, and the files that are kept open between two writes."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from sessionkit.errors import BackendUnavailableError
from sessionkit.os_errors import unavailable
from sessionkit_jsonl.folder import Folder
from sessionkit_jsonl.log import SessionLog

_COUNT = 32

_AT_ONCE = False  # by its position, because taking a keyword takes longer than the lock

L = TypeVar("L", bound=SessionLog | None)
"""What opening gives: None too, where no file is created."""


class _Slot:
    """One thread at a time, and the log that it used last."""

    def __init__(self, folder: Folder, timeout: float) -> None:
        self.folder = folder
        self.timeout = timeout
        self.lock = threading.Lock()
        self.held = False  # while the process forks
        self.log: SessionLog | None = None

    def drop(self) -> None:
        log, self.log = self.log, None
        if log is not None:
            log.close()


class Locked(Generic[L]):
    """A session, to be locked against all threads and processes by ``with``; gives its log, or None without a file.

    After an exception the log is forgotten, for what it knows may be ahead of the file. A class, because as a generator
    it would take as long as the locking itself.

    Raises:
        BackendUnavailableError: somebody else held a lock all the while, or the operating system refused something.
    """

    __slots__ = ("_key", "_open_log", "_slot")

    def __init__(self, slot: _Slot, key: str, open_log: Callable[[str], L]) -> None:
        self._slot = slot
        self._key = key
        self._open_log = open_log

    def __enter__(self) -> L:
        slot = self._slot
        since = time.monotonic()  # one allowance for both locks, and for every file that is replaced meanwhile
        if not (slot.lock.acquire(_AT_ONCE) or slot.lock.acquire(timeout=slot.timeout)):
            msg = f"another thread held the lock for {slot.timeout:g} seconds; try again, or allow more time"
            raise BackendUnavailableError(f"{slot.folder.file(self._key)}: {msg}", retryable=True)
        try:
            kept: Any = slot.log  # of which no checker knows that it is an L, whatever L is
            if kept is not None and kept.key == self._key and kept.lock(slot.timeout, since):
                log: L = kept
                return log
            return self._opened(since)
        except BaseException as error:
            slot.drop()
            slot.lock.release()
            if isinstance(error, OSError):
                raise unavailable(error, slot.folder.file(self._key)) from error
            raise

    def _opened(self, since: float) -> L:
        """The log, of a file that is opened anew until it is still the one at its path once it is locked."""
        slot = self._slot
        while True:
            slot.drop()
            log = self._open_log(self._key)
            slot.log = log
            if log is None or log.lock(slot.timeout, since):
                return log

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slot = self._slot
        try:
            if slot.log is not None:
                slot.log.finish()
        except OSError as trouble:
            error = error or trouble
        finally:
            if error is not None:
                slot.drop()
            slot.lock.release()
        if isinstance(error, OSError):
            raise unavailable(error, slot.folder.file(self._key)) from error


class Slots:
    """A fixed number of slots, so that as many files are open at most; each session has one, and shares it with others.

    Two sessions of one slot wait for each other and open their files anew in turn, which costs time and nothing else.
    """

    def __init__(self, folder: Folder, *, timeout: float) -> None:
        self._timeout = min(timeout, threading.TIMEOUT_MAX)
        self._slots = [_Slot(folder, self._timeout) for _ in range(_COUNT)]

    def locked(self, key: str, open_log: Callable[[str], L]) -> Locked[L]:
        """The session, to be locked by ``with``; `open_log` opens its file, where that is not open yet."""
        return Locked(self._slots[hash(key) % _COUNT], key, open_log)

    def close(self) -> None:
        """Give back every file, waiting for whoever writes, but for no longer than a write does."""
        for slot in self._slots:
            if slot.lock.acquire(timeout=self._timeout):
                try:
                    slot.drop()
                finally:
                    slot.lock.release()

    def hold(self) -> None:
        """Have no thread write, until `resume`."""
        for slot in self._slots:
            if not slot.held:
                slot.lock.acquire()
                slot.held = True

    def resume(self) -> None:
        """Let threads write again."""
        for slot in self._slots:
            if slot.held:
                slot.held = False
                slot.lock.release()
