"""Files and folders for their owner alone, from the moment they are made; for authors of backends on disk.

A mode that is set once a file is there leaves a moment in which others may open it, and go on reading. So each is made
with its mode, whatever the process's umask is, which can only take rights away.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from sessionkit.errors import BackendUnavailableError

FILE = 0o600
"""Who may read and write a file of a store: its owner."""

FOLDER = 0o700
"""The same for a folder."""

GUARDS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""For `os.open`: a symbolic link is refused, a pipe doesn't block, and a terminal doesn't become this process's."""

# What opening gives for a symbolic link, a folder and a socket.
IRREGULAR = frozenset((errno.ELOOP, errno.EISDIR, errno.ENXIO))


def make_folders(path: str | os.PathLike[str]) -> list[Path]:
    """Make a folder, and those missing on the way to it, for their owner alone; gives those that were, the last first.

    What is there stays as it is, be it a link to a folder.

    Raises:
        OSError: it can't be made, or something else stands there.
    """
    folder = Path(path)
    missing: list[Path] = []
    for each in (folder, *folder.parents):
        if each.exists():
            break
        missing.append(each)
    for each in reversed(missing):
        with suppress(FileExistsError):  # somebody else was quicker
            each.mkdir(FOLDER)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
    return missing


def open_beside(path: str | os.PathLike[str], flags: int) -> int:
    """Open a regular file that stands beside a store's own, for its owner alone where it is made.

    Whoever can put a symbolic link there can't have us read or write another file through it; nor write, by a hard one.

    Raises:
        BackendUnavailableError: something else stands in its place.
        OSError: it can't be opened.
    """
    try:
        descriptor = os.open(path, flags | GUARDS, FILE)
    except OSError as error:
        if error.errno in IRREGULAR:
            raise _in_the_way(path) from error
        raise
    try:
        _check_status(path, os.fstat(descriptor), is_written=bool(flags & (os.O_RDWR | os.O_WRONLY)))
    except BackendUnavailableError:
        os.close(descriptor)
        raise
    return descriptor


def check_beside(path: str | os.PathLike[str]) -> None:
    """Accept what `open_beside` would open to write, and that there is nothing; for a file that a driver opens.

    Raises:
        BackendUnavailableError: something else stands in its place.
        OSError: it can't be looked at.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    _check_status(path, status, is_written=True)


def has_other_names(status: os.stat_result) -> bool:
    """Whether the file has another name too (a hard link), by which what is written here is changed there."""
    return status.st_nlink > 1


def copy_to(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """A copy for its owner alone, whoever may read the source; where there is one already it is an error.

    Raises:
        BackendUnavailableError: the source is no regular file.
        OSError: one of them can't be read or made.
    """
    with (
        open(open_beside(source, os.O_RDONLY), "rb") as read,
        open(_made(target), "wb") as written,
    ):
        while chunk := read.read(1 << 20):
            written.write(chunk)


def _made(path: str | os.PathLike[str]) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | GUARDS, FILE)


def _check_status(path: str | os.PathLike[str], status: os.stat_result, *, is_written: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _in_the_way(path)
    if is_written and has_other_names(status):
        why = "has other names (hard links), by which a write here would change a file elsewhere"
        raise BackendUnavailableError(f"{_shown(path)} {why}: put a copy of it in its place")


def _in_the_way(path: str | os.PathLike[str]) -> BackendUnavailableError:
    return BackendUnavailableError(f"{_shown(path)} is no regular file; move it away")


def _shown(path: str | os.PathLike[str]) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")
