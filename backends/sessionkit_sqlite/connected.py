"""A connection that one thread uses at a time, whatever interrupts it."""

import sqlite3
import time
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from sessionkit.errors import BackendClosedError, BackendUnavailableError
from sessionkit_sqlite.exclusive import Exclusive, frame_at
from sessionkit_sqlite.failures import raise_mapped, shown
from sessionkit_sqlite.place import Place

if TYPE_CHECKING:
    from sessionkit_sqlite.store import Store

_PATIENCE = 10  # seconds that `close` waits for a call to end

# The connections that a forked child found in use by the call that it was forked in, and their files: the child can
# have none of its own to these, for what SQLite remembers of its locks came along, and the locks did not.
_abandoned: list[sqlite3.Connection] = []
_lost: set[Path] = set()


def check_not_lost(path: Path) -> None:
    """Accept a file that this process may open.

    Raises:
        BackendUnavailableError: it was forked in the middle of a use of that file.
    """
    if path in _lost:
        msg = f"{shown(path)} was in use by the very call in which a signal handler forked this process"
        raise BackendUnavailableError(f"{msg}, which can't use it, now or later; its parent can")


class Connected(Exclusive):
    """A connection, opened when it is first needed; entering gives it to one thread at a time.

    Only by ``with`` itself, in a function that is no generator: where that has ended, so has the use.
    """

    def __init__(self, store: "Store") -> None:
        super().__init__()
        self.store = store
        self.place = Place(store.path)
        self.connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        store = self.store
        user = frame_at(1)
        try:
            since = None if self.holder.setdefault(None, user) is user else self._wait(user)
            if store.closed:
                check_not_lost(store.path)
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
            if self.store.closed:
                self.disconnect()  # by a signal handler, say, which could not wait for this
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
        name, timeout = self.store.name, self.store.busy_timeout
        if not self.take(user, timeout):
            if self.is_held_below(user):
                msg = f"{name} is in use by the call of this same thread that was interrupted, by a signal handler"
                raise BackendUnavailableError(f"{msg}; try again once that has ended", retryable=True)
            msg = f"{name} was in use by another thread for {timeout:g} seconds"
            raise BackendUnavailableError(f"{msg}; try again, or raise busy_timeout", retryable=True)
        return started

    def close(self) -> None:
        """Disconnect, after the call that is using the connection, which is interrupted each second.

        A call that this very one has interrupted, as a signal handler may, goes on, and disconnects when it ends.
        """
        # Closing a connection that another thread is using would crash the interpreter.
        user = frame_at(0)
        for _ in range(_PATIENCE):
            try:
                if self.take(user, 1):
                    self.disconnect()
                    return
            finally:
                self.let_go(user)
            if self.is_held_below(user):
                return
            connection = self.connection
            if connection is not None:
                with suppress(sqlite3.Error):  # another thread has closed it meanwhile
                    connection.interrupt()
        # Whoever holds it will not end; the connection goes with the process.

    def before_fork(self) -> None:
        """Hold it, with nothing open.

        Where it is in use by the call that a signal handler has interrupted to fork, it stays in use.
        """
        if self.take(self):
            self.disconnect()

    def after_fork_in_child(self) -> None:
        """Nobody holds it, and nothing is open; the interrupted call that came along, if any, can do no more."""
        self.reset()
        if self.connection is not None:
            _abandoned.append(self.connection)
            _lost.add(self.store.path)
            self.store.closed = True
            self.connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
            self.connection = None

    def recover(self) -> None:
        """Let go of what a use leaves behind, ended or not."""
        connection = self.connection
        if connection is not None and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def disconnect(self) -> None:
        """Close the connection; the next use opens it anew. The caller holds this."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.place.let_go()

    def hold_place(self) -> None:
        """Remember which file is being connected to, before that is done."""
        try:
            self.place.hold()
        except FileNotFoundError as error:
            msg = f"{self.store.name} was deleted; open the store anew"
            raise BackendUnavailableError(msg) from error

    @abstractmethod
    def _connect(self) -> sqlite3.Connection:
        """A connection, made ready for use."""

    def _prepare(self, since: float | None) -> None:
        """Before each use, whose waiting began then."""

    def _check_use(self, error: BaseException | None) -> None:
        """Raise where a use, with an error or without one, was not what it seemed."""
