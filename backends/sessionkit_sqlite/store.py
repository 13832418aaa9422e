"""One SQLite file, opened: a connection to write and one to read, each under a lock, whole through forks.

Two connections and no more, because many writers in one process only fight each other. Before each write stands a file
lock of our own (``<file>-lock``): SQLite's own waiting starves whoever comes late beside a process that hammers.
"""

import os
import sqlite3
import threading
import time
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from mmap import PROT_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args
from weakref import WeakValueDictionary

from sessionkit.errors import BackendUnavailableError
from sessionkit.forks import survive_forks
from sessionkit.locks import acquire
from sessionkit.os_errors import unavailable
from sessionkit_sqlite.connected import Connected, check_not_lost
from sessionkit_sqlite.exclusive import frame_at
from sessionkit_sqlite.failures import check_path, shown
from sessionkit_sqlite.log import Log
from sessionkit_sqlite.opening import (
    MARK,
    State,
    check_first,
    connect_at_rest,
    connect_beside_writer,
    connect_live,
    connect_to_copy,
    connect_to_write,
    create_where_missing,
    open_lock_file,
    state_of,
)
from sessionkit_sqlite.place import LOOK_EVERY, Identity, identity

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

Mode = Literal["rw", "ro"]
Synchronous = Literal["normal", "full"]

_EXCLUSIVE = LOCK_EX | LOCK_NB

# A log is without its index for a moment whenever somebody opens or closes the file; after so many seconds, a crash
# left it. It is never copied where this process has the file open itself: to read it would drop SQLite's locks.
_AT_REST = 0.2
_OPENING = 2.0  # seconds until a reader gives up on a file that is opened and closed all the time


class Store:
    """The open file. Use ``with store.writing as connection`` and ``with store.reading as connection``.

    Args:
        path: the file; it and its folder are created, for their owner only, where they are missing.
        mode: ``"ro"`` never writes, and needs no right to.
        synchronous: ``"full"`` has each commit survive a power cut.
        busy_timeout: seconds to wait for another thread or process.

    Raises:
        BackendUnavailableError: the file can't be opened, locked or migrated, or is no database.
    """

    def __init__(self, path: Path, *, mode: Mode, synchronous: Synchronous, busy_timeout: float) -> None:
        for name, value, kind in (("mode", mode, Mode), ("synchronous", synchronous, Synchronous)):
            if value not in get_args(kind):
                msg = f"{name} must be one of {', '.join(get_args(kind))}, not {value!r}"
                raise ValueError(msg)
        # What SQLite keeps beside a file stands beside the file itself, not beside a link to it. And the path holds,
        # whatever becomes of the working directory.
        check_path(path)
        self.path = Path(os.path.realpath(path))
        check_not_lost(self.path)
        self.name = shown(self.path)
        self.mode: Mode = mode
        self.synchronous: Synchronous = synchronous
        self.busy_timeout = min(busy_timeout, threading.TIMEOUT_MAX)
        self.closed = False
        self.writing = Writing(self)
        self.reading = _ReadingOnly(self) if mode == "ro" else _Reading(self)
        self.looking = _ReadingOnly(self) if mode == "ro" else _Reading(self)  # for long, while others go on reading
        survive_forks(self)  # before anything is opened
        self._look_first()
        with self.reading if mode == "ro" else self.writing:
            pass  # opened, and brought to this version's layout
        if mode == "rw":
            _writers[id(self)] = self

    def close(self) -> None:
        """Close the connections, waiting for the calls that use them, or interrupting those after a second."""
        self.closed = True
        for connected in (self.writing, self.reading, self.looking):
            connected.close()

    def _look_first(self) -> None:
        user = frame_at(0)
        try:
            self.writing.take(user)  # so that no thread forks meanwhile
            check_first(self.path)
        except OSError as error:
            raise unavailable(error, self.name) from error
        finally:
            self.writing.let_go(user)

    def _before_fork(self) -> None:
        # What SQLite remembers of its locks would go along to the child, the locks would not: whichever side closed
        # first would take the log away from under the other. So nothing is open while the process forks.
        for connected in (self.writing, self.reading, self.looking):
            connected.before_fork()

    def _after_fork_in_parent(self) -> None:
        for connected in (self.looking, self.reading, self.writing):
            connected.let_go(connected)

    def _after_fork_in_child(self) -> None:
        for connected in (self.looking, self.reading, self.writing):
            connected.after_fork_in_child()


_writers: "WeakValueDictionary[int, Store]" = WeakValueDictionary()  # not a set: others can't add while it is copied


def is_open_here(path: Path) -> bool:
    """Whether this process has the file open to write."""
    stores = [reference() for reference in _writers.valuerefs()]
    return any(store is not None and store.path == path and not store.closed for store in stores)


class _Reading(Connected):
    """Beside the connection that writes."""

    def _prepare(self, since: float | None) -> None:
        del since
        if self.connection is not None:
            self.place.check()

    def _connect(self) -> sqlite3.Connection:
        self.hold_place()
        return connect_beside_writer(self.store.path, self.store.busy_timeout)


class _ReadingOnly(Connected):
    """Where nothing may be written. What that takes depends on who else has the file open, so each use looks.

    At rest the file is read as immutable, without a trace and without a lock. A log without its index, left by a crash
    or a copy, can't be read in place where nothing may be written, so both files are copied. Neither follows what
    happens to the file, so once anything has, it is opened anew.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.copy: TemporaryDirectory[str] | None = None
        self.state: State | None = None

    def disconnect(self) -> None:
        super().disconnect()
        self.state = None
        if self.copy is not None:
            self.copy.cleanup()
            self.copy = None

    def _prepare(self, since: float | None) -> None:
        del since
        if self.connection is None:
            return
        if self.state is None:
            with suppress(BackendUnavailableError):
                self.place.check()
                return
        elif self.state == state_of(self.store.path):
            return
        self.disconnect()

    def _connect(self) -> sqlite3.Connection:
        path = self.store.path
        if not path.exists():
            msg = f"{self.store.name} does not exist, and a store that is opened to read (mode=ro) is not created"
            raise BackendUnavailableError(msg)
        here = is_open_here(path)
        started = time.monotonic()
        while (waited := time.monotonic() - started) < _OPENING:
            before = state_of(path)
            self.hold_place()
            try:
                if self._attempt(before, may_copy=waited > _AT_REST and not here):
                    return cast("sqlite3.Connection", self.connection)
            except sqlite3.DatabaseError:
                if before == state_of(path):
                    raise
            self.disconnect()
            time.sleep(0.002)
        msg = f"{self.store.name} is opened and closed by others all the time; try again"
        raise BackendUnavailableError(msg, retryable=True)

    def _attempt(self, before: State, *, may_copy: bool) -> bool:
        """Connect in whichever way the files allow; whether that succeeded, with nothing changed meanwhile."""
        path, timeout = self.store.path, self.store.busy_timeout
        self.connection = connect_at_rest(path, timeout)
        if self.connection is None:
            self.connection = connect_live(path, timeout)
            if self.connection is not None:
                return True
            if not may_copy:
                return False
            self.connection, self.copy = connect_to_copy(path, timeout)
        self.state = before
        return before == state_of(path)

    def _check_use(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, sqlite3.Error):
            return
        if self.state is not None and self.state != state_of(self.store.path):
            msg = f"{self.store.name} was written while it was read; try again"
            raise BackendUnavailableError(msg, retryable=True) from error


class Writing(Connected):
    """Also holds the file lock while it is entered. In the lock file stands the mark of who had it last.

    Attributes:
        use: how often it was entered.
        is_undisturbed: whether no other connection had it since the last time.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.lock_file: int | None = None
        self.mark = b""
        self.use = 0
        self.is_undisturbed = False
        self.log = Log(store.path)
        self._marks: mmap | bytes = b""  # of the lock file, mapped: a tenth of what it takes to read them
        self._lock_identity: Identity | None = None

    def __del__(self) -> None:
        self._close_lock_file()

    def disconnect(self) -> None:
        super().disconnect()
        self._close_lock_file()

    def after_fork_in_child(self) -> None:
        super().after_fork_in_child()
        self._close_lock_file()

    def _connect(self) -> sqlite3.Connection:
        create_where_missing(self.store.path)
        self.hold_place()
        connection = connect_to_write(self.store.path, self.store.busy_timeout, self.store.synchronous)
        self.log.hold()
        return connection

    def _prepare(self, since: float | None) -> None:
        lock_file = self.lock_file
        if lock_file is None:
            lock_file = self._open_lock_file()
        try:
            flock(lock_file, _EXCLUSIVE)
        except BlockingIOError:
            acquire(lock_file, timeout=self.store.busy_timeout, since=since, path=self.store.name)
        self.use += 1
        if self.connection is not None:
            self.place.check()
            if self.use % LOOK_EVERY == 0 or self.log.is_lost:
                self.log.look_after(self.connection)
                if identity(f"{self.store.path}-lock") != self._lock_identity:  # deleted, or another: so we take that
                    self._close_lock_file()
                    self._prepare(since)
                    return
        self.is_undisturbed = self._marks[:MARK] == self.mark
        if not self.is_undisturbed:
            os.pwrite(lock_file, self.mark, 0)

    def recover(self) -> None:
        try:
            if self.connection is not None and self.connection.in_transaction:
                super().recover()
        finally:
            if self.lock_file is not None:
                flock(self.lock_file, LOCK_UN)

    def _open_lock_file(self) -> int:
        if self.store.mode == "ro":
            msg = f"{self.store.name} was opened with mode=ro, so nothing can be written"
            raise BackendUnavailableError(msg)
        lock_file = open_lock_file(self.store.path)
        self._marks = mmap(lock_file, MARK, prot=PROT_READ)
        status = os.fstat(lock_file)
        self._lock_identity = status.st_dev, status.st_ino
        self.mark = os.urandom(MARK)
        self.lock_file = lock_file  # at last, should Ctrl-C strike
        return lock_file

    def _close_lock_file(self) -> None:
        descriptor, self.lock_file = self.lock_file, None
        if descriptor is not None:
            if isinstance(self._marks, mmap):
                self._marks.close()
            os.close(descriptor)
