"""The values about a session, and which sessions a query finds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from sessionkit import SessionContext, SessionMetadata, SessionQuery, SessionState
from sessionkit.clock import from_datetime, now, optional_datetime, optional_microseconds, to_datetime
from sessionkit.models import by_activity

MOMENT = datetime(2023, 11, 7, 9, 30, 0, 123456, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NAIVE = MOMENT.replace(tzinfo=None)
METADATA = SessionMetadata(
    "user/1",
    created_at=MOMENT,
    last_activity=MOMENT,
    agent_alias="agent",
    channel_id="channel",
    room_id="room",
    sender_id="sender",
    state="idle",
    attributes={"one": 1, "true": True, "text": "1", "list": [1, {"a": True}], "half": 1.0},
)


@pytest.mark.parametrize(
    "value",
    [METADATA, SessionContext(), SessionState("idle"), SessionQuery()],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen_and_slotted(value: Any) -> None:
    """No field can be set, no other attribute added."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(type(value))[0].name, "x")
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (SessionQuery(), True),
        *((SessionQuery(key_prefix=prefix), found) for prefix, found in [("user/", True), ("", True), ("USER", False)]),
        *(
            (SessionQuery(agent_alias=alias), found)
            for alias, found in [("agent", True), ("Agent", False), ("", False)]
        ),
        *((SessionQuery(channel_id=name), found) for name, found in [("channel", True), ("room", False)]),
        *((SessionQuery(room_id=name), found) for name, found in [("room", True), ("sender", False)]),
        *((SessionQuery(sender_id=name), found) for name, found in [("sender", True), ("idle", False)]),
        *((SessionQuery(state=name), found) for name, found in [("idle", True), ("running", False)]),
        (SessionQuery(attributes={"one": 1}), True),
        (SessionQuery(attributes={"one": 1, "text": "1"}), True),
        (SessionQuery(attributes={"one": 1, "text": "2"}), False),
        (SessionQuery(attributes={"one": True}), False),
        (SessionQuery(attributes={"true": 1}), False),
        (SessionQuery(attributes={"text": 1}), False),
        (SessionQuery(attributes={"half": 1}), True),
        (SessionQuery(attributes={"list": [1, {"a": True}]}), True),
        (SessionQuery(attributes={"list": [True, {"a": True}]}), False),
        (SessionQuery(attributes={"list": [1, {"a": 1}]}), False),
        (SessionQuery(attributes={"list": [1]}), False),
        (SessionQuery(attributes={"absent": None}), False),
        (SessionQuery(active_since=MOMENT), True),
        (SessionQuery(active_since=MOMENT + MICROSECOND), False),
        (SessionQuery(active_until=MOMENT), False),
        (SessionQuery(active_until=MOMENT + MICROSECOND), True),
        (SessionQuery(active_since=MOMENT, active_until=MOMENT + MICROSECOND), True),
        (SessionQuery(key_prefix="user/", state="running"), False),
    ],
)
def test_filters_narrow(query: SessionQuery, found: bool) -> None:  # noqa: FBT001 -- expected
    """All that is given must hold; text is compared exactly, True is not 1, and a range has its beginning only."""
    assert query.matches(METADATA, []) is found
    assert query.admits(METADATA) is found


def test_a_session_without_times_is_in_no_range() -> None:
    """Nobody knows when it was active."""
    unknown = SessionMetadata("a")
    assert SessionQuery().matches(unknown, [])
    assert not SessionQuery(active_since=MOMENT).matches(unknown, [])
    assert not SessionQuery(active_until=MOMENT).matches(unknown, [])


@pytest.mark.parametrize(
    ("keyword", "texts", "found"),
    [
        ("hello", ["Hello, World"], True),
        ("world hello", ["Hello, World"], True),
        ("hello world", ["Hello", "World"], False),
        ("hello", ["Good day", "hello"], True),
        ("hell", ["hello"], False),
        ("日本", ["日本語"], True),
        ("日語", ["日本語"], False),
        ("?!", [], True),
        ("", [], True),
        (None, [], True),
        ("hello", [], False),
    ],
)
def test_one_message_must_hold_every_term(keyword: str | None, texts: list[str], found: bool) -> None:  # noqa: FBT001 -- expected
    """Terms are sought whole, in any order; a keyword without terms asks for nothing."""
    assert SessionQuery(keyword).matches(METADATA, texts) is found


def test_texts_are_read_only_where_they_matter() -> None:
    """Not where a filter fails, not without a term, and no further than the first match."""

    def texts(*some: str) -> Iterator[str]:
        yield from some
        pytest.fail("read on")

    assert not SessionQuery("hello", state="running").matches(METADATA, texts())
    assert SessionQuery("?!").matches(METADATA, texts())
    assert SessionQuery("hello").matches(METADATA, texts("good day", "hello"))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limit": -1}, "limit must be 0 or more, not -1"),
        ({"offset": -1}, "offset must be 0 or more, not -1"),
        ({"active_since": NAIVE}, "active_since must be timezone-aware"),
        ({"active_until": NAIVE}, "active_until must be timezone-aware"),
        (
            {"active_since": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))},
            "outside the years 1 to 9999 in UTC",
        ),
    ],
)
def test_a_query_out_of_range_is_refused(options: dict[str, Any], error: str) -> None:
    """When it is built, so that no backend sees it."""
    with pytest.raises(ValueError, match=error):
        SessionQuery(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keyword": 5}, "keyword is text, not int"),
        ({"limit": "x"}, "limit is a whole number, not str"),
        ({"limit": 1.5}, "limit is a whole number, not float"),
        ({"offset": 1.5}, "offset is a whole number, not float"),
        ({"offset": None}, "offset is a whole number, not NoneType"),
        *(
            ({field: b"x"}, f"{field} is text, not bytes")
            for field in ("key_prefix", "agent_alias", "channel_id", "room_id", "sender_id", "state")
        ),
        ({"attributes": ["a"]}, "attributes are a dict, not list"),
        ({"attributes": None}, "attributes are a dict, not NoneType"),
        ({"active_since": "2024"}, "active_since is a datetime, not str"),
        ({"active_until": 0}, "active_until is a datetime, not int"),
    ],
)
def test_a_query_of_other_types_is_refused(options: dict[str, Any], error: str) -> None:
    """When it is built, naming the field and what it is."""
    with pytest.raises(TypeError, match=error):
        SessionQuery(**options)


@pytest.mark.parametrize(
    ("offset", "limit", "keys"),
    [(0, None, "abc"), (1, None, "bc"), (3, None, ""), (9, 1, ""), (0, 0, ""), (0, 2, "ab"), (1, 1, "b"), (2, 9, "c")],
)
def test_a_page_is_offset_then_limit(offset: int, limit: int | None, keys: str) -> None:
    """As slices do it, past the end too."""
    found = map(SessionMetadata, "abc")
    assert [metadata.key for metadata in SessionQuery(offset=offset, limit=limit).page(found)] == list(keys)


def test_lists_are_most_recently_active_first() -> None:
    """Ties by key, code point by code point; those without a time last."""
    earlier, later = MOMENT, MOMENT + MICROSECOND
    listed = [
        SessionMetadata("z", last_activity=later),
        SessionMetadata("Z", last_activity=earlier),
        SessionMetadata("a", last_activity=earlier),
        SessionMetadata("\uffff", last_activity=earlier),
        SessionMetadata("\U00010000", last_activity=earlier),
        SessionMetadata("before 1970", last_activity=datetime(1960, 1, 1, tzinfo=UTC)),
        SessionMetadata("a"),
        SessionMetadata("b"),
    ]
    shuffled = [listed[i] for i in (3, 7, 0, 5, 2, 6, 1, 4)]
    assert sorted(shuffled, key=by_activity) == listed


@pytest.mark.parametrize(
    "moment",
    [
        MOMENT,
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_microseconds_hold_every_moment(moment: datetime) -> None:
    """Both ways, before 1970 too."""
    assert to_datetime(from_datetime(moment)) == moment
    assert optional_datetime(optional_microseconds(moment)) == moment


def test_the_clock_is_utc_now_and_none_stays_none() -> None:
    """In whole microseconds since 1970."""
    before = datetime.now(UTC) - MICROSECOND
    assert before <= to_datetime(now()) <= datetime.now(UTC) + MICROSECOND
    assert optional_datetime(None) is None
    assert optional_microseconds(None) is None


def test_a_naive_datetime_names_no_moment() -> None:
    """It is refused wherever a moment is asked for."""
    with pytest.raises(ValueError, match=r"a naive datetime .* names no moment"):
        from_datetime(NAIVE)
