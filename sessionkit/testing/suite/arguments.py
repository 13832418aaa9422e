"""Arguments out of range, of another type, or that no store can hold: refused, and nothing is changed."""

from collections.abc import Callable
from typing import Any

from sessionkit import SessionContext, SessionMetadata, TimestampedMessage
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, refuses, say, texts, told_of
from sessionkit.testing.suite.promises import promise

Call = Callable[[Backend, Any], object]

_NAN = float("nan")
_SURROGATE = "a\ud800"
_SETTERS = ("set_session_name", "set_session_agent_alias", "set_session_context", "set_session_state")

MISTYPED: dict[str, tuple[tuple[Call, tuple[Any, ...]], ...]] = {
    "load_with_timestamps": ((lambda b, bad: b.load_with_timestamps("a", last=bad), ("1", 1.0, [1])),),
    "cleanup_stale": ((lambda b, bad: b.cleanup_stale(bad), ("1", None)),),
    "search": ((lambda b, bad: b.search(bad), (None, "one", {"keyword": "one"})),),
    "set_session_name": ((lambda b, bad: b.set_session_name("a", bad), (None, 5, b"n")),),
    "set_session_agent_alias": ((lambda b, bad: b.set_session_agent_alias("a", bad), (None, 5, b"a")),),
    "set_session_context": (
        (lambda b, bad: b.set_session_context("a", bad), (None, {"channel_id": "c"})),
        (lambda b, bad: b.set_session_context("a", SessionContext("c", room_id=bad)), (5, b"r")),
        (lambda b, bad: b.set_session_context("a", SessionContext("c", attributes=bad)), (None, [("x", 1)])),
    ),
    "set_session_state": (
        (lambda b, bad: b.set_session_state("a", bad), (None, 5)),
        (lambda b, bad: b.set_session_state("a", "running", bad), (5, b"t")),
    ),
    "list_stuck_sessions": ((lambda b, bad: b.list_stuck_sessions(bad), ("1", None)),),
    "SupportsWrite": (
        (lambda b, bad: b.write("a", drop_last=bad), ("1", 1.0, None)),
        (lambda b, bad: b.write("a", append=bad), (None, 5)),
        (lambda b, bad: b.write("a", append=[say("two")], attributes=bad), (None, [("x", 1)])),
        (lambda b, bad: b.write("a", append=[say("two")], if_revision=bad), ("1", 1.0)),
        (lambda b, bad: b.write("a", append=[say("two")], if_turn=bad), (5, b"t")),
    ),
    "SupportsTurns": (
        (lambda b, bad: b.begin_turn("a", bad), (None, 5)),
        (lambda b, bad: b.begin_turn("a", "t", stuck_after=bad), ("1", [1])),
    ),
    "SupportsTurnState": (
        (lambda b, bad: b.set_turn_state("a", bad, "idle"), (None, 5, b"t")),
        (lambda b, bad: b.set_turn_state("a", "t", bad), (None, 5, b"idle")),
    ),
    "SupportsFirst": ((lambda b, bad: b.load_first("a", bad), ("1", 1.0, True, None)),),
    "SupportsRestore": (
        (lambda b, bad: b.restore("new", [], bad), (None, {"key": "new"})),
        (lambda b, bad: b.restore("new", bad, SessionMetadata("new")), (None, [say()])),
        (lambda b, bad: b.restore("new", [TimestampedMessage(say(), bad)], SessionMetadata("new")), ("2024-02-29", 5)),
        *(
            (
                lambda b, bad, field=field: b.restore("new", [], SessionMetadata("new", **{field: bad})),
                wrong,
            )
            for field, wrong in (
                *((time, ("2024-02-29", 5)) for time in ("created_at", "last_activity")),
                *((text, (5,)) for text in ("name", "channel_id", "state", "turn_id")),
                ("attributes", (None, [("x", 1)])),
                ("revision", ("3", 3.0)),
            )
        ),
    ),
}
"""By method or optional protocol: calls with one argument left open, and what it must not take there."""


class ArgumentPromises(SuiteBase):
    """What every method refuses before it does anything."""

    @promise("arguments.types")
    def test_arguments_of_another_type(self, backend: Backend) -> None:
        """An argument of another type than declared is a `TypeError`, and nothing is changed or created.

        If this fails: check it before anything is touched. A store that takes "1" for 1 compares it with nothing, and
        one that takes 3.0 for 3 may not read it again.
        """
        fill(backend, "a", "one")
        before = told_of(backend, "a")
        for name, calls in MISTYPED.items():
            for i, (call, wrong) in enumerate(calls):
                for bad in wrong if self.offers(backend, name) else ():
                    with refuses(TypeError, f"call {i} of {name}, given {bad!r},"):
                        call(backend, bad)
        assert told_of(backend, "a") == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("arguments.last", needs=("load_with_timestamps",))
    def test_negative_last(self, backend: Backend) -> None:
        """A negative `last` is a `ValueError`, for an unknown session too.

        If this fails: check it before anything is read; `messages[-n:]` takes any sign.
        """
        fill(backend, "a", "one", "two")
        for key in ("a", "nobody"):
            with refuses(ValueError):
                backend.load_with_timestamps(key, last=-1)

    @promise("arguments.first", needs=("SupportsFirst",))
    def test_negative_count(self, backend: Backend) -> None:
        """A negative count of first messages is a `ValueError`, for an unknown session too.

        If this fails: check it before anything is read; `messages[:-1]` is all but the newest.
        """
        fill(backend, "a", "one", "two")
        for key in ("a", "nobody"):
            for count in (-1, -(10**30)):
                with refuses(ValueError):
                    backend.load_first(key, count)

    @promise("arguments.ttl", needs=("cleanup_stale",))
    def test_negative_ttl(self, backend: Backend) -> None:
        """A negative time to live is a `ValueError`, and nothing is deleted.

        If this fails: everything is older than a moment in the future.
        """
        fill(backend, "a", "one")
        for ttl in (-1, -0.001, _NAN):
            with refuses(ValueError):
                backend.cleanup_stale(ttl)
        assert texts(backend.load("a")) == ["one"]

    @promise("arguments.threshold", needs=("list_stuck_sessions",))
    def test_negative_threshold(self, backend: Backend) -> None:
        """A negative threshold is a `ValueError`, and so is one that is no number.

        If this fails: check it before anything is read; nothing is older than NaN.
        """
        for threshold in (-1, -0.5, _NAN):
            with refuses(ValueError):
                backend.list_stuck_sessions(threshold)

    @promise("arguments.state", needs=("set_session_state",))
    def test_empty_state(self, backend: Backend) -> None:
        """An empty state is a `ValueError`, and nothing is changed or created.

        If this fails: check it before anything is written.
        """
        backend.set_session_state("a", "running", "t")
        before = backend.get_session_state("a")
        for key in ("a", "new"):
            with refuses(ValueError):
                backend.set_session_state(key, "", "t")
        assert backend.get_session_state("a") == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("arguments.stuck-after", needs=("SupportsTurns", "get_session_state"))
    def test_negative_stuck_after(self, backend: Backend) -> None:
        """A negative `stuck_after` is a `ValueError`, and nothing is changed or created.

        If this fails: check it before anything is written.
        """
        theirs = backend.begin_turn("a", "theirs")
        for stuck_after in (-1, _NAN):
            for key in ("a", "new"):
                with refuses(ValueError):
                    backend.begin_turn(key, "t", stuck_after=stuck_after)
        assert backend.get_session_state("a") == theirs
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("arguments.turn-id", needs=("SupportsTurns", "get_session_state"))
    def test_turn_ids_that_are_none(self, backend: Backend) -> None:
        """To begin a turn without an id, or under one with a lone surrogate, is a `ValueError`, and nothing is changed
        or created.

        If this fails: check it before anything is written, and replace nothing in it: two turns might become one.
        """
        theirs = backend.begin_turn("a", "theirs")
        for turn_id in ("", _SURROGATE):
            for key in ("a", "new"):
                with refuses(ValueError):
                    backend.begin_turn(key, turn_id, stuck_after=0)
        assert backend.get_session_state("a") == theirs
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("arguments.turn-state", needs=("SupportsTurnState", "set_session_state", "get_session_state"))
    def test_turn_states_that_are_none(self, backend: Backend) -> None:
        """A turn id or a state that is empty, or holds a lone surrogate, is a `ValueError` of `set_turn_state`, and
        nothing is changed or created, whatever runs.

        If this fails: check both before anything is looked up; a turn may run under an empty id, which is nobody's.
        """
        bad = (("", "idle"), ("", "running"), (_SURROGATE, "idle"), ("t", ""), ("t", _SURROGATE))
        for runs in ("t", ""):
            backend.set_session_state("a", "running", runs)
            before = backend.get_session_state("a")
            for turn_id, state in bad:
                for key in ("a", "new"):
                    with refuses(ValueError, f"set_turn_state() of the turn {turn_id!r} and the state {state!r}"):
                        backend.set_turn_state(key, turn_id, state)
            assert backend.get_session_state("a") == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("arguments.surrogates", needs=_SETTERS)
    def test_lone_surrogates(self, backend: Backend) -> None:
        """A lone surrogate in a name, an alias, a context or a state is a `ValueError`, and nothing is changed or
        created.

        If this fails: check texts before anything is written; an encoding error of the driver must not get out either.
        """
        sets: list[Callable[[str], Any]] = [
            lambda key: backend.set_session_name(key, _SURROGATE),
            lambda key: backend.set_session_agent_alias(key, _SURROGATE),
            lambda key: backend.set_session_context(key, SessionContext(channel_id=_SURROGATE)),
            lambda key: backend.set_session_context(key, SessionContext("d", room_id=_SURROGATE)),
            lambda key: backend.set_session_context(key, SessionContext("d", sender_id=_SURROGATE)),
            lambda key: backend.set_session_context(key, SessionContext("d", attributes={_SURROGATE: 1})),
            lambda key: backend.set_session_state(key, _SURROGATE),
            lambda key: backend.set_session_state(key, "idle", _SURROGATE),
        ]
        fill(backend, "a", "one")
        backend.set_session_name("a", "name")
        backend.set_session_context("a", SessionContext("c", attributes={"x": 1}))
        before = told_of(backend, "a")
        for i, set_it in enumerate(sets):
            for key in ("a", "new"):
                with refuses(ValueError, f"setter {i}, given a lone surrogate,"):
                    set_it(key)
            assert told_of(backend, "a") == before, f"setter {i} changed something before it refused"
        assert self.settled(backend.list_sessions) == ["a"]
