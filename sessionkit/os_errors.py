"""What the operating system refuses, said in our own errors; for authors of backends on disk."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeGuard

from sessionkit.errors import BackendUnavailableError, Outcome

_HINTS = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "the quota is used up; free some of it",
    errno.EFBIG: "no file of this process, or of this file system, may be that large; raise that limit, or delete some",
    errno.EIO: "the disk, or the way to it, fails; see what the system's log says of it",
    errno.ENOMEM: "the system has no memory left for it; try again",
    errno.EINTR: "a signal interrupted it; try again",
    errno.EACCES: "check who may read and write it, or open the store with mode=ro",
    errno.EPERM: "check who may read and write it, or open the store with mode=ro",
    errno.EROFS: "the file system is read-only; open the store with mode=ro",
    errno.EMFILE: "this process has too many files open; close some, or raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open; close some, or raise its limit",
    errno.ENOLCK: "the file system has no locks, and sessions need them",
    errno.ENOTDIR: "a file stands where a folder should be",
    errno.EEXIST: "a file stands where a folder should be",
}
_PASSING = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.EBUSY, errno.ETIMEDOUT}


def is_systems(error: BaseException) -> TypeGuard[OSError]:
    """Whether the operating system raised it, rather than a signal handler that gave up: `TimeoutError` is one too."""
    return isinstance(error, OSError) and error.errno is not None


def unavailable(
    error: OSError, path: str | os.PathLike[str], outcome: Outcome = "not_applied"
) -> BackendUnavailableError:
    """Our error for one of the operating system's: which file, why, and what to do; to be raised ``from error``.

    It is `retryable` where the reason may pass by itself.
    """
    hint = _HINTS.get(error.errno or 0)
    msg = f"{os.fspath(path)}: {error.strerror or error}" + (f"; {hint}" if hint else "")
    return BackendUnavailableError(msg, retryable=error.errno in _PASSING, outcome=outcome)


@contextmanager
def partly(*, applied: int) -> Generator[None]:
    """A step of a call that has applied so many things already: a failure does not mean then that nothing was.

    Raises:
        BackendUnavailableError: likewise, its outcome unknown.
    """
    try:
        yield
    except BackendUnavailableError as error:
        if applied:
            error.outcome = "unknown"
        raise
