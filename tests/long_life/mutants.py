"""What long-lived processes are known to do wrong: each function breaks the backends in the process that calls it."""

import os
import sqlite3
import threading
from typing import Any

from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.log import SessionLog
from sessionkit_sqlite import SQLiteBackend, backend, log, store

_kept: list[Any] = []
_searches: list[None] = []


def leaks_descriptors() -> None:
    """A file is opened to look something up, and closed by nobody."""
    search = SQLiteBackend.search

    def leaking(self: SQLiteBackend, *arguments: Any) -> Any:
        _searches.append(None)
        if len(_searches) % 5 == 0:
            _kept.append(os.open(os.devnull, os.O_RDONLY))
        return search(self, *arguments)

    SQLiteBackend.search = leaking  # type: ignore[method-assign]


def leaks_memory() -> None:
    """A cache that nothing is ever thrown out of."""
    load = JSONLBackend.load

    def leaking(self: JSONLBackend, session_key: str, /) -> Any:
        _kept.append(bytearray(400_000))
        return load(self, session_key)

    JSONLBackend.load = leaking  # type: ignore[method-assign]


def leaks_threads() -> None:
    """A watcher is started for each list, and told of no end."""
    listed = SQLiteBackend.list_sessions_with_metadata

    def leaking(self: SQLiteBackend) -> Any:
        for _ in range(2):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return listed(self)

    SQLiteBackend.list_sessions_with_metadata = leaking  # type: ignore[method-assign]


def never_compacts() -> None:
    """What is superseded stays in the files."""
    broken: Any = SessionLog
    broken.compact = broken._compact_if_due = lambda *_: None


def never_restarts_the_log() -> None:
    """Nobody copies the log into the database, so it only grows."""
    broken: Any = store
    connect = broken.connect_to_write

    def unending(*arguments: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    broken.connect_to_write = unending
    broken = log.Log
    broken.look_after = lambda *_: None
    broken = backend
    broken.give_back_space = lambda *_: None
