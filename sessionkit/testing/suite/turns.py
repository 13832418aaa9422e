"""One turn at a time: `begin_turn`."""

from datetime import UTC, datetime, timedelta

from sessionkit import SessionState
from sessionkit.testing.suite.base import Backend, SuiteBase, clock_at, old_session, whole_second
from sessionkit.testing.suite.promises import promise

_TURNS = ("SupportsTurns", "get_session_state")


class TurnPromises(SuiteBase):
    """`begin_turn`."""

    @promise("begin_turn.free", needs=_TURNS)
    def test_begin_turn(self, backend: Backend) -> None:
        """`begin_turn` makes the session running under the turn, creating it if need be, and gives the state that
        holds.

        If this fails: it is `running`, both times are now, and `get_session_state` says the same.
        """
        before = self.tick()
        state = backend.begin_turn("a", "t")
        after = self.tick()
        assert (state.state, state.turn_id) == ("running", "t")
        assert state.turn_started_at is not None
        assert before < state.turn_started_at < after
        assert state.heartbeat_at == state.turn_started_at
        assert backend.get_session_state("a") == state
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("begin_turn.taken", needs=_TURNS)
    def test_begin_turn_while_another_runs(self, backend: Backend) -> None:
        """While another turn runs, `begin_turn` changes nothing and gives the state that holds: theirs.

        If this fails: without `stuck_after` a heartbeat of any age keeps the turn, and so it does with infinity.
        """
        theirs = backend.begin_turn("a", "theirs")
        self.tick()
        before = backend.get_session_metadata("a"), backend.list_sessions()
        assert backend.begin_turn("a", "ours") == theirs
        for stuck_after in (3600, 2**63, 1e300, float("inf")):
            assert backend.begin_turn("a", "ours", stuck_after=stuck_after) == theirs
        assert backend.get_session_state("a") == theirs
        assert (backend.get_session_metadata("a"), backend.list_sessions()) == before

    @promise("begin_turn.after-the-last", needs=(*_TURNS, "set_session_state"))
    def test_begin_turn_after_another_ended(self, backend: Backend) -> None:
        """Once the other turn has ended, in whatever state, a turn begins.

        If this fails: only `running` keeps others out.
        """
        for i, state in enumerate(("idle", "error", "waiting")):
            backend.begin_turn("a", f"t{i}")
            backend.set_session_state("a", state, f"t{i}")
            assert backend.begin_turn("a", "ours").turn_id == "ours"
            backend.set_session_state("a", "idle")

    @promise("begin_turn.same-id-anew", needs=(*_TURNS, "set_session_state"))
    def test_begin_a_turn_that_has_ended(self, backend: Backend) -> None:
        """A turn that has ended, or was taken over, may be begun again: it starts anew, where no other runs.

        If this fails: that the session keeps its id does not make it run, nor keep it from running.
        """
        for i, state in enumerate(("idle", "error", "waiting")):
            backend.begin_turn("a", f"t{i}")
            if i:
                backend.begin_turn("a", "other", stuck_after=0)
                assert backend.begin_turn("a", f"t{i}").turn_id == "other"
            backend.set_session_state("a", state, f"t{i}")
            before = self.tick()
            again = backend.begin_turn("a", f"t{i}")
            assert (again.state, again.turn_id) == ("running", f"t{i}")
            assert again.turn_started_at is not None
            assert again.turn_started_at > before
            assert again.heartbeat_at == again.turn_started_at
            assert backend.get_session_state("a") == again
            backend.set_session_state("a", "idle")

    @promise("begin_turn.again-is-heartbeat", needs=_TURNS)
    def test_begin_turn_again(self, backend: Backend) -> None:
        """For the turn that runs already, `begin_turn` is a heartbeat.

        If this fails: `turn_started_at` stays, `heartbeat_at` is now.
        """
        first = backend.begin_turn("a", "t")
        self.tick()
        again = backend.begin_turn("a", "t")
        assert (again.turn_id, again.turn_started_at) == ("t", first.turn_started_at)
        assert again.heartbeat_at is not None
        assert first.heartbeat_at is not None
        assert again.heartbeat_at > first.heartbeat_at

    @promise("begin_turn.stuck", needs=(*_TURNS, "set_session_state"))
    def test_begin_turn_takes_over_a_stuck_one(self, backend: Backend) -> None:
        """`begin_turn` takes over a turn whose heartbeat is at least `stuck_after` seconds old, and only then.

        If this fails: look at the heartbeat, not at the start of the turn.
        """

        def old() -> None:
            for key in ("alive", "stuck"):
                backend.set_session_state(key, "idle")
                backend.begin_turn(key, "theirs")

        def young() -> None:
            backend.set_session_state("alive", "running", "theirs")

        def begun(threshold: float) -> list[SessionState]:
            asked = (("alive", threshold), ("stuck", 3600), ("stuck", threshold))
            return [backend.begin_turn(key, "ours", stuck_after=seconds) for key, seconds in asked]

        alive, early, taken = self.told_apart(old, young, begun)
        assert (alive.turn_id, early.turn_id, taken.turn_id) == ("theirs", "theirs", "ours")
        assert taken.turn_started_at == taken.heartbeat_at
        assert backend.get_session_state("stuck") == taken

    @promise("begin_turn.exactly-stuck", needs=_TURNS)
    def test_stuck_for_exactly_as_long(self, backend: Backend) -> None:
        """A turn is kept while its heartbeat is younger than `stuck_after`; one exactly as old is taken over.

        If this fails: `<` keeps it, not `<=`.
        """
        moment = whole_second()
        with clock_at(moment):
            theirs = backend.begin_turn("a", "theirs")
            if theirs.heartbeat_at != datetime.fromtimestamp(moment // 1_000_000_000, UTC):
                self.not_offered("a clock that this process can hold still")
        with clock_at(moment + 60_000_000_000):
            assert backend.begin_turn("a", "ours", stuck_after=60.000_001) == theirs
            assert backend.begin_turn("a", "ours", stuck_after=60).turn_id == "ours"
            assert backend.begin_turn("a", "third", stuck_after=0).turn_id == "third"

    @promise("begin_turn.stuck-once", needs=_TURNS)
    def test_two_find_a_turn_stuck(self, backend: Backend) -> None:
        """Of several that find a turn stuck at the same instant, the first takes it over; the others are told so, and
        so is whoever held it before.

        If this fails: a turn that has just been taken over is as young as one that has just begun.
        """
        moment = whole_second()
        with clock_at(moment):
            theirs = backend.begin_turn("a", "theirs")
            if theirs.heartbeat_at != datetime.fromtimestamp(moment // 1_000_000_000, UTC):
                self.not_offered("a clock that this process can hold still")
        with clock_at(moment + 60_000_000_000):
            ours = backend.begin_turn("a", "ours", stuck_after=60)
            assert ours.turn_id == "ours"
            assert ours.heartbeat_at == ours.turn_started_at
            for turn in ("second", "theirs", "third"):
                assert backend.begin_turn("a", turn, stuck_after=60) == ours
            assert backend.get_session_state("a") == ours

    @promise("begin_turn.stuck-for-hours", needs=(*_TURNS, "SupportsRestore"))
    def test_stuck_after_is_in_seconds(self, backend: Backend) -> None:
        """`stuck_after` is in seconds.

        If this fails: check the units.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        old_session(backend, "a", hours=1, state="running", turn_id="theirs", turn_started_at=then, heartbeat_at=then)
        assert backend.begin_turn("a", "ours", stuck_after=3700).turn_id == "theirs"
        assert backend.begin_turn("a", "ours", stuck_after=3500).turn_id == "ours"
