"""A session as a value, and what it has used."""

import copy
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from sessionkit import ChatMessage, InvalidSessionKeyError, Usage
from sessionkit.history.keeping import changes, noted
from sessionkit.history.session import AggregatedUsage, Session

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
LATER = MOMENT + timedelta(hours=1)
SAID, ANSWERED = ChatMessage.user("What time is it?"), ChatMessage.assistant("Noon.")

# -- usage -----------------------------------------------------------------------------------------------------------


def test_usage_adds_what_was_reported() -> None:
    """Each field by itself; what was not reported is nothing, and every call is a request."""
    usage = AggregatedUsage()
    usage.add(Usage(100, 20, cache_creation_tokens=7, cache_read_tokens=60, reasoning_tokens=5, cost_usd=0.25))
    usage.add(Usage(input_tokens=10, cost_usd=1))
    usage.add(None)
    assert usage == AggregatedUsage(110, 20, 7, 60, 5, 1.25, 3)
    assert usage.total_tokens == 130


def test_usage_of_another_session_is_added_with_its_requests() -> None:
    """All counts of another usage are added, its requests too; adding a usage to itself doubles it."""
    usage = AggregatedUsage(1, 2, 3, 4, 5, 6.5, 7)
    usage.add(AggregatedUsage(10, 20, 30, 40, 50, 60.0, 70))
    assert usage == AggregatedUsage(11, 22, 33, 44, 55, 66.5, 77)
    usage.add(usage)
    assert usage == AggregatedUsage(22, 44, 66, 88, 110, 133.0, 154)


@pytest.mark.parametrize("wrong", [5, {"input_tokens": 5}, Usage(input_tokens=1, output_tokens=2.5)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- on purpose
def test_usage_adds_nothing_else(wrong: Any) -> None:
    """What is no usage, or has a count that is no whole number, is refused before anything is added."""
    usage = AggregatedUsage(1)
    with pytest.raises(TypeError, match=r"what is added is a Usage|total_output_tokens is a whole number, not float"):
        usage.add(wrong)
    assert usage == AggregatedUsage(1)


@pytest.mark.parametrize(
    ("tokens", "cost", "shown"),
    [
        (0, 0.0, "0 tokens | $0.00"),
        (950, 0.0, "950 tokens | $0.00"),
        (999, 0.45, "999 tokens | $0.45"),
        (1_000, 0.45, "1.0K tokens | $0.45"),
        (1_234, 0.01, "1.2K tokens | $0.01"),
        (9_999, 0.0099, "9.9K tokens | $0.0099"),
        (10_000, 0.0004, "10K tokens | $0.0004"),
        (123_456, 0.45, "123K tokens | $0.45"),
        (999_999, 12.0, "999K tokens | $12.00"),
        (1_234_567, 123.456, "1.2M tokens | $123.46"),
        (25_000_000, 1234.5, "25.0M tokens | $1234.50"),
    ],
)
def test_usage_in_short(tokens: int, cost: float, shown: str) -> None:
    """Tokens rounded down to what fits, cost to cents, or to hundredths of one where it is below one."""
    assert str(AggregatedUsage(tokens - tokens // 3, tokens // 3, total_cost_usd=cost)) == shown


def test_usage_in_detail() -> None:
    """One line with everything, but for what is zero."""
    usage = AggregatedUsage(100_000, 23_000, 5_000, 60_000, 4_000, 0.45, 3)
    assert usage.detailed() == (
        "3 requests | 100,000 input (60,000 cached, 5,000 written to cache) + 23,000 output (4,000 reasoning) tokens"
        " | $0.4500"
    )
    assert AggregatedUsage(5, 6, request_count=1).detailed() == "1 request | 5 input + 6 output tokens | $0.0000"


@pytest.mark.parametrize(
    ("name", "value"), [("request_count", True), ("total_input_tokens", 1.0), ("total_cost_usd", "1")]
)
def test_usage_holds_numbers_only(name: str, value: Any) -> None:
    """Given at first or set later: what could not be stored is refused at once."""
    with pytest.raises(TypeError, match=rf"{name} is a (whole )?number, not {type(value).__name__}"):
        AggregatedUsage(**{name: value})
    with pytest.raises(TypeError, match=name):
        setattr(AggregatedUsage(), name, value)


# -- sessions --------------------------------------------------------------------------------------------------------


def test_a_new_session() -> None:
    """It has an id of its own, began now, and is empty."""
    before = datetime.now(UTC)
    session, other = Session(), Session()
    assert uuid.UUID(session.session_id).version == 4
    assert session.session_id != other.session_id
    assert before <= session.started_at <= datetime.now(UTC)
    assert session.started_at.tzinfo is UTC
    assert (session.agent_name, session.model, session.ended_at) == (None, None, None)
    assert (session.messages, session.usage, session.metadata) == ([], AggregatedUsage(), {})
    assert session.usage is not other.usage


def test_a_session_shares_no_list_with_its_maker() -> None:
    """Any iterable of messages will do, and any mapping of metadata."""
    messages, metadata = [SAID], {"a": 1}
    session = Session(messages=messages, metadata=metadata)
    messages.append(ANSWERED)
    metadata["b"] = 2
    assert (session.messages, session.metadata) == ([SAID], {"a": 1})
    session.messages = (message for message in (SAID, ANSWERED))  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue] -- what it is turned into, the checkers ask for
    assert session.messages == [SAID, ANSWERED]


def test_sessions_are_equal_by_value() -> None:
    """Sessions of the same values are equal, whatever their stores have of them."""
    one = Session("k", "agent", "model", [SAID], MOMENT, LATER, AggregatedUsage(1), {"a": [1]})
    other = copy.deepcopy(one)
    noted(other, changes(other), 5)
    assert one == other
    other.usage.add(None)
    assert one != other


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"session_id": ""}, InvalidSessionKeyError, "can't be empty"),
        ({"session_id": uuid.uuid4()}, InvalidSessionKeyError, "a session key is text, not UUID"),
        ({"messages": [SAID, {"role": "user"}]}, TypeError, r"messages are ChatMessages, not dict: .*from_dict\(\)"),
        ({"messages": "What?"}, TypeError, "messages are ChatMessages, not str"),
        ({"agent_name": 5}, TypeError, "agent_name is text, not int"),
        ({"model": "\ud800"}, ValueError, "model can't hold a lone surrogate"),
        ({"started_at": datetime(2026, 1, 1)}, ValueError, "started_at: a naive datetime"),  # noqa: DTZ001 -- on purpose
        ({"started_at": None}, TypeError, "started_at: a time is a datetime, not NoneType"),
        ({"ended_at": "2026-01-01"}, TypeError, "ended_at: a time is a datetime, not str"),
        ({"usage": None}, TypeError, "'usage' must be .*AggregatedUsage"),
    ],
)
def test_what_a_session_refuses(fields: dict[str, Any], kind: type[Exception], says: str) -> None:
    """At once, and by the attribute's name, at first and when it is set later."""
    with pytest.raises(kind, match=says):
        Session(**fields)
    [(name, value)] = fields.items()
    if name != "session_id":
        session = Session("k")
        with pytest.raises(kind, match=says):
            setattr(session, name, value)
        assert session == Session("k", started_at=session.started_at)


def test_a_session_keeps_its_id() -> None:
    """Or what is in the store would be of another one."""
    session = Session("k")
    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        session.session_id = "other"
    assert session.session_id == "k"


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], None),
        ([SAID], None),
        ([ANSWERED, SAID], "Noon."),
        ([ANSWERED, ChatMessage.assistant("Midnight.")], "Midnight."),
        ([ANSWERED, ChatMessage.assistant("Mid", status="incomplete")], "Mid"),
        ([ANSWERED, ChatMessage.assistant(""), ChatMessage.assistant(None)], "Noon."),
        ([ANSWERED, ChatMessage.tool("Midnight.", tool_call_id="1")], "Noon."),
        (
            [
                ChatMessage.assistant(
                    [
                        {"type": "thinking", "thinking": "Hm.", "text": "Hm."},
                        {"type": "text", "text": "It is "},
                        {"type": "tool_use", "id": "1", "name": "clock", "input": {}},
                        {"type": "output_text", "text": "noon."},
                        {"type": "text", "text": 5},
                        {"type": ["text"], "text": "No type of anybody's."},
                    ]
                ),
                ChatMessage.assistant([{"type": "tool_use", "id": "2", "name": "clock", "input": {}}]),
            ],
            "It is noon.",
        ),
    ],
)
def test_the_final_response(messages: list[ChatMessage], text: str | None) -> None:
    """The text of the newest answer that has any, of blocks the text alone."""
    assert Session(messages=messages).final_response == text
