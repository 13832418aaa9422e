"""Where the next message of a session goes, known without a look for as long as nothing but appends happens."""

import sqlite3
from typing import Any

from sessionkit_sqlite.store import Writing

_MOST = 1024

_INSERT = "INSERT INTO messages (id, created_at, turns, tool_calls, message) VALUES (?, ?, ?, ?, CAST(? AS TEXT))"


class Tails:
    """The newest messages of the sessions that one connection has appended to, one append after the other.

    What is known is forgotten as soon as this connection was used for anything else, or another one wrote. A third of
    what an append's statement takes is to find out where the message goes.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._known: dict[str, tuple[int, int | None]] = {}  # by key, the newest message's id and time
        self._use = 0

    def append(self, connection: sqlite3.Connection, session_key: str, moment: int, *values: Any) -> bool:
        """Store a message where that is known to go; whether it was."""
        if self._writing.use != self._use + 1 or not self._writing.is_undisturbed:
            self._known.clear()
            return False
        tail = self._known.get(session_key)
        if tail is None:
            return False
        newest, latest = tail
        if latest is None:
            (latest,) = connection.execute("SELECT created_at FROM messages WHERE id = ?", (newest,)).fetchone()
        moment = max(moment, latest)
        try:
            connection.execute(_INSERT, (newest + 1, moment, *values))
        except sqlite3.IntegrityError:  # somebody wrote who is none of us
            return False
        self._known[session_key] = (newest + 1, moment)
        self._use = self._writing.use
        return True

    def note(self, session_key: str, newest: int) -> None:
        """Know that the message with this id was just appended to the session."""
        if len(self._known) == _MOST:
            self._known.clear()
        self._known[session_key] = (newest, None)  # a look at when would be wasted where no other append comes
        self._use = self._writing.use
