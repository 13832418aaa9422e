"""The file system, as far as this backend needs it; its errors become ours here and nowhere else."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sessionkit.clock import EARLIEST, LATEST
from sessionkit.errors import BackendUnavailableError, CorruptSessionError, Outcome
from sessionkit.os_errors import is_systems, unavailable
from sessionkit.private import FILE, GUARDS, IRREGULAR, has_other_names, make_folders

READ = os.O_RDONLY | GUARDS
CHANGE = os.O_RDWR | os.O_APPEND | GUARDS
CREATE = CHANGE | os.O_CREAT
CREATE_IN_PLACE = os.O_RDWR | os.O_CREAT | GUARDS
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | GUARDS


class OSErrors:
    """Turns any `OSError` of the block into `BackendUnavailableError`; a class, because a list has a block a file."""

    __slots__ = ("_outcome", "_path")

    def __init__(self, path: str, outcome: Outcome = "not_applied") -> None:
        self._path = path
        self._outcome: Outcome = outcome

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and is_systems(error):
            raise unavailable(error, self._path, self._outcome) from error


def absolute(path: str | os.PathLike[str]) -> str:
    """The path, the same wherever the process goes.

    Raises:
        BackendUnavailableError: no file system takes it.
    """
    given = str(Path(path).absolute())
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        msg = f"{given!a} can't be the name of a folder: it holds a lone surrogate, which is no character"
        raise BackendUnavailableError(msg) from None
    if "\0" in given:
        msg = f"{given!r} can't be the name of a folder: it holds NUL"
        raise BackendUnavailableError(msg)
    return given


def make_folder(path: str, *, sync: bool) -> None:
    """Create the folder for its owner alone; one that is there stays as it is.

    So are folders that lead to it.
    """
    leading = [Path(path), *Path(path).parents][:-1]
    with OSErrors(path):
        missing = {each for each in leading if not each.exists()}
        make_folders(path)
    for each in leading if sync else ():  # all, for whoever made the others may not have waited for the disk
        try:
            sync_folder(str(each))
        except BackendUnavailableError:
            if each in missing:  # another may stand in a folder that we can't read
                raise


def check_still_there(path: str) -> None:
    """Accept that a file is not there, if its folder is."""
    folder = Path(path).parent
    with OSErrors(str(folder)):
        folder.stat()


def check_folder(path: str) -> None:
    """Accept a folder that is there, for reading."""
    with OSErrors(path):
        try:
            mode = Path(path).stat().st_mode
        except FileNotFoundError as error:
            msg = f"{path} does not exist, and a store that is opened to read (mode=ro) is not created"
            raise BackendUnavailableError(msg) from error
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def open_session(path: str, flags: int) -> int:
    """Open a regular file; its creator alone may read it.

    Raises:
        FileNotFoundError: there is none.
        CorruptSessionError: something else stands in its place.
    """
    msg = f"{path} is no regular file, so no session can be kept there; move it away"
    try:
        descriptor = os.open(path, flags, FILE)
    except OSError as error:
        if error.errno in IRREGULAR:
            raise CorruptSessionError(msg, where=path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CorruptSessionError(msg, where=path)
    return descriptor


def modified(descriptor: int) -> int:
    """When the file was, in microseconds since the epoch; what no `datetime` can be is the nearest that one can."""
    return min(max(os.fstat(descriptor).st_mtime_ns // 1000, EARLIEST), LATEST)


def read(descriptor: int, start: int, end: int) -> bytes:
    """The bytes from `start` up to `end`; fewer only where the file ends before."""
    data = os.pread(descriptor, end - start, start)
    if len(data) == end - start:
        return data
    parts = [data]
    while data and (start := start + len(data)) < end:
        data = os.pread(descriptor, end - start, start)
        parts.append(data)
    return b"".join(parts)


def append(descriptor: int, path: str, data: bytes, *, size: int, sync: bool) -> None:
    """Add to the end of a locked file of that size: all of it, or, where the disk is full, nothing.

    Where the disk can't be waited for, nobody knows; but it is taken back, for the operating system may count what did
    not get there as done: a later write, which begins in the same place, is then one that surely gets there.
    """
    try:
        _write(descriptor, data)
    except OSError as error:
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            raise unavailable(error, path, "unknown") from error
        raise unavailable(error, path) from error
    if sync:
        try:
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise unavailable(error, path, "unknown") from error


def overwrite(descriptor: int, data: bytes) -> None:
    """Put these few bytes in the place of the first ones of a locked file; where the disk is full, those stay."""
    before = os.pread(descriptor, len(data), 0)
    try:
        if os.pwrite(descriptor, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.pwrite(descriptor, before, 0)
        if len(before) < len(data):
            os.ftruncate(descriptor, len(before))
        raise


def replace(path: str, data: bytes, *, aside: bytes = b"", sync: bool) -> None:
    """Put another content in the place of a file that is locked by the caller; readers see the old or the new.

    Who may read and write it stays as it was. `aside` is what is not in the new content and must be kept; it is, before
    the old one goes, and only once all else is done that may fail.

    Whatever `sync` says, the new content is on the disk before its name: else a power cut could take what had been
    there for long.
    """
    beside, process = f"{path}.tmp", os.getpid()
    with OSErrors(beside):
        remove(beside)  # what a crash left; only who holds the lock writes here
        descriptor = os.open(beside, _FRESH, FILE)
        try:
            before = os.lstat(path).st_mode
            if stat.S_ISREG(before):  # and no link, of which anybody may do anything
                os.fchmod(descriptor, stat.S_IMODE(before))
            _write(descriptor, data)
            os.fsync(descriptor)
            if aside:
                set_aside(path, aside)
            if os.getpid() == process:  # a signal handler may have forked it; then it is the parent's
                Path(beside).replace(path)
        except BaseException:
            if os.getpid() == process:
                remove(beside)
            raise
        finally:
            os.close(descriptor)
    if sync:
        sync_folder(path)


def set_aside(path: str, data: bytes) -> None:
    """Add to what was set aside of a session, on the disk too; it is kept until the session is deleted.

    Not where it was the last that was set aside: then whoever did that could not finish.
    """
    beside = corrupt_path(path)
    with OSErrors(beside):
        descriptor = open_session(beside, CREATE)
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            if read(descriptor, max(0, size - len(data)), size) == data:
                pass
            elif has_other_names(status):
                replace(beside, read(descriptor, 0, size) + data, sync=True)
            else:
                append(descriptor, beside, data, size=size, sync=True)
        finally:
            os.close(descriptor)
    sync_folder(beside)


def corrupt_path(path: str) -> str:
    """The file beside a session's where what could not be read is set aside."""
    return f"{path}.corrupt"


def restrict(path: str, mode: int) -> None:
    """Give the file, or the folder, that mode; not what a symbolic link leads to."""
    descriptor = os.open(path, READ)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and has_other_names(status):  # whose mode is another file's, too
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove the file, if there is one."""
    with suppress(FileNotFoundError):
        Path(path).unlink()


def remove_empty(path: str) -> None:
    """Remove a session's empty file, after what a killed `replace` left beside it; not what was set aside of it."""
    remove(f"{path}.tmp")
    remove(path)


def remove_session(path: str, *, sync: bool, keep_aside: bool = False) -> None:
    """Remove a session's file, after all that stands beside it; but what was set aside of it only if asked to."""
    for name in (f"{path}.tmp", *([] if keep_aside else [corrupt_path(path)]), path):
        remove(name)
    if sync:
        sync_folder(path)


def sync_folder(path: str) -> None:
    """Make a name in a folder survive a power cut."""
    with OSErrors(path, "unknown"):
        descriptor = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # the disk is full, and the next one says so; or it is more than one call takes
        written += os.write(descriptor, memoryview(data)[written:])
