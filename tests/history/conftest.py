"""A fresh store of every kind for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import sessionkit
from sessionkit import OpenBackend
from tests.places import url_of


@pytest.fixture(params=["memory", "jsonl", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenBackend]:
    """An empty store, of each built-in kind."""
    with sessionkit.open_backend(url_of(request.param, tmp_path)) as opened:
        yield opened


@pytest.fixture(params=["jsonl", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store that other processes can open, of each built-in kind."""
    return url_of(request.param, tmp_path)
