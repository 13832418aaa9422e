"""Of a file in order nothing but the tail is read, whatever was done to it, and it tells what all of it would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionkit import ChatMessage, SessionContext, ToolCall, encode_message
from sessionkit_jsonl import JSONLBackend, log, reading, view

TURN = ChatMessage("assistant", "turn", tool_calls=(ToolCall("i", "n", "{}"), ToolCall("j", "n", "{}")))
BLOCKS = ChatMessage("assistant", [{"type": "tool_use", "id": "t", "name": "n", "input": {}}])
LARGE = ChatMessage("user", 'large ,"~":{"rev":1}' + "x" * 20_000)
MARKED = ChatMessage("user", "marked", extra={"~": {"rev": 9, "at": 1, "n": 9}})
NESTED = ChatMessage("user", "nested", extra={"x": {"y": 1, "~": {"rev": 9, "at": 1, "n": 9}}})

Step = Callable[[JSONLBackend, list[ChatMessage]], Any]


def add(*messages: ChatMessage) -> Step:
    """Append them, one by one."""

    def step(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
        for message in messages:
            backend.append("s", message)
        expected.extend(messages)

    return step


def write(drop_last: int, *messages: ChatMessage, **attributes: Any) -> Step:
    """Drop some and append these, at once."""

    def step(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
        backend.write("s", drop_last=drop_last, append=messages, attributes=attributes)
        expected[len(expected) - drop_last :] = messages

    return step


def replace(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
    """Have the newest be another."""
    assert backend.update_last("s", BLOCKS)
    expected[-1] = BLOCKS


def remove(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
    """Remove the newest."""
    assert backend.remove_last("s")
    expected.pop()


def clear(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
    """Remove all."""
    assert backend.clear_messages("s") == len(expected)
    expected.clear()


def edit(backend: JSONLBackend, _: list[ChatMessage]) -> None:
    """Change what is no message, so that another snapshot is the latest."""
    backend.set_session_name("s", "another name")
    backend.set_session_state("s", "running", "t1")
    backend.set_session_context("s", SessionContext(attributes={"edited": True}))


def foreign(*messages: ChatMessage) -> Step:
    """Have another program write them, as plain lines, and a blank one."""

    def step(backend: JSONLBackend, expected: list[ChatMessage]) -> None:
        with (Path(backend._folder.path) / "s.jsonl").open("ab") as file:
            file.write(b"".join(encode_message(message) + b"\n" for message in messages) + b" \n")
        expected.extend(messages)

    return step


HISTORIES: dict[str, list[Step]] = {
    "appends": [add(TURN, BLOCKS, LARGE, TURN)],
    "batches": [add(TURN), write(0, TURN, BLOCKS, TURN), write(0, LARGE, MARKED), add(TURN)],
    "odd messages": [add(MARKED, NESTED, MARKED), write(1, NESTED), add(NESTED, LARGE, MARKED)],
    "one with attributes": [write(0, TURN, a=1), write(0, BLOCKS, b=[2]), add(TURN), write(0, c=3)],
    "removals": [add(TURN, BLOCKS, TURN), remove, remove, add(LARGE), remove, add(TURN)],
    "removals from a batch": [write(0, TURN, BLOCKS, LARGE), remove, remove, add(TURN), remove],
    "replacements": [add(TURN, TURN), replace, replace, add(LARGE), replace, add(TURN)],
    "replacements in a batch": [write(0, TURN, LARGE, TURN), replace, remove, replace, add(BLOCKS)],
    "several at once": [write(0, TURN, BLOCKS, TURN), write(2, LARGE, TURN), write(3), add(TURN), write(1, BLOCKS)],
    "clearing": [add(TURN, BLOCKS), clear, add(TURN), clear, write(0, TURN, BLOCKS), add(LARGE)],
    "foreign lines": [foreign(TURN, BLOCKS), add(TURN), foreign(LARGE), write(0, TURN, BLOCKS), foreign(TURN), edit],
    "foreign lines after records": [add(TURN, BLOCKS), remove, foreign(TURN), edit, foreign(LARGE, TURN), remove, edit],
    "foreign lines replaced": [add(TURN), foreign(TURN, LARGE), replace, foreign(TURN), remove, add(TURN), remove],
    "edits": [edit, add(TURN), edit, remove, edit, add(LARGE, TURN), edit],
    "edits far away": [edit, add(LARGE, LARGE, LARGE, TURN), remove, add(LARGE)],
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("reopened", [False, True], ids=["kept open", "opened anew"])
def test_a_file_in_order_is_never_read_whole(
    tmp_path: Path,
    history: str,
    reopened: bool,  # noqa: FBT001 -- a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After each change: counts, revision, attributes, name and the newest messages, told by the tail alone."""

    def whole(*_: object) -> Any:
        raise AssertionError("it was read whole")

    backend = JSONLBackend(tmp_path)
    backend.append("s", ChatMessage("user", "first"))
    expected = [ChatMessage("user", "first")]
    for module, name in ((view, "scan_file"), (log, "scan_file"), (reading, "scan")):
        monkeypatch.setattr(module, name, whole)
    revision = 0
    for step in HISTORIES[history]:
        step(backend, expected)
        if reopened:
            backend.close()
            backend = JSONLBackend(tmp_path)
        metadata = backend.get_session_metadata("s")
        assert metadata == backend.list_sessions_with_metadata()[0]
        assert metadata
        assert metadata.message_count == len(expected)
        assert metadata.turn_count == sum(message.is_turn for message in expected)
        assert metadata.tool_call_count == sum(message.tool_call_count for message in expected)
        assert metadata.revision is not None
        assert metadata.revision >= revision
        revision = metadata.revision
        for last in (1, 2, len(expected), len(expected) + 1):
            told = backend.load_with_timestamps("s", last=last)
            assert [stored.message for stored in told] == expected[-last:] if expected else not told
            times = [stored.created_at for stored in told if stored.created_at]
            assert times == sorted(times)
            assert all(metadata.created_at <= moment <= metadata.last_activity for moment in times)  # type: ignore[operator]
    monkeypatch.undo()
    assert backend.load("s") == JSONLBackend(tmp_path).load("s") == expected
    metadata = backend.get_session_metadata("s")
    assert metadata
    if history.startswith("edits"):
        assert (metadata.name, metadata.turn_id, metadata.attributes) == ("another name", "t1", {"edited": True})
    if history == "one with attributes":
        assert metadata.attributes == {"a": 1, "b": [2], "c": 3}
