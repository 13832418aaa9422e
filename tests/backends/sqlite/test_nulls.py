"""Rows of which a damaged page has left nothing: columns that can't be NULL are, or are something else."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, SessionQuery
from sessionkit_sqlite import SQLiteBackend

COLUMNS = ("message", "created_at", "turns")


@pytest.fixture(name="damaged", params=COLUMNS)
def _damaged(path: Path, backend: SQLiteBackend, request: pytest.FixtureRequest) -> SQLiteBackend:
    """Three messages, and one column of the second is NULL, as no statement could make it."""
    for text in ("one", "two", "three"):
        backend.append("k", ChatMessage.user(f"{text} common"))
    backend.close()
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("PRAGMA writable_schema = 1")
        foreign.execute("UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'messages'")
        foreign.commit()
        foreign.execute("PRAGMA writable_schema = RESET")
        foreign.execute(f"UPDATE messages SET {request.param} = NULL WHERE id & 0xFFFFFFFF = 2")  # noqa: S608 -- ours
        foreign.commit()
    return SQLiteBackend(path)


def test_a_row_without_a_value_is_skipped_or_whole(damaged: SQLiteBackend, request: pytest.FixtureRequest) -> None:
    """By every call that reads messages, with a warning where the message itself is gone; and compacted away."""
    is_lost = request.node.callspec.params["damaged"] == "message"
    left = ["one common", *(["two common"] * (not is_lost)), "three common"]
    with damaged as backend, warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        for _ in range(2):
            assert [message.content for message in backend.load("k")] == left
            assert [stored.message.content for stored in backend.load_with_timestamps("k")] == left
            assert [stored.message.content for stored in backend.load_with_timestamps("k", last=2)] == left[-2:]
            assert [stored.message.content for stored in backend.load_first("k", 3)] == left
            assert [found.key for found in backend.search(SessionQuery("three common"))] == ["k"]
            assert bool(backend.search(SessionQuery("two"))) is not is_lost
            backend.compact("k")


def test_a_row_without_a_value_is_told(damaged: SQLiteBackend, request: pytest.FixtureRequest) -> None:
    """Where its message is gone."""
    with damaged as backend:
        if request.node.callspec.params["damaged"] == "message":
            with pytest.warns(CorruptRecordWarning, match="skipped"):
                backend.load("k")
        else:
            assert len(backend.load("k")) == 3
