"""What sessions are doing: states, turns, heartbeats; which run and which are stuck."""

from datetime import UTC, datetime, timedelta

from sessionkit import SessionMetadata, SessionState
from sessionkit.testing.suite.base import (
    Backend,
    SuiteBase,
    clock_at,
    fill,
    metadata_of,
    old_session,
    whole_second,
)
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import HOSTILE_TEXTS

_STATE = ("set_session_state", "get_session_state")
_RUNNING = (*_STATE, "list_running_sessions")
_STUCK = (*_STATE, "list_stuck_sessions")


class StatePromises(SuiteBase):
    """`set_session_state`, `get_session_state`, `list_running_sessions` and `list_stuck_sessions`."""

    @promise("state.idle-until-set", needs=_STATE)
    def test_idle_until_one_is_set(self, backend: Backend) -> None:
        """A session is `idle` until a state is set, without a turn.

        If this fails: a session created by `append` has a state too.
        """
        fill(backend, "a", "one")
        assert backend.get_session_state("a") == SessionState("idle", None, None, None)

    @promise("state.unknown-is-none", needs=_STATE)
    def test_state_of_an_unknown_session(self, backend: Backend) -> None:
        """The state of an unknown session is None.

        If this fails: `idle` is said only of a session that exists.
        """
        assert backend.get_session_state("nobody") is None

    @promise("state.any-text", needs=_STATE)
    def test_any_text_is_a_state(self, backend: Backend) -> None:
        """Any non-empty text is a state, and any text a turn id; both are stored as given.

        If this fails: do not limit states to the known ones.
        """
        for text in filter(None, HOSTILE_TEXTS):
            backend.set_session_state("a", text, text)
            assert backend.get_session_state("a") == SessionState(text, text, None, None)

    @promise("state.creates-session", needs=_STATE)
    def test_state_creates_the_session(self, backend: Backend) -> None:
        """A state creates the session.

        If this fails: a session exists from its first append or setter.
        """
        backend.set_session_state("a", "waiting")
        assert self.settled(backend.list_sessions) == ["a"]
        assert backend.load("a") == []

    @promise("state.in-metadata", needs=_STATE, native=("get_session_metadata",))
    def test_state_in_metadata(self, backend: Backend) -> None:
        """The metadata carry the state, the turn and its times.

        If this fails: fill them from the same record that `get_session_state` reads.
        """
        for state, turn in (("running", "t"), ("error", "t"), ("idle", None)):
            backend.set_session_state("a", state, turn)
            metadata = metadata_of(backend, "a")
            given = SessionState(
                metadata.state or "", metadata.turn_id, metadata.turn_started_at, metadata.heartbeat_at
            )
            assert given == backend.get_session_state("a")
            assert (given.state, given.turn_id) == (state, turn)

    @promise("state.turn-id-as-given", needs=_STATE)
    def test_turn_id_is_stored_as_given(self, backend: Backend) -> None:
        """The turn id is stored as given with every state; None where none is given.

        If this fails: a state without a turn id does not keep the old one.
        """
        for state, turn in (
            ("idle", "t"),
            ("idle", None),
            ("running", None),
            ("running", "u"),
            ("error", "v"),
            ("x", None),
        ):
            backend.set_session_state("a", state, turn)
            found = _state(backend)
            assert (found.state, found.turn_id) == (state, turn)

    @promise("state.turn-id-by-keyword", needs=_STATE)
    def test_turn_id_by_keyword(self, backend: Backend) -> None:
        """The turn id may be given by its name, `turn_id`, too.

        If this fails: only the session key and the state are positional.
        """
        backend.set_session_state("a", "running", turn_id="t")
        found = _state(backend)
        assert (found.state, found.turn_id) == ("running", "t")

    @promise("turn.starts", needs=_STATE)
    def test_running_starts_a_turn(self, backend: Backend) -> None:
        """`running` with another turn id than before starts a turn: `turn_started_at` and `heartbeat_at` are now.

        If this fails: a new turn has both times, and they are equal.
        """
        for turn in ("t", "u", None, "t"):
            before = self.tick()
            backend.set_session_state("a", "running", turn)
            after = self.tick()
            state = _state(backend)
            assert state.turn_started_at is not None
            assert before < state.turn_started_at < after
            assert state.heartbeat_at == state.turn_started_at

    @promise("turn.heartbeat", needs=_STATE)
    def test_running_again_is_a_heartbeat(self, backend: Backend) -> None:
        """`running` with the same turn id is a heartbeat: only `heartbeat_at` is now.

        If this fails: `turn_started_at` stays when the turn began.
        """
        for turn in ("t", None):
            backend.set_session_state("a", "running", turn)
            started = _state(backend).turn_started_at
            for _ in range(2):
                before = self.tick()
                backend.set_session_state("a", "running", turn)
                state = _state(backend)
                assert state.turn_started_at == started
                assert state.heartbeat_at is not None
                assert state.heartbeat_at > before

    @promise("turn.ends", needs=_STATE)
    def test_any_other_state_ends_the_turn(self, backend: Backend) -> None:
        """Any other state than `running` clears `turn_started_at` and `heartbeat_at`; the next `running` starts a turn.

        If this fails: both are None in `idle`, `error` and any state of the caller's own.
        """
        for state in ("idle", "error", "waiting", "Running"):
            backend.set_session_state("a", "running", "t")
            backend.set_session_state("a", state)
            assert backend.get_session_state("a") == SessionState(state, None, None, None)
        backend.set_session_state("a", "running", "t")
        assert _state(backend).turn_started_at is not None

    @promise("state.survives-messages", needs=_STATE)
    def test_messages_change_no_state(self, backend: Backend) -> None:
        """Messages written, removed or cleared change neither state, nor turn, nor heartbeat.

        If this fails: only `set_session_state` and `begin_turn` change them.
        """
        backend.set_session_state("a", "running", "t")
        before = backend.get_session_state("a")
        self.tick()
        fill(backend, "a", "one", "two")
        backend.remove_last("a")
        backend.update_last("a", backend.load("a")[0])
        backend.clear_messages("a")
        assert backend.get_session_state("a") == before

    @promise("running.only-running", needs=_RUNNING, native=("get_session_metadata",))
    def test_only_running_sessions_are_listed(self, backend: Backend) -> None:
        """`list_running_sessions` gives the running sessions and no other, with their metadata.

        If this fails: `Running` is another state, and one that ended is no longer listed.
        """
        for key, state in (("a", "running"), ("b", "idle"), ("c", "Running"), ("d", "running"), ("e", "running ")):
            backend.set_session_state(key, state, f"turn of {key}")
        fill(backend, "f", "one")
        backend.set_session_state("d", "idle")
        assert self.settled(backend.list_running_sessions) == [metadata_of(backend, "a")]

    @promise("running.newest-turn-first", needs=_RUNNING)
    def test_running_sessions_newest_turn_first(self, backend: Backend) -> None:
        """`list_running_sessions` gives the newest turn first; a heartbeat makes no turn newer.

        If this fails: sort by `turn_started_at`, descending.
        """
        for key in "bca":
            backend.set_session_state(key, "running", "t")
            self.tick()
        assert _keys(self.settled(backend.list_running_sessions)) == ["a", "c", "b"]
        backend.set_session_state("c", "running", "t")
        assert _keys(self.settled(backend.list_running_sessions)) == ["a", "c", "b"]
        self.tick()
        backend.set_session_state("b", "running", "u")
        assert _keys(self.settled(backend.list_running_sessions)) == ["b", "a", "c"]

    @promise("running.ties-by-key", needs=(*_RUNNING, "SupportsRestore", "times"))
    def test_ties_of_running_sessions(self, backend: Backend) -> None:
        """`list_running_sessions` orders turns that began at the same moment by key.

        If this fails: sort by the key as a second criterion, ascending, code point by code point.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        keys = ["b", "\u00e4", "a", "B", "\uff5e", "\U0001f600", "a10", "a2"]
        for key in keys:
            old_session(backend, key, hours=1, state="running", turn_id="t", turn_started_at=then, heartbeat_at=then)
        assert _keys(self.settled(backend.list_running_sessions)) == sorted(keys)

    @promise("running.all", needs=(*_RUNNING, "list_stuck_sessions"))
    def test_all_running_sessions_are_listed(self, backend: Backend) -> None:
        """`list_running_sessions` and `list_stuck_sessions` give every session that runs, however many.

        If this fails: page through all of them.
        """
        keys = [f"s{i}" for i in range(150)]
        for key in keys:
            backend.set_session_state(key, "running", "t")
        self.tick()
        assert sorted(_keys(self.settled(backend.list_running_sessions))) == sorted(keys)
        assert sorted(_keys(backend.list_stuck_sessions(0))) == sorted(keys)

    @promise("stuck.longer-than", needs=_STUCK, native=("get_session_metadata",))
    def test_stuck_without_a_heartbeat(self, backend: Backend) -> None:
        """`list_stuck_sessions` gives the running sessions without a heartbeat for longer than the threshold, and no
        other.

        If this fails: compare now with `heartbeat_at`, in seconds; a threshold may be any number, infinity too.
        """

        def old() -> None:
            backend.set_session_state("young", "idle")
            backend.set_session_state("old", "running", "t")
            backend.set_session_state("ended", "running", "t")
            backend.set_session_state("ended", "error", "t")
            fill(backend, "idle", "one")

        def young() -> None:
            backend.set_session_state("young", "running", "t")

        assert self.told_apart(old, young, backend.list_stuck_sessions) == [metadata_of(backend, "old")]
        for threshold in (3600, 2**63, 1e300, float("inf")):
            assert backend.list_stuck_sessions(threshold) == []
        self.tick()
        assert sorted(_keys(backend.list_stuck_sessions(0))) == ["old", "young"]

    @promise("stuck.strictly-longer", needs=_STUCK)
    def test_stuck_is_strict(self, backend: Backend) -> None:
        """A session whose heartbeat is exactly as old as the threshold is not stuck for longer: it is not given.

        If this fails: `<`, not `<=`.
        """
        moment = whole_second()
        with clock_at(moment):
            backend.set_session_state("a", "running", "t")
            if _state(backend).heartbeat_at != datetime.fromtimestamp(moment // 1_000_000_000, UTC):
                self.not_offered("a clock that this process can hold still")
            assert backend.list_stuck_sessions(0) == []
        with clock_at(moment + 60_000_000_000):
            assert backend.list_stuck_sessions(60) == []
            assert _keys(backend.list_stuck_sessions(59.999_999)) == ["a"]

    @promise("stuck.heartbeat-rescues", needs=_STUCK)
    def test_a_heartbeat_is_a_sign_of_life(self, backend: Backend) -> None:
        """A heartbeat takes a session from the stuck ones, however old its turn is; a message does not.

        If this fails: look at `heartbeat_at`, not at `turn_started_at` nor at the last activity.
        """

        def old() -> None:
            backend.set_session_state("a", "running", "t")
            backend.set_session_state("b", "running", "t")

        def young() -> None:
            backend.set_session_state("a", "running", "t")
            fill(backend, "b", "one")

        assert _keys(self.told_apart(old, young, backend.list_stuck_sessions)) == ["b"]

    @promise("stuck.longest-first", needs=_STUCK)
    def test_the_longest_stuck_first(self, backend: Backend) -> None:
        """`list_stuck_sessions` gives the one that is stuck the longest first.

        If this fails: sort by `heartbeat_at`, ascending.
        """
        for key in "bca":
            backend.set_session_state(key, "running", "t")
            self.tick()
        backend.set_session_state("b", "running", "t")
        self.tick()
        assert _keys(backend.list_stuck_sessions(0)) == ["c", "a", "b"]

    @promise("stuck.by-heartbeat-age", needs=(*_STUCK, "SupportsRestore"))
    def test_thresholds_of_hours(self, backend: Backend) -> None:
        """A threshold is in seconds, at any size.

        If this fails: check the units.
        """
        for key, hours in (("three", 3), ("one", 1), ("two", 2)):
            metadata = old_session(backend, key, hours=hours)
            moment = metadata.last_activity
            assert isinstance(moment, datetime)
            backend.delete_session(key)
            old_session(
                backend, key, hours=hours, state="running", turn_id="t", turn_started_at=moment, heartbeat_at=moment
            )
        hour = timedelta(hours=1).total_seconds()
        assert _keys(backend.list_stuck_sessions(0.5 * hour)) == ["three", "two", "one"]
        assert _keys(backend.list_stuck_sessions(1.5 * hour)) == ["three", "two"]
        assert _keys(backend.list_stuck_sessions(2.5 * hour)) == ["three"]
        assert _keys(backend.list_stuck_sessions(3.5 * hour)) == []


def _state(backend: Backend) -> SessionState:
    state = backend.get_session_state("a")
    assert state is not None
    return state


def _keys(sessions: list[SessionMetadata]) -> list[str]:
    return [metadata.key for metadata in sessions]
