"""One SQLite file, opened: a connection to write and one to read, each under a lock, whole through forks.

Two connections and no more, because many writers in one process only fight each other. Before each write stands a file
lock of our own (``<file>-lock``): SQLite's own waiting starves whoever comes late beside a process that hammers.
"""

import os
import sqlite3
import threading
import time
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal, cast, get_args
from weakref import WeakValueDictionary

from sessionkit.errors import BackendClosedError, BackendUnavailableError
from sessionkit.forks import survive_forks
from sessionkit.locks import acquire, release
from sessionkit.os_errors import unavailable
from sessionkit_sqlite.exclusive import Exclusive, frame_at
from sessionkit_sqlite.failures import check_path, raise_mapped, shown
from sessionkit_sqlite.opening import (
    State,
    check_first,
    connect_at_rest,
    connect_beside_writer,
    connect_live,
    connect_to_copy,
    connect_to_write,
    open_lock_file,
    state_of,
)

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

Mode = Literal["rw", "ro"]
Synchronous = Literal["normal", "full"]

_PATIENCE = 10  # seconds that `close` waits for a call to end

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
        self.name = shown(self.path)
        self.mode: Mode = mode
        self.synchronous: Synchronous = synchronous
        self.busy_timeout = min(busy_timeout, threading.TIMEOUT_MAX)
        self.closed = False
        self.writing = Writing(self)
        self.reading = _ReadingOnly(self) if mode == "ro" else _Reading(self)
        survive_forks(self)  # before anything is opened
        self._look_first()
        with self.reading if mode == "ro" else self.writing:
            pass  # opened, and brought to this version's layout
        if mode == "rw":
            _writers[id(self)] = self

    def close(self) -> None:
        """Close both connections, waiting for the calls that use them, or interrupting those after a second."""
        self.closed = True
        self.writing.close()
        self.reading.close()

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
        for connected in (self.writing, self.reading):
            connected.take(self)
            connected.disconnect()

    def _after_fork_in_parent(self) -> None:
        for connected in (self.reading, self.writing):
            connected.let_go(self)

    def _after_fork_in_child(self) -> None:
        for connected in (self.reading, self.writing):
            connected.reset()


_writers: "WeakValueDictionary[int, Store]" = WeakValueDictionary()  # not a set: others can't add while it is copied


class _Connected(Exclusive):
    """A connection, opened when it is first needed; entering gives it to one thread at a time.

    Only by ``with`` itself, in a function that is no generator: where that has ended, so has the use.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        store = self.store
        user = frame_at(1)
        try:
            since = None if self.holder.setdefault(None, user) is user else self._wait(user)
            if store.closed:
                msg = f"{store.name} was closed"
                raise BackendClosedError(msg)
            self._prepare(since)
            if self.connection is None:
                self.connection = self._connect()
        except BaseException as error:
            self._leave(user)
            raise_mapped(error, store.path)
            raise
        return self.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._check_use(error)
            self.recover()
            self.pass_on()
        except BaseException:
            self._leave(frame_at(1))
            raise
        if error is not None:
            raise_mapped(error, self.store.path)

    def _leave(self, user: FrameType) -> None:
        """Whatever went wrong, be it Ctrl-C on the way out."""
        if self.holder.get(None) is user:
            try:
                self.recover()
            finally:
                self.let_go(user)

    def _wait(self, user: FrameType) -> float:
        """Hold it after another thread; when the waiting began."""
        started = time.monotonic()
        if not self.take(user, self.store.busy_timeout):
            msg = f"{self.store.name} was in use by another thread for {self.store.busy_timeout:g} seconds"
            raise BackendUnavailableError(f"{msg}; try again, or raise busy_timeout", retryable=True)
        return started

    def close(self) -> None:
        """Disconnect, after the call that is using the connection, which is interrupted each second."""
        # Closing a connection that another thread is using would crash the interpreter.
        user = frame_at(0)
        for _ in range(_PATIENCE):
            try:
                if self.take(user, 1):
                    self.disconnect()
                    return
            finally:
                self.let_go(user)
            connection = self.connection
            if connection is not None:
                with suppress(sqlite3.Error):  # another thread has closed it meanwhile
                    connection.interrupt()
        # Whoever holds it will not end, or waits for this very call; the connection goes with the process.

    def recover(self) -> None:
        """Let go of what a use leaves behind, ended or not."""
        if self.connection is not None and self.connection.in_transaction:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def disconnect(self) -> None:
        """Close the connection; the next use opens it anew. The caller holds this."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @abstractmethod
    def _connect(self) -> sqlite3.Connection:
        """A connection, made ready for use."""

    def _prepare(self, since: float | None) -> None:
        """Before each use, whose waiting began then."""

    def _check_use(self, error: BaseException | None) -> None:
        """Raise where a use, with an error or without one, was not what it seemed."""


class _Reading(_Connected):
    """Beside the connection that writes."""

    def _connect(self) -> sqlite3.Connection:
        return connect_beside_writer(self.store.path, self.store.busy_timeout)


class _ReadingOnly(_Connected):
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
        if self.state is not None and self.state != state_of(self.store.path):
            self.disconnect()

    def _connect(self) -> sqlite3.Connection:
        path = self.store.path
        if not path.exists():
            msg = f"{self.store.name} does not exist, and a store that is opened to read (mode=ro) is not created"
            raise BackendUnavailableError(msg)
        writers = [reference() for reference in _writers.valuerefs()]
        here = any(store is not None and store.path == path and not store.closed for store in writers)
        started = time.monotonic()
        while (waited := time.monotonic() - started) < _OPENING:
            before = state_of(path)
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


class Writing(_Connected):
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

    def __del__(self) -> None:
        self._close_lock_file()

    def disconnect(self) -> None:
        super().disconnect()
        self._close_lock_file()

    def _connect(self) -> sqlite3.Connection:
        return connect_to_write(self.store.path, self.store.busy_timeout, self.store.synchronous)

    def _prepare(self, since: float | None) -> None:
        if self.lock_file is None:
            if self.store.mode == "ro":
                msg = f"{self.store.name} was opened with mode=ro, so nothing can be written"
                raise BackendUnavailableError(msg)
            self.lock_file = open_lock_file(self.store.path)
            self.mark = os.urandom(16)
        acquire(self.lock_file, timeout=self.store.busy_timeout, since=since, path=self.store.name)
        self.use += 1
        self.is_undisturbed = os.pread(self.lock_file, 16, 0) == self.mark
        if not self.is_undisturbed:
            try:
                os.pwrite(self.lock_file, self.mark, 0)
            except OSError:  # no room: then at least nobody else's stands there
                os.ftruncate(self.lock_file, 0)

    def recover(self) -> None:
        try:
            super().recover()
        finally:
            if self.lock_file is not None:
                release(self.lock_file)

    def _close_lock_file(self) -> None:
        descriptor, self.lock_file = self.lock_file, None
        if descriptor is not None:
            os.close(descriptor)
