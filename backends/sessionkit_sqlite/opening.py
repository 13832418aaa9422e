"""Opening the file, to write or to read where nothing may be written; what is not ours is refused untouched.

Nothing here opens the database but SQLite itself. POSIX locks belong to the process: closing any descriptor of the
file would drop those of every connection that the process has to it, and the next process to close its own would take
the log away from under them.
"""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import quote

from sessionkit.errors import BackendUnavailableError
from sessionkit.private import check_beside, copy_to, has_other_names, make_folders, open_beside
from sessionkit_sqlite.failures import shown
from sessionkit_sqlite.log import BOUND, PAGES
from sessionkit_sqlite.schema import VERSION, check_version, migrate
from sessionkit_sqlite.terms import adopt_index

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

State = tuple[tuple[int, int, int] | None, tuple[int, int, int] | None]

MARK = 16
"""How many bytes the mark of a writer has, in the lock file."""

_LONGEST_TIMEOUT = 2_000_000.0  # seconds; SQLite counts milliseconds in 31 bits


def check_first(path: Path) -> None:
    """Look at a file that is there, before anything is created beside it.

    Raises:
        BackendUnavailableError: it is no file, no SQLite database, another program's, or a newer sessionkit's.
        OSError: it can't be looked at.
    """
    if not path.exists():
        return
    if not path.is_file():
        msg = f"{shown(path)} is no regular file, so it can't be a database; nothing was changed"
        raise BackendUnavailableError(msg)
    if _log_of(path).exists() or Path(f"{path}-journal").exists():
        # While somebody has it open, the look under the lock must do; and where the power went while it was made,
        # SQLite must undo that first.
        return
    try:
        with closing(_connect(path, 0, "?immutable=1")) as connection:
            check_version(connection, path)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            msg = f"{shown(path)} is no SQLite database; nothing was changed"
            raise BackendUnavailableError(msg) from error
        # Whoever opens it next says why.


def open_lock_file(path: Path) -> int:
    """The lock file, open, with room for a mark; it and its folder are made for their owner only.

    One that has another name is not written, which may be a backup's: that keeps it, and a new one is made.
    """
    make_folders(path.parent)
    name = f"{path}-lock"
    with suppress(FileNotFoundError):
        status = os.lstat(name)
        if S_ISREG(status.st_mode) and has_other_names(status):
            os.unlink(name)  # noqa: PTH108 -- a name, not a path
    descriptor = open_beside(name, os.O_RDWR | os.O_CREAT)
    try:
        if os.fstat(descriptor).st_size < MARK:
            os.pwrite(descriptor, bytes(MARK), 0)  # perhaps over another's, who then looks again
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_where_missing(path: Path) -> None:
    """Make the file for its owner only. The caller holds the file lock.

    A log of a file that was deleted is set aside: it may hold the last messages there are, and SQLite would remove it.
    """
    if path.exists():
        return
    log = _log_of(path)
    if log.exists():
        log.rename(f"{path}.lost-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-wal")
    _create_empty(path)


def connect_to_write(path: Path, timeout: float, synchronous: str) -> sqlite3.Connection:
    """A connection to a file of this version's layout, which is made or migrated. The caller holds the file lock."""
    connection = _connect(path, timeout)
    try:
        check_version(connection, path)  # before the first pragma that would write
        connection.execute("PRAGMA page_size = 2048")  # of a new file: an append writes one, and messages are short
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {BOUND}")
        migrate(connection, path)
        adopt_index(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_beside_writer(path: Path, timeout: float) -> sqlite3.Connection:
    """A second connection of a process that has the file open for writing; this one can't."""
    connection = _connect(path, timeout, "?mode=rw")  # which creates nothing
    connection.execute("PRAGMA query_only = 1")
    return connection


def connect_live(path: Path, timeout: float) -> sqlite3.Connection | None:
    """A connection that follows a writer, through the write-ahead log and its index; None where that can't be."""
    if not (_log_of(path).exists() and Path(f"{path}-shm").exists()):
        return None
    with suppress(sqlite3.OperationalError):
        return _checked(_connect(path, timeout, "?mode=ro"), path)
    return None


def connect_at_rest(path: Path, timeout: float) -> sqlite3.Connection | None:
    """A connection that leaves no trace, to a file that nobody has open; None where a log shows that somebody has."""
    if _log_of(path).exists():
        return None
    return _checked(_connect(path, timeout, "?immutable=1"), path)


def connect_to_copy(path: Path, timeout: float) -> "tuple[sqlite3.Connection, TemporaryDirectory[str]]":
    """A connection to a copy, and the folder that it is in: for a log that a crash or a copy left without its index."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415 -- what it brings along takes long to import

    folder = TemporaryDirectory(prefix="sessionkit-")
    try:
        copy = Path(folder.name) / "copy.db"
        for source, target in ((path, copy), (_log_of(path), _log_of(copy))):
            copy_to(source, target)
        return _checked(_connect(copy, timeout, "?mode=rw"), path), folder
    except BaseException:
        folder.cleanup()
        raise


def state_of(path: Path) -> State:
    """What changes whenever the file, or its log, is written, made or removed."""
    return _looks(path), _looks(_log_of(path))


def _looks(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _log_of(path: Path) -> Path:
    """SQLite's write-ahead log: there from the first opening until the last closing, or for ever after a crash."""
    return Path(f"{path}-wal")


def _checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        version = check_version(connection, path)
        if version == 0:
            msg = f"{shown(path)} holds no sessions yet, and a store that is opened to read (mode=ro) is not created"
            raise BackendUnavailableError(msg)
        if version < VERSION:
            older = f"{shown(path)} has layout {version}, which this sessionkit brings to {VERSION} when it may write"
            msg = f"{older}: open it once without mode=ro"
            raise BackendUnavailableError(msg)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_empty(path: Path) -> None:
    """An empty file for its owner only; made elsewhere and linked here, so that nobody closes it under a connection."""
    name = f"{path.parent}/.sessionkit-{os.urandom(8).hex()}"
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with suppress(FileExistsError):
            try:
                os.link(name, path)
            except PermissionError:  # what file systems without links say
                os.mknod(path, 0o600)
    finally:
        Path(name).unlink()


def _connect(path: Path, timeout: float, query: str = "") -> sqlite3.Connection:
    for ending in ("-wal", "-shm", "-journal"):
        try:
            check_beside(f"{path}{ending}")  # SQLite follows no symbolic link there, but would write through a hard one
        except BackendUnavailableError as error:  # which says what to do: not while a log is being written
            msg = f"{error}, while nobody has the store open"
            raise BackendUnavailableError(msg) from error
    return sqlite3.connect(
        f"file://{quote(os.fsencode(path))}{query}",
        uri=True,
        timeout=min(timeout, _LONGEST_TIMEOUT),
        isolation_level=None,
        check_same_thread=False,
    )
