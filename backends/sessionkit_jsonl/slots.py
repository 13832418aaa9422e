"""Which thread writes to which session, and the files that are kept open between two writes."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from sessionkit.errors import BackendUnavailableError
from sessionkit.os_errors import unavailable
from sessionkit_jsonl.log import SessionLog

_COUNT = 32


class _Slot:
    """One thread at a time, and the log that it used last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held = False  # while the process forks
        self.log: SessionLog | None = None

    def drop(self) -> None:
        log, self.log = self.log, None
        if log is not None:
            log.close()


class Locked:
    """A session, to be locked against all threads and processes by ``with``; gives its log, or None without a file.

    After an exception the log is forgotten, for what it knows may be ahead of the file. A class, because as a generator
    it would take as long as the locking itself.

    Raises:
        BackendUnavailableError: somebody else held a lock all the while, or the operating system refused something.
    """

    def __init__(
        self, slot: _Slot, key: str, path: str, open_log: Callable[[], SessionLog | None], timeout: float
    ) -> None:
        self._slot = slot
        self._key = key
        self._path = path
        self._open_log = open_log
        self._timeout = timeout

    def __enter__(self) -> SessionLog | None:
        slot = self._slot
        since = time.monotonic()  # one allowance for both locks, and for every file that is replaced meanwhile
        if not slot.lock.acquire(timeout=self._timeout):
            msg = f"another thread held the lock for {self._timeout:g} seconds; try again, or allow more time"
            raise BackendUnavailableError(f"{self._path}: {msg}", retryable=True)
        try:
            log = slot.log
            while log is None or log.key != self._key or not log.lock(self._timeout, since):
                slot.drop()
                log = slot.log = self._open_log()
                if log is None:
                    break
        except BaseException as error:
            slot.drop()
            slot.lock.release()
            if isinstance(error, OSError):
                raise unavailable(error, self._path) from error
            raise
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
            raise unavailable(error, self._path) from error


class Slots:
    """A fixed number of slots, so that as many files are open at most; each session has one, and shares it with others.

    Two sessions of one slot wait for each other and open their files anew in turn, which costs time and nothing else.
    """

    def __init__(self, *, timeout: float) -> None:
        self._timeout = min(timeout, threading.TIMEOUT_MAX)
        self._slots = [_Slot() for _ in range(_COUNT)]

    def locked(self, key: str, path: str, open_log: Callable[[], SessionLog | None]) -> Locked:
        """The session, to be locked by ``with``; `open_log` opens its file, at `path`, where that is not open yet."""
        return Locked(self._slots[hash(key) % _COUNT], key, path, open_log, self._timeout)

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
