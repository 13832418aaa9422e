"""Nesting never ends the process: whoever wrote the JSON, on a small stack, under a high limit of recursion."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionkit import ChatMessage, InvalidMessageError, open_backend
from sessionkit.codec import decode_json, decode_message
from sessionkit.weighing import is_too_deep
from tests.safety import children

DEPTHS = "(199, 201, 400, 990, 1000, 5000, 100_000)"

ENVIRONMENTS = {
    "small stack": {"stack": 160},  # musl gives a thread 128 KiB, and Python itself takes some
    "high limit": {"recursion": 10**6},
    "small stack, high limit": {"stack": 160, "recursion": 10**6},
}

DECODE = f"""
wraps = (
    '{{"role":"user","x":%s}}',
    '{{"role":"user","content":[{{"a":%s}}]}}',
    '{{"role":"user","tool_metadata":{{"a":%s}}}}',
)
for depth in {DEPTHS}:
    for open, close in ("[]", ('{{"a":', "}}")):
        whole = open * depth + "1" + close * depth
        for text in (whole, whole[: len(open) * depth], *(wrap % whole for wrap in wraps)):
            for decode in (decode_json, decode_message, decode_text):
                for raw in (text, text.encode()):
                    said = refused(decode, raw)
                    assert depth < 200 or said.startswith("InvalidMessageError"), (depth, said, text[:50])
print("alive")
"""

ENCODE = f"""
def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value

itself = []
itself.append(itself)
within = {{}}
within["a"] = [1, within]
keep = []
with open_backend("memory://") as backend:
    for value in (itself, within, [itself] * 3, *map(nested, {DEPTHS}[1:])):
        keep.append(value)
        for message in (
            ChatMessage("user", [{{"x": value}}]),
            ChatMessage("user", tool_metadata={{"x": value}}),
            ChatMessage("user", raw_content_blocks=[{{"x": value}}]),
            ChatMessage("user", extra={{"x": value}}),
            ChatMessage("assistant", tool_calls=[ToolCall("i", "n", "a", {{"x": value}})]),
        ):
            assert "nested deeper than 200" in refused(backend.append, "s", message)
        for call in (
            lambda: backend.set_session_context("s", SessionContext(attributes={{"x": value}})),
            lambda: backend.write("s", append=[], attributes={{"x": value}}),
            lambda: encode_json(value, "it"),
        ):
            assert "nested deeper than 200" in refused(call)
    assert backend.list_sessions() == []
print("alive")
import os; sys.stdout.flush(); os._exit(0)  # what is nested so deep is freed by Python itself, which we don't prove
"""


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("code", [DECODE, ENCODE], ids=["decode", "encode"])
def test_no_nesting_ends_the_process(code: str, environment: str) -> None:
    """At each depth around the limits of msgspec, of the standard library and our own, whole or cut off."""
    if code is ENCODE and "high limit" not in environment:
        code = code.replace("5000, 100_000", "900")  # to build and free deeper ones takes a stack
    assert "alive" in children.run(code, **ENVIRONMENTS[environment])


FOREIGN = """
url = sys.argv[1]
for key in sys.argv[2:]:
    with open_backend(url) as backend:
        for call in (backend.load, backend.get_session_metadata, backend.compact, backend.load):
            refused(call, key)
        refused(backend.append, key, ChatMessage("user", "after"))
        refused(backend.remove_last, key)
        refused(backend.list_sessions_with_metadata)
        refused(backend.search, SessionQuery("after"))
        refused(backend.delete_session, key)
print("alive")
"""


def test_a_file_of_somebody_elses_never_ends_the_process(tmp_path: Path) -> None:
    """With deep messages, records, headers, marks and attributes, whole or cut off; the other sessions go on."""
    deep = "[" * 100_000
    whole = deep + "]" * 100_000
    lines = {
        "message": '{"role":"user","content":[{"a":%s}]}',
        "spaced": '{ "role": "user", "x": %s}',
        "bare": "%s",
        "record": '{"~":{"rev":2,"at":1,"n":1},"messages":[{"role":"user","x":%s}]}',
        "mark": '{"role":"user","content":"a","~":{"rev":%s}}',
        "header": '{"sessionkit":1,"session":{"key":"header","created_at":1,"attributes":%s}}',
        "other": '{"sessionkit":%s}',
    }
    (tmp_path / "store").mkdir()
    for name, line in lines.items():
        good = '{"role":"user","content":"good"}\n'
        for ending, text in (("", line % whole), (".cut", line.split("%")[0] + deep)):
            (tmp_path / "store" / f"{name}{ending}.jsonl").write_text(f"{good}{text}\n{text}")
    keys = [f"{name}{ending}" for name in lines for ending in ("", ".cut")]
    assert "alive" in children.run(FOREIGN, f"jsonl:///{tmp_path}/store", *keys, stack=160, recursion=10**6)


def test_a_damaged_database_never_ends_the_process(tmp_path: Path) -> None:
    """In the columns of messages and of attributes."""
    url = f"sqlite:///{tmp_path}/store"
    keys = ["message", "attributes"]
    with open_backend(url) as backend:
        for key in keys:
            backend.append(key, ChatMessage("user", "good"))
            backend.compact(key)
    deep = '{"role":"user","content":[{"a":' + "[" * 100_000
    connection = sqlite3.connect(tmp_path / "store")
    connection.execute("UPDATE messages SET message = ? WHERE id = (SELECT min(id) FROM messages)", (deep,))
    connection.execute("UPDATE sessions SET attributes = ? WHERE key = 'attributes'", (deep,))
    connection.commit()
    connection.close()
    assert "alive" in children.run(FOREIGN, url, *keys, stack=160, recursion=10**6)


def test_an_import_and_an_option_never_end_the_process(tmp_path: Path) -> None:
    """The command says at which line; a URL's option is a text, whatever it holds."""
    deep = "[" * 50_000
    (tmp_path / "file.jsonl").write_text('{"session_key":"k","messages":' + deep + "]" * 50_000 + "}\n")
    code = f"""
from click.testing import CliRunner
from sessionkit.cli.commands import cli
result = CliRunner().invoke(cli, ["import", sys.argv[1], "--url", "memory://"])
assert result.exit_code == 1 and "line 1" in result.output and "nested deeper" in result.output, result.output
assert refused(open_backend, "memory://?max_message_bytes=" + "{deep}").startswith("BackendURLError")
print("alive")
"""
    assert "alive" in children.run(code, str(tmp_path / "file.jsonl"), recursion=10**6)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from('[]{}"\\a,:é\n')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('[{"\\')), inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    """By looking."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(json_values, st.booleans())
@settings(max_examples=80, deadline=None)
def test_the_depth_is_that_of_the_value(value: object, is_ascii: bool) -> None:  # noqa: FBT001 -- drawn
    """Brackets in texts and keys don't count, however they are escaped; bytes and text alike."""
    import json  # noqa: PLC0415 -- by other code than what is tested

    text = json.dumps(value, ensure_ascii=is_ascii)
    for raw in (text, text.encode()):
        for most in range(1, 8):
            assert is_too_deep(raw, most) is (depth_of(value) > most)


@pytest.mark.parametrize("depth", [198, 199, 200, 201])
def test_two_hundred_levels_are_stored(depth: int) -> None:
    """And what was stored is decoded; one more is refused on both ways."""
    the_limit_is_two_hundred(depth)


def the_limit_is_two_hundred(depth: int) -> None:
    """A message of so many levels is stored and decoded, or refused on both ways."""
    value: list[object] = []
    for _ in range(depth - 2):
        value = [value]
    message = ChatMessage("user", extra={"x": value})
    raw = '{"role":"user","x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    with open_backend("memory://") as backend:
        if depth > 200:
            for refuse in (lambda: backend.append("s", message), lambda: decode_message(raw), lambda: decode_json(raw)):
                with pytest.raises(InvalidMessageError, match="nested deeper than 200"):
                    refuse()
        else:
            backend.append("s", message)
            assert backend.load("s") == [message] == [decode_message(raw)]
