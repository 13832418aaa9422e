"""Sessions whose row lags behind their messages, so that an append touches the page of the message and no other.

The row of a session tells how it stood when it was last *settled*: of the messages that have come since, those beyond
position `settled`, it knows nothing. ``unsettled`` lists the sessions that have such messages. Who reads adds them up,
in the same statement; who writes settles now and then, and whatever changes the row itself settles that session with
it. So there are few, with few messages each, whose counts a list reads more.
"""

import sqlite3

from sessionkit_sqlite.schema import SESSION_COLUMNS

EVERY = 64
"""After how many messages of one process, or of one session, all are settled: more would make readers add up more."""

READ_COLUMNS = f"key, number, {', '.join(SESSION_COLUMNS[:-1])}, CAST(attributes AS BLOB)"
"""What `sessionkit_sqlite.rows.to_record` takes, of sessions that are settled.

The attributes as bytes, so that damaged ones don't keep SQLite from giving the other rows.
"""

IS_SETTLED = "number NOT IN (SELECT number FROM unsettled)"
IS_UNSETTLED = "s.number IN (SELECT number FROM unsettled)"

_BEYOND = "m.id BETWEEN (s.number << 32 | s.settled) + 1 AND s.number << 32 | 0xFFFFFFFF"
_LATEST = "ifnull(max(CASE typeof({0}) WHEN 'integer' THEN {0} END), s.last_activity)"  # a damaged time counts for none

# By which expression a column of a session becomes what it is with the messages beyond. Each replacement of a message
# was a change of the session too.
_ADDED = {
    "revision": "count(m.id) + ifnull(sum(m.replacements), 0)",
    "message_count": "count(m.id)",
    "turn_count": "ifnull(sum(m.turns), 0)",
    "tool_call_count": "ifnull(sum(m.tool_calls), 0)",
}
_ADDED_UP = {
    "last_activity": f"max(s.last_activity, {_LATEST.format('m.created_at')}, {_LATEST.format('m.replaced_at')})",
} | {  # a damaged number stays what it is, for whoever reads it to see
    column: f"CASE typeof(s.{column}) WHEN 'integer' THEN s.{column} + {added} ELSE s.{column} END"
    for column, added in _ADDED.items()
}
_LAST_POSITION = "max(s.last_position, ifnull(max(m.id) & 0xFFFFFFFF, 0))"
_CURRENT_COLUMNS = ", ".join(_ADDED_UP.get(column, f"s.{column}") for column in SESSION_COLUMNS[:-1])


def current(condition: str, columns: str) -> str:
    """The statement that reads columns of sessions that may be unsettled.

    The condition is one on ``sessions AS s``; its activity and its counts are not what they are with the messages.
    """
    return (
        f"SELECT {columns} FROM sessions AS s LEFT JOIN messages AS m ON {_BEYOND} WHERE {condition} GROUP BY s.number"
    )


CURRENT_COLUMNS = f"s.key, s.number, {_CURRENT_COLUMNS}, CAST(s.attributes AS BLOB)"
"""`READ_COLUMNS` for `current`."""

LOOK = current("s.key = ?", CURRENT_COLUMNS)
"""`READ_COLUMNS` of the session with that key."""

FIND = current("s.key = ?", f"{_LAST_POSITION}, {CURRENT_COLUMNS}")
"""The highest position that was ever given in the session with that key, and `READ_COLUMNS`."""

REVISION = current("s.key = ?", f"s.number, {_ADDED_UP['revision']}")
"""The number and the revision of the session with that key."""

REVISIONS = current("typeof(s.revision) = 'integer'", f"{_ADDED_UP['revision']} AS revision")
"""The revision of each session, but for those that are damaged."""

ACTIVITY = current(IS_UNSETTLED, f"s.key, 0, 0, {_ADDED_UP['last_activity']}")
"""The key and the activity of each unsettled session, where `READ_COLUMNS` has them."""

_SETTLE = f"""
UPDATE sessions AS s SET (last_position, settled, {", ".join(_ADDED_UP)}) = (
    SELECT {_LAST_POSITION}, {_LAST_POSITION}, {", ".join(_ADDED_UP.values())} FROM messages AS m WHERE {_BEYOND}
) WHERE {IS_UNSETTLED}
"""
_UNSETTLE = """
UPDATE sessions SET settled = (? & 0xFFFFFFFF) - 1, message_count = message_count - 1,
    (revision, turn_count, tool_call_count) = (
        SELECT revision - 1 - replacements, turn_count - turns, tool_call_count - tool_calls FROM messages WHERE id = ?
    )
WHERE number = ? >> 32 AND settled >= ? & 0xFFFFFFFF
"""


def settle(connection: sqlite3.Connection) -> None:
    """Have every session's row tell of all of its messages; within a transaction."""
    connection.execute(_SETTLE)
    connection.execute("DELETE FROM unsettled")


def unsettle(connection: sqlite3.Connection, newest: int) -> None:
    """Have the row of a session know nothing of its newest message, which can then be replaced alone."""
    connection.execute(_UNSETTLE, (newest,) * 4)
    connection.execute("INSERT OR IGNORE INTO unsettled VALUES (?)", (newest >> 32,))
