"""`set_turn_state`: heard where nobody's turn runs, deaf where one does, or more than a change of the state."""

from sessionkit import BackendClosedError, ConflictError, SessionState
from sessionkit.clock import now
from sessionkit.models import RUNNING
from tests.mutants.declared import Memory, caught_by


class _Told(Memory):
    """Knows whether that turn runs."""

    def runs(self, session_key: str, turn_id: str) -> bool:
        """As the unbroken backend asks for it."""
        state = self.get_session_state(session_key)
        return state is not None and (state.state, state.turn_id) == (RUNNING, turn_id)


@caught_by("takeover.shuts-out", "set_turn_state.others-turn")
class HeartbeatsAreUnconditional(Memory):
    """A heartbeat is `set_session_state`: by his next one, who was taken over steals the turn back."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if state == RUNNING and self._found(session_key) and turn_id and isinstance(turn_id, str):
            self.set_session_state(session_key, state, turn_id)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("takeover.shuts-out", "set_turn_state.others-turn")
class EndsAreUnconditional(_Told):
    """An end is `set_session_state`: who was taken over sets a session idle in which another turn runs."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if state == RUNNING or not self._found(session_key) or self.runs(session_key, turn_id):
            return super().set_turn_state(session_key, turn_id, state)
        self.set_session_state(session_key, state, turn_id)
        return self.record(session_key).revision


@caught_by("takeover.shuts-out")
class RemembersWhoBegan(Memory):
    """The object remembers the turns that it has begun, and trusts whom it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: set[tuple[str, str]] = set()

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        self.begun.add((session_key, turn_id))
        return state

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if (session_key, turn_id) in self.begun and state:
            self.set_session_state(session_key, state, turn_id)
            return self.record(session_key).revision
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.others-turn")
class ComparesTheStateOnly(Memory):
    """That a turn runs is condition enough: whose it is, nobody asks."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        found = self.get_session_state(session_key)
        if found is not None and found.state == RUNNING and turn_id:
            self.record(session_key).turn_id = turn_id
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.others-turn")
class ComparesTurnsInAnyCase(Memory):
    """The collation of the turn's column ignores case."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        found = self.get_session_state(session_key)
        same = found and isinstance(turn_id, str) and (found.turn_id or "").lower() == turn_id.lower()
        return super().set_turn_state(session_key, found.turn_id or "" if found and same else turn_id, state)


@caught_by("set_turn_state.others-turn")
class RefusesAndTouches(_Told):
    """The row's activity is set by the same statement that finds no turn to change."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        try:
            return super().set_turn_state(session_key, turn_id, state)
        except ConflictError:
            if session := self._found(session_key):
                session.record.touch()
            raise


@caught_by("set_turn_state.no-turn", "set_turn_state.ended")
class ComparesTheIdOnly(_Told):
    """The id is compared, the state is not: a turn that has ended runs again by its next heartbeat."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        session = self._found(session_key)
        if session and turn_id and session.record.turn_id == turn_id and not self.runs(session_key, turn_id):
            self.set_session_state(session_key, RUNNING, turn_id)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.no-turn", "takeover.stays-over", "model.agrees")
class HeartbeatsTakeTheFreeSession(Memory):
    """A heartbeat is refused while another turn runs only: in a free session it begins its own."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        session = self._found(session_key)
        if session and session.record.state != RUNNING and turn_id and isinstance(turn_id, str) and state == RUNNING:
            self.set_session_state(session_key, RUNNING, turn_id)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.ended")
class EndsTwice(_Told):
    """To end what has ended is taken for done, and the state is set once more."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        session = self._found(session_key)
        over = session is not None and session.record.state != RUNNING and session.record.turn_id == turn_id
        if session is not None and over and state and state != RUNNING:
            return session.record.revision
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.unknown-session")
class TurnStatesCreateSessions(Memory):
    """The session is created before anybody asks what runs in it: an upsert."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        try:
            return super().set_turn_state(session_key, turn_id, state)
        except ConflictError:
            self._found_or_new(session_key)
            raise


@caught_by("set_turn_state.unknown-session")
class HeartbeatsReviveTheDeleted(Memory):
    """A turn outlives the deletion of its session: its next heartbeat brings an empty one back."""

    def __init__(self) -> None:
        super().__init__()
        self.orphans: dict[str, str | None] = {}

    def delete_session(self, session_key: str, /) -> bool:
        state = self.get_session_state(session_key)
        deleted = super().delete_session(session_key)
        if state is not None and state.state == RUNNING:
            self.orphans[session_key] = state.turn_id
        return deleted

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if self._found(session_key) is None and self.orphans.pop(session_key, None) == turn_id:
            self.set_session_state(session_key, RUNNING, turn_id)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.stuck", raises=(ConflictError,))
class RefusesTheStuckHolder(Memory):
    """A turn that has been silent for longer than the store's own limit is over, though nobody has taken it."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        session = self._found(session_key)
        if session and session.record.heartbeat_at and now() - session.record.heartbeat_at > 600_000_000:
            msg = f"the turn {turn_id!r} has timed out"
            raise ConflictError(msg)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.heartbeat")
class TurnHeartbeatsAreLost(_Told):
    """A heartbeat finds its turn running, and leaves it at that."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if state == RUNNING and self.runs(session_key, turn_id):
            return self.record(session_key).revision
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("set_turn_state.heartbeat")
class TurnHeartbeatsStartAnew(Memory):
    """Each heartbeat of a turn sets when it began."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        record = self.record(session_key)
        record.turn_started_at = record.heartbeat_at
        return revision


@caught_by("set_turn_state.ends")
class EndedTurnsKeepTheirHeartbeat(Memory):
    """A turn that has ended still has a heartbeat."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        record = self.record(session_key)
        record.heartbeat_at = record.last_activity
        return revision


@caught_by("set_turn_state.ends", "set_turn_state.any-text")
class EndsForgetTheTurn(Memory):
    """With its end the turn's id is gone."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        if state != RUNNING:
            self.record(session_key).turn_id = None
        return revision


@caught_by("set_turn_state.ends")
class TurnsEndIdle(Memory):
    """Whatever a turn ends in, the session is idle."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        return super().set_turn_state(session_key, turn_id, state if state in ("", RUNNING) else "idle")


@caught_by("set_turn_state.any-text")
class TrimsEnds(Memory):
    """Blanks around the state that a turn ends in are taken for accidents."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        return super().set_turn_state(session_key, turn_id, state.strip() or state if isinstance(state, str) else state)


@caught_by("set_turn_state.returns-revision")
class TurnStatesGiveTheOldRevision(Memory):
    """`set_turn_state` gives the revision that it found."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        before = self.record(session_key).revision if self._found(session_key) else 0
        return super().set_turn_state(session_key, turn_id, state) and before


@caught_by("set_turn_state.returns-revision")
class TurnStatesGiveTheNextRevision(Memory):
    """The revision is counted before anybody knows whether the state is a change: a heartbeat gives one that is not."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        return super().set_turn_state(session_key, turn_id, state) + (state == RUNNING)


@caught_by("revision.counts-turn-ends", "set_turn_state.returns-revision")
class TurnHeartbeatsRaiseTheRevision(Memory):
    """Each heartbeat of a turn is a new revision, so that its own next write is a conflict."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        if state != RUNNING:
            return revision
        self.record(session_key).revision += 1
        return revision + 1


@caught_by("revision.counts-turn-ends", "set_turn_state.returns-revision")
class EndsRaiseNoRevision(Memory):
    """The end of a turn is no change: whoever slept through it writes on."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        before = self.record(session_key).revision if self._found(session_key) else 0
        revision = super().set_turn_state(session_key, turn_id, state)
        self.record(session_key).revision = before
        return revision and before


@caught_by("set_turn_state.changes-nothing-else")
class EndsGiveUpTheSession(Memory):
    """Who ends its turn lets go of the session: its owner and its attributes are cleared."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        if state != RUNNING:
            record = self.record(session_key)
            record.agent_alias, record.attributes = None, {}
        return revision


@caught_by("set_turn_state.changes-nothing-else")
class HeartbeatsReachEverySession(Memory):
    """A heartbeat is for the turn, in whatever session it runs: `UPDATE ... WHERE turn_id = ?`."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        for session in list(self._sessions.values()):
            if session.record.turn_id == turn_id and session.record.state == RUNNING:
                session.record.heartbeat_at = session.record.touch()
        return revision


@caught_by("activity.set_turn_state")
class TurnStatesAreNoActivity(Memory):
    """A turn's heartbeats and its end do not move its session to the front, nor save it from cleanup."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        before = self.active(session_key)
        revision = super().set_turn_state(session_key, turn_id, state)
        self.was_active(session_key, before)
        return revision


@caught_by("times.never-backwards")
class TurnHeartbeatsFollowTheClock(Memory):
    """A heartbeat is now, though the clock has been turned back since the turn began."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        record = self.record(session_key)
        record.last_activity = now()
        if state == RUNNING:
            record.heartbeat_at = record.last_activity
        return revision


@caught_by("arguments.turn-state")
class EndsTheEmptyTurn(Memory):
    """A turn without an id is one as any: whoever has lost his own speaks for it."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if turn_id == "" and self._found(session_key) and self.record(session_key).turn_id == "":
            self.set_session_state(session_key, state, turn_id)
            return self.record(session_key).revision
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("arguments.turn-state")
class EndsInTheEmptyState(Memory):
    """An empty state is taken for `idle`."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        return super().set_turn_state(session_key, turn_id, "idle" if state == "" else state)


@caught_by("arguments.types", raises=(ConflictError,))
class TakesTurnsOfAnyType(Memory):
    """A turn id that is no text is compared with those that are, and is none of them."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        return super().set_turn_state(session_key, turn_id if turn_id == "" else str(turn_id), state)


@caught_by("close.then-error", raises=(ConflictError,))
class NoTurnRunsAfterClose(Memory):
    """After `close` no turn is known, so that its holder is told of a conflict instead of its own mistake."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        try:
            return super().set_turn_state(session_key, turn_id, state)
        except BackendClosedError as error:
            msg = f"no turn runs in {session_key!r}"
            raise ConflictError(msg) from error
