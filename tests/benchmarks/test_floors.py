"""A floor has no worse settings than the store that is held against it."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from benchmarks.floors import TUNED, BareTable
from sessionkit_sqlite import SQLiteBackend

_SETTINGS = (
    "auto_vacuum",
    "cache_size",
    "encoding",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "mmap_size",
    "page_size",
    "synchronous",
    "temp_store",
    "wal_autocheckpoint",
)


def _settings(connection: sqlite3.Connection) -> dict[str, Any]:
    return {name: connection.execute(f"PRAGMA {name}").fetchone() for name in _SETTINGS}


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_the_tuned_floor_has_every_setting_of_ours(tmp_path: Path, synchronous: Any) -> None:
    """Whatever makes SQLite faster for us makes it faster for that floor, or the ratio would flatter."""
    floor = BareTable(tmp_path / "floor.db", synchronous, TUNED)
    with SQLiteBackend(tmp_path / "ours.db", synchronous=synchronous) as backend:
        ours = backend._store.writing.connection
        assert ours is not None
        assert _settings(ours) == _settings(floor.connection)
    floor.close()


def test_the_bare_floor_has_the_defaults_of_sqlite(tmp_path: Path) -> None:
    """But for the log and the durability, which the comparison is about."""
    floor = BareTable(tmp_path / "floor.db")
    default = sqlite3.connect(tmp_path / "default.db")
    default.execute("PRAGMA journal_mode = WAL")
    default.execute("PRAGMA synchronous = NORMAL")
    assert _settings(default) == _settings(floor.connection)
    default.close()
    floor.close()
