"""What the file holds, and how an older file becomes a newer one.

``sessions``
    One row a session, with everything that lists, states and counts ask, as it was when the session was last settled
    (see `sessionkit_sqlite.settling`): with all messages up to position `settled`. `number` is never given twice, so
    that nothing left over from a deleted session can be taken for a new one's. Nor are positions; `last_position` is
    the highest that the row knows to be given.

``unsettled``
    The numbers of the sessions that may have messages beyond `settled`.

``messages``
    One b-tree and no second index. The id is ``number << 32 | position``, so a session is one range of ids, its tail
    the end of that range. `turns` and `tool_calls` are what the message counts for; `replaced_at` is when `update_last`
    last replaced it, and `replacements` how often; `message` is the JSON of `ChatMessage.to_dict`.

``terms`` and ``unindexed``
    The full-text index, and which messages are not in it yet: of session `number`, those with an id from `since` on.
    See `sessionkit_sqlite.terms`.

``corrupt_messages``
    What `compact` found unreadable and set aside.

``store``
    One row: the highest revision that a deleted session had, and by which version of the terms the index was made.

Times are integers of microseconds since 1970 UTC. `append` is one statement, on ``messages``, and so is `update_last`
of a message that neither the session's row nor the index knows. A trigger sees to ``unsettled`` and ``unindexed``,
which the first of many appends touches and no other. What an append costs is, above all, how many pages it touches:
that of the message, and no second.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from sessionkit.errors import BackendUnavailableError
from sessionkit_sqlite.failures import shown

APPLICATION_ID = 0x534B4954  # "SKIT", so that another program's database is never taken for ours

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

_SESSIONS = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    last_position INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
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
CREATE INDEX sessions_by_activity ON sessions (last_activity DESC, key);
CREATE INDEX running_sessions ON sessions (heartbeat_at) WHERE state = 'running';
CREATE TABLE unsettled (number INTEGER PRIMARY KEY);
"""
_TRIGGER = """
CREATE TRIGGER message_added AFTER INSERT ON messages
WHEN NOT EXISTS (SELECT 1 FROM unsettled WHERE number = new.id >> 32) BEGIN
    INSERT INTO unsettled VALUES (new.id >> 32);
    INSERT OR IGNORE INTO unindexed VALUES (new.id >> 32, new.id);
END;
"""
_LAYOUT = f"""{_SESSIONS}
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    replaced_at INTEGER,
    message TEXT NOT NULL,
    replacements INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE unindexed (number INTEGER PRIMARY KEY, since INTEGER NOT NULL);
CREATE TABLE corrupt_messages (id INTEGER PRIMARY KEY, created_at INTEGER, message);
CREATE TABLE store (highest_deleted_revision INTEGER NOT NULL, terms_version TEXT NOT NULL);
INSERT INTO store VALUES (0, '');
{_TRIGGER}
"""

# Version 1 kept each session's row in step with every append, and its activity in spans, to touch the index less often.
# A process that has it open still finds its columns and its table no more, so that it can't write by its own rules.
_FROM_1 = f"""
DROP TRIGGER message_added;
DROP TRIGGER message_replaced;
DROP INDEX sessions_by_activity;
DROP INDEX running_sessions;
ALTER TABLE sessions RENAME TO old_sessions;
{_SESSIONS}
INSERT INTO sessions (number, key, last_position, settled, {", ".join(SESSION_COLUMNS)})
    SELECT number, key, position, position, {", ".join(SESSION_COLUMNS)} FROM old_sessions;
DELETE FROM sqlite_sequence WHERE name = 'sessions';
INSERT INTO sqlite_sequence SELECT 'sessions', seq FROM sqlite_sequence WHERE name = 'old_sessions';
DROP TABLE old_sessions;
ALTER TABLE messages ADD COLUMN replacements INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending RENAME TO unindexed;
{_TRIGGER}
"""

_MIGRATIONS = (_FROM_1,)
"""The script that leads from each version, 1 and on, to the next."""

VERSION = 1 + len(_MIGRATIONS)


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
    for script in _MIGRATIONS[version - 1 :] if version else (_LAYOUT,):
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def new_layout() -> list[tuple[str, str, str]]:
    """The kind, the name and the statement of each table, index and trigger that there must be, the index aside."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_LAYOUT)
        return connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY type = 'table' DESC"
        ).fetchall()


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
