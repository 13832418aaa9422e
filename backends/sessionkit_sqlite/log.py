"""The write-ahead log of an open store: whether it is still there, and that it does not grow for ever.

SQLite copies the log into the database by itself, and begins it anew, when no reader is in the middle of anything.
Where readers overlap, some reader always is, so the log would only grow. Once it is larger than `BOUND`, a writer
therefore waits for the readers of that moment, while new ones read around the log; and where that fails, since one of
them does not end so soon, again when it has grown by as much, and longer: so that every read that ends, on a machine
with much else to do, lets the log end. A reader that keeps one transaction open for ever keeps the log
as it is: nothing is lost then, but nobody can make it smaller.
"""

import os
import sqlite3
from pathlib import Path

from sessionkit.errors import BackendUnavailableError
from sessionkit_sqlite.failures import shown
from sessionkit_sqlite.place import Identity, identity

PAGES = 2000
"""After so many pages in the log SQLite copies them: 4 MB, as it has it by itself."""

BOUND = 16 * 1024 * 1024
"""A log beyond so many bytes is made to begin anew."""

PATIENCE = 0.1
"""Seconds that a writer waits for readers, to do so; twice as long after each time that was too short."""

LONGEST_PATIENCE = 0.8
"""But no longer than that, for others wait for the writer."""


class Log:
    """The log of the file at a path, from `hold` on. Everything here is for who holds the file lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = f"{path}-wal"
        self._file: Identity | None = None
        self._bound, self._patience = BOUND, PATIENCE
        self.is_lost = False

    def hold(self) -> None:
        """Remember the log that a connection has just opened."""
        self._file, self.is_lost = identity(self._name), False
        self._bound, self._patience = BOUND, PATIENCE

    def look_after(self, connection: sqlite3.Connection) -> None:
        """Now and then, for a connection that is in no transaction.

        Raises:
            BackendUnavailableError: others have deleted the log, or put another in its place.
        """
        file = identity(self._name)
        if file != self._file:
            if file is None and not self.is_lost:
                _copy(connection, "PASSIVE")  # while there is a descriptor of it
            self.is_lost = True
            what = f"{shown(self._path)}-wal was deleted or replaced while it was open, so nothing was written"
            msg = f"{what}; close every opening of this store, and open it anew"
            raise BackendUnavailableError(msg)
        size = os.path.getsize(self._name)  # noqa: PTH202 -- half of what `Path.stat` takes
        if size <= self._bound:
            return
        patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout = {min(patience, round(self._patience * 1000))}")
        try:
            if _copy(connection, "TRUNCATE"):
                self._bound, self._patience = BOUND, PATIENCE
            else:
                self._bound, self._patience = size + BOUND, min(2 * self._patience, LONGEST_PATIENCE)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience}")


def _copy(connection: sqlite3.Connection, how: str) -> bool:
    """Whether that succeeded, with all there was."""
    try:
        busy, _, _ = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    except sqlite3.OperationalError:  # no room, say: what was written stands in the log all the same
        return False
    return not busy
