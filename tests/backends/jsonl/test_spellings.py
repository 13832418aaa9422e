"""The same JSON, spelled otherwise by some tool: it means what it meant."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionkit import ChatMessage, SessionContext, ToolCall
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.lines import parse

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")
OURS = ChatMessage("user", "a key like ours", extra={"~": {"rev": 1, "at": 0, "n": 1}, "session": 5})
CALL = ChatMessage("assistant", None, tool_calls=(ToolCall("1", "find", "{}"),), extra={"x": {"~": {"rev": 1}}})


def reverse(value: Any) -> Any:
    """The same with the keys of all objects the other way round."""
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    return [reverse(each) for each in value] if isinstance(value, list) else value


SPELLINGS: dict[str, Callable[[Any], str]] = {
    "sorted": lambda data: json.dumps(data, sort_keys=True, separators=(",", ":")),
    "spaced": json.dumps,
    "sorted and spaced": lambda data: json.dumps(data, sort_keys=True),
    "reversed": lambda data: json.dumps(reverse(data), separators=(",", ":")),
    "reversed and spaced": lambda data: json.dumps(reverse(data), separators=(" , ", " : ")),
}

SESSIONS: dict[str, list[Callable[[JSONLBackend], object]]] = {
    "a message": [lambda backend: backend.append("s", HI)],
    "a message with a key like ours": [lambda backend: backend.append("s", OURS)],
    "a message with an object": [lambda backend: backend.append("s", CALL)],
    "several messages": [lambda backend: backend.write("s", append=[HI, OURS, CALL], attributes={"a": [1]})],
    "a removal": [lambda backend: backend.write("s", append=[HI, YO]), lambda backend: backend.remove_last("s")],
    "a replacement": [lambda backend: backend.append("s", HI), lambda backend: backend.update_last("s", YO)],
    "a name": [lambda backend: backend.append("s", HI), lambda backend: backend.set_session_name("s", "name")],
    "a name alone": [lambda backend: backend.set_session_name("s", "name")],
    "a state": [lambda backend: backend.set_session_state("s", "running", "t")],
    "a context": [lambda backend: backend.set_session_context("s", SessionContext("c", attributes={"role": "user"}))],
    "names and states between": [
        lambda backend: backend.append("s", HI),
        lambda backend: backend.set_session_name("s", "name"),
        lambda backend: backend.append("s", YO),
        lambda backend: backend.set_session_state("s", "running", "t"),
    ],
    "no message left": [lambda backend: backend.append("s", HI), lambda backend: backend.clear_messages("s")],
    "what compact wrote": [
        lambda backend: backend.append("s", HI),
        lambda backend: backend.update_last("s", YO),
        lambda backend: backend.compact("s"),
        lambda backend: backend.append("s", HI),
    ],
}


def create(session: str, backend: JSONLBackend) -> None:
    """Make that session, under the key "s"."""
    for step in SESSIONS[session]:
        step(backend)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("session", SESSIONS)
def test_a_store_reads_the_same_however_it_is_spelled(tmp_path: Path, session: str, spelling: str) -> None:
    """Whatever the lines, the order of their keys and the spaces between: messages, times, and all that is known."""
    file = tmp_path / "s.jsonl"
    with JSONLBackend(tmp_path) as backend:
        create(session, backend)
        expected = backend.load_with_timestamps("s"), backend.get_session_metadata("s")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(SPELLINGS[spelling](line) + "\n" for line in lines))
    with JSONLBackend(tmp_path) as backend:
        assert (backend.load_with_timestamps("s"), backend.get_session_metadata("s")) == expected
        assert backend.load_with_timestamps("s", last=1) == expected[0][-1:]
        backend.compact("s")
        assert (backend.load_with_timestamps("s"), backend.get_session_metadata("s")) == expected
        assert not (tmp_path / "s.jsonl.corrupt").exists()
        backend.append("s", YO)
        assert backend.load("s") == [*(stored.message for stored in expected[0]), YO]


def test_each_line_reads_the_same_however_it_is_spelled(tmp_path: Path) -> None:
    """Each by itself, without the help of those around it."""
    with JSONLBackend(tmp_path) as backend:
        for number, session in enumerate(SESSIONS):
            create(session, backend)
            (tmp_path / "s.jsonl").rename(tmp_path / f"{number}.jsonl")
    lines = {line for file in tmp_path.iterdir() for line in file.read_bytes().splitlines()}
    assert len(lines) > len(SESSIONS)
    for raw in lines:
        expected = parse(raw)
        assert expected is not None
        for spell in SPELLINGS.values():
            found = parse(spell(json.loads(raw)).encode())
            assert found is not None
            assert (found.mark, found.snapshot and found.snapshot.key) == (
                expected.mark,
                expected.snapshot and expected.snapshot.key,
            )
            assert list(map(json.loads, found.messages)) == list(map(json.loads, expected.messages))
