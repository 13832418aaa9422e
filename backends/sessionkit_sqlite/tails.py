"""Where the next message of a session goes, known without a look for as long as nothing but appends happens."""

import sqlite3
from typing import Any

from sessionkit_sqlite.store import Writing

_MOST = 1024

# The time is NULL, which the table refuses, where somebody has deleted the session, or given a higher position, who is
# none of us: with a lock file of his own, because this one was deleted.
_INSERT = """
INSERT INTO messages (id, created_at, turns, tool_calls, message)
VALUES (?, (SELECT ? FROM sessions WHERE number = ? AND last_position < ? & 0xFFFFFFFF), ?, ?, CAST(? AS TEXT))
"""


class Tails:
    """The newest messages of the sessions that one connection has appended to, one append after the other.

    What is known is forgotten as soon as this connection was used for anything else, or another one was. A tenth of
    what an append takes is to find out where the message goes.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._known: dict[str, tuple[int, int | None]] = {}  # by key, the newest message's id and time
        self._use = 0

    def append(self, connection: sqlite3.Connection, session_key: str, moment: int, *values: Any) -> int | None:
        """Store a message where that is known to go, and give its id; None where it is not."""
        if self._writing.use != self._use + 1 or not self._writing.is_undisturbed:
            self._known.clear()
            return None
        newest, latest = self._known.get(session_key, (None, None))
        if newest is None:
            return None
        if latest is None:
            (latest,) = connection.execute("SELECT max(created_at) FROM messages WHERE id = ?", (newest,)).fetchone()
            if latest is None:  # somebody has removed it who is none of us
                return None
        moment = max(moment, latest)
        newest += 1
        try:
            connection.execute(_INSERT, (newest, moment, newest >> 32, newest, *values))
        except sqlite3.IntegrityError:  # or has added one
            return None
        self._known[session_key] = (newest, moment)
        self._use = self._writing.use
        return newest

    def note(self, session_key: str, newest: int) -> None:
        """Know that the message with this id was just appended to the session."""
        if len(self._known) == _MOST:
            self._known.clear()
        self._known[session_key] = (newest, None)  # a look at when would be wasted where no other append comes
        self._use = self._writing.use
