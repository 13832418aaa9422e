"""What is appended to a damaged file is loaded again, whatever the damage has put before the last whole line."""

from pathlib import Path

import pytest

from sessionkit import ChatMessage
from sessionkit_jsonl import JSONLBackend


@pytest.mark.filterwarnings("ignore::sessionkit.CorruptRecordWarning")
def test_an_append_below_a_cut_off_line_is_loaded(tmp_path: Path) -> None:
    """Where later lines stand above the last whole one, and a piece below it, the tail alone is not believed."""
    with JSONLBackend(tmp_path) as backend:
        for number in range(9):
            backend.append("a", ChatMessage("user", f"{number}"))
    file = tmp_path / "a.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    # The seventh to ninth message took the place of the second to fourth, and the rest was cut off: whole blocks moved.
    moved, replaced = b"".join(lines[7:10]), b"".join(lines[2:5])
    padded = moved[:-1] + b" " * (len(replaced) - len(moved)) + b"\n"
    cut = [*lines[:2], padded[: len(replaced) - 1] + b"\n", *lines[5:7], lines[7][:40]]
    file.write_bytes(b"".join(cut))

    with JSONLBackend(tmp_path) as backend:
        before = [message.content for message in backend.load("a")]
        backend.append("a", ChatMessage.user("new"))
        backend.append("a", ChatMessage.user("newer"))
        loaded = [message.content for message in backend.load("a")]
        tail = [stored.message.content for stored in backend.load_with_timestamps("a", last=2)]

    assert loaded == [*before, "new", "newer"]
    assert tail == ["new", "newer"]
