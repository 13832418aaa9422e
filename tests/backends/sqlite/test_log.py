"""The write-ahead log does not grow for ever, whoever reads."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from sessionkit import ChatMessage
from sessionkit_sqlite import SQLiteBackend, log, opening, place

# Two processes hand each other a token, so that one of them is in the middle of a transaction at any moment.
READER = """
import os, sqlite3, sys
path, here, there = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = sqlite3.connect(path, isolation_level=None)
while os.read(here, 1):
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sessions").fetchone()
    try:
        os.write(there, b".")
    except BrokenPipeError:
        break
    if not os.read(here, 1):  # until the other has begun
        break
    connection.execute("COMMIT")
    os.write(there, b".")
"""
LARGE = ChatMessage.user("x" * 30_000)
BOUND = 512 * 1024


def size_of_log(path: Path) -> int:
    """In bytes."""
    return Path(f"{path}-wal").stat().st_size


@contextmanager
def overlapping_readers(path: Path) -> Generator[None]:
    """Two processes of which always one, at least, is in a transaction."""
    first, second = os.pipe(), os.pipe()
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(path), str(here), str(there)], pass_fds=(here, there))
        for here, there in ((first[0], second[1]), (second[0], first[1]))
    ]
    os.write(first[1], b".")
    for descriptor in (*first, *second):
        os.close(descriptor)
    try:
        yield
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


@pytest.mark.parametrize("write", ["append", "state"])
def test_overlapping_readers_keep_no_log_growing(path: Path, monkeypatch: pytest.MonkeyPatch, write: str) -> None:
    """Whatever is written: the log begins anew, though at no moment nobody reads."""
    monkeypatch.setattr(log, "BOUND", BOUND)
    sizes: list[int] = []
    with SQLiteBackend(path) as backend, overlapping_readers(path):
        for number in range(640):
            if write == "append":
                backend.append("k", LARGE)
            else:
                backend.set_session_name("k", f"{number}{LARGE.content}")
            sizes.append(size_of_log(path))
        assert max(sizes) < 15 * BOUND  # a few tries may fail; it would be 37 without
        assert sum(after < before for before, after in pairwise(sizes)) >= 3
        assert len(backend.load("k")) == (640 if write == "append" else 0)


def test_a_reader_that_never_ends_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log grows for as long as it reads, with few tries to shorten it; afterwards it is shortened."""
    monkeypatch.setattr(log, "BOUND", BOUND)
    monkeypatch.setattr(opening, "BOUND", BOUND)
    tries: list[str] = []
    copy = log._copy

    def counting(connection: sqlite3.Connection, how: str) -> bool:
        tries.append(how)
        return copy(connection, how)

    monkeypatch.setattr(log, "_copy", counting)
    monkeypatch.setattr(log, "LONGEST_PATIENCE", log.PATIENCE)
    with SQLiteBackend(path) as backend:
        backend.append("k", LARGE)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sessions").fetchone()
            for _ in range(640):
                backend.append("k", LARGE)
            assert size_of_log(path) > 30 * BOUND
            assert 1 <= len(tries) <= 640 // place.LOOK_EVERY
            assert reader.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        for _ in range(128):
            backend.append("k", LARGE)
        assert size_of_log(path) < 15 * BOUND
        assert len(backend.load("k")) == 1 + 640 + 128


def test_what_waits_for_readers_waits_no_longer_afterwards(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a connection waits for others is again what was asked for."""
    monkeypatch.setattr(log, "BOUND", 0)
    with SQLiteBackend(path, busy_timeout=7) as backend:
        for _ in range(200):
            backend.append("k", ChatMessage.user("x"))
        with backend._store.writing as connection:
            assert connection.execute("PRAGMA busy_timeout").fetchone() == (7000,)
