"""How a session is kept: what a store has of it, what must be written, and what is read of what others wrote."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, InvalidMessageError, SessionMetadata
from sessionkit.history.keeping import Changes, attributes_of, changes, noted, session_of, stored_of
from sessionkit.history.session import RECORD, AggregatedUsage, Session, SessionSummary
from tests.strategies import objects, strict

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
LATER = MOMENT + timedelta(hours=1)
SAID, ANSWERED = ChatMessage.user("What time is it?"), ChatMessage.assistant("Noon.")
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
    """Changing the session afterwards changes nothing of the attributes that were taken of it."""
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


def test_a_summary() -> None:
    """A summary says what a session's metadata do, its record included, and reads no message."""
    metadata = metadata_of(
        KEPT, created_at=LATER, last_activity=LATER, message_count=5, turn_count=2, tool_call_count=3
    )
    summary = SessionSummary.of(metadata)
    assert summary == SessionSummary("k", "agent", "model", 5, 2, 3, MOMENT, LATER, LATER)
    assert summary.id == "k"
    assert SessionSummary.of(SessionMetadata("k")) == SessionSummary("k", None, None, 0, 0, 0, None, None, None)
