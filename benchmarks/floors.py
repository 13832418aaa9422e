"""Floors: the least that any store of the kind must do, with nothing that a caller would miss left in."""

import fcntl
import json
import os
import sqlite3
from pathlib import Path
from typing import Any


class BareTable:
    """One table, one prepared statement a call, no sessions, no counts, no locks.

    Whatever pragma our own store sets must stand here too.
    """

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute(
            "CREATE TABLE messages"
            " (id INTEGER PRIMARY KEY, session TEXT NOT NULL, created_at INTEGER NOT NULL, message TEXT NOT NULL)"
        )

    def append(self, session: str, data: dict[str, Any], number: int | None = None) -> None:
        """`json.dumps` and one INSERT: at the end of the table, or under a number that may have others behind it."""
        self.connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (number, session, 0, json.dumps(data)))

    def load(self, first: int, last: int) -> list[Any]:
        """A range of rows, fetched, and `json.loads` of each."""
        rows = self.connection.execute(
            "SELECT message FROM messages WHERE id BETWEEN ? AND ?", (first, last)
        ).fetchall()
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


class BareIndex:
    """A full-text table and nothing else; a session is a hundred rows of it."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("CREATE VIRTUAL TABLE terms USING fts5(text, content = '', detail = none)")

    def fill(self, texts: list[str]) -> None:
        """A row a text."""
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT INTO terms (text) VALUES (?)", [(text,) for text in texts])
        self.connection.execute("COMMIT")

    def search(self, word: str) -> list[Any]:
        """The sessions with the word."""
        return self.connection.execute("SELECT DISTINCT rowid / 100 FROM terms WHERE terms MATCH ?", (word,)).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


class BareSessions:
    """A table of sessions with an index on their activity."""

    def __init__(self, path: Path, count: int) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("CREATE TABLE sessions (key TEXT NOT NULL, active INTEGER NOT NULL)")
        self.connection.execute("CREATE INDEX by_activity ON sessions (active)")
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT INTO sessions VALUES (?, ?)", [(f"session/{n}", n) for n in range(count)])
        self.connection.execute("COMMIT")

    def page(self, count: int) -> list[Any]:
        """The keys of the most recently active sessions."""
        return self.connection.execute("SELECT key FROM sessions ORDER BY active DESC LIMIT ?", (count,)).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def append_line(path: str, line: bytes) -> None:
    """Open, flock, write, close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, line)
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
