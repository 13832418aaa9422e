"""A file of an older layout becomes one of this version, and nothing of it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, SessionQuery
from sessionkit_sqlite import SQLiteBackend

VERSION_1 = Path(__file__).with_name("version_1.sql")


@pytest.fixture
def of_version_1(path: Path) -> Path:
    """A store as the first layout left it, with deleted sessions, a turn, and messages that wait to be indexed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
        for number, key in enumerate(("a", "b", "gone"), 1):
            connection.execute(
                "INSERT INTO sessions (key, created_at, last_activity, revision, message_count, turn_count,"
                " tool_call_count, name, state, turn_id, turn_started_at, heartbeat_at, attributes)"
                " VALUES (?, 1000, 1000, 1, 0, 0, 0, ?, ?, 't', 1500, 1600, '{\"color\":\"red\"}')",
                (key, f"name of {key}", "running" if key == "b" else "idle"),
            )
            for position in range(1, 4):
                message = f'{{"role":"assistant","content":"word{position} {key}"}}'
                values = (number << 32 | position, 2000 * number + position, message)
                connection.execute(
                    "INSERT INTO messages (id, created_at, turns, tool_calls, message) VALUES (?, ?, 1, 0, ?)", values
                )
        connection.execute("DELETE FROM messages WHERE id >> 32 = 3")
        connection.execute("DELETE FROM sessions WHERE key = 'gone'")
        connection.execute("UPDATE store SET highest_deleted_revision = 4")
        connection.commit()
    return path


def test_the_first_layout_is_brought_along(of_version_1: Path) -> None:
    """Messages, times, counts, names, states and revisions stay, and no number is given twice."""
    with SQLiteBackend(of_version_1) as backend:
        listed = backend.list_sessions_with_metadata()
        assert [(found.key, found.message_count, found.turn_count, found.revision) for found in listed] == [
            ("b", 3, 3, 4),
            ("a", 3, 3, 4),
        ]
        assert [found.name for found in listed] == ["name of b", "name of a"]
        assert [found.attributes for found in listed] == [{"color": "red"}] * 2
        assert [found.key for found in backend.list_running_sessions()] == ["b"]
        assert [message.text for message in backend.load("a")] == ["word1 a", "word2 a", "word3 a"]
        assert [found.key for found in backend.search(SessionQuery("word2"))] == ["b", "a"]
        backend.append("a", ChatMessage.user("another"))
        backend.append("new", ChatMessage.user("another"))
        assert len(backend.load("a")) == 4
        assert [found.key for found in backend.search(SessionQuery("another"))] == ["new", "a"]
    with closing(sqlite3.connect(of_version_1)) as connection:
        assert connection.execute("SELECT number FROM sessions WHERE key = 'new'").fetchone() == (4,)


def test_migrating_makes_the_layout_of_a_new_file(of_version_1: Path, tmp_path: Path) -> None:
    """The same tables, columns, indexes and triggers, whichever way the file came to this version."""
    layouts = list[Any]()
    for path in (of_version_1, tmp_path / "new.db"):
        SQLiteBackend(path).close()
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2").fetchall()
            columns = {
                name: connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
                for kind, name, _ in names
                if kind == "table"
            }
            layouts.append((names, columns, connection.execute("PRAGMA user_version").fetchone()))
    assert layouts[0] == layouts[1]


def test_a_process_of_the_old_layout_writes_no_more(of_version_1: Path) -> None:
    """One that has the file open still, and knows nothing of rows that lag, fails: it can't write by its own rules."""
    with closing(sqlite3.connect(of_version_1)) as old:
        old.execute("SELECT count(*) FROM sessions").fetchone()
        SQLiteBackend(of_version_1).close()
        for statement in (
            "SELECT position, key FROM sessions WHERE key = 'a'",
            "SELECT since FROM pending WHERE number = 1",
            "SELECT key FROM sessions ORDER BY active_span DESC",
        ):
            with pytest.raises(sqlite3.OperationalError, match="no such"):
                old.execute(statement)


def test_an_old_layout_is_refused_to_read_only(of_version_1: Path) -> None:
    """Where nothing may be written nothing can be migrated; the error says what to do, and nothing changes."""
    before = of_version_1.read_bytes()
    with pytest.raises(BackendUnavailableError, match="open it once without mode=ro"):
        SQLiteBackend(of_version_1, mode="ro")
    assert of_version_1.read_bytes() == before
