-- The layout that sessionkit 0.1 made before sessions were settled late, as its migration must find it.
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
    UPDATE sessions SET active_span = last_activity >> 14 WHERE number = new.number;
END;
CREATE TRIGGER session_active AFTER UPDATE OF last_activity ON sessions
WHEN new.last_activity >> 14 <> new.active_span BEGIN
    UPDATE sessions SET active_span = last_activity >> 14 WHERE number = new.number;
END;
PRAGMA application_id = 1397442900;
PRAGMA user_version = 1;
