"""Floors of stores with many sessions: bare tables with just the indexes that each question needs, and full text."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from benchmarks.floors import set_bare
from sessionkit import SessionMetadata

_COLUMNS = tuple(field.name for field in attrs.fields(SessionMetadata))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM sessions"  # noqa: S608 -- put together from our own constants
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _connect(path: Path) -> sqlite3.Connection:
    return set_bare(sqlite3.connect(path, isolation_level=None))


class BareSessions:
    """A table with the columns that a `SessionMetadata` has, and one of their messages, one a session.

    `index` has it indexed by key, by activity with the keys beside it, so that a list needs nothing but the index, and
    the running sessions by their turn and by their heartbeat. Times are integers and stay so, attributes are JSON, a
    session is given as a dict.
    """

    def __init__(self, path: Path) -> None:
        self.connection = _connect(path)
        if self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return
        self.connection.execute(f"CREATE TABLE sessions ({', '.join(_COLUMNS)})")
        self.connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, message TEXT NOT NULL)")

    def fill(self, sessions: Iterable[SessionMetadata], message: str) -> None:
        """Those sessions, each with that message, which has the number of its session's row."""
        places = ", ".join("?" * len(_COLUMNS))
        self.connection.execute("BEGIN")
        for session in sessions:
            values = [_stored(getattr(session, column)) for column in _COLUMNS]
            added = self.connection.execute(f"INSERT INTO sessions VALUES ({places})", values)  # noqa: S608 -- no values
            self.connection.execute("INSERT INTO messages VALUES (?, ?)", (added.lastrowid, message))
        self.connection.execute("COMMIT")

    def index(self) -> None:
        """Index what was filled in."""
        self.connection.execute("CREATE UNIQUE INDEX by_key ON sessions (key)")
        self.connection.execute("CREATE INDEX by_activity ON sessions (last_activity, key)")
        for column in ("turn_started_at", "heartbeat_at"):
            self.connection.execute(f"CREATE INDEX by_{column} ON sessions ({column}) WHERE state = 'running'")

    def page(self, count: int) -> list[dict[str, Any]]:
        """The most recently active sessions."""
        return self._found("ORDER BY last_activity DESC LIMIT ?", count)

    def keys(self) -> list[str]:
        """The keys of all, the most recently active first."""
        return [key for (key,) in self.connection.execute("SELECT key FROM sessions ORDER BY last_activity DESC")]

    def one(self, key: str) -> dict[str, Any]:
        """The session with that key."""
        return self._found("WHERE key = ?", key)[0]

    def running(self) -> list[dict[str, Any]]:
        """Those in which a turn runs, the newest turn first."""
        return self._found("WHERE state = 'running' ORDER BY turn_started_at DESC")

    def stuck(self, before: datetime) -> list[dict[str, Any]]:
        """Of these the ones without a heartbeat since then, the longest first."""
        return self._found("WHERE state = 'running' AND heartbeat_at < ? ORDER BY heartbeat_at", _stored(before))

    def delete_inactive(self, before: datetime) -> int:
        """Delete the sessions that have not been active since then, and their messages: two statements, one commit."""
        values = (_stored(before),)
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(
            "DELETE FROM messages WHERE id IN (SELECT rowid FROM sessions WHERE last_activity < ?)", values
        )
        deleted = self.connection.execute("DELETE FROM sessions WHERE last_activity < ?", values).rowcount
        self.connection.execute("COMMIT")
        return deleted

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _found(self, condition: str, *values: object) -> list[dict[str, Any]]:
        rows = self.connection.execute(f"{_SELECT} {condition}", values).fetchall()
        found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        for session in found:
            session["attributes"] = json.loads(session["attributes"])
        return found


class BareSearch:
    """A full-text table, whose row numbers say which session a message is of, and a table of sessions."""

    PER_SESSION = 100
    """How many messages each session has."""

    def __init__(self, path: Path) -> None:
        self.connection = _connect(path)
        if self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return
        self.connection.execute("CREATE TABLE sessions (number INTEGER PRIMARY KEY, key TEXT, active INTEGER)")
        self.connection.execute("CREATE INDEX by_activity ON sessions (active)")
        self.connection.execute("CREATE VIRTUAL TABLE terms USING fts5(text, content = '', detail = none)")

    def fill(self, number: int, key: str, texts: Iterable[str]) -> None:
        """The session of that number, more recently active than those before; to be called within a transaction."""
        first = number * self.PER_SESSION
        self.connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (number, key, number))
        self.connection.executemany("INSERT INTO terms (rowid, text) VALUES (?, ?)", enumerate(texts, first))

    def by_match(self, word: str, count: int) -> list[Any]:
        """The newest sessions with the word, from all that have it: the quicker way for a word that few have."""
        return self.connection.execute(
            "SELECT key FROM sessions WHERE number IN (SELECT rowid / 100 FROM terms WHERE terms MATCH ?)"
            " ORDER BY active DESC LIMIT ?",
            (word, count),
        ).fetchall()

    def by_session(self, word: str, count: int) -> list[Any]:
        """The same, session by session until there are enough: the quicker way for a word that many have."""
        return self.connection.execute(
            "SELECT key FROM sessions WHERE EXISTS ("
            "SELECT 1 FROM terms WHERE terms MATCH ? AND rowid BETWEEN number * 100 AND number * 100 + 99"
            ") ORDER BY active DESC LIMIT ?",
            (word, count),
        ).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _stored(value: object) -> object:
    """As the table holds it."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    return json.dumps(value) if isinstance(value, dict) else value
