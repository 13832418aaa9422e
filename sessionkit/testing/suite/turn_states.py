"""A turn's own state: `set_turn_state`, for the turn that runs; and what a takeover leaves to the one before."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs

from sessionkit import ConflictError, SessionContext, SessionState
from sessionkit.testing.suite.base import (
    Backend,
    SuiteBase,
    fill,
    metadata_of,
    old_session,
    refuses,
    say,
    texts,
    told_of,
)
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import HOSTILE_TEXTS

_STATE = ("SupportsTurnState", "set_session_state", "get_session_state")
_STORY = (*_STATE, "SupportsTurns", "SupportsWrite")

_ENDS = ("idle", "error", "waiting", "Running")


class TurnStatePromises(SuiteBase):
    """`set_turn_state`, and with it `begin_turn` and `write`: a turn that is over changes nothing any more."""

    # -- the turn that runs --------------------------------------------------------------------------------------------

    @promise("set_turn_state.heartbeat", needs=_STATE)
    def test_heartbeat_of_the_turn_that_runs(self, backend: Backend) -> None:
        """`set_turn_state` with `running` is a heartbeat of the turn that runs: only `heartbeat_at` is now.

        If this fails: `turn_started_at` stays when the turn began, and the turn id what it was.
        """
        backend.set_session_state("a", "running", "t")
        started = _state(backend).turn_started_at
        for _ in range(2):
            before = self.tick()
            backend.set_turn_state("a", "t", "running")
            after = self.tick()
            state = _state(backend)
            assert (state.state, state.turn_id, state.turn_started_at) == ("running", "t", started)
            assert state.heartbeat_at is not None
            assert before < state.heartbeat_at < after

    @promise("set_turn_state.ends", needs=_STATE)
    def test_end_of_the_turn_that_runs(self, backend: Backend) -> None:
        """`set_turn_state` with any other state ends the turn: the state is as given, the turn id stays, and both times
        are cleared.

        If this fails: do as `set_session_state` does, in one change.
        """
        for i, state in enumerate(_ENDS):
            backend.set_session_state("a", "running", f"t{i}")
            backend.set_turn_state("a", f"t{i}", "running")
            backend.set_turn_state("a", f"t{i}", state)
            assert backend.get_session_state("a") == SessionState(state, f"t{i}", None, None)
            if self.offers(backend, "list_running_sessions"):
                assert self.settled(backend.list_running_sessions) == []

    @promise("set_turn_state.any-text", needs=_STATE)
    def test_any_text_is_a_turn_and_its_end(self, backend: Backend) -> None:
        """A turn of any id ends in a state of any text; both are stored as given.

        If this fails: bind them as they are, and limit neither.
        """
        for text in filter(None, HOSTILE_TEXTS):
            backend.set_session_state("a", "running", text)
            backend.set_turn_state("a", text, "running")
            backend.set_turn_state("a", text, text)
            assert backend.get_session_state("a") == SessionState(text, text, None, None)

    @promise("set_turn_state.returns-revision", needs=_STATE, native=("get_session_metadata",))
    def test_turn_state_gives_the_revision(self, backend: Backend) -> None:
        """`set_turn_state` gives the session's revision after it, which the metadata carry: with a heartbeat the one
        that was, with an end a new one.

        If this fails: read it within the same change.
        """
        fill(backend, "a", "one")
        backend.set_session_state("a", "running", "t")
        began = metadata_of(backend, "a").revision
        assert backend.set_turn_state("a", "t", "running") == metadata_of(backend, "a").revision == began
        ended = backend.set_turn_state("a", "t", "idle")
        assert ended == metadata_of(backend, "a").revision
        assert ended != began

    @promise("set_turn_state.changes-nothing-else", needs=_STATE, native=("get_session_metadata",))
    def test_turn_state_changes_nothing_else(self, backend: Backend) -> None:
        """`set_turn_state` changes the state, and with it the activity and the revision, and nothing else of the
        session, nor of any other.

        If this fails: write what has changed, not a record of your own.
        """
        for key in "ab":
            fill(backend, key, "one", "two")
            backend.set_session_state(key, "running", "t")
            for setter, value in (
                ("set_session_name", "name"),
                ("set_session_agent_alias", "alias"),
                ("set_session_context", SessionContext("c", "r", "s", {"x": {"y": 1}})),
            ):
                if self.offers(backend, setter):
                    getattr(backend, setter)(key, value)
        before, other = told_of(backend, "a"), told_of(backend, "b")
        for state in ("running", "error"):
            backend.set_turn_state("a", "t", state)
            stored, found = told_of(backend, "a")
            changed = {field: getattr(found, field) for field in ("last_activity", "revision", "state")}
            times = {field: getattr(found, field) for field in ("turn_started_at", "heartbeat_at")}
            assert [stored, found] == [before[0], attrs.evolve(before[1], **changed, **times)]
        assert told_of(backend, "b") == other

    @promise("set_turn_state.stuck", needs=(*_STATE, "SupportsTurns", "SupportsRestore"))
    def test_a_stuck_turn_goes_on(self, backend: Backend) -> None:
        """A turn that has been silent for long, and that nobody has taken over, goes on: a heartbeat makes it as alive
        as any, and it ends as any.

        If this fails: only another turn, or the end of this one, takes it away; no age does.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        for key in "ab":
            old_session(backend, key, hours=1, state="running", turn_id="t", turn_started_at=then, heartbeat_at=then)
        backend.set_turn_state("a", "t", "running")
        assert backend.begin_turn("a", "ours", stuck_after=1800).turn_id == "t"
        assert _state(backend).turn_started_at == then
        backend.set_turn_state("b", "t", "error")
        assert backend.get_session_state("b") == SessionState("error", "t", None, None)

    # -- any other turn ------------------------------------------------------------------------------------------------

    @promise("set_turn_state.others-turn", needs=_STATE)
    def test_the_state_of_another_turn(self, backend: Backend) -> None:
        """While another turn runs, `set_turn_state` is `ConflictError`, for a heartbeat as for an end, and changes
        nothing.

        If this fails: compare the turn ids within the lock or transaction that writes, code point by code point.
        """
        fill(backend, "a", "one")
        alike = [("theirs", "ours"), ("t", "T"), ("t ", "t"), ("t", "t2"), ("\u00e4", "a\u0308"), ("a\0b", "a")]
        for runs, asks in (*alike, *[(asks, runs) for runs, asks in alike], (None, "t"), (None, "None")):
            backend.set_session_state("a", "running", runs)
            self._is_refused(backend, _states(backend, asks))

    @promise("set_turn_state.no-turn", needs=_STATE)
    def test_the_state_of_no_turn(self, backend: Backend) -> None:
        """Where no turn runs, `set_turn_state` is `ConflictError`, and changes nothing, though the session has kept the
        turn's id.

        If this fails: compare the state too, or a heartbeat begins a turn that has ended.
        """
        fill(backend, "a", "one")
        self._is_refused(backend, _states(backend, "t"))
        for state in _ENDS:
            backend.set_session_state("a", state, "t")
            self._is_refused(backend, _states(backend, "t"))

    @promise("set_turn_state.ended", needs=_STATE)
    def test_the_state_of_a_turn_that_has_ended(self, backend: Backend) -> None:
        """A turn that has ended stays so: a heartbeat, or another end, is `ConflictError`, and changes nothing.

        If this fails: an end is no less fenced where the turn itself has come to it.
        """
        fill(backend, "a", "one")
        for i, state in enumerate(_ENDS):
            backend.set_session_state("a", "running", f"t{i}")
            backend.set_turn_state("a", f"t{i}", state)
            self._is_refused(backend, _states(backend, f"t{i}"))

    @promise("set_turn_state.unknown-session", needs=_STATE)
    def test_the_state_of_an_unknown_session(self, backend: Backend) -> None:
        """In an unknown session, one that was deleted too, `set_turn_state` is `ConflictError`, and creates nothing.

        If this fails: look the session up, and do not make one.
        """
        keys = ["nobody"]
        if self.is_native(backend, "delete_session"):
            backend.set_session_state("deleted", "running", "t")
            backend.delete_session("deleted")
            keys.append("deleted")
        for key in keys:
            for state in ("running", *_ENDS):
                with refuses(ConflictError, f"the state {state!r} in {key!r}"):
                    backend.set_turn_state(key, "t", state)
                assert backend.get_session_state(key) is None
        assert self.settled(backend.list_sessions) == []

    # -- takeovers -----------------------------------------------------------------------------------------------------

    @promise("takeover.shuts-out", needs=_STORY)
    def test_a_takeover_shuts_the_old_holder_out(self, backend: Backend) -> None:
        """After a takeover nothing of the old holder's gets through: its heartbeats, its end and its writes are
        `ConflictError`, and change nothing; the new holder goes on.

        If this fails: whoever slept through a takeover would mix its messages with those of the turn that runs.
        """
        fill(backend, "a", "one")
        backend.begin_turn("a", "theirs")
        backend.write("a", append=[say("two")], attributes={"x": 1}, if_turn="theirs")
        backend.set_turn_state("a", "theirs", "running")
        self.tick()
        assert backend.begin_turn("a", "ours", stuck_after=0).turn_id == "ours"
        for text in ("three", "four"):
            self._is_shut_out(backend, "theirs")
            backend.set_turn_state("a", "ours", "running")
            backend.write("a", append=[say(text)], if_turn="ours")
        self._is_shut_out(backend, "theirs")
        backend.set_turn_state("a", "ours", "idle")
        assert texts(backend.load("a")) == ["one", "two", "three", "four"]
        assert backend.get_session_state("a") == SessionState("idle", "ours", None, None)

    @promise("takeover.stays-over", needs=_STORY)
    def test_a_turn_that_was_taken_over_stays_over(self, backend: Backend) -> None:
        """A turn that was taken over stays over when the new one has ended, too: only `begin_turn` begins it again, and
        then anew.

        If this fails: the heartbeat of a process that has slept through all of it must not wake its turn.
        """
        fill(backend, "a", "one")
        for state in _ENDS:
            backend.begin_turn("a", "theirs")
            self.tick()
            backend.begin_turn("a", "ours", stuck_after=0)
            backend.set_turn_state("a", "ours", state)
            for turn in ("theirs", "ours"):
                self._is_shut_out(backend, turn)
            before = self.tick()
            again = backend.begin_turn("a", "theirs")
            assert again.turn_id == "theirs"
            assert again.turn_started_at is not None
            assert again.turn_started_at > before
            self._is_shut_out(backend, "ours")
            backend.set_turn_state("a", "theirs", "running")
            backend.write("a", append=[say(state)], if_turn="theirs")
            backend.set_turn_state("a", "theirs", "idle")
        assert texts(backend.load("a")) == ["one", *_ENDS]

    def _is_shut_out(self, backend: Backend, turn: str) -> None:
        """Neither states nor writes of that turn get through, nor leave a trace."""
        changes: list[dict[str, Any]] = [
            {"append": [say("late")]},
            {"drop_last": 1},
            {"drop_last": 1, "append": [say("late")], "attributes": {"x": 2}},
            {"attributes": {"x": None, "y": 2}},
            {},
        ]
        writes = {f"{change}": partial(backend.write, "a", if_turn=turn, **change) for change in changes}
        self._is_refused(backend, _states(backend, turn) | writes)

    def _is_refused(self, backend: Backend, calls: Mapping[str, Callable[[], object]]) -> None:
        """Each of the calls is a conflict, and leaves no trace."""
        before = self._all_of(backend)
        self.tick()
        for what, call in calls.items():
            with refuses(ConflictError, what):
                call()
            assert self._all_of(backend) == before, f"{what} is refused, and changes something"

    def _all_of(self, backend: Backend) -> list[Any]:
        """Everything that reading tells."""
        self.settle()
        return [
            *told_of(backend, "a"),
            backend.get_session_state("a"),
            backend.list_sessions(),
            backend.list_sessions_with_metadata(),
        ]


def _state(backend: Backend) -> SessionState:
    state = backend.get_session_state("a")
    assert state is not None
    return state


def _states(backend: Backend, turn: str) -> dict[str, Callable[[], object]]:
    """A heartbeat, and every end, of that turn."""
    return {
        f"the state {state!r} of the turn {turn!r}": partial(backend.set_turn_state, "a", turn, state)
        for state in ("running", *_ENDS)
    }
