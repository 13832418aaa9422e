"""A session as a value, what it has used, its summary, and what must be written of it."""

import copy
import pickle
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, InvalidMessageError, InvalidSessionKeyError, SessionMetadata, Usage
from sessionkit.history.keeping import Changes, attributes_of, changes, noted, session_of, stored_of
from sessionkit.history.session import RECORD, AggregatedUsage, Session, SessionSummary
from tests.strategies import objects, strict

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
    """Its own included: that doubles it."""
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
    """Whatever their stores have of them."""
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


# -- how it is kept --------------------------------------------------------------------------------------------------

RECORDED = {
    "agent_name": "agent",
    "model": "model",
    "started_at": "2026-03-04T05:06:07.000089Z",
    "ended_at": "2026-03-04T06:06:07.000089Z",
    "usage": {"total_input_tokens": 1, "request_count": 2},
}
KEPT = Session(
    "k",
    "agent",
    "model",
    [SAID],
    MOMENT.astimezone(timezone(timedelta(hours=-3))),
    LATER,
    AggregatedUsage(1, request_count=2),
    {"topic": "time"},
)


def test_attributes_of_a_session() -> None:
    """Metadata at the top, where queries find it, and everything else in one record; what is absent is left out."""
    assert attributes_of(KEPT) == {"topic": "time", RECORD: RECORDED}
    session = Session("k", started_at=MOMENT)
    assert attributes_of(session) == {RECORD: {"started_at": RECORDED["started_at"]}}


def test_attributes_are_of_one_moment() -> None:
    """They share nothing with the session."""
    session = copy.deepcopy(KEPT)
    session.metadata["list"] = [1]
    attributes = attributes_of(session)
    session.metadata["list"].append(2)
    session.usage.add(None)
    assert attributes == {"topic": "time", "list": [1], RECORD: RECORDED}


@pytest.mark.parametrize(
    ("metadata", "kind", "says"),
    [
        ({RECORD: 1}, ValueError, r"metadata\['sessionkit'\]: this name is taken"),
        ({"a": None}, ValueError, r"metadata\['a'\] is None, .*; delete the name instead"),
        ({"a": {"b": {1}}}, InvalidMessageError, r"metadata\['a'\]\['b'\] is a set"),
        ({5: "a"}, InvalidMessageError, "metadata has a key that is no text"),
    ],
)
def test_metadata_that_can_not_be_kept(metadata: dict[Any, Any], kind: type[Exception], says: str) -> None:
    """The error names the place in the metadata."""
    with pytest.raises(kind, match=says):
        changes(Session(metadata=metadata))


def test_a_cost_that_is_no_number_can_not_be_kept() -> None:
    """The error says where it is."""
    with pytest.raises(InvalidMessageError, match=r"record\['usage'\]\['total_cost_usd'\] is nan"):
        attributes_of(Session(usage=AggregatedUsage(total_cost_usd=float("nan"))))


def metadata_of(session: Session, **fields: Any) -> SessionMetadata:
    """What a store tells of it."""
    return SessionMetadata(session.session_id, attributes=attributes_of(session), revision=7, **fields)


@given(st.builds(dict, objects), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_kept_and_read_again(metadata: dict[str, Any], tokens: int, cost: float) -> None:
    """It is the same session, which has no changes."""
    kept = {name: value for name, value in metadata.items() if value is not None and name != RECORD}
    session = attrs.evolve(KEPT, metadata=kept, usage=AggregatedUsage(tokens, total_cost_usd=cost))
    back = session_of("k", [SAID], metadata_of(session))
    assert back == session
    assert strict(back.metadata) == strict(kept)
    assert stored_of(back).revision == 7
    assert not any(changes(back))


def test_a_session_that_somebody_else_wrote() -> None:
    """It began when it was created, belongs to whom the store says, and has no changes."""
    metadata = SessionMetadata("k", created_at=MOMENT, agent_alias="agent", attributes={"topic": "time"}, revision=3)
    session = session_of("k", [SAID], metadata)
    assert session == Session("k", "agent", None, [SAID], MOMENT, metadata={"topic": "time"})
    assert not any(changes(session))
    session.messages.append(ANSWERED)
    assert changes(session) == Changes(0, [ANSWERED], {})
    session.model = "model"
    record = {"agent_name": "agent", "model": "model", "started_at": RECORDED["started_at"]}
    assert changes(session) == Changes(0, [ANSWERED], {RECORD: record})


def test_the_owner_that_is_set_in_the_store_goes_before_the_record() -> None:
    """It is what the store's own lists and searches show."""
    assert session_of("k", [], metadata_of(KEPT, agent_alias="other")).agent_name == "other"
    assert SessionSummary.of(metadata_of(KEPT, agent_alias="other")).agent_name == "other"
    assert SessionSummary.of(metadata_of(KEPT)).agent_name == "agent"


DAMAGED: list[Any] = [
    "text",
    5,
    [RECORDED],
    {"agent_name": 5, "model": ["m"], "started_at": "yesterday", "ended_at": 0, "usage": "much"},
    {"started_at": "2026-03-04 05:06:07Z", "usage": {"total_input_tokens": 1.5, "request_count": True, "x": 1}},
]


@pytest.mark.parametrize("record", DAMAGED)
def test_a_record_that_can_not_be_read(record: Any) -> None:
    """What can't be read of it is as if it were not there; nothing fails, and nothing is to be written for it."""
    metadata = SessionMetadata("k", created_at=MOMENT, attributes={RECORD: record, "topic": "time"}, revision=3)
    session = session_of("k", [SAID], metadata)
    assert session == Session("k", messages=[SAID], started_at=MOMENT, metadata={"topic": "time"})
    assert not any(changes(session))
    summary = SessionSummary.of(metadata)
    assert (summary.agent_name, summary.model, summary.started_at, summary.ended_at) == (None, None, MOMENT, None)


def test_what_another_version_recorded_is_kept() -> None:
    """Members that this one knows nothing of are written again with the rest."""
    attributes = {RECORD: RECORDED | {"mood": "good"}}
    session = session_of("k", [], SessionMetadata("k", attributes=attributes, revision=1))
    assert not any(changes(session))
    session.model = None
    expected = {name: value for name, value in RECORDED.items() if name != "model"} | {"mood": "good"}
    assert changes(session).attributes == {RECORD: expected}


def test_changes_of_attributes() -> None:
    """Those that differ, None for those that are gone; True is not 1."""
    session = Session("k", started_at=MOMENT, metadata={"same": [1], "gone": 1, "other": 1, "deep": {"a": [1]}})
    noted(session, changes(session), 1)
    del session.metadata["gone"]
    session.metadata["other"] = True
    session.metadata["deep"]["a"].append(2)
    session.metadata["new"] = 0
    found = changes(session)
    assert found == Changes(0, [], {"gone": None, "other": True, "deep": {"a": [1, 2]}, "new": 0})
    assert found.attributes["other"] is True
    noted(session, found, 2)
    assert not any(changes(session))
    assert stored_of(session).revision == 2


NUMBERED = [ChatMessage("user", str(number)) for number in range(9)]


@pytest.mark.parametrize(
    ("present", "drop", "added"),
    [
        ([*NUMBERED[:5], NUMBERED[5]], 0, NUMBERED[5:6]),
        (NUMBERED[:4], 1, []),
        ([], 5, []),
        ([*NUMBERED[:2], NUMBERED[8], *NUMBERED[3:5]], 3, [NUMBERED[8], *NUMBERED[3:5]]),
        ([*NUMBERED[:2], *NUMBERED[3:5]], 3, NUMBERED[3:5]),
        ([NUMBERED[8], *NUMBERED[:5]], 5, [NUMBERED[8], *NUMBERED[:5]]),
        ([ChatMessage("user", str(number)) for number in range(6)], 0, NUMBERED[5:6]),
        ([*NUMBERED[:4], attrs.evolve(NUMBERED[4], content="4!")], 1, [ChatMessage("user", "4!")]),
    ],
)
def test_changes_of_messages(present: list[ChatMessage], drop: int, added: list[ChatMessage]) -> None:
    """From the first one that is another, all are dropped and added; an equal one is the same."""
    session = Session("k", messages=NUMBERED[:5])
    noted(session, changes(session), 1)
    session.messages = present
    assert changes(session) == Changes(drop, added, {})


def test_a_message_that_is_equal_to_python_alone() -> None:
    """Is another one: nothing is lost by True being equal to 1."""
    session = Session("k", messages=[ChatMessage("user", extra={"n": 1})])
    noted(session, changes(session), 1)
    session.messages[0] = ChatMessage("user", extra={"n": True})
    [added] = changes(session).append
    assert changes(session).drop_last == 1
    assert added.extra["n"] is True


def test_what_is_noted_is_what_was_written() -> None:
    """A message that came in between is written the next time."""
    session = Session("k", messages=NUMBERED[:2])
    written = changes(session)
    session.messages.append(NUMBERED[2])
    session.metadata["late"] = True
    noted(session, written, 1)
    assert changes(session) == Changes(0, [NUMBERED[2]], {"late": True})


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda session: pickle.loads(pickle.dumps(session))])  # noqa: S301 -- our own
def test_a_copy_knows_what_is_stored(copied: Any) -> None:
    """Made by `copy` or by pickling, as for another process."""
    session = session_of("k", [SAID], metadata_of(KEPT))
    twin = copied(session)
    assert twin == session
    assert stored_of(twin) == stored_of(session)
    twin.messages.append(ANSWERED)
    assert changes(twin) == Changes(0, [ANSWERED], {})


# -- summaries -------------------------------------------------------------------------------------------------------


def test_a_summary() -> None:
    """Of metadata alone."""
    metadata = metadata_of(
        KEPT, created_at=LATER, last_activity=LATER, message_count=5, turn_count=2, tool_call_count=3
    )
    summary = SessionSummary.of(metadata)
    assert summary == SessionSummary("k", "agent", "model", 5, 2, 3, MOMENT, LATER, LATER)
    assert summary.id == "k"
    assert SessionSummary.of(SessionMetadata("k")) == SessionSummary("k", None, None, 0, 0, 0, None, None, None)
