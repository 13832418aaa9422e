"""What a mark refers to is believed only where it is what it should be; else all of the file is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, SessionContext
from sessionkit_jsonl import JSONLBackend

CONTEXT = SessionContext(room_id="room", attributes={"a": 1})


def edit_mark(file: Path, **changes: Any) -> None:
    """Give the last line's mark other values; None takes one away."""
    *lines, last = file.read_bytes().splitlines(keepends=True)
    line = json.loads(last)
    line["~"] = {name: value for name, value in (line["~"] | changes).items() if value is not None}
    file.write_bytes(b"".join(lines) + json.dumps(line, separators=(",", ":")).encode() + b"\n")


def places(file: Path) -> list[int]:
    """Where each line begins, and where the file ends."""
    ends = [0]
    for line in file.read_bytes().splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    return ends


@pytest.fixture
def named(backend: JSONLBackend, file: Path) -> list[ChatMessage]:
    """The messages of a session that has a name and attributes, which its last line refers to."""
    messages = [ChatMessage("user", f"message {i}") for i in range(6)]
    for message in messages[:3]:
        backend.append("s", message)
    backend.set_session_name("s", "a name")
    backend.set_session_context("s", CONTEXT)
    for message in messages[3:]:
        backend.append("s", message)
    backend.close()
    assert len(places(file)) > 8
    return messages


def told(path: Path, messages: list[ChatMessage]) -> None:
    """A store that is opened now knows all there was."""
    with JSONLBackend(path) as backend:
        metadata = backend.get_session_metadata("s")
        assert metadata
        assert (metadata.name, metadata.room_id, metadata.attributes) == ("a name", "room", {"a": 1})
        assert metadata.message_count == len(messages)
        for last in (1, 3, 5, 6):
            newest = [stored.message for stored in backend.load_with_timestamps("s", last=last)]
            assert newest == messages[-last:]
        assert backend.load("s") == messages


@pytest.mark.parametrize("name", ["meta", "prev"])
def test_a_reference_to_another_place_is_not_believed(
    tmp_path: Path, file: Path, name: str, named: list[ChatMessage]
) -> None:
    """To any line that is none of its kind, into the middle of one, to the end, beyond it: all is told as it was."""
    plain = file.read_bytes()
    of_its_kind = b'"session":' if name == "meta" else b'"role":'
    lines = plain.splitlines(keepends=True)
    others = [place for place, line in zip(places(file), lines, strict=False) if of_its_kind not in line]
    assert others
    for place in {*others, *(place + 3 for place in places(file)), len(plain), 10**9}:
        edit_mark(file, **{name: place})
        told(tmp_path, named)
        file.write_bytes(plain)


@pytest.mark.parametrize("name", ["prev", "pos", "low", "dead"])
def test_a_mark_may_lack_what_it_refers_to(tmp_path: Path, file: Path, name: str, named: list[ChatMessage]) -> None:
    """As another program may write it: what can be told from the rest of the file is."""
    edit_mark(file, **{name: None})
    told(tmp_path, named)


def test_a_line_that_stands_elsewhere_than_it_says_is_no_end(
    tmp_path: Path, file: Path, named: list[ChatMessage]
) -> None:
    """Where something was taken away above it, what it refers to stands elsewhere too; it is said what is missing."""
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], *lines[3:]]))  # without the second message
    left = [named[0], *named[2:]]
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(CorruptRecordWarning, match="1 messages that it counts are not there"):
            assert backend.load("s") == left
        assert backend.get_session_name("s") == "a name"
        backend.append("s", ChatMessage("user", "after"))
        with pytest.warns(CorruptRecordWarning, match="1 messages that it counts are not there"):
            assert backend.load("s") == [*left, ChatMessage("user", "after")]
        assert backend.get_session_name("s") == "a name"
