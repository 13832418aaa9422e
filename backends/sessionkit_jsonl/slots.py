"""Which thread writes to which session, and the files that are kept open between two writes."""

import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

from sessionkit.errors import BackendUnavailableError
from sessionkit.exclusive import Exclusive, frame_at
from sessionkit.locks import interrupts_itself
from sessionkit.os_errors import is_systems, unavailable
from sessionkit_jsonl.folder import Folder
from sessionkit_jsonl.log import SessionLog

_COUNT = 32

L = TypeVar("L", bound=SessionLog | None)
"""What opening gives: None too, where no file is created."""


class _Slot(Exclusive):
    """One thread at a time, and the log that it used last."""

    def __init__(self, folder: Folder, timeout: float) -> None:
        super().__init__()
        self.folder = folder
        self.timeout = timeout
        self.log: SessionLog | None = None

    def recover(self) -> None:
        """After a call that was interrupted where it could not clean up."""
        self.drop()

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
        user = frame_at(1)
        try:
            since = time.monotonic()  # one allowance for both locks, and for every file that is replaced meanwhile
            if slot.holder.setdefault(None, user) is not user:
                self._wait(user)
            kept: Any = slot.log  # of which no checker knows that it is an L, whatever L is
            if kept is not None and kept.key == self._key and kept.lock(slot.timeout, since):
                log: L = kept
                return log
            return self._opened(since)
        except BaseException as error:
            self._leave(user)
            if is_systems(error):
                raise unavailable(error, slot.folder.file(self._key)) from error
            raise

    def _wait(self, user: FrameType) -> None:
        slot = self._slot
        if not slot.take(user, slot.timeout):
            path = slot.folder.file(self._key)
            if slot.is_held_below(user):
                raise interrupts_itself(path)
            msg = f"another thread held the lock for {slot.timeout:g} seconds; try again, or allow more time"
            raise BackendUnavailableError(f"{path}: {msg}", retryable=True)

    def _leave(self, user: FrameType) -> None:
        """Whatever went wrong, be it Ctrl-C on the way out."""
        slot = self._slot
        if slot.holder.get(None) is user:
            try:
                slot.drop()
            finally:
                slot.let_go(user)
        else:
            slot.let_go(user)

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
            if error is not None:
                slot.drop()
            elif slot.log is not None:
                self._finish(slot.log)
            slot.pass_on()
        except BaseException:
            self._leave(frame_at(1))
            raise
        if error is not None and is_systems(error):
            raise unavailable(error, slot.folder.file(self._key)) from error

    def _finish(self, log: SessionLog) -> None:
        """Let go of the file; what was written is, so where that fails the file is closed, which lets go of it too."""
        try:
            log.finish()
        except OSError as error:
            self._slot.drop()
            if not is_systems(error):
                raise


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
        user = frame_at(0)
        for slot in self._slots:
            try:
                if slot.take(user, self._timeout):
                    slot.drop()
            finally:
                slot.let_go(user)

    def hold(self) -> None:
        """Have no thread write, until `resume`; but for a call that forks itself, in a signal handler."""
        for slot in self._slots:
            slot.take(self)

    def resume(self) -> None:
        """Let threads write again."""
        for slot in self._slots:
            slot.let_go(self)

    def forget(self) -> None:
        """In a forked child: a call that goes on there, and has its file in common with the parent's, does nothing."""
        for slot in self._slots:
            if slot.holder.get(None) is not self:
                slot.drop()
