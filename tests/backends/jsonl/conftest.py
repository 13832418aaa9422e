"""A store, and the file of one session in it."""

from pathlib import Path

import pytest

from sessionkit_jsonl import JSONLBackend


@pytest.fixture
def backend(tmp_path: Path) -> JSONLBackend:
    """An empty store."""
    return JSONLBackend(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the session "s"."""
    return tmp_path / "s.jsonl"
