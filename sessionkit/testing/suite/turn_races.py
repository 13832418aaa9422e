"""Threads that begin, keep and end turns of one session: never two holders, and nothing that is over comes back."""

from functools import partial

from sessionkit import ConflictError, SessionState
from sessionkit.testing._worker import Step, append_all, hold_turns, take
from sessionkit.testing.suite.base import Backend, fill, metadata_of, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.racing import (
    THREADS,
    RacingBase,
    assert_all_arrived,
    assert_is_set,
    assert_turns_apart,
)

_STATE = ("SupportsTurnState", "set_session_state", "get_session_state")
_HELD = ("SupportsTurnState", "SupportsTurns", "SupportsWrite", "get_session_state")

_ROUNDS = 5
_BEATS = 20


class TurnRacePromises(RacingBase):
    """`begin_turn`, `write` and `set_turn_state` at once."""

    @promise("threads.turns-apart", needs=_HELD)
    def test_threads_hold_turns_apart(self, backend: Backend) -> None:
        """Of threads that begin turns of one session, write in them and end them, one at a time holds it: each turn's
        messages stand together, and none is missing; so it is where turns are taken over while they write.

        If this fails: whose turn runs must be found, and what it may do be done, in one step.
        """
        for key, stuck_after in (("waits", None), ("steals", 0)):
            said: list[str] = []
            rounds = max(2, self.appends // (10 if stuck_after is None else 3))
            writers = [f"w{i}" for i in range(THREADS)]
            hold = partial(hold_turns, backend, key, rounds=rounds, stuck_after=stuck_after, say=said.append)
            self.together([partial(hold, writer) for writer in writers])
            turns = [f"{writer}.{i}" for writer in writers for i in range(rounds)]
            assert_turns_apart(texts(backend.load(key)), said, turns, waited=stuck_after is None)

    @promise("threads.late-heartbeats", needs=(*_STATE, "SupportsTurns"))
    def test_late_heartbeats(self, backend: Backend) -> None:
        """A heartbeat beside the end of its turn, or beside a takeover, undoes neither: the one comes before the other,
        or is refused.

        If this fails: comparing the turn and setting its state must be one step.
        """
        for round_ in range(_ROUNDS):
            ended, taken = f"ended{round_}", f"taken{round_}"

            def beat(key: str) -> None:
                try:
                    for _ in range(_BEATS):
                        backend.set_turn_state(key, "t", "running")
                except ConflictError:
                    return

            for key in (ended, taken):
                backend.set_session_state(key, "running", "t")
            beats = [partial(beat, key) for key in (ended, taken)] * 2
            end = partial(backend.set_turn_state, ended, "t", "idle")
            self.together([*beats, end, partial(backend.begin_turn, taken, "ours", stuck_after=0)])
            assert backend.get_session_state(ended) == SessionState("idle", "t", None, None)
            state = backend.get_session_state(taken)
            assert state is not None
            assert (state.state, state.turn_id) == ("running", "ours"), "a heartbeat has undone a takeover"

    @promise("threads.one-ends", needs=_STATE)
    def test_one_thread_ends_a_turn(self, backend: Backend) -> None:
        """Of all threads that end a turn at once, one does; the others get `ConflictError`.

        If this fails: comparing the turn and ending it must be one step.
        """
        for round_ in range(_ROUNDS):
            key = f"s{round_}"
            ended: list[str] = []

            def end(state: str, key: str = key, ended: list[str] = ended) -> None:
                try:
                    backend.set_turn_state(key, "t", state)
                except ConflictError:
                    return
                ended.append(state)

            backend.set_session_state(key, "running", "t")
            self.together([partial(end, f"by {i}") for i in range(THREADS)])
            assert len(ended) == 1, f"{len(ended)} threads have ended one turn"
            assert backend.get_session_state(key) == SessionState(ended[0], "t", None, None)

    @promise("threads.heartbeats-beside", needs=_STATE)
    def test_heartbeats_beside_other_writes(self, backend: Backend) -> None:
        """Heartbeats undo nothing that is done beside them: appends all arrive, what was set stays, the counts agree,
        and the turn runs on.

        If this fails: a heartbeat must read and write what it changes in one lock or transaction, and nothing else.
        """
        writers = ["w0", "w1"]
        names = [name for name in self.setters(backend) if name not in ("set_session_state", "begin_turn")]
        steps = [Step(name, f"{i} by {name}") for i in range(_ROUNDS) for name in names]

        def beat() -> None:
            for _ in range(self.appends):
                backend.set_turn_state("a", "t", "running")

        def change() -> None:
            for step in steps:
                take(backend, "a", step)
                assert_is_set(backend, "a", step)

        backend.set_session_state("a", "running", "t")
        fill(backend, "a", "first")
        self.together([beat, change, *[partial(append_all, backend, "a", w, self.appends) for w in writers]])
        assert_all_arrived(texts(backend.load("a"))[1:], writers, self.appends)
        assert metadata_of(backend, "a").message_count == 1 + len(writers) * self.appends
        state = backend.get_session_state("a")
        assert state is not None
        assert (state.state, state.turn_id) == ("running", "t")
