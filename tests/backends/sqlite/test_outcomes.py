"""What an error says of a call that had several steps."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit_sqlite import SQLiteBackend, rows, terms


def disk_full(*_: object, **__: object) -> Any:
    """What SQLite says."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


@pytest.mark.parametrize(("succeed", "outcome", "left"), [(50, "not_applied", 250), (150, "unknown", 150)])
def test_cleaning_up_that_fails_half_way(
    backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch, succeed: int, outcome: str, left: int
) -> None:
    """Where some sessions have been deleted, the error does not say that nothing was done."""
    for i in range(250):
        backend.append(f"k{i}", ChatMessage.user("x"))
    delete, deletions = rows.delete, iter(range(succeed))

    def delete_until_full(connection: sqlite3.Connection, session_key: str) -> bool:
        if next(deletions, None) is None:
            disk_full()
        return delete(connection, session_key)

    monkeypatch.setattr(rows, "delete", delete_until_full)
    with pytest.raises(BackendUnavailableError) as caught:
        backend.cleanup_stale(0)
    assert (caught.value.outcome, len(backend.list_sessions())) == (outcome, left)


@pytest.mark.parametrize(("damaged", "outcome"), [(False, "not_applied"), (True, "unknown")])
def test_compacting_that_fails_half_way(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch, *, damaged: bool, outcome: str
) -> None:
    """Where a message has been set aside, the error does not say otherwise."""
    backend.append("k", ChatMessage.user("x"))
    if damaged:
        with closing(sqlite3.connect(path)) as foreign, foreign:
            foreign.execute("UPDATE messages SET message = '{'")
    monkeypatch.setattr(terms, "index_batch", disk_full)
    with pytest.raises(BackendUnavailableError) as caught:
        backend.compact("k")
    assert caught.value.outcome == outcome
    assert len(backend.load("k")) == (0 if damaged else 1)
