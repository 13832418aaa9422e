"""Lists and searches over rows that somebody damaged, and for what no row can hold: the others are found, in order."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, CorruptRecordWarning, SessionQuery
from sessionkit_sqlite import SQLiteBackend

KEYS = ["d", "c", "b", "a"]
X = ChatMessage.user("word")


def change(path: Path, statement: str, *values: object) -> None:
    """As another program may."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture(params=["settled", "lagging", "both"])
def store(request: pytest.FixtureRequest, backend: SQLiteBackend) -> SQLiteBackend:
    """Four sessions, one more recently active than the other, whose rows tell of all messages, of none, or of some."""
    for key in reversed(KEYS):
        backend.append(key, X)
    if request.param != "lagging":
        backend.compact("a")
    if request.param == "both":
        for key in ("b", "c", "d"):  # one after the other, as they were
            backend.append(key, X)
    return backend


@pytest.mark.parametrize("damaged", KEYS)
def test_a_session_of_a_damaged_time_stands_first(path: Path, store: SQLiteBackend, damaged: str) -> None:
    """In the list of keys, wherever it stood; the lists of those that can be read have the others, and tell of it."""
    change(path, "UPDATE sessions SET last_activity = 'never' WHERE key = ?", damaged)
    others = [key for key in KEYS if key != damaged]
    assert store.list_sessions() == [damaged, *others]
    for look in (store.list_sessions_with_metadata, lambda: store.search(SessionQuery("word"))):
        with pytest.warns(CorruptRecordWarning, match=repr(damaged)) as warned:
            assert [metadata.key for metadata in look()] == others
        assert len(warned) == 1


def test_a_key_that_is_no_text_keeps_no_other_from_the_lists(path: Path, store: SQLiteBackend) -> None:
    """Nor where it is of the same moment as others, so that their keys are compared."""
    change(path, "UPDATE sessions SET last_activity = (SELECT max(last_activity) FROM sessions)")
    change(path, "UPDATE messages SET created_at = (SELECT max(last_activity) FROM sessions)")
    change(path, "UPDATE sessions SET key = x'61' WHERE key = 'c'")
    assert store.list_sessions() == ["a", "b", "d"]
    with pytest.warns(CorruptRecordWarning):
        assert [metadata.key for metadata in store.list_sessions_with_metadata()] == ["a", "b", "d"]


def test_a_query_for_what_no_session_can_have_finds_none(store: SQLiteBackend) -> None:
    """A lone surrogate is no character: nothing is called so, not even where it is written as one that is there."""
    store.set_session_agent_alias("a", "?")
    store.append("?", X)
    assert len(store.search(SessionQuery(agent_alias="?"))) == len(store.search(SessionQuery(key_prefix="?"))) == 1
    for query in (
        SessionQuery(agent_alias="\ud800"),
        SessionQuery(room_id="\ud800"),
        SessionQuery(key_prefix="\ud800"),
        SessionQuery("\ud800 word", key_prefix="\udfff"),
    ):
        assert store.search(query) == []


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_database_that_only_has_a_version_is_another_programs(path: Path, version: int) -> None:
    """Though there is no table in it yet: it is left as it is."""
    change(path, f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(BackendUnavailableError, match="another program's database"):
        SQLiteBackend(path)
    assert path.read_bytes() == before


def test_what_was_appended_to_last_stands_first(store: SQLiteBackend) -> None:
    """Whether its row tells of that or not."""
    for key in ("b", "d", "a"):
        store.append(key, X)
        assert store.list_sessions()[0] == store.list_sessions_with_metadata()[0].key == key
    assert store.list_sessions() == ["a", "d", "b", "c"]
