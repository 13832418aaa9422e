"""Messages to JSON bytes and back."""

import copy
import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    SessionMetadata,
    TimestampedMessage,
    ToolCall,
    Usage,
    decode_message,
    encode_message,
)
from sessionkit.codec import converter, decode_json, encode_json
from tests.conversations import conversations
from tests.strategies import leaves, message_objects, messages, objects, sometimes, strict, texts, values


def nested(levels: int) -> list[Any]:
    """So many lists in each other."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


# Each can't be written as JSON, or would be read as something else.
poisons = st.sampled_from(
    [
        *(float("nan"), float("inf"), float("-inf")),
        *(b"bytes", bytearray(b"x"), memoryview(b"x")),
        *((), (1, 2), {1}, frozenset(), {1: "a"}, {None: 1}, {"\ud800": 1}, "lone \udfff", nested(201), 10**4300),
        *(datetime.now(UTC), timedelta(1), object(), int, ChatMessage("user"), Usage(), 1j),
    ],
)
misfits = leaves | poisons | st.lists(poisons, max_size=2) | st.dictionaries(texts, poisons, max_size=2) | values
# Whatever a careless program might put into the fields.
careless_fields = st.fixed_dictionaries(
    {"role": sometimes(texts, misfits)},
    optional={
        **{name: misfits for name in attrs.fields_dict(ChatMessage) if name not in {"role", "tool_calls"}},
        "tool_calls": st.lists(st.builds(ToolCall, *[texts | misfits] * 3, objects | misfits) | misfits, max_size=2),
        "usage": st.builds(Usage, misfits, cost_usd=misfits) | misfits,
        "extra": st.dictionaries(texts | st.sampled_from(["name", "content", "usage"]), misfits, max_size=2),
    },
)


@attrs.frozen
class Imitation:
    """Has what a `ToolCall` and a `Usage` have, and is none."""

    id: str = "i"
    name: str = "n"
    arguments: str = "a"
    extra: dict[str, Any] = attrs.Factory(dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


falsy: st.SearchStrategy[Any] = st.sampled_from([None, False, 0, 0.0, "", [], (), b"", {}])
spoiled_calls = st.one_of(
    st.builds(ToolCall, texts, texts, texts, falsy | misfits),
    st.builds(ToolCall, misfits, texts, misfits),
    st.builds(Imitation),
)
spoiled_fields: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(attrs.fields_dict(ChatMessage), falsy | misfits),
    "tool_calls": st.lists(spoiled_calls, min_size=1, max_size=2),
    "usage": falsy | st.builds(Usage, falsy | misfits) | st.builds(Usage, cost_usd=misfits) | st.builds(Imitation),
}


@st.composite
def spoiled_messages(draw: st.DrawFn) -> ChatMessage:
    """A message as it should be, but for one field."""
    name = draw(st.sampled_from(sorted(spoiled_fields)))
    return attrs.evolve(draw(messages), **{name: draw(spoiled_fields[name])})


def build(fields: dict[str, Any]) -> ChatMessage:
    """The message with those fields."""
    return ChatMessage(**fields)


def depth(value: Any) -> int:
    """How many objects and lists stand inside each other."""
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def would_come_back(message: ChatMessage) -> bool:
    """The same question answered by the standard library."""
    try:
        data = message.to_dict()
        text = json.dumps(data, allow_nan=False, ensure_ascii=False)
        text.encode()
        return ChatMessage.from_dict(json.loads(text)) == message and depth(data) <= 200
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False


@given(message_objects.map(ChatMessage.from_dict) | messages)
def test_a_message_comes_back_equal(message: ChatMessage) -> None:
    """`decode_message(encode_message(m)) == m`, in its JSON types too; the bytes are those of `to_dict`."""
    raw = encode_message(message)
    assert decode_message(raw) == message == decode_message(raw.decode())
    assert strict(json.loads(raw)) == strict(message.to_dict()) == strict(decode_message(raw).to_dict())
    assert b"\n" not in raw


@given(message_objects, st.booleans())
def test_decoding_is_reading_the_object(data: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001 -- drawn
    """`decode_message` of any JSON text gives what `from_dict` of the parsed text does, in its JSON types too."""
    raw = json.dumps(data, ensure_ascii=ascii_only)
    expected = ChatMessage.from_dict(json.loads(raw))
    for given_raw in (raw, raw.encode(), json.dumps(data, indent=2)):
        decoded = decode_message(given_raw)
        assert decoded == expected
        assert strict(decoded.to_dict()) == strict(data)


@given(careless_fields.map(build) | spoiled_messages())
def test_what_can_not_come_back_is_refused_and_nothing_else_is(message: ChatMessage) -> None:
    """Encoding either gives bytes that come back equal, or is our error with words of its own."""
    if would_come_back(message):
        assert decode_message(encode_message(message)) == message
        return
    with pytest.raises(InvalidMessageError) as caught:
        encode_message(message)
    assert 10 < len(str(caught.value)) < 300
    assert str(caught.value).encode()


def test_every_message_of_the_real_conversations_comes_back() -> None:
    """What agents really wrote is decoded as it was encoded."""
    real = [data for conversation in conversations().values() for data in conversation]
    if not real:
        pytest.skip("the real conversations are not here")
    for data in real:
        message = ChatMessage.from_dict(data)
        assert decode_message(encode_message(message)) == message == decode_message(json.dumps(data))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ChatMessage(5), "role must be text, not an int"),  # type: ignore[arg-type]
        (ChatMessage("user", 5), "content must be text, a list of dicts or None, not an int"),  # type: ignore[arg-type]
        (ChatMessage("user", ["x"]), "content must be text, a list of dicts or None, not a list of something else"),  # type: ignore[list-item]
        (ChatMessage("user", ({},)), "content must be text, a list of dicts or None, not a tuple"),  # type: ignore[arg-type]
        (ChatMessage("user", name=b"x"), "name must be text or None, not a bytes"),  # type: ignore[arg-type]
        (ChatMessage("user", tool_metadata=[]), "tool_metadata must be a dict or None, not a list"),  # type: ignore[arg-type]
        (ChatMessage("user", raw_content_blocks=5), "raw_content_blocks must be a list of dicts or None, not an int"),  # type: ignore[arg-type]
        (ChatMessage("user", usage={"input_tokens": 1}), "usage must be a Usage or None, not a dict"),  # type: ignore[arg-type]
        (ChatMessage("user", usage=Usage("1")), "usage.input_tokens must be int or None, not a str"),  # type: ignore[arg-type]
        (ChatMessage("user", usage=Usage(cost_usd=True)), "usage.cost_usd must be int or float or None, not a bool"),
        (ChatMessage("user", usage=Usage(cost_usd=float("inf"))), "usage.cost_usd is inf, which JSON does not have"),
        (ChatMessage("user", tool_calls=[{}]), r"tool_calls\[0\] must be a ToolCall, not a dict"),  # type: ignore[list-item]
        (ChatMessage("a", tool_calls=[ToolCall("i", "n", {})]), r"tool_calls\[0\].arguments must be text, not a dict"),  # type: ignore[arg-type]
        (ChatMessage("a", tool_calls=[ToolCall("i", "n", "", 5)]), r"tool_calls\[0\].extra must be a dict, not an int"),  # type: ignore[arg-type]
        (ChatMessage("a", tool_calls=[ToolCall("i", "n", "", {"function": {}})]), r"extra\['function'\] is empty"),
        (ChatMessage("user", extra=5), "extra must be a dict, not an int"),  # type: ignore[arg-type]
        (ChatMessage("user", extra=None), "extra must be a dict, not a NoneType"),  # type: ignore[arg-type]
        (ChatMessage("user", usage=Imitation()), "usage must be a Usage or None, not an Imitation"),  # type: ignore[arg-type]
        (ChatMessage("a", tool_calls=[Imitation()]), r"tool_calls\[0\] must be a ToolCall, not an Imitation"),  # type: ignore[list-item]
        (ChatMessage("a", tool_calls=[ToolCall("i", "n", "", None)]), r"\.extra must be a dict, not a NoneType"),  # type: ignore[arg-type]
        (ChatMessage("user", extra={"name": "n"}), r"extra\['name'\] is what the field 'name' is for"),
        (ChatMessage("user", extra={"x": [{"y": (1,)}]}), r"extra\['x'\]\[0\]\['y'\] is a tuple"),
        (ChatMessage("user", extra={"x": float("nan")}), r"extra\['x'\] is nan, which JSON does not have"),
        (ChatMessage("user", extra={1: 2}), "extra has a key that is no text but an int"),  # type: ignore[dict-item]
        (ChatMessage("user", extra={"a": b"x"}), r"extra\['a'\] is a bytes, which JSON does not have"),
        (ChatMessage("user", "a\ud800"), "content holds a lone surrogate at position 1"),
        (ChatMessage("user", extra={"\udfff": 1}), "extra has a key that holds a lone surrogate"),
        (ChatMessage("user", extra={"x": 10**4300}), r"extra\['x'\] is an integer of more than 4300 digits"),
    ],
)
def test_the_error_says_what_is_wrong_and_where(message: ChatMessage, error: str) -> None:
    """Which field, which place within it, and what is wrong there."""
    with pytest.raises(InvalidMessageError, match=error):
        encode_message(message)


@pytest.mark.parametrize("message", [None, {"role": "user"}, "text", ChatMessage])
def test_only_a_chat_message_is_a_message(message: Any) -> None:
    """The error says how to make one."""
    with pytest.raises(InvalidMessageError, match=r"a message is a ChatMessage, not .*from_dict"):
        encode_message(message)


def test_a_subclass_is_refused() -> None:
    """It would come back as a `ChatMessage`, without what it adds."""

    @attrs.frozen
    class Mine(ChatMessage):
        mood: str = "calm"

    with pytest.raises(InvalidMessageError, match="not Mine"):
        encode_message(Mine("user", "Hello"))


@pytest.mark.parametrize(
    "field",
    ["content", "extra", "tool_metadata", "raw_content_blocks", "outer call", "inner call"],
)
def test_two_hundred_levels_are_the_limit(field: str) -> None:
    """The message being the first of them, whichever field is deep."""

    def message(levels: int) -> ChatMessage:
        match field:
            case "extra":
                return ChatMessage("user", extra={"x": nested(levels - 1)})
            case "tool_metadata":
                return ChatMessage("user", tool_metadata={"x": nested(levels - 2)})
            case "outer call":
                return ChatMessage("user", tool_calls=[ToolCall("i", "n", "a", {"x": nested(levels - 3)})])
            case "inner call":
                return ChatMessage(
                    "user", tool_calls=[ToolCall("i", "n", "a", {"function": {"x": nested(levels - 4)}})]
                )
            case _:
                blocks: dict[str, Any] = {field: [{"x": nested(levels - 3)}]}
                return ChatMessage("user", **blocks)

    raw = encode_message(message(200))
    assert decode_message(raw) == message(200)
    for levels in (201, 10_000):
        with pytest.raises(InvalidMessageError, match="is nested deeper than 200 levels") as caught:
            encode_message(message(levels))
        assert len(str(caught.value)) < 200


def test_the_place_of_a_fault_is_short_however_long_the_keys() -> None:
    """Ten thousand levels under long keys cost no more words than one."""
    value: dict[str, Any] = {}
    for _ in range(10_000):
        value = {"key" * 1000: value}
    with pytest.raises(InvalidMessageError, match="nested deeper") as caught:
        encode_message(ChatMessage("user", extra=value))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_have_up_to_4300_digits(sign: int) -> None:
    """All the interpreter would write by default, and no more."""
    longest = ChatMessage("user", extra={"x": sign * (10**4300 - 1)})
    assert decode_message(encode_message(longest)) == longest
    with pytest.raises(InvalidMessageError, match="more than 4300 digits"):
        encode_message(ChatMessage("user", extra={"x": sign * 10**4300}))


def test_max_bytes_is_the_limit_of_a_message() -> None:
    """A message of just as many bytes passes, one more does not; the error names the option."""
    message = ChatMessage("user", "ä" * 100)
    size = len(encode_message(message))
    encode_message(message, max_bytes=size)
    with pytest.raises(InvalidMessageError, match=f"takes {size} bytes; max_message_bytes is {size - 1}"):
        encode_message(message, max_bytes=size - 1)


def test_what_was_decoded_is_as_frozen_as_what_was_built() -> None:
    """A decoded message is put together by other means, and is a `ChatMessage` like any other all the same."""
    decoded = decode_message(encode_message(ChatMessage.user("a")))
    assert type(decoded) is ChatMessage
    for change in (partial(setattr, decoded, "role", "b"), partial(delattr, decoded, "role")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change()
    assert attrs.evolve(decoded, role="b").role == "b"
    for copied in (copy.copy(decoded), copy.deepcopy(decoded), pickle.loads(pickle.dumps(decoded))):  # noqa: S301 -- ours
        assert copied == decoded


def test_any_text_comes_back() -> None:
    """NUL, controls, line separators, emoji, right-to-left, unassigned: all text but lone surrogates."""
    text = "".join(map(chr, [*range(0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF])) + 'é"\\é'
    message = ChatMessage(text, text, text, extra={text: text})
    assert decode_message(encode_message(message)) == message


def test_a_local_time_in_a_repeated_hour_is_accepted() -> None:
    """It names a moment, though Python holds it unequal to the same moment in UTC; typed fields don't change that."""
    berlin = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    for message in (ChatMessage("user", timestamp=berlin), ChatMessage("user", timestamp=berlin, usage=Usage(1))):
        decoded = decode_message(encode_message(message))
        assert decoded == attrs.evolve(message, timestamp=datetime(2024, 10, 27, 0, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "raw",
    [
        *("", " ", "{", "null", "[]", '"role"', "{}", '{"role": null}', '{"role": 1}', '{"role": "u"} x', "\ufeff{}"),
        *('{"role": "u", "x": NaN}', '{"role": "u", "x": -Infinity}', '{"role": "u", "x": 1e999}'),
        *('{"role": "\\ud800"}', '{"role": "u", "x": "\\udfff"}', '{"role": "\ud800"}', '{"role": "u", "x": 01}'),
        *(b"\xff", b'{"role": "\xff"}', '{"role": "u"}'.encode("utf-16"), '{"role": "u"}'.encode("utf-8-sig")),
        '{"role": "u", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"role": "u", "x": ' + "[" * 200 + "]" * 200 + "}",
        '{"role": "u", "x": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_message_is_not_decoded(raw: str | bytes) -> None:
    """Whatever stands in a store, reading it is our error and no other."""
    with pytest.raises(InvalidMessageError):
        decode_message(raw)


@given(st.binary(max_size=30) | st.text(max_size=30))
def test_decoding_anything_is_a_message_or_our_error(raw: str | bytes) -> None:
    """Noise is no reason for another exception."""
    with suppress(InvalidMessageError):
        assert isinstance(decode_message(raw), ChatMessage)


@given(values)
def test_any_json_value_comes_back(value: Any) -> None:
    """`encode_json` and `decode_json` keep the types too."""
    assert strict(decode_json(encode_json(value, "it"))) == strict(value)


@given(poisons)
def test_what_is_not_json_is_refused_by_name(value: Any) -> None:
    """The error begins with the name that the value was given."""
    with pytest.raises(InvalidMessageError, match=r"^the thing"):
        encode_json(value, "the thing")


def test_the_converter_exports_values_and_takes_them_back() -> None:
    """Metadata and messages with their times become JSON, and are structured again."""
    moment = datetime(2023, 11, 7, tzinfo=UTC)
    metadata = SessionMetadata("a", moment, attributes={"x": [1, None]})
    stored = TimestampedMessage(ChatMessage("user", "Hello", tool_calls=[ToolCall("i", "n", "a")]), moment)
    for value in (metadata, stored):
        exported = json.loads(json.dumps(converter().unstructure(value)))
        assert converter().structure(exported, type(value)) == value
    assert converter().unstructure(stored)["created_at"] == "2023-11-07T00:00:00Z"
