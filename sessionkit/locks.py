"""Locks between processes, on a file of their own; for authors of backends on disk.

Advisory, by ``flock``, so on POSIX only: under a microsecond where nobody else holds the lock.
The operating system lets go of it when the process dies. Waiting polls, because a blocking wait could not end in time;
the holder of a lock for some tens of microseconds at a time leaves gaps enough for every waiter.
"""

import fcntl
import time
from contextlib import suppress

from sessionkit.errors import BackendUnavailableError

_FIRST_WAIT, _LONGEST_WAIT = 0.0001, 0.0005
_EXCLUSIVE, _SHARED = fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_SH | fcntl.LOCK_NB


def acquire(
    descriptor: int, *, shared: bool = False, timeout: float, since: float | None = None, path: str = ""
) -> None:
    """Lock the open file, waiting up to `timeout` seconds for others to let go of it.

    Not for threads among themselves: two descriptors of one process exclude each other, one shared by threads does not.

    Args:
        descriptor: of the file.
        shared: whether others may hold it too, that share it.
        timeout: how long to wait; even where the time is over, the lock is had if it is free.
        since: when the waiting began, by `time.monotonic`, where this is not its first lock.
        path: for the error to name.

    Raises:
        BackendUnavailableError: retryable; somebody else held it all the while.
        OSError: the descriptor can't be locked at all.
    """
    how = _SHARED if shared else _EXCLUSIVE
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        pass  # and wait
    else:
        return
    began = time.monotonic() if since is None else since
    _wait(descriptor, how, timeout=timeout, deadline=began + timeout, path=path)


def release(descriptor: int) -> None:
    """Let go of the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def interrupts_itself(name: str) -> BackendUnavailableError:
    """The error for a call in the middle of another one of the same thread, as a signal handler or finalizer makes it.

    It can't wait for the lock of the call that it interrupts, which goes on only once it has returned itself. `name` is
    that of the store.
    """
    why = "a call of this thread is in the middle of using it, and was interrupted by this one, as by a signal handler"
    return BackendUnavailableError(f"{name}: {why}; try again once that call has returned", retryable=True)


def _wait(descriptor: int, how: int, *, timeout: float, deadline: float, path: str) -> None:
    wait = _FIRST_WAIT
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            msg = f"another process held the lock for {timeout:g} seconds; try again, or allow more time"
            raise BackendUnavailableError(f"{path}: {msg}" if path else msg, retryable=True)
        time.sleep(min(wait, left))
        wait = min(wait * 2, _LONGEST_WAIT)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, how)
            return
