"""What the file holds, and how an older file becomes a newer one.

``sessions``
    One row a session, with everything that lists, states and counts ask, kept in the transaction that changes a
    message. `number` is never given twice, so that nothing left over from a deleted session can be taken for a new
    one's. `position` is that of the newest message ever stored; positions are not given twice either. `active_span` is
    `last_activity` in spans of 16 ms, and indexed in its place: a list is read by spans and sorted within them, and a
    session that is active many times in a span touches the index once.

``messages``
    One b-tree and no second index. The id is ``number << 32 | position``, so a session is one range of ids, its tail
    the end of that range. `turns` and `tool_calls` are what the message counts for; `replaced_at` is set by
    `update_last`; `message` is the JSON of `ChatMessage.to_dict`.

``terms`` and ``pending``
    The full-text index, and which messages are not in it yet: of session `number`, those with an id from `since` on.
    See `sessionkit_sqlite.terms`.

``corrupt_messages``
    What `compact` found unreadable and set aside.

``store``
    One row: the highest revision that a deleted session had, and by which version of the terms the index was made.

Times are integers of microseconds since 1970 UTC. Triggers keep ``sessions`` and ``pending`` in step with an added or
a replaced message, so that `append` and `update_last` are one statement each. What an append costs is, above all, how
many pages it touches: that of the message and that of the session, and no third.
"""

import sqlite3
from pathlib import Path

from sessionkit.errors import BackendUnavailableError
from sessionkit_sqlite.failures import shown

APPLICATION_ID = 0x534B4954  # "SKIT", so that another program's database is never taken for ours

SPAN_BITS = 14
"""``active_span`` is ``last_activity >> SPAN_BITS``: 16 ms."""

SESSION_COLUMNS = (
    "created_at",
    "last_activity",
    "revision",
    "message_count",
    "turn_count",
    "tool_call_count",
    "name",
    "agent_alias",
    "channel_id",
    "room_id",
    "sender_id",
    "state",
    "turn_id",
    "turn_started_at",
    "heartbeat_at",
    "attributes",
)
"""The columns of ``sessions`` that a `SessionRecord` holds, in its order."""

_VERSION_1 = f"""
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    active_span INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    turn_count INTEGER NOT NULL,
    tool_call_count INTEGER NOT NULL,
    name TEXT,
    agent_alias TEXT,
    channel_id TEXT,
    room_id TEXT,
    sender_id TEXT,
    state TEXT NOT NULL,
    turn_id TEXT,
    turn_started_at INTEGER,
    heartbeat_at INTEGER,
    attributes TEXT NOT NULL
);
CREATE INDEX sessions_by_activity ON sessions (active_span);
CREATE INDEX running_sessions ON sessions (turn_started_at) WHERE state = 'running';
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    replaced_at INTEGER,
    message TEXT NOT NULL
);
CREATE TABLE pending (number INTEGER PRIMARY KEY, since INTEGER NOT NULL);
CREATE TABLE corrupt_messages (id INTEGER PRIMARY KEY, created_at INTEGER, message);
CREATE TABLE store (highest_deleted_revision INTEGER NOT NULL, terms_version TEXT NOT NULL);
INSERT INTO store VALUES (0, '');
CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
    UPDATE sessions SET
        position = new.id & 0xFFFFFFFF,
        last_activity = new.created_at,
        revision = revision + 1,
        message_count = message_count + 1,
        turn_count = turn_count + new.turns,
        tool_call_count = tool_call_count + new.tool_calls
    WHERE number = new.id >> 32;
    INSERT OR IGNORE INTO pending VALUES (new.id >> 32, new.id);
END;
CREATE TRIGGER message_replaced AFTER UPDATE OF replaced_at ON messages BEGIN
    UPDATE sessions SET
        last_activity = max(last_activity, new.replaced_at),
        revision = revision + 1,
        turn_count = turn_count + new.turns - old.turns,
        tool_call_count = tool_call_count + new.tool_calls - old.tool_calls
    WHERE number = new.id >> 32;
END;
CREATE TRIGGER session_created AFTER INSERT ON sessions BEGIN
    UPDATE sessions SET active_span = last_activity >> {SPAN_BITS} WHERE number = new.number;
END;
CREATE TRIGGER session_active AFTER UPDATE OF last_activity ON sessions
WHEN new.last_activity >> {SPAN_BITS} <> new.active_span BEGIN
    UPDATE sessions SET active_span = last_activity >> {SPAN_BITS} WHERE number = new.number;
END;
"""

_MIGRATIONS = (_VERSION_1,)
"""The script that leads from each version to the next; version 0 is an empty file."""

VERSION = len(_MIGRATIONS)


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the layout in the file, 0 where it is empty. Reads only.

    Raises:
        BackendUnavailableError: another program made it, or a newer sessionkit.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        msg = f"{shown(path)} is another program's database; give sessionkit a file of its own"
        raise BackendUnavailableError(msg)
    if version > VERSION:
        known = f"this sessionkit knows {VERSION}: use a newer sessionkit; nothing was changed"
        msg = f"{shown(path)} has layout {version}, {known}"
        raise BackendUnavailableError(msg)
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to `VERSION`, in one transaction; forwards only.

    Raises:
        BackendUnavailableError: another program made it, or a newer sessionkit.
    """
    if check_version(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = check_version(connection, path)  # somebody else may have migrated it while we waited
    for script in _MIGRATIONS[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def give_back_space(connection: sqlite3.Connection) -> None:
    """Make the file smaller where at least half of it is free: the cost of rewriting the rest is then paid for.

    SQLite fills free pages again by itself. Having it give back each of them as it falls free would cost every append.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free * 2 >= pages:
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _statements(script: str) -> list[str]:
    """The script's statements one by one, since `executescript` would commit before the first of them."""
    statements, statement = [], ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
