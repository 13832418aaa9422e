"""What a store keeps of a session besides its messages, and the rules by which it changes."""

from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

import sessionkit.record
from sessionkit import (
    ChatMessage,
    ConflictError,
    InvalidMessageError,
    SessionContext,
    SessionMetadata,
    TimestampedMessage,
)
from sessionkit.clock import from_datetime, to_datetime
from sessionkit.record import (
    SessionRecord,
    check_attributes,
    check_context,
    check_drop,
    check_fences,
    longest_stuck_first,
    newest_turn_first,
    restored_times,
    sets_anything,
)

SECOND = 1_000_000


@pytest.fixture(name="set_clock")
def _set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the present."""

    def set_clock(moment: int) -> None:
        monkeypatch.setattr(sessionkit.record, "now", lambda: moment)

    set_clock(1000)
    return set_clock


@pytest.fixture(name="record")
def _record(set_clock: Callable[[int], None]) -> SessionRecord:
    """A session created at 1000, when 6 was the highest revision of any deleted one."""
    set_clock(1000)
    return SessionRecord.new(6)


def test_creation_is_the_first_change(record: SessionRecord) -> None:
    """Above the revision of every session that was deleted, so that none repeats."""
    assert record == SessionRecord(created_at=1000, last_activity=1000, revision=7)
    assert record.state == "idle"


def test_times_never_run_backwards(record: SessionRecord, set_clock: Callable[[int], None]) -> None:
    """Where the clock does, activity stays at the latest moment."""
    set_clock(2000)
    assert record.changed() == 2000
    set_clock(500)
    assert record.changed() == 2000
    assert record.touch() == 2000
    assert (record.created_at, record.last_activity, record.revision) == (1000, 2000, 9)


def test_counts_go_up_and_down(record: SessionRecord) -> None:
    """By what was added or removed."""
    record.count(2, 1, 3)
    record.count(-1, 0, -2)
    assert (record.message_count, record.turn_count, record.tool_call_count) == (1, 1, 1)
    record.clear_counts()
    assert (record.message_count, record.turn_count, record.tool_call_count) == (0, 0, 0)


def test_running_with_another_turn_starts_it(record: SessionRecord, set_clock: Callable[[int], None]) -> None:
    """Start and heartbeat are now, and it is a change."""
    for moment, turn in ((2000, "t"), (3000, "u"), (4000, None)):
        set_clock(moment)
        record.enter_state("running", turn)
        assert record.session_state() == sessionkit.SessionState(
            "running", turn, to_datetime(moment), to_datetime(moment)
        )
    assert (record.last_activity, record.revision) == (4000, 10)


@pytest.mark.parametrize("turn", ["t", None])
def test_running_with_the_same_turn_is_a_heartbeat(
    record: SessionRecord, set_clock: Callable[[int], None], turn: str | None
) -> None:
    """Activity, but no new turn and no new revision."""
    record.enter_state("running", turn)
    revision = record.revision
    set_clock(2000)
    record.enter_state("running", turn)
    assert (record.turn_started_at, record.heartbeat_at, record.last_activity) == (1000, 2000, 2000)
    assert record.revision == revision


def test_any_other_state_clears_both_times(record: SessionRecord) -> None:
    """The turn id is stored as given; to be running again afterwards is a new turn."""
    record.enter_state("running", "t")
    record.enter_state("error", "t")
    assert record.session_state() == sessionkit.SessionState("error", "t")
    record.enter_state("running", "t")
    assert record.turn_started_at == 1000


@pytest.mark.parametrize(
    ("stuck_after", "age", "ours"),
    [(None, 10**12, False), (5, 4 * SECOND, False), (5, 5 * SECOND, True), (0, 0, True), (float("inf"), 10**12, False)],
)
def test_a_turn_begins_unless_another_is_alive(
    record: SessionRecord,
    set_clock: Callable[[int], None],
    stuck_after: float | None,
    age: int,
    ours: bool,  # noqa: FBT001 -- expected
) -> None:
    """Alive is a heartbeat younger than `stuck_after` seconds; with None, of any age. Theirs is left as it was."""
    record.begin_turn("theirs", None)
    before = copy(record)
    set_clock(1000 + age)
    record.begin_turn("ours", stuck_after)
    assert (record.turn_id == "ours") is ours
    assert ours or record == before


def test_to_begin_the_turn_that_runs_is_a_heartbeat(record: SessionRecord, set_clock: Callable[[int], None]) -> None:
    """Whoever was interrupted may begin again."""
    record.begin_turn("t", None)
    set_clock(2000)
    record.begin_turn("t", None)
    assert (record.turn_started_at, record.heartbeat_at) == (1000, 2000)


def test_a_context_leaves_clears_and_merges(record: SessionRecord) -> None:
    """None leaves, the empty text clears, attributes merge at the top level, and a None among them removes."""
    record.set_context(SessionContext("c", "r", "s", {"a": {"x": 1}, "b": 2, "none": None}))
    assert (record.channel_id, record.room_id, record.sender_id) == ("c", "r", "s")
    assert record.attributes == {"a": {"x": 1}, "b": 2}
    record.set_context(SessionContext(None, "", "t", {"a": {"y": 2}, "b": None}))
    assert (record.channel_id, record.room_id, record.sender_id) == ("c", None, "t")
    assert record.attributes == {"a": {"y": 2}}


def test_only_attributes_that_change_make_a_revision(record: SessionRecord) -> None:
    """1, 1.0 and True differ; names and places are none of the revision's business, nor of activity's."""
    assert record.merge({"a": 1})
    assert record.revision == 8
    assert not record.merge({"a": 1, "absent": None})
    record.set_context(SessionContext("c"))
    assert record.revision == 8
    assert record.merge({"a": True})
    assert record.merge({"a": 1.0})
    assert record.revision == 10
    assert record.last_activity == 1000


def test_metadata_shares_nothing_with_the_record(record: SessionRecord) -> None:
    """Who changes what was given changes nothing that is kept."""
    record.merge({"a": [1]})
    metadata = record.metadata("key")
    metadata.attributes["a"].append(2)
    assert record.attributes == {"a": [1]}
    assert metadata.key == "key"
    assert metadata.revision == 8


def test_what_is_restored_is_as_it_was(set_clock: Callable[[int], None]) -> None:
    """Times, names, state and attributes; the counts are the messages'."""
    set_clock(10**15)
    record = SessionRecord(1, 9, 20, 0, 0, 0, "n", "a", "c", "r", "s", "running", "t", 5, 6, {"x": [1]})
    metadata = attrs.evolve(record.metadata("key"), message_count=99)
    assert SessionRecord.restored(metadata, [2, 3], 6) == record
    assert SessionRecord.restored(metadata, [2, 3], 30).revision == 31
    assert SessionRecord.restored(metadata, [2, 30], 6).last_activity == 30
    beaten = attrs.evolve(metadata, last_activity=None, heartbeat_at=to_datetime(40))
    assert SessionRecord.restored(beaten, [2, 30], 6).last_activity == 40, "a heartbeat is activity"


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], (1000, 1000)), ([20, 30], (20, 30)), ([-5], (-5, -5))],
)
def test_missing_times_are_those_of_the_messages(
    set_clock: Callable[[int], None], times: list[int], expected: tuple[int, int]
) -> None:
    """Or now, where there is no message."""
    set_clock(1000)
    record = SessionRecord.restored(SessionMetadata("key"), times, 0)
    assert (record.created_at, record.last_activity) == expected
    assert (record.revision, record.state) == (1, "idle")
    running = SessionRecord.restored(SessionMetadata("key", state="running"), times, 0)
    assert running.turn_started_at == running.heartbeat_at == expected[1]


@pytest.mark.parametrize(
    ("given", "times"),
    [
        ([], []),
        ([None, None], [1000, 1000]),
        ([5, 3, 9], [5, 5, 9]),
        ([None, 5, None, 7, None], [5, 5, 5, 7, 7]),
        ([-9, None, 0, None], [-9, -9, 0, 0]),
    ],
)
def test_a_message_without_a_time_takes_its_neighbours(
    set_clock: Callable[[int], None], given: list[int | None], times: list[int]
) -> None:
    """The one before, else the one after, else now; and none is before the one before it."""
    set_clock(1000)
    stored = [
        TimestampedMessage(ChatMessage("user"), None if moment is None else to_datetime(moment)) for moment in given
    ]
    assert restored_times(stored) == ([ChatMessage("user")] * len(given), times)


def test_the_message_own_timestamp_stands_in_for_a_missing_one() -> None:
    """As an export from a backend without times has it."""
    moment = datetime(2023, 11, 7, tzinfo=UTC)
    message = ChatMessage("user", timestamp=moment)
    assert restored_times([TimestampedMessage(message)]) == ([message], [from_datetime(moment)])
    later = moment + timedelta(1)
    assert restored_times([TimestampedMessage(message, later)]) == ([message], [from_datetime(later)])


@pytest.mark.parametrize(
    ("exists", "options", "error"),
    [
        (True, {}, None),
        (True, {"if_revision": 8, "if_turn": "t"}, None),
        (True, {"if_revision": 7}, "'key' is at revision 8, not 7"),
        (True, {"if_revision": 0}, "'key' is at revision 8, not 0"),
        (True, {"if_turn": "u"}, "turn 't' runs in 'key', not 'u'"),
        (False, {"if_revision": 0}, None),
        (False, {"if_revision": 1}, "'key' is at revision 0, not 1"),
        (False, {"if_turn": "t"}, "no turn runs in 'key'"),
    ],
)
def test_fences_hold(record: SessionRecord, exists: bool, options: dict[str, Any], error: str | None) -> None:  # noqa: FBT001 -- drawn
    """A conflict says what is there and what was expected."""
    record.enter_state("running", "t")
    fences = {"if_revision": None, "if_turn": None} | options
    present = record if exists else None
    if error is None:
        check_fences("key", present, **fences)
        return
    with pytest.raises(ConflictError, match=error):
        check_fences("key", present, **fences)


def test_a_turn_that_has_ended_is_a_conflict(record: SessionRecord) -> None:
    """The turn id of another state does not count."""
    record.enter_state("idle", "t")
    with pytest.raises(ConflictError, match="no turn runs in 'key': 't' has ended"):
        check_fences("key", record, if_revision=None, if_turn="t")


def test_no_more_is_dropped_than_there_is(record: SessionRecord) -> None:
    """All of it may be."""
    record.count(2, 0, 0)
    check_drop("key", record, 2)
    check_drop("key", None, 0)
    with pytest.raises(ValueError, match="'key' has 2 messages, so 3 can't be dropped"):
        check_drop("key", record, 3)
    with pytest.raises(ValueError, match="has 0 messages"):
        check_drop("key", None, 1)


def test_attributes_and_contexts_are_checked() -> None:
    """Before anything is touched, by the rules of messages."""
    check_attributes({"a": None, "b": [1]})
    with pytest.raises(InvalidMessageError, match=r"attributes\['a'\]"):
        check_attributes({"a": float("nan")})
    check_context(SessionContext("", "r", None, {"a": 1}))
    with pytest.raises(TypeError, match="room_id is text"):
        check_context(SessionContext(room_id=5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sender_id can't hold a lone surrogate"):
        check_context(SessionContext(sender_id="\ud800"))
    with pytest.raises(InvalidMessageError):
        check_context(SessionContext(attributes={"a": b""}))


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (SessionContext(), False),
        (SessionContext("", "", "", {"a": None}), False),
        (SessionContext("c"), True),
        (SessionContext(room_id="r"), True),
        (SessionContext(sender_id="s"), True),
        (SessionContext(attributes={"a": ""}), True),
    ],
)
def test_an_empty_context_sets_nothing(context: SessionContext, expected: bool) -> None:  # noqa: FBT001 -- expected
    """So that it creates no session."""
    assert sets_anything(context) is expected


def test_running_sessions_are_ordered() -> None:
    """Newest turn first, or longest stuck first; ties by key."""
    sessions = [
        SessionMetadata(key, turn_started_at=to_datetime(started), heartbeat_at=to_datetime(beaten))
        for key, started, beaten in (("a", 1, 5), ("b", 3, 5), ("c", 3, 4))
    ]
    assert [metadata.key for metadata in sorted(sessions, key=newest_turn_first)] == ["b", "c", "a"]
    assert [metadata.key for metadata in sorted(sessions, key=longest_stuck_first)] == ["c", "a", "b"]
