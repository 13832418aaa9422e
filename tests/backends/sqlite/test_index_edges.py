"""Where the index ends and reading begins, what can't be asked of it, and what an append need not ask at all."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionkit import ChatMessage, SessionQuery
from sessionkit_sqlite import SQLiteBackend, rows, terms


def found(backend: SQLiteBackend, keyword: str) -> list[str]:
    """The keys of the sessions in which it is found."""
    return [metadata.key for metadata in backend.search(SessionQuery(keyword))]


def fill(backend: SQLiteBackend, indexed: int, others: int) -> None:
    """A session with so many messages that are indexed, and so many after them; each has a word of its own."""
    for i in range(indexed):
        backend.append("k", ChatMessage("user", f"word{i}"))
    backend.compact("k")
    for i in range(indexed, indexed + others):
        backend.append("k", ChatMessage("user", f"word{i}"))


@pytest.mark.parametrize("indexed", [1, 3])
@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize("dropped", [1, 3])
def test_what_was_removed_is_found_no_more(backend: SQLiteBackend, indexed: int, others: int, dropped: int) -> None:
    """Wherever among the newest messages the index ends; what is left is found, and what comes after it."""
    fill(backend, indexed, others)
    dropped = min(dropped, indexed + others)
    backend.write("k", drop_last=dropped, append=[ChatMessage("user", "after")])
    left = indexed + others - dropped
    for round_ in ("read", "indexed"):
        for i in range(indexed + others):
            assert found(backend, f"word{i}") == (["k"] if i < left else []), (round_, i)
        assert found(backend, "after") == ["k"]
        backend.compact("k")


@pytest.mark.parametrize("indexed", [0, 1, 3])
@pytest.mark.parametrize("others", [0, 1])
def test_what_was_replaced_is_found_no_more(backend: SQLiteBackend, indexed: int, others: int) -> None:
    """Whether it was indexed or not."""
    fill(backend, indexed, others)
    replaced = backend.update_last("k", ChatMessage("user", "instead"))
    assert replaced == (indexed + others > 0)
    for _ in ("read", "indexed"):
        for i in range(indexed + others):
            assert found(backend, f"word{i}") == (["k"] if i < indexed + others - 1 else [])
        assert found(backend, "instead") == (["k"] if replaced else [])
        backend.compact("k")


@pytest.mark.parametrize("indexed", [0, 2])
def test_what_can_not_be_read_has_no_words(path: Path, backend: SQLiteBackend, indexed: int) -> None:
    """A corrupt message that waits for the index keeps no search from the others, nor does it once it was indexed."""
    fill(backend, indexed, 3)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE messages SET message = 'XX' WHERE id = (SELECT max(id) - 1 FROM messages)")
    for _ in ("read", "indexed"):
        assert found(backend, f"word{indexed}") == found(backend, f"word{indexed + 2}") == ["k"]
        assert found(backend, f"word{indexed + 1}") == found(backend, "xx") == []
        with backend._store.writing as connection:
            terms.index_batch(connection, at_least=1)


def test_what_is_indexed_is_not_read(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for a few terms asks the index, and reads none of the messages that are in it."""
    fill(backend, 5, 0)

    def read(_: bytes) -> str:
        raise AssertionError("it was read")

    monkeypatch.setattr(terms, "readable_text", read)
    assert found(backend, "word1") == ["k"]
    assert found(backend, "word9") == []


def test_an_index_that_is_made_anew_has_each_message_once(path: Path, backend: SQLiteBackend) -> None:
    """Of however many sessions: what is then removed from one is found there no more, nor is it lost in another."""
    keys = ["a", "b", "c", "d"]
    for i in range(3):
        for key in keys:
            backend.append(key, ChatMessage("user", f"{key}{i} shared"))
    backend.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE store SET terms_version = 'of another time'")
    with SQLiteBackend(path) as anew:
        anew.compact("a")
        for key in keys:
            assert found(anew, f"{key}0") == found(anew, f"{key}2") == [key]
            assert anew.remove_last(key)
            assert found(anew, f"{key}2") == []
            assert found(anew, f"{key}1") == [key]
        assert sorted(found(anew, "shared")) == keys
        for key in keys:
            anew.clear_messages(key)
        assert found(anew, "shared") == []


def test_an_index_that_can_not_be_asked_is_done_without(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SQLite without FTS5 finds all there is by reading, and changes what another one has indexed."""
    fill(backend, 4, 1)
    backend.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE terms RENAME TO elsewhere")  # nothing can be asked of it
    monkeypatch.setattr(terms, "_has_fts5", lambda _: False)
    with SQLiteBackend(path) as without:
        assert found(without, "word0") == found(without, "word4") == ["k"]
        without.append("k", ChatMessage("user", "word5"))
        assert without.remove_last("k")
        assert without.update_last("k", ChatMessage("user", "instead"))
        assert without.write("k", drop_last=2)
        assert found(without, "word4") == found(without, "word3") == found(without, "instead") == []
        without.compact("k")
        assert found(without, "word2") == ["k"]
    monkeypatch.undo()
    with SQLiteBackend(path) as back:
        back.compact("k")
        assert found(back, "word2") == ["k"]
        assert found(back, "word3") == []
        assert back.delete_session("k")
        assert found(back, "word2") == []


def test_where_a_message_goes_is_known_after_an_append(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nothing but appends happens, to however many sessions in turn: no look is needed, nor at the time."""
    for key in "ab":
        backend.append(key, ChatMessage("user", "0"))

    def look(*_: object) -> Any:
        raise AssertionError("it was looked up")

    monkeypatch.setattr(rows, "append", look)
    for key in "ab":
        backend.append(key, ChatMessage("user", "1"))
    connection = backend._store.writing.connection
    assert connection
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    for key in "aabb":
        backend.append(key, ChatMessage("user", "2"))
    connection.set_trace_callback(None)
    assert all(statement.strip().startswith("INSERT INTO messages") for statement in statements)
    for key in "ab":
        assert [message.text for message in backend.load(key)] == ["0", "1", "2", "2"]
