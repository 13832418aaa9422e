"""Backends that break a promise over a power cut as real ones do, each with the promise that the proof must name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionkit import ChatMessage
from sessionkit_sqlite import SQLiteBackend, settling
from tests.power.sqlite import Open, Synchronous


def _with_pragma(pragma: str) -> Open:
    """Every connection that writes has it."""

    def open_store(path: Path, synchronous: Synchronous) -> SQLiteBackend:
        backend = SQLiteBackend(path, synchronous=synchronous)
        with backend._store.writing as connection:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return backend

    return open_store


class InTwoSteps(SQLiteBackend):
    """Drops in one transaction, and appends in another."""

    def write(self, session_key: str, /, *, drop_last: int = 0, append: Any = (), **others: Any) -> int:
        """Not at once."""
        if drop_last:
            super().write(session_key, drop_last=drop_last)
        return super().write(session_key, append=append, **others)


class RemovesToReplace(SQLiteBackend):
    """Replaces a message by removing it and appending another."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        """With neither there in between."""
        if not self.remove_last(session_key):
            return False
        self.append(session_key, message)
        return True


class CountsAfterwards(SQLiteBackend):
    """Stores the message, and notes in another transaction that it is to be counted and indexed."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """The session's row does not know of it in between."""
        with self._store.writing as connection:
            connection.execute("DROP TRIGGER IF EXISTS message_added")
        super().append(session_key, message)
        with self._store.writing as connection:
            connection.execute("INSERT OR IGNORE INTO unindexed SELECT id >> 32, id FROM messages GROUP BY id >> 32")
            connection.execute("INSERT OR IGNORE INTO unsettled SELECT number FROM sessions")


class IndexesAfterwards(SQLiteBackend):
    """Says that messages are indexed, and then indexes them."""

    def compact(self, session_key: str, /) -> None:
        """Whoever loses the power in between never finds them."""
        with self._store.writing as connection:
            waiting = connection.execute("SELECT number, since FROM unindexed").fetchall()
            connection.execute("BEGIN")
            settling.settle(connection)
            connection.execute("DELETE FROM unindexed")
            connection.execute("COMMIT")
            connection.executemany("INSERT OR REPLACE INTO unindexed VALUES (?, ?)", waiting)
        super().compact(session_key)


class AcknowledgesFirst(SQLiteBackend):
    """Tells the caller that a message is stored, and stores it with the next."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._later: list[Callable[[], object]] = []

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """Seen by who reads here, as the log is not yet synced."""
        with self._store.writing as connection:
            connection.execute("PRAGMA synchronous = OFF")
        super().append(session_key, message)
        with self._store.writing as connection:
            connection.execute("PRAGMA synchronous = FULL")


def _of(kind: type[SQLiteBackend]) -> Open:
    return lambda path, synchronous: kind(path, synchronous=synchronous)


def _without_checksums(path: Path, synchronous: Synchronous) -> SQLiteBackend:
    """Copies its log into the file with no regard to what of it is on the disk, and empties it."""
    backend = SQLiteBackend(path, synchronous=synchronous)
    with backend._store.writing as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 1")
    return backend


def _as_normal(path: Path, synchronous: Synchronous) -> SQLiteBackend:
    """Takes the option, and does nothing with it."""
    del synchronous
    return SQLiteBackend(path, synchronous="normal")


MUTANTS: dict[str, tuple[Synchronous, Open, set[str]]] = {
    "full is normal": ("full", _as_normal, {"acknowledged"}),
    "full is off": ("full", _with_pragma("synchronous = OFF"), {"acknowledged", "true-state", "opens", "sound"}),
    "normal is off": ("normal", _without_checksums, {"acknowledged", "true-state", "opens", "sound"}),
    "a write in two steps": ("full", _of(InTwoSteps), {"true-state"}),
    "a message removed to be replaced": ("full", _of(RemovesToReplace), {"true-state"}),
    "counted afterwards": ("full", _of(CountsAfterwards), {"true-state", "sound", "works"}),
    "indexed afterwards": ("full", _of(IndexesAfterwards), {"sound"}),
    "acknowledged before it is synced": ("full", _of(AcknowledgesFirst), {"acknowledged", "opens"}),
}
"""How the store is opened, by which backend, and which promises the proof may name first."""
