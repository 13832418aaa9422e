"""Bad input, on every built-in backend: a clear error of ours, nothing changed, no secret shown."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sessionkit import (
    ChatMessage,
    ConflictError,
    InvalidMessageError,
    InvalidSessionKeyError,
    SessionContext,
    SessionKitError,
    SessionMetadata,
    SessionQuery,
    TimestampedMessage,
    ToolCall,
    Usage,
    extend,
    open_backend,
)
from sessionkit.registry import BUILT_IN
from sessionkit.testing.suite.keys import BY_KEY
from tests.places import url_of

NAIVE = datetime(2023, 11, 7)  # noqa: DTZ001 -- on purpose
LATE = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=12)))
EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12)))
GOOD = ChatMessage("user", "Hello", timestamp=datetime(2023, 11, 7, tzinfo=UTC))

Backend = Any
"""What has the 22 and the optional protocols."""

Call = Callable[[Backend, Any], object]


@pytest.fixture(name="backend", params=BUILT_IN)
def _backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A backend with one session, in which a turn runs."""
    with open_backend(url_of(request.param, tmp_path)) as backend:
        backend.append("kept", GOOD)
        backend.set_session_name("kept", "A name")
        backend.set_session_context("kept", SessionContext("c", "r", "s", {"a": 1}))
        backend.set_session_state("kept", "running", "turn")
        yield backend


def state_of(backend: Backend) -> list[object]:
    """All that the backend tells of its sessions."""
    return [
        (metadata, backend.load_with_timestamps(metadata.key)) for metadata in backend.list_sessions_with_metadata()
    ]


@contextmanager
def refused(backend: Backend, kind: type[Exception], match: str | None = None) -> Generator[None]:
    """The error is ours or Python's own for arguments, can be printed in a line, and nothing is changed."""
    before = state_of(backend)
    with pytest.raises(kind, match=match) as caught:
        yield
    assert state_of(backend) == before
    text = str(caught.value)
    text.encode()
    assert 10 < len(text) < 400
    assert isinstance(caught.value, (SessionKitError, ValueError, TypeError))


# -- keys ------------------------------------------------------------------------------------------------------------

WITH_A_KEY: dict[str, Call] = BY_KEY | {
    "write nothing": lambda backend, key: backend.write(key),
    "extend": lambda backend, key: extend(backend, key, [GOOD]),
    "set no name": lambda backend, key: backend.set_session_name(key, ""),
    "set no context": lambda backend, key: backend.set_session_context(key, SessionContext()),
}
BAD_KEYS: dict[str, Any] = {
    "empty": "",
    "too long": "x" * 2000,
    "too long in bytes": "ä" * 1000,
    "NUL": "a\0b",
    "lone surrogate": "a\ud800",
    "bytes": b"kept",
    "None": None,
    "number": 5,
    "list": ["kept"],
}


@pytest.mark.parametrize("call", WITH_A_KEY.values(), ids=WITH_A_KEY)
def test_a_bad_key_is_refused_by_every_method(backend: Backend, call: Call) -> None:
    """Before anything is touched, whether or not the method would have found something to do."""
    for key in BAD_KEYS.values():
        with refused(backend, InvalidSessionKeyError):
            call(backend, key)


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "..", ".", "CON", "a/../b", "~", "C:\\x", "%2e%2e"])
def test_a_key_that_looks_like_a_path_is_a_key(backend: Backend, tmp_path: Path, key: str) -> None:
    """It is another session than any other, and nothing is written outside of the store."""
    outside = sorted(path for path in tmp_path.parent.iterdir() if path != tmp_path)
    backend.append(key, GOOD)
    backend.update_last(key, ChatMessage("user", key))
    backend.compact(key)
    assert backend.load(key) == [ChatMessage("user", key)]
    assert sorted(backend.list_sessions()) == sorted([key, "kept"])
    assert all(path.name.startswith("store") for path in tmp_path.iterdir())
    assert sorted(path for path in tmp_path.parent.iterdir() if path != tmp_path) == outside
    assert backend.delete_session(key)
    assert backend.load("kept") == [GOOD]


# -- messages --------------------------------------------------------------------------------------------------------


def nested(levels: int) -> list[Any]:
    """So many lists in each other."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def message(role: Any = "user", content: Any = None, **fields: Any) -> ChatMessage:
    """A message whose fields nobody checks."""
    return ChatMessage(role, content, **fields)


BAD_MESSAGES: dict[str, tuple[Any, str]] = {
    "NaN": (message(extra={"x": float("nan")}), r"extra\['x'\] is nan"),
    "infinity": (message(usage=Usage(cost_usd=float("inf"))), "usage.cost_usd is inf"),
    "bytes": (message(content=b"x"), "content must be text, a list of dicts or None, not a bytes"),
    "bytes within": (message(content=[{"data": b"x"}]), r"content\[0\]\['data'\] is a bytes"),
    "tuple": (message(content=[{"x": (1, 2)}]), r"content\[0\]\['x'\] is a tuple"),
    "set": (message(tool_metadata={"x": {1}}), r"tool_metadata\['x'\] is a set"),
    "datetime": (message(extra={"x": datetime.now(UTC)}), r"extra\['x'\] is a datetime"),
    "key that is no text": (message(tool_metadata={1: 2}), "tool_metadata has a key that is no text but an int"),
    "role that is no text": (message(role=5), "role must be text, not an int"),
    "role None": (message(role=None), "role must be text, not a NoneType"),
    "naive datetime": (message(timestamp=NAIVE), "timestamp must be a timezone-aware datetime"),
    "lone surrogate": (message(content="\ud800"), "content holds a lone surrogate"),
    "lone surrogate in a key": (message(extra={"\ud800": 1}), "extra has a key that holds a lone surrogate"),
    "nesting": (message(content=[{"x": nested(10_000)}]), r"content\[0\]\['x'\].* is nested deeper than 200 levels"),
    "long integer": (message(extra={"x": 10**4300}), "an integer of more than 4300 digits"),
    "extra that repeats": (message(content="a", extra={"content": "b"}), r"extra\['content'\] repeats the field"),
    "tool call that is none": (message(tool_calls=[{"id": "x"}]), r"tool_calls\[0\] must be a ToolCall"),
    "arguments no text": (message(tool_calls=[ToolCall("i", "n", {})]), "arguments must be text"),  # type: ignore[arg-type]
    "dict": ({"role": "user"}, "a message is a ChatMessage, not dict"),
    "None": (None, "a message is a ChatMessage, not NoneType"),
}
META = SessionMetadata("new")
WITH_A_MESSAGE: dict[str, Call] = {
    "append": lambda backend, bad: backend.append("kept", bad),
    "append to a new session": lambda backend, bad: backend.append("new", bad),
    "update_last": lambda backend, bad: backend.update_last("kept", bad),
    "update_last of nothing": lambda backend, bad: backend.update_last("new", bad),
    "write": lambda backend, bad: backend.write("kept", drop_last=1, append=[GOOD, bad], attributes={"a": 2}),
    "extend": lambda backend, bad: extend(backend, "new", [GOOD, bad]),
    "restore": lambda backend, bad: backend.restore("new", [TimestampedMessage(bad, NAIVE.replace(tzinfo=UTC))], META),
}


@pytest.mark.parametrize(("bad", "error"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_message_is_refused_by_every_method(backend: Backend, bad: Any, error: str) -> None:
    """With what is wrong and where; good messages beside it are not stored either."""
    for call in WITH_A_MESSAGE.values():
        with refused(backend, InvalidMessageError, error):
            call(backend, bad)


@pytest.mark.parametrize("scheme", BUILT_IN)
def test_a_message_of_too_many_bytes_is_refused(scheme: str, tmp_path: Path) -> None:
    """By the option of every backend; the error names it."""
    with open_backend(f"{url_of(scheme, tmp_path)}?max_message_bytes=100") as backend:
        backend.append("kept", ChatMessage("user", "x" * 50))
        for call in WITH_A_MESSAGE.values():
            with refused(backend, InvalidMessageError, "max_message_bytes is 100"):
                call(backend, ChatMessage("user", "x" * 100))


# -- other arguments -------------------------------------------------------------------------------------------------

BAD_ATTRIBUTES: dict[str, Any] = {
    "NaN": {"a": float("nan")},
    "bytes": {"a": b"x"},
    "tuple": {"a": (1,)},
    "key that is no text": {1: 2},
    "lone surrogate": {"\ud800": 1},
    "nesting": {"a": nested(10_000)},
}
NO_TIME: Any = "2026-11-20"
NO_COUNT: Any = 3.0
OUT_OF_RANGE: dict[str, tuple[Callable[[Backend], object], type[Exception], str]] = {
    "last no count": (
        lambda b: b.load_with_timestamps("kept", last=1.5),
        TypeError,
        "last is a whole number, not float",
    ),
    "last no number": (
        lambda b: b.load_with_timestamps("kept", last="x"),
        TypeError,
        "last is a whole number, not str",
    ),
    "ttl no number": (lambda b: b.cleanup_stale("x"), TypeError, "ttl_hours is a number, not str"),
    "ttl None": (lambda b: b.cleanup_stale(None), TypeError, "ttl_hours is a number, not NoneType"),
    "drop no count": (lambda b: b.write("kept", drop_last=1.5), TypeError, "drop_last is a whole number, not float"),
    "drop None": (lambda b: b.write("kept", drop_last=None), TypeError, "drop_last is a whole number, not NoneType"),
    "last": (lambda b: b.load_with_timestamps("kept", last=-1), ValueError, "last must be 0 or more"),
    "count no number": (lambda b: b.load_first("kept", 1.0), TypeError, "count is a whole number, not float"),
    "count": (lambda b: b.load_first("kept", -1), ValueError, "count must be 0 or more"),
    "ttl": (lambda b: b.cleanup_stale(-0.1), ValueError, "ttl_hours must be 0 or more"),
    "ttl NaN": (lambda b: b.cleanup_stale(float("nan")), ValueError, "ttl_hours must be 0 or more"),
    "threshold": (lambda b: b.list_stuck_sessions(-1), ValueError, "threshold_secs must be 0 or more"),
    "stuck_after": (lambda b: b.begin_turn("kept", "t", stuck_after=-1), ValueError, "stuck_after must be 0 or more"),
    "drop_last": (lambda b: b.write("kept", drop_last=-1), ValueError, "drop_last must be 0 or more"),
    "drop too many": (lambda b: b.write("kept", drop_last=2), ValueError, "'kept' has 1 messages, so 2 can't"),
    "drop of nothing": (lambda b: b.write("new", drop_last=1), ValueError, "has 0 messages"),
    "empty state": (lambda b: b.set_session_state("kept", ""), ValueError, "a state can't be empty"),
    "empty turn": (lambda b: b.begin_turn("kept", ""), ValueError, "a turn id can't be empty"),
    "empty turn of a state": (lambda b: b.set_turn_state("kept", "", "idle"), ValueError, "a turn id can't be empty"),
    "empty state of a turn": (lambda b: b.set_turn_state("kept", "turn", ""), ValueError, "a state can't be empty"),
    "limit": (lambda b: b.search(SessionQuery(limit=-1)), ValueError, "limit must be 0 or more"),
    "offset": (lambda b: b.search(SessionQuery(offset=-1)), ValueError, "offset must be 0 or more"),
    "naive since": (lambda b: b.search(SessionQuery(active_since=NAIVE)), ValueError, "timezone-aware"),
    "naive time": (
        lambda b: b.restore("new", [TimestampedMessage(GOOD, NAIVE)], META),
        ValueError,
        "a naive datetime .* names no moment",
    ),
    "naive creation": (lambda b: b.restore("new", [], SessionMetadata("new", NAIVE)), ValueError, "names no moment"),
    "late creation": (lambda b: b.restore("new", [], SessionMetadata("new", LATE)), ValueError, "outside the years"),
    "late message": (
        lambda b: b.restore("new", [TimestampedMessage(GOOD, LATE)], META),
        ValueError,
        "outside the years 1 to 9999",
    ),
    "early heartbeat": (
        lambda b: b.restore("new", [], SessionMetadata("new", state="running", heartbeat_at=EARLY)),
        ValueError,
        "outside the years 1 to 9999",
    ),
    "no context": (lambda b: b.set_session_context("kept", None), TypeError, "must be a SessionContext, not NoneType"),
    "attributes no mapping": (
        lambda b: b.write("kept", append=[GOOD], attributes=[1]),
        TypeError,
        "attributes must be a mapping, not list",
    ),
    "surrogate name": (lambda b: b.set_session_name("kept", "\ud800"), ValueError, "lone surrogate"),
    "surrogate alias": (lambda b: b.set_session_agent_alias("kept", "\ud800"), ValueError, "lone surrogate"),
    "surrogate state": (lambda b: b.set_session_state("kept", "\ud800"), ValueError, "lone surrogate"),
    "surrogate turn": (lambda b: b.set_session_state("kept", "x", "\ud800"), ValueError, "lone surrogate"),
    "surrogate context": (
        lambda b: b.set_session_context("kept", SessionContext(room_id="\ud800", attributes={"a": 2})),
        ValueError,
        "room_id can't hold a lone surrogate",
    ),
    "name no text": (lambda b: b.set_session_name("kept", 5), TypeError, "name is text, not int"),
    "state no text": (lambda b: b.set_session_state("kept", None), TypeError, "a state is text, not NoneType"),
    "turn no text": (lambda b: b.begin_turn("kept", 5), TypeError, "a turn id is text, not int"),
    "turn of a state no text": (
        lambda b: b.set_turn_state("kept", None, "idle"),
        TypeError,
        "a turn id is text, not NoneType",
    ),
    "state of a turn no text": (
        lambda b: b.set_turn_state("kept", "turn", None),
        TypeError,
        "a state is text, not NoneType",
    ),
    "surrogate state of a turn": (
        lambda b: b.set_turn_state("kept", "turn", "\ud800"),
        ValueError,
        "a state can't hold a lone surrogate",
    ),
    "no query": (lambda b: b.search(None), TypeError, "a query is a SessionQuery, not NoneType"),
    "revision no number": (
        lambda b: b.write("kept", append=[GOOD], if_revision="1"),
        TypeError,
        "if_revision is a whole number, not str",
    ),
    "revision no count": (lambda b: b.write("kept", if_revision=1.0), TypeError, "a whole number, not float"),
    "negative revision": (lambda b: b.write("kept", if_revision=-1), ValueError, "if_revision must be 0 or more"),
    "fence no text": (lambda b: b.write("kept", append=[GOOD], if_turn=5), TypeError, "if_turn is text, not int"),
    "no metadata": (lambda b: b.restore("new", [], None), TypeError, "must be a SessionMetadata, not NoneType"),
    "restoring what is not stored": (
        lambda b: b.restore("new", [GOOD], META),
        TypeError,
        "is a TimestampedMessage, not ChatMessage",
    ),
    "time no datetime": (
        lambda b: b.restore("new", [TimestampedMessage(GOOD, NO_TIME)], META),
        TypeError,
        "a time is a datetime, not str",
    ),
    "creation no datetime": (
        lambda b: b.restore("new", [], SessionMetadata("new", NO_TIME)),
        TypeError,
        "a time is a datetime, not str",
    ),
    "restored revision no count": (
        lambda b: b.restore("new", [TimestampedMessage(GOOD)], SessionMetadata("new", revision=NO_COUNT)),
        TypeError,
        "a revision is a whole number, not float",
    ),
    "restored revision a bool": (
        lambda b: b.restore("new", [], SessionMetadata("new", revision=True)),
        TypeError,
        "a revision is a whole number, not bool",
    ),
    "restored revision negative": (
        lambda b: b.restore("new", [], SessionMetadata("new", revision=-1)),
        ValueError,
        "a revision must be 0 or more",
    ),
    "revision": (lambda b: b.write("kept", append=[GOOD], if_revision=0), ConflictError, "'kept' is at revision"),
    "turn": (lambda b: b.write("kept", append=[GOOD], if_turn="other"), ConflictError, "turn 'turn' runs in 'kept'"),
    "heartbeat": (
        lambda b: b.set_turn_state("kept", "other", "running"),
        ConflictError,
        "turn 'turn' runs in 'kept', not 'other'",
    ),
    "end": (lambda b: b.set_turn_state("kept", "other", "idle"), ConflictError, "turn 'turn' runs in 'kept'"),
    "end of nothing": (lambda b: b.set_turn_state("new", "turn", "idle"), ConflictError, "no turn runs in 'new'"),
    "restoring over": (lambda b: b.restore("kept", [], SessionMetadata("kept")), ConflictError, "'kept' exists"),
}


@pytest.mark.parametrize(("call", "kind", "error"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_an_argument_out_of_range_is_refused(
    backend: Backend, call: Callable[[Backend], object], kind: type[Exception], error: str
) -> None:
    """By a `ValueError`, a `TypeError` or a conflict that says what was expected."""
    with refused(backend, kind, error):
        call(backend)


@pytest.mark.parametrize("attributes", BAD_ATTRIBUTES.values(), ids=BAD_ATTRIBUTES)
def test_bad_attributes_are_refused(backend: Backend, attributes: Any) -> None:
    """By all that take some, with all else that they would have done."""
    with refused(backend, InvalidMessageError, "^attributes"):
        backend.set_session_context("kept", SessionContext("other", attributes=attributes))
    with refused(backend, InvalidMessageError, "^attributes"):
        backend.set_session_context("new", SessionContext("other", attributes=attributes))
    with refused(backend, InvalidMessageError, "^attributes"):
        backend.write("kept", append=[GOOD], attributes=attributes)
    with refused(backend, InvalidMessageError, "^attributes"):
        backend.restore("new", [TimestampedMessage(GOOD)], SessionMetadata("new", attributes=attributes))
