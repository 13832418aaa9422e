"""Bytes cut out of a file, so that the beginning of one line and the end of another make one that can be read."""

from pathlib import Path

import pytest

from sessionkit import ChatMessage
from sessionkit_jsonl import JSONLBackend


def test_messages_that_were_cut_out_are_told(tmp_path: Path) -> None:
    """No line is damaged, but the count is; a compaction counts anew."""
    with JSONLBackend(tmp_path) as backend:
        for number in range(6):
            backend.append("k", ChatMessage("user", f"the text of number {number}"))
        file = tmp_path / "k.jsonl"
        content = file.read_bytes()
        first, second = (content.index(f"text of number {number}".encode()) for number in (2, 4))
        file.write_bytes(content[:first] + content[second:])
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(match="2 messages that it counts are not there any more"):
            left = backend.load("k")
        assert [str(message.content)[-1] for message in left] == ["0", "1", "4", "5"]
        backend.compact("k")
        assert backend.load("k") == left
