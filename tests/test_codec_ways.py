"""The several ways of a message to JSON and back: the fast ones are taken, and all of them say the same."""

import json
import sys
from collections import OrderedDict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    ToolCall,
    Usage,
    codec,
    decode_message,
    encode_message,
    tokenize,
)
from sessionkit.codec import decode_json, decode_text, encode_json
from tests.conversations import conversations
from tests.strategies import TEXT_FIELDS, message_objects

MOMENT = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
CALL = ToolCall("call_1", "search", '{"q": "x"}')

# What almost all messages are: texts and a time, and what tools are called with.
PLAIN = [
    ChatMessage("user", "Hello"),
    ChatMessage("user", "", timestamp=MOMENT),
    ChatMessage("assistant", "Hello", id="m1", timestamp=MOMENT),
    ChatMessage("assistant", tool_calls=[CALL], timestamp=MOMENT),
    ChatMessage("assistant", "I look.", tool_calls=[CALL, ToolCall("", "", "")]),
    ChatMessage("tool", "found", tool_call_id="call_1"),
    ChatMessage("tool", tool_call_id=""),
]
# And nearly all others.
TYPED = [
    ChatMessage("assistant", extra={"content": None}, tool_calls=[CALL]),
    ChatMessage("assistant", extra={"content": None}, usage=Usage(1)),
    ChatMessage("user", [{"type": "text", "text": "a"}], timestamp=MOMENT),
    ChatMessage("user", "a", name="Ann", reasoning="b", provider_response_id="r", status="s", model="m"),
    ChatMessage("user", "a", raw_content_blocks=[{"x": 1}], tool_metadata={"y": [None]}, id="i"),
    ChatMessage("a", "b", usage=Usage(1, 2, 3, 4, 5, 0.5), timestamp=MOMENT, tool_calls=[CALL], tool_call_id="t"),
    ChatMessage("a", None, usage=Usage(output_tokens=0, cost_usd=0)),
]


@pytest.fixture
def _no_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes a slow way fails."""

    def detour(*_: object) -> Any:
        raise AssertionError("a slow way was taken")

    monkeypatch.setattr(ChatMessage, "from_dict", detour)
    monkeypatch.setattr(codec, "_encode_by_dict", detour)


@pytest.mark.usefixtures("_no_detour")
@pytest.mark.parametrize("message", [*PLAIN, *TYPED])
def test_almost_every_message_takes_a_fast_way(message: ChatMessage) -> None:
    """There and back; the object is that of `to_dict` all the same."""
    raw = encode_message(message)
    assert json.loads(raw) == message.to_dict()
    assert len(raw) == len(msgspec.json.encode(message.to_dict()))
    assert decode_message(raw) == message == decode_message(raw.decode())


@pytest.mark.parametrize("message", PLAIN)
def test_what_is_texts_and_a_time_is_not_looked_at_again(message: ChatMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON holds it exactly: it is encoded, and that is all."""

    def look(*_: object) -> Any:
        raise AssertionError("it was looked at again")

    monkeypatch.setattr(codec, "_encode_weighed", look)
    monkeypatch.setattr(codec, "decode_wire", look)
    assert json.loads(encode_message(message)) == message.to_dict()


class Word(StrEnum):
    """What many programs write for a role or a text."""

    HELLO = "hello"


class Blocks(list[Any]):
    """What a library may hand over."""


@pytest.mark.parametrize("content", [Word.HELLO, Blocks([{"type": "text"}]), [{"x": Blocks([OrderedDict(a=1)])}]])
def test_a_content_of_a_class_of_its_own_comes_back_equal(content: Any) -> None:
    """JSON holds it, and what comes back equals it: that it is no `str` or `list` itself is no fault."""
    others: list[dict[str, Any]] = [{}, {"model": "m"}, {"extra": {"x": 1}}]
    for other in others:
        message = ChatMessage("user", content, **other)
        assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("levels", [*range(12), 150, 195])
@pytest.mark.parametrize("leaf", [0, -(2**63), 2**64, 1.0, 1e300, True, None, "a", {}, []])
def test_it_makes_no_difference_how_deep_a_value_stands(levels: int, leaf: Any) -> None:
    """What is decoded by types of a few levels is decoded as anything else is, to the type of each number."""
    value = leaf
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    block = {"x": value}
    for fields in ({"content": [block]}, {"raw_content_blocks": [block]}, {"tool_metadata": block}):
        raw = json.dumps({"role": "user", **fields}).encode()
        made = decode_message(raw)
        assert repr(made) == repr(ChatMessage.from_dict(json.loads(raw)))
        assert decode_text(raw) == decode_text(raw.decode()) == made.text


@pytest.mark.parametrize("content", ["", "a", [], [{"type": "text"}]])
@pytest.mark.parametrize("other", [{}, {"usage": Usage(1)}, {"tool_calls": [CALL]}])
def test_a_null_content_is_none_beside_another(content: Any, other: dict[str, Any]) -> None:
    """No way takes an `extra` that says the content is null where there is one, and drops it."""
    with pytest.raises(InvalidMessageError, match=r"extra\['content'\]"):
        encode_message(ChatMessage("user", content, extra={"content": None}, **other))


@pytest.mark.parametrize("field", [*TEXT_FIELDS, "role", "content"])
@pytest.mark.parametrize("value", [5, True, 0.5, b"x", {"x": 1}, UNSET, datetime.now(UTC)])
def test_a_field_that_is_text_is_nothing_else(field: str, value: Any) -> None:
    """Though JSON could hold it: it would come back as something else, or in another field."""
    fields: dict[str, Any] = {"role": "user", "content": "a", field: value}
    with pytest.raises(InvalidMessageError, match=f"^{field} "):
        encode_message(ChatMessage(**fields))


@pytest.mark.usefixtures("_no_detour")
def test_the_real_conversations_take_the_fast_way_back() -> None:
    """What agents really wrote is decoded without being looked at key by key."""
    real = [data for conversation in conversations().values() for data in conversation]
    if not real:
        pytest.skip("the real conversations are not here")
    for data in real[:500]:
        assert decode_message(json.dumps(data)).role == data["role"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        *((message, None) for message in (*PLAIN, *TYPED)),
        (ChatMessage("user"), ""),
        (ChatMessage("user", ""), ""),
        (ChatMessage("user", "Hello"), "Hello"),
        (ChatMessage("a", "Hello", tool_calls=[CALL]), 'Hello\nsearch\n{"q": "x"}'),
        (ChatMessage("a", [{"type": "text", "text": "b"}], tool_calls=[CALL]), 'b\nsearch\n{"q": "x"}'),
    ],
)
@pytest.mark.usefixtures("_no_detour")
def test_the_text_is_told_without_the_message(message: ChatMessage, text: str | None) -> None:
    """`decode_text` gives the terms of the message's text; the text itself, where nothing is to be left out."""
    found = decode_text(encode_message(message))
    assert tokenize(found) == tokenize(message.text)
    assert text is None or found == text == message.text


@given(message_objects)
def test_the_text_of_any_message_has_its_terms(data: dict[str, Any]) -> None:
    """Also where the fast way can't tell what the object is."""
    raw = json.dumps(data)
    assert tokenize(decode_text(raw)) == tokenize(ChatMessage.from_dict(data).text)


@pytest.mark.parametrize("raw", ["", "{}", '{"role": 1}', b"\xff", '{"role": "u", "x": NaN}'])
def test_what_is_no_message_has_no_text(raw: str | bytes) -> None:
    """It is the same error as that of decoding it."""
    with pytest.raises(InvalidMessageError):
        decode_text(raw)


@pytest.mark.parametrize("levels", [201, 1_000, 100_000])
@pytest.mark.parametrize("padding", ["", " " * 1_000])
def test_what_is_nested_too_deep_is_not_decoded(levels: int, padding: str) -> None:
    """Whether as a value, as a message or for its text, and whether bytes or text; 200 levels are."""

    def deep(count: int) -> str:
        return padding + "[" * count + "]" * count

    for raw in (deep(levels), deep(levels).encode()):
        with pytest.raises(InvalidMessageError, match="nested deeper than 200 levels"):
            decode_json(raw)
    message = '{"role": "u", "tool_metadata": {"x": %s}}'
    for decode in (decode_message, decode_text):
        with pytest.raises(InvalidMessageError, match="nested deeper than 200 levels"):
            decode(message % deep(levels))
        decode(message % deep(198))
    assert decode_json(deep(200)) == json.loads(deep(200))


@pytest.mark.parametrize("value", ["x" * 50, ["x" * 10] * 5, {"key": [1, None, True, 0.5]}, "ä" * 20, []])
def test_a_value_has_at_most_so_many_bytes(value: Any) -> None:
    """Just as many pass, one more does not; the error names the value and the limit."""
    raw = encode_json(value, "it")
    assert encode_json(value, "it", max_bytes=len(raw)) == raw
    with pytest.raises(InvalidMessageError, match=f"^it .*{len(raw)} bytes.* is {len(raw) - 1}:"):
        encode_json(value, "it", max_bytes=len(raw) - 1)


def test_a_message_has_64_megabytes_where_nobody_says_otherwise() -> None:
    """To the byte."""
    message = ChatMessage("user", "x" * (64 * 1024 * 1024 - len(b'{"role":"user","content":""}')))
    assert len(encode_message(message)) == 67_108_864
    with pytest.raises(InvalidMessageError, match="67108864"):
        encode_message(ChatMessage("user", f"{message.content}x"))


def test_what_is_surely_too_large_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that holds one text many times takes kilobytes itself, and gigabytes as JSON."""
    value: Any = ["x" * 10_000] * 10_000

    def encode(_: object) -> bytes:
        raise AssertionError("it was built")

    monkeypatch.setattr(codec, "_encode", encode)
    with pytest.raises(InvalidMessageError, match="at least"):
        encode_json(value, "it", max_bytes=1_000_000)
    calls = [ToolCall("i", "n", "x" * 10_000)] * 1_000
    for message in (
        ChatMessage("user", [{"type": "text", "text": value}]),
        ChatMessage("user", tool_calls=calls),
        ChatMessage("user", tool_calls=calls, model="m"),
        ChatMessage("user", "x" * 1_000_001),
        ChatMessage("user", extra={"x": value}),
        ChatMessage("user", raw_content_blocks=[{"x": value}]),
        ChatMessage("user", tool_metadata={"x": value}),
    ):
        with pytest.raises(InvalidMessageError, match="at least"):
            encode_message(message, max_bytes=1_000_000)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("other", [{}, {"extra": {"x": 1}}, {"timestamp": MOMENT}])
def test_the_counts_of_a_usage_are_integers_like_others(sign: int, other: dict[str, Any]) -> None:
    """Of up to 4,300 digits, whichever way the message takes, and where the interpreter would write more as well."""
    longest = ChatMessage("a", "b", usage=Usage(sign * (10**4300 - 1)), **other)
    assert decode_message(encode_message(longest)) == longest
    own_limit = sys.get_int_max_str_digits()
    for limit in (own_limit, 100_000):
        sys.set_int_max_str_digits(limit)
        try:
            with pytest.raises(InvalidMessageError, match=r"usage.*4300 digits"):
                encode_message(ChatMessage("a", "b", usage=Usage(output_tokens=sign * 10**4300), **other))
        finally:
            sys.set_int_max_str_digits(own_limit)


@pytest.mark.parametrize("number", [0.0, 1.5, -2.5e10, 1e308, 5e-324])
def test_a_float_beside_the_longest_integer_comes_back(number: float) -> None:
    """Though such a value goes by the standard library: as bytes and as text."""
    value = [-(10**4300 - 1), number]
    raw = encode_json(value, "it")
    assert decode_json(raw) == decode_json(raw.decode()) == value
    assert decode_message(b'{"role":"u","x":%b}' % raw).extra == {"x": value}


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"\\ud800"'])
def test_what_is_no_json_is_none_beside_the_longest_integer(constant: str) -> None:
    """The standard library would take it; we refuse it as ever."""
    with pytest.raises(InvalidMessageError, match=r"no valid JSON|JSON has no"):
        decode_json(f"[-{'9' * 4300}, {constant}]")
