"""Each backend on disk answers as the in-memory one does, step by step, times included, whatever is asked of both."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionkit import (
    ChatMessage,
    ConflictError,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    TimestampedMessage,
    ToolCall,
    clock,
)
from sessionkit_jsonl import JSONLBackend, beginning, log
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import SQLiteBackend, terms

Backend = JSONLBackend | SQLiteBackend | MemoryBackend
Step = Callable[[Backend], Any]

KEYS = ["a", "A", "ä/ö", "../etc", "con"]
MESSAGES = [
    ChatMessage("user", "hello world"),
    ChatMessage("user", 'Straße ß 東京都\n\\ "quoted" \u2028 e\u0301'),
    ChatMessage("assistant", ""),
    ChatMessage("assistant", None, tool_calls=(ToolCall("1", "search", '{"q":"world"}'),)),
    ChatMessage("assistant", [{"type": "tool_use", "name": "find", "input": {"line": "one\ntwo"}}]),
    ChatMessage("user", "marked", extra={"~": {"rev": 1, "at": 0, "n": 9}}),
    ChatMessage("user", "nested", extra={"x": {"y": 1, "~": {"rev": 1, "at": 0, "n": 9}}}),
    ChatMessage("tool", "x" * 9_000, tool_call_id="1"),
]
WORDS = ["hello", "WORLD", "strasse", "東京", "quoted", "two", "absent", "search world", ""]
SECOND = 1_000_000
START = 1_790_000_000 * SECOND
YEARS = [-2_000_000_000, -100_000_000, -1, 1, 1_000_000_000, 1_789_999_000, 1_790_000_100, 250_000_000_000]
MOMENTS = [clock.to_datetime(seconds * SECOND) for seconds in YEARS]
"""Before 1970, about then, long ago, not long ago, soon, and far away."""
SPANS = [0, 1, 3_600, 2e9, 4e9, 1e13]
"""In seconds: they end now, or some of them before 1970, or before all time."""


class Clock:
    """The time in microseconds, which stands still within a step, so that all backends are told the same."""

    def __init__(self) -> None:
        self.now = START

    def time_ns(self) -> int:
        """In the place of `time.time_ns`."""
        return self.now * 1000


def a_step(chance: random.Random) -> Step:
    """Any call, with arguments that are the same for both backends."""
    key, message = chance.choice(KEYS), chance.choice(MESSAGES)
    batch = chance.choices(MESSAGES, k=chance.randrange(4))
    number = chance.randrange(4)
    text = chance.choice(["", "n", "näme"])
    attributes = {chance.choice("ab"): chance.choice([None, 1, True, {"deep": [1]}])}
    span = chance.choice(SPANS)
    restored = a_past(chance, key), [TimestampedMessage(m, chance.choice([None, *MOMENTS])) for m in batch]
    return chance.choice(
        [
            lambda b: b.append(key, message),
            lambda b: b.append(key, message),
            lambda b: b.append(key, message),
            lambda b: b.update_last(key, message),
            lambda b: b.update_last(key, message),
            lambda b: b.remove_last(key),
            lambda b: b.write(key, drop_last=number, append=batch, attributes=attributes),
            lambda b: b.write(key, append=batch, if_revision=revision(b, key) + (number == 0)),
            lambda b: b.write(key, drop_last=1, append=batch, if_turn="t1"),
            lambda b: b.clear_messages(key),
            lambda b: b.delete_session(key),
            lambda b: b.compact(key),
            lambda b: b.set_session_name(key, text),
            lambda b: b.set_session_agent_alias(key, text),
            lambda b: b.set_session_context(key, SessionContext(channel_id=text, attributes=attributes)),
            lambda b: b.set_session_state(key, "running", f"t{number}"),
            lambda b: b.set_session_state(key, "idle"),
            lambda b: b.begin_turn(key, f"t{number}", stuck_after=chance_of_none(span)),
            lambda b: b.set_turn_state(key, "t1", "running"),
            lambda b: b.set_turn_state(key, f"t{number}", "error"),
            lambda b: b.restore(key, restored[1], restored[0]),
            lambda b: b.restore(key, restored[1], restored[0]),
            lambda b: b.cleanup_stale(span / 3600),
        ]
    )


def chance_of_none(span: float) -> float | None:
    """None in the place of one of the spans."""
    return None if span == SPANS[-1] else span


def a_past(chance: random.Random, key: str) -> SessionMetadata:
    """What a restored session was, at any times, running or not."""
    return SessionMetadata(
        key,
        chance.choice([None, *MOMENTS]),
        chance.choice([None, *MOMENTS]),
        name="restored",
        state=chance.choice([None, "running", "error"]),
        turn_id=chance.choice([None, "t1"]),
        turn_started_at=chance.choice([None, *MOMENTS]),
        heartbeat_at=chance.choice([None, *MOMENTS]),
        revision=chance.choice([None, 1, 1_000]),
    )


def revision(backend: Backend, key: str) -> int:
    """What the session is at."""
    metadata = backend.get_session_metadata(key)
    return (metadata.revision or 0) if metadata else 0


def outcome(step: Step, backend: Backend) -> Any:
    """What a step gives, or the error it ends in."""
    try:
        return step(backend)
    except (ConflictError, ValueError) as error:
        return type(error)


def found(backend: Backend) -> Any:
    """What is found by each of the words, between some moments, and stuck."""
    return [
        [backend.search(SessionQuery(words)) for words in WORDS],
        [backend.search(SessionQuery("hello", active_since=moment)) for moment in MOMENTS],
        [backend.search(SessionQuery(active_until=moment, offset=1, limit=2)) for moment in MOMENTS],
        [backend.list_stuck_sessions(span) for span in SPANS],
    ]


def everything(backend: Backend) -> Any:
    """All else that can be asked of a backend."""
    listed = backend.list_sessions_with_metadata()
    assert [metadata.key for metadata in listed] == backend.list_sessions()
    assert [backend.get_session_metadata(metadata.key) for metadata in listed] == listed
    sessions = [
        (
            backend.load(key),
            backend.load_with_timestamps(key),
            backend.load_with_timestamps(key, last=3),
            [backend.load_first(key, count) for count in (1, 3, 9)],
            backend.get_session_metadata(key),
            backend.get_session_state(key),
            backend.get_session_name(key),
            backend.get_session_agent_alias(key),
        )
        for key in KEYS
    ]
    return listed, sessions, backend.list_running_sessions()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [JSONLBackend, SQLiteBackend])
def test_same_answers_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[JSONLBackend | SQLiteBackend], seed: int
) -> None:
    """Whatever the order of calls and the times, both answer the same, also where a store is opened anew in between."""
    fake = Clock()
    monkeypatch.setattr(clock, "time", fake)
    monkeypatch.setattr(terms, "BATCH", 3)
    monkeypatch.setattr(terms, "CHECK_EVERY", 2)
    for module in (beginning, log):
        monkeypatch.setattr(module, "BEGINNING", 500)
    chance = random.Random(seed)  # noqa: S311 -- a seed makes a failure happen again
    place, model = tmp_path / "store", MemoryBackend()
    backend = kind(place)
    for number in range(200):
        step = a_step(chance)
        assert outcome(step, backend) == outcome(step, model)
        assert found(backend) == found(model)
        if number % 10 == 0:
            assert everything(backend) == everything(model)
        if number % 25 == 0:
            backend.close()
            backend = kind(place)
        fake.now += chance.choice([0, 1, SECOND, 4_000 * SECOND, -SECOND])
    backend.close()
