"""A message as a value, and as the JSON object that providers exchange."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, InvalidMessageError, TimestampedMessage, ToolCall, Usage
from tests.conversations import conversations
from tests.strategies import message_objects, messages, moments, near_timestamps, objects, strict

MOMENT = datetime(2023, 11, 7, 9, 30, 0, 123456, tzinfo=UTC)

OPENAI_CALLS: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"city": "Rome"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": "{not json"}, "index": 1},
        {"id": "call_3", "type": "function", "function": {"name": "f", "arguments": "", "strict": True}},
    ],
}
OPENAI_RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "call_1", "name": "find", "content": "[]"}
ANTHROPIC_CALL: dict[str, Any] = {
    "role": "assistant",
    "id": "msg_1",
    "type": "message",
    "model": "a-model",
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 5, "output_tokens": 7, "service_tier": "standard"},
    "content": [
        {"type": "thinking", "thinking": "Which city?", "signature": "EqQBCgIYAhIM"},
        {"type": "text", "text": "I look it up."},
        {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"city": "Rome", "days": [1, 2]}},
    ],
}
ANTHROPIC_RESULT: dict[str, Any] = {
    "role": "user",
    "content": [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [
                {"type": "text", "text": "Two flights"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "nested deeper"},
            ],
        },
        {"type": "tool_result", "tool_use_id": "toolu_3", "content": "plain", "is_error": True},
    ],
}
RESPONSES_ITEM: dict[str, Any] = {
    "type": "message",
    "role": "assistant",
    "id": "item_1",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Rome", "annotations": [], "logprobs": None}],
}
RESPONSES_CALL: dict[str, Any] = {
    "type": "function_call",
    "role": "assistant",
    "call_id": "call_1",
    "name": "find",
    "arguments": "{}",
    "status": "in_progress",
}
EXAMPLES = {
    "an OpenAI message with parallel calls": OPENAI_CALLS,
    "an OpenAI tool result": OPENAI_RESULT,
    "an OpenAI refusal": {"role": "assistant", "content": None, "refusal": "I can't."},
    "Anthropic blocks": ANTHROPIC_CALL,
    "an Anthropic tool result": ANTHROPIC_RESULT,
    "a Responses item": RESPONSES_ITEM,
    "a Responses call with a role": RESPONSES_CALL,
    "only a role": {"role": ""},
    "every field null": dict.fromkeys(attrs.fields_dict(ChatMessage)) | {"role": "user"},
    "a key named extra": {"role": "user", "extra": {"extra": 1}},
    "no tool calls": {"role": "assistant", "tool_calls": []},
    "a misfit among the calls": {"role": "assistant", "tool_calls": [*OPENAI_CALLS["tool_calls"], {"type": "custom"}]},
    "an empty usage": {"role": "assistant", "usage": {}},
    "a usage of truth values": {"role": "assistant", "usage": {"input_tokens": True}},
    "blocks that are none": {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]},
}


@given(message_objects)
def test_nothing_is_lost_between_an_object_and_a_message(data: dict[str, Any]) -> None:
    """`from_dict(d).to_dict() == d` for every JSON object with a string role, in its JSON types too."""
    assert strict(ChatMessage.from_dict(data).to_dict()) == strict(data)


@given(message_objects.map(ChatMessage.from_dict) | messages)
def test_nothing_is_lost_between_a_message_and_an_object(message: ChatMessage) -> None:
    """`from_dict(m.to_dict()) == m`, whether it was read or built."""
    assert ChatMessage.from_dict(message.to_dict()) == message


@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_what_providers_send_comes_back(data: dict[str, Any]) -> None:
    """The shapes of the providers, and what comes near them, lose nothing."""
    assert strict(ChatMessage.from_dict(data).to_dict()) == strict(data)


def test_every_message_of_the_real_conversations_comes_back() -> None:
    """What agents really wrote loses nothing, and its tool calls are typed."""
    real = [data for messages in conversations().values() for data in messages]
    if not real:
        pytest.skip("the real conversations are not here")
    for data in real:
        message = ChatMessage.from_dict(data)
        assert strict(message.to_dict()) == strict(data)
        assert len(message.tool_calls) == len(data.get("tool_calls") or ())


def test_openai_tool_calls_are_typed() -> None:
    """Function calls become `ToolCall`s with their text verbatim; further keys of either level are kept in `extra`."""
    message = ChatMessage.from_dict(OPENAI_CALLS)
    assert message.tool_calls == (
        ToolCall("call_1", "find", '{"city": "Rome"}'),
        ToolCall("call_2", "find", "{not json", {"index": 1}),
        ToolCall("call_3", "f", "", {"function": {"strict": True}}),
    )
    assert message.extra == {"content": None, "refusal": None, "annotations": []}


def test_one_misfit_leaves_all_tool_calls_to_extra() -> None:
    """The order among the calls would be lost otherwise."""
    message = ChatMessage.from_dict(EXAMPLES["a misfit among the calls"])
    assert message.tool_calls == ()
    assert len(message.extra["tool_calls"]) == 4


def test_a_usage_with_unknown_counts_stays_in_extra() -> None:
    """A typed field that could not hold all of it is left empty."""
    message = ChatMessage.from_dict(ANTHROPIC_CALL)
    assert message.usage is None
    assert message.extra["usage"] == ANTHROPIC_CALL["usage"]


def test_a_known_usage_is_typed() -> None:
    """What was not reported is None."""
    message = ChatMessage.from_dict({"role": "assistant", "usage": {"input_tokens": 3, "cost_usd": 0.5}})
    assert message.usage == Usage(input_tokens=3, cost_usd=0.5)


@given(objects)
def test_the_object_and_the_message_share_nothing(inner: dict[str, Any]) -> None:
    """Changing what went in, or what came out, changes nothing in the message."""
    given_data = {"role": "user", "content": [{"a": inner}], "tool_metadata": inner, "unknown": [inner]}
    expected = copy.deepcopy(given_data)
    message = ChatMessage.from_dict(given_data)
    inner["changed"] = True
    given_data["unknown"].append(1)  # type: ignore[attr-defined]
    assert message.to_dict() == expected
    out = message.to_dict()
    out["content"][0]["a"]["changed"] = True
    out["unknown"].append(1)
    assert message.to_dict() == expected


@given(moments)
def test_a_canonical_timestamp_is_typed(moment: datetime) -> None:
    """RFC 3339 in UTC, with microseconds where there are any, becomes the moment."""
    text = moment.isoformat().replace("+00:00", "Z")
    message = ChatMessage.from_dict({"role": "user", "timestamp": text})
    assert message.timestamp == moment
    assert message.to_dict()["timestamp"] == text


@given(near_timestamps)
def test_any_other_timestamp_stays_as_it_came(text: str) -> None:
    """A spelling that would come back as another text is not typed."""
    message = ChatMessage.from_dict({"role": "user", "timestamp": text})
    assert message.timestamp is None
    assert message.extra == {"timestamp": text}


def test_a_timestamp_is_given_in_utc() -> None:
    """One moment has one text, whatever its timezone."""
    east = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert ChatMessage("user", timestamp=east).to_dict()["timestamp"] == "2023-11-07T09:30:00.123456Z"


@pytest.mark.parametrize("moment", [datetime(2023, 11, 7), "2023-11-07T00:00:00Z"])  # noqa: DTZ001 -- naive on purpose
def test_a_timestamp_that_names_no_moment_is_refused(moment: Any) -> None:
    """A naive datetime, or no datetime at all, is an error when it is written."""
    with pytest.raises(InvalidMessageError, match="timestamp must be a timezone-aware datetime"):
        ChatMessage("user", timestamp=moment).to_dict()


def test_a_timestamp_outside_of_utc_is_refused() -> None:
    """Year 1 begins earlier in the east; UTC has no year 0."""
    moment = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(InvalidMessageError, match="years 1 to 9999"):
        ChatMessage("user", timestamp=moment).to_dict()


@pytest.mark.parametrize("data", [None, [], "role", {}, {"role": None}, {"role": 5}, {"content": "x"}, [("role", "x")]])
def test_what_is_no_message_is_refused(data: Any) -> None:
    """An object with a text role is asked for, in words that don't repeat the content."""
    with pytest.raises(InvalidMessageError, match="a message is a JSON object with a text 'role', not") as caught:
        ChatMessage.from_dict(data)
    assert len(str(caught.value)) < 100


def test_what_is_nested_too_deep_is_refused() -> None:
    """Neither way ends in a RecursionError."""
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(InvalidMessageError, match="nested this deep"):
        ChatMessage.from_dict({"role": "user", "content": deep, "x": deep})
    with pytest.raises(InvalidMessageError, match="nested this deep"):
        ChatMessage("user", extra={"x": deep}).to_dict()


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ChatMessage("user", "a", extra={"content": "b"}), r"extra\['content'\] repeats the field"),
        (ChatMessage("user", extra={"role": "b"}), r"extra\['role'\] repeats the field"),
        (ChatMessage("user", tool_calls=[ToolCall("i", "n", "a", {"id": "j"})]), "repeats one of its fields"),
        (ChatMessage("user", tool_calls=[ToolCall("i", "n", "a", {"function": 1})]), "repeats one of its fields"),
        (
            ChatMessage("user", tool_calls=[ToolCall("i", "n", "a", {"function": {"name": "m"}})]),
            "repeats one of its fields",
        ),
    ],
)
def test_an_extra_that_repeats_a_field_is_refused(message: ChatMessage, error: str) -> None:
    """A JSON object has each key once, and none of the two values may be lost."""
    with pytest.raises(InvalidMessageError, match=error):
        message.to_dict()


def test_the_builders_give_the_common_messages_and_stamp_them() -> None:
    """`system`, `user`, `assistant` and `tool` set role and time; a time that is given is kept."""
    before = datetime.now(UTC)
    made = [
        ChatMessage.system("Be kind", name="policy"),
        ChatMessage.user([{"type": "text", "text": "Hello"}]),
        ChatMessage.assistant(tool_calls=[ToolCall("c", "find", "{}")], model="a-model"),
        ChatMessage.tool("[]", tool_call_id="c"),
    ]
    after = datetime.now(UTC)
    assert all(message.timestamp and before <= message.timestamp <= after for message in made)
    assert [attrs.evolve(message, timestamp=None) for message in made] == [
        ChatMessage("system", "Be kind", "policy"),
        ChatMessage("user", [{"type": "text", "text": "Hello"}]),
        ChatMessage("assistant", tool_calls=(ToolCall("c", "find", "{}"),), model="a-model"),
        ChatMessage("tool", "[]", tool_call_id="c"),
    ]
    assert ChatMessage.user("x", timestamp=MOMENT).timestamp == MOMENT


def test_the_text_is_what_can_be_searched() -> None:
    """Content, the text of blocks, those in tool results too, and the names and arguments of calls; nothing else."""
    assert ChatMessage("user", "Hello", "Ann", reasoning="no").text == "Hello"
    assert ChatMessage("assistant").text == ""
    assert ChatMessage.from_dict(OPENAI_CALLS).text == 'find\n{"city": "Rome"}\nfind\n{not json\nf\n'
    called = ChatMessage.from_dict(ANTHROPIC_CALL).text
    assert called.splitlines() == ["I look it up.", "find", '{"city":"Rome","days":[1,2]}']
    answered = ChatMessage.from_dict(ANTHROPIC_RESULT).text
    assert sorted(answered.splitlines()) == ["Two flights", "nested deeper", "plain"]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "tool_use", "id": "t", "name": "find"}, "find"),
        ({"type": "tool_use", "input": {}}, "{}"),
        ({"type": "tool_result", "content": ["bare", 5, {"text": "told"}]}, "told"),
        ({"type": "tool_result", "content": "told"}, "told"),
        ({"type": "tool_result"}, ""),
        ({"type": "document", "content": "not text", "name": "no call", "input": {"no": "call"}}, ""),
        ({"content": [{"text": "not in a result"}]}, ""),
        ({"text": 5}, ""),
    ],
)
def test_a_block_has_the_text_of_its_kind(block: dict[str, Any], text: str) -> None:
    """Whatever else it holds or lacks: only `tool_use` has a name and an input, only `tool_result` a content."""
    assert ChatMessage("user", [block]).text == text
    assert ChatMessage("user", [block, {"text": "after"}]).text == "\n".join(filter(None, [text, "after"]))


@given(message_objects)
def test_every_message_has_a_text_and_counts(data: dict[str, Any]) -> None:
    """However odd its blocks are."""
    message = ChatMessage.from_dict(data)
    assert isinstance(message.text, str)
    assert message.tool_call_count >= len(message.tool_calls)
    assert message.is_turn == (data["role"] == "assistant" and message.content is not None)


def test_turns_and_tool_calls_are_counted() -> None:
    """A turn is an assistant's message with content, were it empty; a tool call a typed one or a `tool_use` block."""
    assert ChatMessage("assistant", "").is_turn
    assert not ChatMessage("assistant").is_turn
    assert not ChatMessage("user", "Hello").is_turn
    assert ChatMessage.from_dict(OPENAI_CALLS).tool_call_count == 3
    assert ChatMessage.from_dict(ANTHROPIC_CALL).tool_call_count == 1
    assert ChatMessage.from_dict(ANTHROPIC_RESULT).tool_call_count == 0


@pytest.mark.parametrize(
    "value",
    [ChatMessage("user"), ToolCall("i", "n", "a"), Usage(), TimestampedMessage(ChatMessage("user"))],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen_and_slotted(value: Any) -> None:
    """No field can be set, no other attribute added; a copy and a pickle are equal."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(type(value))[0].name, "x")
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)  # noqa: S301 -- our own pickle


@given(st.lists(st.builds(ToolCall, st.text(), st.text(), st.text()), max_size=2))
def test_tool_calls_become_a_tuple(calls: list[ToolCall]) -> None:
    """A list may be given, and changing it afterwards changes nothing."""
    message = ChatMessage("assistant", tool_calls=calls)
    expected = tuple(calls)
    calls.append(ToolCall("late", "late", ""))
    assert message.tool_calls == expected
