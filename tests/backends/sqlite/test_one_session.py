"""What is done to one session leaves nothing of it behind, and touches no other: asked of the tables themselves."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, SessionQuery, ToolCall
from sessionkit.clock import to_datetime
from sessionkit_sqlite import SQLiteBackend

CALL = ChatMessage("assistant", "word", tool_calls=(ToolCall("i", "n", "{}"), ToolCall("j", "n", "{}")))
SESSION = {
    "sessions": "number",
    "unsettled": "number",
    "unindexed": "number",
    "messages": "id >> 32",
    "corrupt_messages": "id >> 32",
}


def rows_of(path: Path, key: str) -> dict[str, list[Any]]:
    """All rows of the session's, by table; those of the session's own row without what lags."""
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("SELECT number FROM sessions WHERE key = ?", (key,)).fetchone()
        return rows_of_number(connection, number)


def rows_of_number(connection: sqlite3.Connection, number: int) -> dict[str, list[Any]]:
    """The same, whether there is such a session or not."""
    return {
        table: connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (number,)).fetchall()  # noqa: S608 -- ours
        for table, column in SESSION.items()
    }


def damage(path: Path, key: str, position: int) -> None:
    """Make one message of the session unreadable."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE messages SET message = '{' WHERE id = (SELECT number << 32 | ? FROM sessions WHERE key = ?)",
            (position, key),
        )


def counted(backend: SQLiteBackend, key: str) -> tuple[int, int, int]:
    """What counting the messages gives."""
    messages = backend.load(key)
    return len(messages), sum(one.is_turn for one in messages), sum(one.tool_call_count for one in messages)


def told(backend: SQLiteBackend, key: str) -> tuple[int, int, int]:
    """What the metadata says."""
    metadata = backend.get_session_metadata(key)
    assert metadata
    return metadata.message_count, metadata.turn_count, metadata.tool_call_count


@pytest.fixture
def store(path: Path, backend: SQLiteBackend) -> SQLiteBackend:
    """Three sessions, each with messages that are indexed, set aside, and neither; all of them lag."""
    for key in ("a", "b", "c"):
        for message in (CALL, ChatMessage("user", f"first {key}"), CALL, CALL):
            backend.append(key, message)
        damage(path, key, 3)
        backend.compact(key)
    for key in ("a", "b", "c"):
        for message in (CALL, ChatMessage("user", f"last {key}"), CALL):
            backend.append(key, message)
    return backend


def test_deletion_leaves_nothing_and_takes_nothing_else(path: Path, store: SQLiteBackend) -> None:
    """Of the session no row of any table is left, what was set aside included; of the others every row is."""
    number = rows_of(path, "b")["sessions"][0][0]
    others = {key: rows_of(path, key) for key in ("a", "c")}
    assert all(others["a"].values())  # each table has something to lose
    assert store.delete_session("b")
    with closing(sqlite3.connect(path)) as connection:
        assert not any(rows_of_number(connection, number).values())
    for key, rows in others.items():
        assert rows_of(path, key) == rows
        assert told(store, key) == counted(store, key) == (6, 4, 8)
    for word in ("word", "first", "last"):
        assert [found.key for found in store.search(SessionQuery(word))] == ["c", "a"]
    assert store.search(SessionQuery("b")) == []


def test_compaction_sets_aside_what_is_the_sessions_own(path: Path, store: SQLiteBackend) -> None:
    """It counts what is left of this session, and takes nothing from another that is damaged too."""
    damage(path, "a", 4)
    damage(path, "b", 4)
    before = rows_of(path, "b")
    store.compact("a")
    assert told(store, "a") == counted(store, "a") == (5, 3, 6)
    assert len(rows_of(path, "a")["corrupt_messages"]) == 2
    after = rows_of(path, "b")
    assert (after["messages"], after["corrupt_messages"]) == (before["messages"], before["corrupt_messages"])
    with pytest.warns(CorruptRecordWarning):
        assert len(store.load("b")) == 5


def test_an_append_is_as_late_as_its_own_session(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session's messages may be of a time to come, where a clock was wrong: that is theirs alone."""
    clock = [10**15]
    for module in ("sessionkit_sqlite.backend", "sessionkit.record"):
        monkeypatch.setattr(f"{module}.now", lambda: clock[0])
    backend.append("early", CALL)
    clock[0] += 3_600_000_000
    backend.append("late", CALL)
    clock[0] -= 3_599_000_000
    for key in ("early", "late", "early", "late", "early"):
        backend.append(key, CALL)
    early = [stored.created_at for stored in backend.load_with_timestamps("early")]
    assert early == [to_datetime(10**15), *[to_datetime(10**15 + 1_000_000)] * 3]
    late = [stored.created_at for stored in backend.load_with_timestamps("late")]
    assert late == [to_datetime(10**15 + 3_600_000_000)] * 3
