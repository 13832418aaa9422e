"""Floors: what a program usually writes that keeps its messages itself, with the standard library and no more."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TUNED = {"page_size": 2048, "wal_autocheckpoint": 2000, "journal_size_limit": 16 * 1024 * 1024}
"""The settings by which our store differs from SQLite's defaults, besides what `set_bare` sets."""


def set_bare(
    connection: sqlite3.Connection, synchronous: str = "NORMAL", settings: Mapping[str, object] | None = None
) -> sqlite3.Connection:
    """The connection with what the comparison is about, WAL and that durability, and SQLite's defaults else."""
    for setting, value in {**(settings or {}), "journal_mode": "WAL", "synchronous": synchronous}.items():
        connection.execute(f"PRAGMA {setting} = {value}")
    return connection


class BareTable:
    """One table, one prepared statement a call, no sessions, no counts, no locks.

    Args:
        path: the file, created with its table where it is missing.
        synchronous: ``NORMAL``, or ``FULL`` to have each commit survive a power cut.
        settings: more pragmas, of a program that tunes SQLite.
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL", settings: Mapping[str, object] | None = None) -> None:
        self.connection = set_bare(sqlite3.connect(path, isolation_level=None), synchronous, settings)
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS messages"
            " (id INTEGER PRIMARY KEY, session TEXT NOT NULL, created_at INTEGER NOT NULL, message TEXT NOT NULL)"
        )

    def append(self, session: str, data: dict[str, Any], number: int | None = None) -> None:
        """`json.dumps` and one INSERT: at the end of the table, or under a number that may have others behind it."""
        self.connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (number, session, 0, json.dumps(data)))

    def extend(self, session: str, data: Iterable[dict[str, Any]], first: int) -> None:
        """`json.dumps` of each and one `executemany`, in one transaction; under numbers from the first one on."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?)",
            ((number, session, 0, json.dumps(each)) for number, each in enumerate(data, first)),
        )
        self.connection.execute("COMMIT")

    def replace(self, number: int, data: dict[str, Any]) -> None:
        """`json.dumps` and one UPDATE of a row whose number is known."""
        self.connection.execute("UPDATE messages SET message = ? WHERE id = ?", (json.dumps(data), number))

    def remove(self, number: int) -> None:
        """One DELETE of a row whose number is known."""
        self.connection.execute("DELETE FROM messages WHERE id = ?", (number,))

    def load(self, first: int, last: int) -> list[Any]:
        """A range of rows, and `json.loads` of each as it comes: `fetchall` would take longer, and twice the memory."""
        rows = self.connection.execute("SELECT message FROM messages WHERE id BETWEEN ? AND ?", (first, last))
        return [json.loads(message) for (message,) in rows]

    def tail(self, first: int, last: int, count: int) -> list[Any]:
        """The end of a range of rows, and `json.loads` of each."""
        rows = self.connection.execute(
            "SELECT message FROM messages WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?", (first, last, count)
        ).fetchall()
        return [json.loads(message) for (message,) in reversed(rows)]

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def append_line(path: str, line: bytes) -> None:
    """Open, flock, write, close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, line)
    os.close(descriptor)


def append_line_synced(path: str, line: bytes) -> None:
    """Open, flock, write, fsync, close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, line)
    os.fsync(descriptor)
    os.close(descriptor)


def cut_off(path: str, size: int) -> None:
    """Open, flock, truncate to a size that is known, close."""
    descriptor = os.open(path, os.O_WRONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, size)
    os.close(descriptor)


def read_lines(path: Path) -> list[Any]:
    """Read a file's lines, and `json.loads` of each."""
    with path.open("rb") as file:
        return [json.loads(line) for line in file]


def read_tail(path: Path, start: int) -> list[Any]:
    """The lines from a place that is known, and `json.loads` of each."""
    with path.open("rb") as file:
        file.seek(start)
        return [json.loads(line) for line in file]


def read_ends(folder: Path, size: int = 512) -> list[bytes]:
    """The last bytes of every file of a folder."""
    ends: list[bytes] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            descriptor = os.open(entry.path, os.O_RDONLY)
            end = os.fstat(descriptor).st_size
            ends.append(os.pread(descriptor, size, max(0, end - size)))
            os.close(descriptor)
    return ends
