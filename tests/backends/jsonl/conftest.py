"""A store, the file of one session in it, and a look at how each session begins that a test reads."""

from pathlib import Path
from typing import Any

import pytest

from sessionkit_jsonl import JSONLBackend, beginning, log
from sessionkit_jsonl.beginning import first_entries
from sessionkit_jsonl.view import SessionView, decoded
from sessionkit_jsonl.window import BrokenChainError


@pytest.fixture
def backend(tmp_path: Path) -> JSONLBackend:
    """An empty store."""
    return JSONLBackend(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the session "s"."""
    return tmp_path / "s.jsonl"


@pytest.fixture(autouse=True)
def first_told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whenever a test reads all of a file, whatever was done to it: what its beginning tells are its first messages.

    How many those were that could be told, each time. Files have their beginning within bytes rather than kilobytes,
    so that short ones have more than that.
    """
    monkeypatch.setattr(beginning, "BEGINNING", 600)
    monkeypatch.setattr(log, "BEGINNING", 600)
    plain: Any = SessionView.messages
    told: list[int] = []

    def messages(view: SessionView) -> Any:
        readable, _ = decoded(view.scan().live)
        length = len(readable)
        for count in sorted({*range(1, 9), length // 2 + 1, *range(max(1, length - 2), length + 2)}):
            try:
                first, bad = decoded(first_entries(view.window, view.standing, count))
            except BrokenChainError:
                continue
            assert bad or first == readable[:count]
            told.append(count)
        return plain.__get__(view)

    monkeypatch.setattr(SessionView, "messages", property(messages))  # no frame of its own, for warnings
    return told
