"""A fresh store for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionkit_sqlite import SQLiteBackend


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "sessions.db"


@pytest.fixture
def backend(path: Path) -> Iterator[SQLiteBackend]:
    """An empty store."""
    with SQLiteBackend(path) as opened:
        yield opened
