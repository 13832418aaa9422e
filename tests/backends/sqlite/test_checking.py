"""The deep check: each damage is found for what it is, and mended without losing what can be read."""

import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, Finding, SessionContext, SessionQuery
from sessionkit_sqlite import SQLiteBackend, check_sessions, terms

Damage = Callable[[sqlite3.Connection, Path], object]


def sql(statement: str, *values: object) -> Damage:
    """The damage that a statement does."""
    return lambda connection, _path: connection.execute(statement, values)


def _misindex(connection: sqlite3.Connection, _path: Path) -> None:
    connection.execute("INSERT INTO terms (rowid, text) VALUES ((SELECT min(id) FROM messages), 'neverwritten')")


def _forget(connection: sqlite3.Connection, _path: Path) -> None:
    connection.execute(
        "INSERT INTO terms (terms, rowid, text) VALUES ('delete', (SELECT min(id) FROM messages), 'hello 0 of one')"
    )


def _empty_index(connection: sqlite3.Connection, _path: Path) -> None:
    terms.start_anew(connection)
    connection.execute("DELETE FROM unindexed")


def newest(assignments: str) -> Damage:
    """The damage of the newest message."""
    return sql(f"UPDATE messages SET {assignments} WHERE id = (SELECT max(id) FROM messages)")  # noqa: S608 -- ours


DAMAGES: dict[str, tuple[str, Damage]] = {
    "a message cut off": ("corrupt-message", sql("UPDATE messages SET message = '{\"role' WHERE id & 15 = 3")),
    "a message of bytes": ("corrupt-message", newest("message = x'ff00'")),
    "a message counted as a turn": ("counts", sql("UPDATE messages SET turns = 1 - turns WHERE id & 15 = 2")),
    "a tool call that is none": ("counts", newest("tool_calls = 9")),
    "replaced less than never": ("counts", newest("replacements = -4")),
    "a count too many": ("counts", sql("UPDATE sessions SET message_count = message_count + 1 WHERE number = 1")),
    "a turn too few": ("counts", sql("UPDATE sessions SET turn_count = turn_count + 3 WHERE number = 2")),
    "tool calls out of nothing": ("counts", sql("UPDATE sessions SET tool_call_count = 7 WHERE number = 1")),
    "messages nobody counts": ("counts", sql("DELETE FROM unsettled")),
    "a position given twice": ("counts", sql("UPDATE sessions SET last_position = 1 WHERE number = 1")),
    "a session without a row": ("orphan", sql("DELETE FROM sessions WHERE number = 2")),
    "unsettled, but no session": ("orphan", sql("INSERT INTO unsettled VALUES (77)")),
    "unindexed, but no session": ("orphan", sql("INSERT INTO unindexed VALUES (77, 77 << 32)")),
    "set aside, but no session": ("orphan", sql("INSERT INTO corrupt_messages VALUES ((78 << 32) + 3, 5, 'x')")),
    "an index that says too much": ("index", _misindex),
    "an index that says too little": ("index", _forget),
    "an index that is empty": ("index", _empty_index),
    "no index at all": ("index", sql("DROP TABLE terms")),
    "an index with holes": ("index", sql("DELETE FROM terms_data WHERE id > 10")),
    "waiting in another session": ("index", sql("INSERT OR REPLACE INTO unindexed VALUES (1, 3 << 32 | 9)")),
    "a number that comes again": ("structure", sql("UPDATE sqlite_sequence SET seq = 1")),
    "no trigger": ("structure", sql("DROP TRIGGER message_added")),
    "no index on activity": ("structure", sql("DROP INDEX sessions_by_activity")),
    "no row in store": ("structure", sql("DELETE FROM store")),
    "two rows in store": ("structure", sql("INSERT INTO store VALUES (0, '')")),
    "a revision of text in store": ("structure", sql("UPDATE store SET highest_deleted_revision = 'x'")),
    "an early message": ("order", newest("created_at = 5")),
    "a time of text": ("order", newest("created_at = 'soon'")),
    "a time beyond all years": ("order", sql("UPDATE messages SET created_at = 1 << 60 WHERE id & 15 = 1")),
    "replaced before it was written": ("order", newest("replaced_at = 5")),
    "active before its creation": ("order", sql("UPDATE sessions SET last_activity = 5 WHERE number = 1")),
    "attributes that are none": ("corrupt-session", sql("UPDATE sessions SET attributes = '{' WHERE number = 1")),
    "a name of bytes": ("corrupt-session", sql("UPDATE sessions SET name = x'ff' WHERE number = 1")),
    "a name that is no UTF-8": ("corrupt-session", sql("UPDATE sessions SET name = CAST(x'ff' AS TEXT)")),
    "a state of nothing": ("corrupt-session", sql("UPDATE sessions SET state = '' WHERE number = 1")),
    "running without a heartbeat": ("corrupt-session", sql("UPDATE sessions SET state = 'running', turn_id = 't'")),
    "a revision of text": ("corrupt-session", sql("UPDATE sessions SET revision = 'many' WHERE number = 1")),
    "a count of text": ("corrupt-session", sql("UPDATE sessions SET message_count = 'many' WHERE number = 1")),
    "a creation of text": ("corrupt-session", sql("UPDATE sessions SET created_at = 'now' WHERE number = 1")),
    "a key of bytes": ("corrupt-session", sql("UPDATE sessions SET key = x'ff' WHERE number = 2")),
    "a key that is empty": ("corrupt-session", sql("UPDATE sessions SET key = '' WHERE number = 2")),
    "readable for others": ("permissions", lambda _, path: path.chmod(0o644)),
    "a file left over": ("orphan", lambda _, path: _leave(path.with_name(".sessionkit-0123456789abcdef"))),
}


def _leave(path: Path) -> None:
    path.touch()
    os.utime(path, (0, 0))


def fill(path: Path) -> None:
    """Three sessions, one with everything, one unsettled, and one that is deleted, all indexed but the last few."""
    path.touch(0o600)
    path.write_bytes(_filled())


@cache
def _filled() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "filled.db"
        _fill(path)
        return path.read_bytes()


def _fill(path: Path) -> None:
    with SQLiteBackend(path) as backend:
        for key in ("one", "two", "gone"):
            for number in range(12):
                backend.append(key, ChatMessage.user(f"hello {number} of {key}"))
        backend.append("one", ChatMessage.assistant("answer"))
        backend.set_session_name("one", "a name")
        backend.set_session_context("one", SessionContext(room_id="r", attributes={"a": 1}))
        backend.delete_session("gone")
        backend.compact("one")  # which indexes
        for number in range(5):
            backend.append("two", ChatMessage.assistant(f"wörds {number} 漢字"))
        backend.append("one", ChatMessage.user("last"))


def problems(backend: SQLiteBackend, *, repair: bool = False) -> list[Finding]:
    """What a check finds that needs something done."""
    return [finding for finding in backend.check(repair=repair) if finding.severity == "problem"]


def texts(backend: SQLiteBackend) -> list[str]:
    """Every readable message of the store, whichever session it is in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sorted(message.text for key in backend.list_sessions() if key for message in backend.load(key))


def test_a_sound_store_has_no_finding(path: Path) -> None:
    """Settled or not, indexed or not, open to write or to read."""
    fill(path)
    with SQLiteBackend(path) as backend, SQLiteBackend(path, mode="ro") as reader:
        assert list(backend.check()) == list(reader.check()) == []
    with SQLiteBackend(path, mode="ro") as reader:
        assert list(reader.check()) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_found_and_mended(path: Path, damage: str) -> None:
    """By its kind; only a repair changes anything; afterwards nothing is wrong, and every readable message is there."""
    kind, do = DAMAGES[damage]
    fill(path)
    with closing(sqlite3.connect(path)) as foreign, foreign:
        do(foreign, path)
    with SQLiteBackend(path) as backend:
        before = texts(backend)
        found = problems(backend)
        assert kind in {finding.kind for finding in found}
        assert [finding.repaired for finding in found] == [None] * len(found)
        assert [finding.kind for finding in problems(backend)] == [finding.kind for finding in found]
        assert all(finding.repaired for finding in problems(backend, repair=True))
        assert problems(backend) == []
        if kind == "orphan" or "key" in damage:
            assert set(before) <= set(texts(backend))
        else:
            assert texts(backend) == before
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for metadata in backend.list_sessions_with_metadata():
                assert len(backend.load(metadata.key)) == metadata.message_count
                assert backend.get_session_metadata(metadata.key) == metadata
        for number in range(12):
            found_by_search = {session.key for session in backend.search(SessionQuery(f"hello {number}"))}
            held = {key for key in backend.list_sessions() for m in backend.load(key) if f"hello {number} of" in m.text}
            assert found_by_search == held
        assert backend.search(SessionQuery("neverwritten")) == []
        backend.append("two", ChatMessage.user("and on"))
    with SQLiteBackend(path, mode="ro") as reader:
        assert problems(reader) == []


def test_messages_without_a_session_get_one(path: Path) -> None:
    """Named for the number, in their order, counted, found by search."""
    fill(path)
    with SQLiteBackend(path) as backend:
        before = backend.load("two")
        with closing(sqlite3.connect(path)) as foreign, foreign:
            foreign.execute("DELETE FROM sessions WHERE key = 'two'")
        problems(backend, repair=True)
        assert backend.load("recovered/2") == before
        metadata = backend.get_session_metadata("recovered/2")
        assert metadata is not None
        assert (metadata.message_count, metadata.turn_count) == (17, 5)
        assert [found.key for found in backend.search(SessionQuery("漢字"))] == ["recovered/2"]


def test_damaged_values_are_kept_with_the_session(path: Path) -> None:
    """Where nobody meets them; the rest of the session stays what it is; a second damage joins the first."""
    fill(path)
    with SQLiteBackend(path) as backend, closing(sqlite3.connect(path)) as foreign:
        for value in (b"\xff", b"\xfe"):
            with foreign:
                foreign.execute("UPDATE sessions SET name = ? WHERE key = 'one'", [value])
            problems(backend, repair=True)
        kept = foreign.execute("SELECT id, message FROM corrupt_messages").fetchall()
        assert kept == [(1 << 32, '[{"name": {"bytes": "ff"}}, {"name": {"bytes": "fe"}}]')]
        metadata = backend.get_session_metadata("one")
        assert metadata is not None
        assert (metadata.name, metadata.room_id, dict(metadata.attributes)) == (None, "r", {"a": 1})
        assert [finding.kind for finding in backend.check()] == ["set-aside"]
        backend.delete_session("one")
        assert foreign.execute("SELECT count(*) FROM corrupt_messages").fetchone() == (0,)


def test_a_lost_revision_is_above_all_others(path: Path) -> None:
    """As it never repeats."""
    fill(path)
    with SQLiteBackend(path) as backend:
        highest = max(metadata.revision or 0 for metadata in backend.list_sessions_with_metadata())
        with closing(sqlite3.connect(path)) as foreign, foreign:
            foreign.execute("UPDATE sessions SET revision = x'00' WHERE key = 'one'")
        problems(backend, repair=True)
        metadata = backend.get_session_metadata("one")
        assert metadata is not None
        assert (metadata.revision or 0) > highest


def test_only_who_may_write_repairs(path: Path) -> None:
    """Asked for at once, though nothing is wrong."""
    fill(path)
    with SQLiteBackend(path, mode="ro") as reader, pytest.raises(BackendUnavailableError, match="mode=ro"):
        reader.check(repair=True)


@pytest.mark.parametrize("table", ["messages", "terms_data"])
def test_what_sqlite_finds_damaged_is_left_for_a_rescue(path: Path, table: str) -> None:
    """Nothing is written into a file whose pages are damaged; the finding says what can help."""
    fill(path)
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE sessions SET message_count = message_count + 1")
        root = foreign.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(root - 1) * 2048 : root * 2048] = bytes(2048)
    path.write_bytes(data)
    with SQLiteBackend(path) as backend:
        for repair in (False, True):
            found = list(backend.check(repair=repair))
            structure = [finding for finding in found if finding.kind == "structure"]
            assert structure
            assert all("only a rescue can mend it" in finding.what for finding in structure)
            assert all(finding.repaired is None for finding in found)
    assert path.read_bytes() == bytes(data)


def test_many_findings_are_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is damaged all over takes no more memory than any."""
    monkeypatch.setattr(check_sessions, "_MOST", 3)
    fill(path)
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE messages SET message = '{' WHERE id >> 32 = 1")
    with SQLiteBackend(path) as backend:
        found = problems(backend)
        assert [finding.kind for finding in found].count("corrupt-message") == 3
        assert "and 11 findings more" in {finding.what for finding in found}
        problems(backend, repair=True)
        assert problems(backend) == []
