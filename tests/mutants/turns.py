"""`begin_turn`: stolen, kept for ever, or claimed without being had."""

import attrs

from sessionkit import SessionState
from sessionkit.clock import now
from sessionkit.models import RUNNING
from tests.mutants.declared import Memory, caught_by


@caught_by("begin_turn.free")
class BeginsWithoutASignOfLife(Memory):
    """A turn that has just begun has no heartbeat yet."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        return attrs.evolve(super().begin_turn(session_key, turn_id, stuck_after=stuck_after), heartbeat_at=None)


@caught_by("begin_turn.stuck-for-hours")
class BeginWaitsForMinutes(Memory):
    """`stuck_after` is taken for minutes."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after and stuck_after * 60)


@caught_by("begin_turn.taken")
class BeginStealsTheTurn(Memory):
    """`begin_turn` takes the session over, whoever is at work in it."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        return super().begin_turn(session_key, turn_id, stuck_after=0)


@caught_by("begin_turn.taken")
class BeginClaimsTheirTurn(Memory):
    """`begin_turn` gives the state that was asked for, not the one that holds."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        return attrs.evolve(super().begin_turn(session_key, turn_id, stuck_after=stuck_after), turn_id=turn_id)


@caught_by("begin_turn.stuck")
class BeginNeverTakesOver(Memory):
    """A turn whose process has died keeps the session for ever."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        if self._found(session_key) is None:
            return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        return super().begin_turn(session_key, turn_id)


@caught_by("begin_turn.stuck")
class BeginLooksAtTheStart(Memory):
    """A turn is stuck when it began long ago, whatever its heartbeat says."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        if stuck_after is not None and self._found(session_key):
            record = self.record(session_key)
            record.heartbeat_at = record.turn_started_at
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)


@caught_by("begin_turn.exactly-stuck")
class BeginKeepsTheExactlyStuck(Memory):
    """The age of a heartbeat is compared by `<=`: one exactly as old as `stuck_after` keeps the turn."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        later = stuck_after and stuck_after + 0.000_001
        return super().begin_turn(session_key, turn_id, stuck_after=later)


@caught_by("begin_turn.after-the-last")
class BeginWaitsForIdle(Memory):
    """Only an idle session can begin a turn: after an error none begins any more."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = self.get_session_state(session_key)
        if state is not None and state.state not in ("idle", RUNNING):
            return state
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)


@caught_by("begin_turn.again-is-heartbeat")
class BeginAgainDoesNothing(Memory):
    """The turn that runs already gets no heartbeat."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = self.get_session_state(session_key)
        if state is not None and (state.state, state.turn_id) == (RUNNING, turn_id):
            return state
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)


@caught_by("begin_turn.again-is-heartbeat")
class BeginAgainStartsAnew(Memory):
    """The turn that runs already is started again."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        record = self.record(session_key)
        record.turn_started_at = record.heartbeat_at
        return record.session_state()


@caught_by("begin_turn.stuck-once")
class BeginRemembersTheStuck(Memory):
    """Whether a turn is stuck is looked up once in a while, and a session that was found so can be had by all."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: dict[str, int] = {}

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.get_session_state(session_key)
        if stuck_after and stuck_after > 0 and self.stuck.get(session_key, 0) > now():
            return super().begin_turn(session_key, turn_id, stuck_after=0)
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        if before is not None and before.state == RUNNING and before.turn_id != state.turn_id:
            self.stuck[session_key] = now() + 1_000
        return state


@caught_by("begin_turn.same-id-anew")
class BeginKnowsTheTurn(Memory):
    """A turn whose id the session has kept is taken for one that goes on: it has no start, and no heartbeat."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.get_session_state(session_key)
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        if before is None or before.state == RUNNING or before.turn_id != turn_id:
            return state
        record = self.record(session_key)
        record.turn_started_at = record.heartbeat_at = None
        return record.session_state()


@caught_by("begin_turn.same-id-anew", "takeover.stays-over")
class BeginRefusesUsedIds(Memory):
    """A turn that was begun once is never begun again: it is given the state that it finds."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[tuple[str, str]] = set()

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.get_session_state(session_key)
        running = before is not None and before.state == RUNNING
        if before is not None and not running and (session_key, turn_id) in self.used:
            return before
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        self.used.add((session_key, turn_id))
        return state
