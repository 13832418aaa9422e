"""The layout keeps the costs that it promises: what is flat is flat."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import sessionkit_sqlite
from sessionkit import ChatMessage, SessionMetadata, SessionQuery
from sessionkit_sqlite import SQLiteBackend


@pytest.fixture
def steps(backend: SQLiteBackend) -> Iterator["StepCounter"]:
    """Counts the steps of SQLite's virtual machine on both connections of a store of many messages."""
    for key in ("before", "k", "after"):
        backend.write(key, append=[ChatMessage.user(f"message {i}") for i in range(3000)])
        backend.compact(key)
    counter = StepCounter(backend)
    yield counter
    counter.stop()


class StepCounter:
    """How much work SQLite does, in tens of its own steps; not how long it takes."""

    def __init__(self, backend: SQLiteBackend) -> None:
        self.count = 0
        backend.load("none")
        self.connections = [
            connection
            for connection in (backend._store.writing.connection, backend._store.reading.connection)
            if connection is not None
        ]
        for connection in self.connections:
            connection.set_progress_handler(self._step, 10)

    def _step(self) -> None:
        self.count += 1

    def stop(self) -> None:
        """Count no more."""
        for connection in self.connections:
            connection.set_progress_handler(None, 0)


def test_the_work_of_a_change_does_not_grow(backend: SQLiteBackend, steps: StepCounter) -> None:
    """No change, no look at metadata, and neither the newest nor the oldest few take more work of a longer session."""
    message = ChatMessage.user("one more")
    operations: dict[str, Callable[[str], object]] = {
        "append": lambda key: backend.append(key, message),
        "update_last": lambda key: backend.update_last(key, message),
        "remove_last": backend.remove_last,
        "last 5": lambda key: backend.load_with_timestamps(key, last=5),
        "first 5": lambda key: backend.load_first(key, 5),
        "metadata": backend.get_session_metadata,
        "state": lambda key: backend.set_session_state(key, "running", "t"),
        "begin_turn": lambda key: backend.begin_turn(key, "t"),
        "set_turn_state": lambda key: backend.set_turn_state(key, "t", "running"),
        "write": lambda key: backend.write(key, append=[message, message], drop_last=1),
    }
    backend.write("short", append=[message] * 20)
    for name, operation in operations.items():
        work: dict[str, int] = {}
        for key in ("short", "k"):
            steps.count = 0
            operation(key)
            work[key] = steps.count
        assert work["k"] <= work["short"] + 20, (name, work)


def test_lists_use_their_indexes(path: Path, backend: SQLiteBackend) -> None:
    """A page of the newest sessions, the running and the stuck ones are found without reading the others."""
    backend.append("k", ChatMessage.user("x"))
    statements: list[str] = []
    backend.load("k")
    tracing = backend._store.reading.connection
    assert tracing is not None
    with closing(sqlite3.connect(path)) as connection:
        for look, index in (
            (backend.list_sessions, "sessions_by_activity"),
            (lambda: backend.search(SessionQuery(limit=5)), "sessions_by_activity"),
            (backend.list_running_sessions, "running_sessions"),
            (lambda: backend.list_stuck_sessions(5), "running_sessions"),
        ):
            statements.clear()
            tracing.set_trace_callback(statements.append)
            look()
            tracing.set_trace_callback(None)
            plans = [
                " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
                for statement in statements
                if statement.startswith("SELECT")
            ]
            assert any(index in plan for plan in plans), plans
            assert [plan for plan in plans if " sessions" in plan and "SCAN" in plan and index not in plan] == [], plans


def test_a_page_reads_no_more_than_a_page(backend: SQLiteBackend, steps: StepCounter) -> None:
    """``search`` with a limit stops at it, however many sessions there are."""
    for i in range(500):
        backend.restore(f"session {i}", [], SessionMetadata("", created_at=datetime(2024, 1, 1, i % 24, tzinfo=UTC)))
    work: list[int] = []
    for limit in (5, 50, None):
        steps.count = 0
        backend.search(SessionQuery(limit=limit))
        work.append(steps.count)
    assert work[0] * 4 < work[1] * 3
    assert work[1] * 4 < work[2] * 3


def test_parameters_are_not_numbered() -> None:
    """Python takes ``?1`` for a named parameter: given a sequence, some of its versions warn, and later ones raise."""
    sources = Path(sessionkit_sqlite.__file__).parent.glob("*.py")
    assert [path.name for path in sources if re.search(r"\?\d", path.read_text(encoding="utf-8"))] == []


def test_space_is_given_back(path: Path, backend: SQLiteBackend) -> None:
    """After `clear_messages`, `compact` makes the file smaller."""
    backend.write("k", append=[ChatMessage.user("x" * 5000)] * 500)
    backend.append("other", ChatMessage.user("x"))
    backend.compact("k")
    before = path.stat().st_size
    backend.clear_messages("k")
    backend.compact("k")
    assert path.stat().st_size < before / 2


@pytest.mark.parametrize("torn", [bytes(2048), b"SQLite format 3\0" + bytes(600), b"\0" * 64 + b"x" * 1984])
def test_a_store_that_was_being_made_can_be_made(path: Path, torn: bytes) -> None:
    """A power cut in the first moment of a store leaves a torn page, and the journal by which SQLite undoes it."""
    journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0\0\0\0" + b"abcd" + b"\0\0\0\0" + b"\0\0\x02\0" + b"\0\0\x08\0"
    path.write_bytes(torn)
    path.with_name(f"{path.name}-journal").write_bytes(journal.ljust(512, b"\0"))
    with SQLiteBackend(path) as backend:
        backend.append("k", ChatMessage.user("x"))
        assert len(backend.load("k")) == 1
