"""Which thread writes to which session, and the files that are kept open between two writes."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sessionkit.errors import BackendUnavailableError
from sessionkit.locks import interrupts_itself
from sessionkit.os_errors import is_systems, unavailable
from sessionkit.record_backend import T
from sessionkit_jsonl import using
from sessionkit_jsonl.folder import Folder
from sessionkit_jsonl.log import SessionLog

_COUNT = 32

_AT_ONCE = False  # by its position, because taking a keyword takes longer than the lock

L = TypeVar("L", bound=SessionLog | None)
"""What opening gives: None too, where no file is created."""


class _Slot:
    """One thread at a time, and the log that it used last.

    Ctrl-C may strike wherever a function is called or begins. So the lock is taken and let go of within one ``try``,
    each by one step that can't be interrupted in the middle; and a class with ``__exit__`` would have its gap there.
    """

    def __init__(self, folder: Folder, timeout: float) -> None:
        self.folder = folder
        self.timeout = timeout
        self.lock = threading.RLock()
        self.key: str | None = None  # of the session that the thread which has the lock is in the middle of
        self.held = False  # while the process forks
        self.is_orphaned = False
        self.log: SessionLog | None = None

    def use(self, key: str, open_log: Callable[[str], L], action: Callable[[L], T]) -> T:
        """What `action` gives, with the session locked against all threads and processes."""
        since = time.monotonic()  # one allowance for both locks, and for every file that is replaced meanwhile
        lock = self.lock
        try:
            if not (lock.acquire(_AT_ONCE) or lock.acquire(timeout=self.timeout)):
                raise self._in_vain(key, "another thread held the lock")
            if self.key is not None:
                raise interrupts_itself(self.path)  # by the same thread: another one would have waited
            self.key = key
            try:
                return self._use(key, open_log, action, since)
            finally:
                self.key = None
        finally:
            try:  # noqa: SIM105 -- `suppress` would be called, and could be interrupted
                lock.release()
            except RuntimeError:
                pass  # it was not had

    def _use(self, key: str, open_log: Callable[[str], L], action: Callable[[L], T], since: float) -> T:
        kept: Any = self.log  # of which no checker knows that it is an L, whatever L is
        locked = False
        try:
            if kept is None or kept.key != key or not kept.lock(self.timeout, since):
                kept = self._opened(key, open_log, since)
            locked = True
            result = action(kept)
            if kept is not None:
                self._finish(kept)
        except BaseException as error:
            self._give_up(error, kept, locked=locked)
            raise
        else:
            return result

    def _finish(self, log: SessionLog) -> None:
        """Let go of the file. What was written is; so where that is refused it is closed, which lets go of it too."""
        try:
            log.finish()
        except OSError as error:
            if not is_systems(error):
                raise
            self.drop()
            log.close()

    def _opened(self, key: str, open_log: Callable[[str], L], since: float) -> L:
        """The log, of a file that is opened anew until it is still the one at its path once it is locked."""
        while True:
            self.drop()
            log = open_log(key)
            self.log = log
            if log is None or log.lock(self.timeout, since):
                return log
            if time.monotonic() - since > self.timeout:
                raise self._in_vain(key, "its file was replaced again and again")

    def _give_up(self, error: BaseException, kept: SessionLog | None, *, locked: bool) -> None:
        """Forget the log, for what it knows may be ahead of the file; the operating system's errors become ours."""
        try:
            if locked and self.log is not None:
                self.log.finish()
        except OSError as trouble:
            error = trouble
        finally:
            self.drop()
            if kept is not None:
                kept.close()  # where a signal handler closed the store, it is not ours any more
        if self.is_orphaned and (is_systems(error) or isinstance(error, BackendUnavailableError)):
            raise _forked(self.path) from error
        if is_systems(error):
            raise unavailable(error, self.path) from error

    def _in_vain(self, key: str, why: str) -> BackendUnavailableError:
        msg = f"{why} for {self.timeout:g} seconds; try again, or allow more time"
        return BackendUnavailableError(f"{self.folder.file(key)}: {msg}", retryable=True)

    @property
    def path(self) -> str:
        """Of the file that it is used for; the folder's where it is not."""
        return self.folder.path if self.key is None else self.folder.file(self.key)

    def is_ours(self) -> bool:
        """Whether this thread has the lock."""
        owned: bool = self.lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001 # pyright: ignore -- as `Condition` asks
        return owned

    def drop(self) -> None:
        """Give back the log's file."""
        log, self.log = self.log, None
        if log is not None:
            log.close()

    def close(self) -> None:
        """Give back the file, once nobody uses it; or not, where that would be waiting for this thread's own call."""
        try:
            if self.lock.acquire(timeout=self.timeout):
                if self.key is not None:
                    self.log = None  # the call that uses it gives it back
                else:
                    self.drop()
        finally:
            try:  # noqa: SIM105 -- as above
                self.lock.release()
            except RuntimeError:
                pass

    def hold(self) -> None:
        """Have no other thread use it."""
        if not self.is_ours():  # or a signal handler forks, or Ctrl-C struck the last time
            self.lock.acquire()
        self.held = self.key is None

    def resume(self) -> None:
        """Let others use it again."""
        if self.held:
            try:
                self.lock.release()
            finally:
                self.held = False

    def orphan(self) -> None:
        """This is a child's copy of a call that its parent goes on with: have it do nothing more to the file."""
        if self.key is not None:
            self.is_orphaned = True
            self.drop()


def _forked(path: str) -> BackendUnavailableError:
    msg = "a signal handler forked the process in the middle of this call, which goes on in the parent alone; try again"
    return BackendUnavailableError(f"{path}: {msg}", retryable=True)


class Slots:
    """A fixed number of slots, so that as many files are open at most; each session has one, and shares it with others.

    Two sessions of one slot wait for each other and open their files anew in turn, which costs time and nothing else.
    """

    def __init__(self, folder: Folder, *, timeout: float) -> None:
        timeout = min(timeout, threading.TIMEOUT_MAX)
        self._slots = [_Slot(folder, timeout) for _ in range(_COUNT)]
        using.tell(self)

    def use(self, key: str, open_log: Callable[[str], L], action: Callable[[L], T]) -> T:
        """What `action` gives, with the session locked; `open_log` opens its file, where that is not open yet.

        After an exception the log is forgotten, for what it knows may be ahead of the file.

        Raises:
            BackendUnavailableError: somebody else held a lock all the while, this thread is in the middle of using it,
                or the operating system refused something.
        """
        return self._slots[hash(key) % _COUNT].use(key, open_log, action)

    def used_here(self) -> Iterator[tuple[str, object]]:
        """`sessionkit_jsonl.using.Using.used_here`."""
        for slot in self._slots:
            if slot.key is not None and slot.is_ours():
                yield slot.path, slot.log

    def close(self) -> None:
        """Give back every file, waiting for whoever writes, but for no longer than a write does."""
        for slot in self._slots:
            slot.close()

    def hold(self) -> None:
        """Have no other thread write, until `resume`."""
        for slot in self._slots:
            slot.hold()

    def resume(self) -> None:
        """Let threads write again."""
        for slot in self._slots:
            slot.resume()

    def orphan(self) -> None:
        """In a forked child: leave what this thread was in the middle of to the parent."""
        for slot in self._slots:
            slot.orphan()
