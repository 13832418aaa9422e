"""The file of ``sessionkit import``: stored as it says or refused as a whole, and what is said can be shown."""

import io
import json
import unicodedata
from contextlib import ExitStack
from typing import Any

import click
from rich.console import Console

from sessionkit import ChatMessage
from sessionkit.cli.importing import Existing, import_file
from sessionkit_memory import MemoryBackend
from tests.fuzz import oracle
from tests.fuzz.grammar import json_text, message_text
from tests.fuzz.places import folder
from tests.fuzz.source import Source
from tests.fuzz.target import Outcomes, Target, check, outcome

_EXISTING: tuple[Existing, ...] = ("refuse", "skip", "append")
_KEPT = ChatMessage("user", "kept")


def run(data: bytes) -> Outcomes:
    """A file as it comes, or lines of a grammar, imported beside a session that exists."""
    source = Source(data)
    existing = source.pick(_EXISTING)
    raw = source.rest() if source.below(2) == 0 else b"\n".join(_line(source) for _ in range(1 + source.below(4)))
    expected = _expected(raw, existing)
    with ExitStack() as stack:
        backend = stack.enter_context(MemoryBackend())
        path = stack.enter_context(folder()) / "file.jsonl"
        path.write_bytes(raw)
        backend.append("kept", _KEPT)
        try:
            import_file(Console(file=io.StringIO()), backend, str(path), existing)
        except click.ClickException as error:
            check(expected is None, f"a good file is refused: {error.message}")
            check(_is_harmless(error.message), "what is said would move a terminal")
            check(
                backend.list_sessions() == ["kept"] and backend.load("kept") == [_KEPT],
                "a refused file changed the store",
            )
            return outcome("refused")
        check(expected is not None, "a bad file is taken")
        found = {key: [message.to_dict() for message in backend.load(key)] for key in backend.list_sessions()}
        check(oracle.same(found, expected), "other messages are stored than the file has")
        return outcome("accepted: nothing" if len(found) == 1 and len(found["kept"]) == 1 else "accepted")


def _expected(raw: bytes, existing: Existing) -> dict[str, list[Any]] | None:
    """What the store must have afterwards; None where the file must be refused."""
    stored: dict[str, list[Any]] = {"kept": [_KEPT.to_dict()]}
    seen: set[str] = set()
    for line in raw.split(b"\n"):
        if not line.strip():
            continue
        try:
            value = oracle.read_json(line)
        except oracle.RefusedError:
            return None
        if not _is_conversation(value):
            return None
        key, messages = value["session_key"], value["messages"]
        if existing != "append" and (key in seen or (existing == "refuse" and key == "kept")):
            return None
        if messages and not (existing == "skip" and key == "kept"):
            stored.setdefault(key, []).extend(messages)
        seen.add(key)
    return stored


def _is_conversation(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"session_key", "messages"}:
        return False
    key, messages = value["session_key"], value["messages"]
    if not isinstance(key, str) or not 1 <= len(key.encode()) <= 1024 or "\0" in key or not isinstance(messages, list):
        return False
    return all(
        isinstance(each, dict) and isinstance(each.get("role"), str) and oracle.is_storable(each) for each in messages
    )


def _is_harmless(text: str) -> bool:
    """Whether no character of it controls, reorders or breaks a line; joiners of letters and emoji may."""
    return all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text if c not in "\u200c\u200d")


def _line(source: Source) -> bytes:
    if source.chance(8):
        return json_text(source).encode()
    key = json.dumps(source.pick(("a", "b", "kept", "c", "\u00e4", "A")) if not source.chance(4) else source.text())
    messages = ",".join(message_text(source) for _ in range(source.below(3)))
    more = ',"x":1' if source.chance(9) else ""
    return f'{{"session_key":{key},"messages":[{messages}]{more}}}'.encode()


def seeds() -> list[bytes]:
    """Files as they should be."""
    line = b'{"session_key":"a","messages":[{"role":"user","content":"one"},{"role":"assistant","content":null}]}\n'
    other = b'{"messages": [], "session_key": "b"}\n'
    third = b'{"session_key":"kept","messages":[{"role":"tool","x":1.5}]}'
    files = [line, other, third, line + other, line + b"\n" + third, line + line, b"", b"\r\n"]
    made = [bytes([way, 1, *range(at, at + 60)]) for way in range(3) for at in (0, 77, 150)]
    return [*(bytes([way, 0]) + raw for way in range(3) for raw in files), *made]


WORDS = [
    b'"session_key":',
    b'"messages":',
    b'"role":"user"',
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"\n",
    b"\r",
    b'"kept"',
    b"\x1b]0;",
]

TARGET = Target("import", "a file is stored as it says, or refused as a whole", run, seeds, WORDS, 1_000)
