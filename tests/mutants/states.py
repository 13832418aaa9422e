"""States, turns and heartbeats."""

import attrs

from sessionkit import ChatMessage, SessionMetadata, SessionState
from sessionkit.clock import now, to_datetime
from sessionkit.models import RUNNING
from tests.mutants.declared import Memory, caught_by


@caught_by("state.idle-until-set")
class KnowsNoStateAtFirst(Memory):
    """The state of a session is null until one is set."""

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        state = super().get_session_state(session_key)
        return None if state == SessionState("idle") else state


@caught_by("state.unknown-is-none")
class EverybodyIsIdle(Memory):
    """An unknown session is said to be idle."""

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        return super().get_session_state(session_key) or SessionState("idle")


@caught_by("state.creates-session")
class RunsOnlyWhatIsThere(Memory):
    """The state of a session that has no message yet is lost."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        if self._found(session_key):
            super().set_session_state(session_key, state, turn_id)


@caught_by("state.in-metadata")
class ListsWithoutStates(Memory):
    """The metadata say nothing of the turn."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        found = super().get_session_metadata(session_key)
        return found and attrs.evolve(found, turn_id=None)


@caught_by("state.any-text")
class KnowsThreeStates(Memory):
    """The state's column is an enumeration; anything else becomes `error`."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        known = state if state in ("", "idle", RUNNING) else "error"
        super().set_session_state(session_key, known, turn_id)


@caught_by("state.turn-id-as-given")
class KeepsTheOldTurnId(Memory):
    """A state without a turn id leaves the old one: `COALESCE(?, turn_id)`."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        before = self.get_session_state(session_key)
        super().set_session_state(session_key, state, turn_id)
        if turn_id is None and before is not None:
            self.record(session_key).turn_id = before.turn_id


@caught_by("state.turn-id-as-given", "state.any-text")
class ForgetsTheTurnId(Memory):
    """The turn id is kept only while a turn runs."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        if state != RUNNING:
            self.record(session_key).turn_id = None


@caught_by("state.turn-id-by-keyword", raises=(TypeError,))
class NamesTheTurnOtherwise(Memory):
    """The turn id has a name of the author's own, so that callers who name it get a TypeError."""

    def set_session_state(self, session_key: str, state: str, turn: str | None = None, /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] -- the bug
        super().set_session_state(session_key, state, turn)


@caught_by("turn.heartbeat", "stuck.heartbeat-rescues")
class IgnoresHeartbeats(Memory):
    """`running` again with the same turn changes nothing."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        before = self.get_session_state(session_key)
        if not before or state != RUNNING or (before.state, before.turn_id) != (state, turn_id):
            super().set_session_state(session_key, state, turn_id)


@caught_by("turn.heartbeat")
class HeartbeatRestartsTheTurn(Memory):
    """Each heartbeat sets when the turn began."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        record = self.record(session_key)
        record.turn_started_at = record.heartbeat_at


@caught_by("turn.starts")
class ANewTurnIsAHeartbeat(Memory):
    """`running` while running is a heartbeat, whichever turn it is."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        before = self.record(session_key).turn_started_at if self._found(session_key) else None
        super().set_session_state(session_key, state, turn_id)
        if before is not None and state == RUNNING:
            self.record(session_key).turn_started_at = before


@caught_by("turn.ends")
class EndedTurnsKeepTheirTimes(Memory):
    """A turn that has ended still has a heartbeat."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        before = self.record(session_key).heartbeat_at if self._found(session_key) else None
        super().set_session_state(session_key, state, turn_id)
        if state != RUNNING:
            self.record(session_key).heartbeat_at = before


@caught_by("state.survives-messages", "stuck.heartbeat-rescues")
class MessagesAreHeartbeats(Memory):
    """An append counts as a sign of life of the turn, whoever wrote it."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        record = self.record(session_key)
        if record.state == RUNNING:
            record.heartbeat_at = record.last_activity


@caught_by("state.survives-messages")
class ClearingEndsTheTurn(Memory):
    """`clear_messages` makes the session idle."""

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        if removed:
            self.set_session_state(session_key, "idle")
        return removed


@caught_by("running.only-running")
class RunningInAnyCase(Memory):
    """`Running` counts as running."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return [found for found in self.list_sessions_with_metadata() if (found.state or "").lower() == RUNNING]


@caught_by("running.newest-turn-first")
class RunningOldestFirst(Memory):
    """The oldest turn is listed first."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return super().list_running_sessions()[::-1]


@caught_by("running.newest-turn-first")
class RunningByActivity(Memory):
    """Running sessions are listed by their last heartbeat."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return [found for found in self.list_sessions_with_metadata() if found.state == RUNNING]


@caught_by("running.ties-by-key")
class RunningTiesBackwards(Memory):
    """`ORDER BY turn_started_at DESC, key DESC`."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        found = sorted(super().list_running_sessions(), key=lambda each: each.key, reverse=True)
        return sorted(found, key=lambda each: each.turn_started_at or 0, reverse=True)


@caught_by("running.all")
class RunningListsOnePage(Memory):
    """Only the first hundred running sessions are listed."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return super().list_running_sessions()[:100]


@caught_by("running.all")
class StuckListsOnePage(Memory):
    """Only the first hundred stuck sessions are listed."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(threshold_secs)[:100]


@caught_by("stuck.strictly-longer")
class StuckAtTheThreshold(Memory):
    """The age of a heartbeat is compared by `<=`."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(threshold_secs if threshold_secs < 0 else max(0, threshold_secs - 0.000_001))


@caught_by("stuck.heartbeat-rescues")
class StuckByTheTurnsStart(Memory):
    """A long turn is stuck, however lively it is."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        super().list_stuck_sessions(threshold_secs)
        oldest = to_datetime(int(now() - threshold_secs * 1e6))
        running = self.list_running_sessions()[::-1]
        return [found for found in running if found.turn_started_at and found.turn_started_at < oldest]


@caught_by("stuck.by-heartbeat-age")
class StuckInMinutes(Memory):
    """The threshold is taken for minutes."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(threshold_secs * 60)


@caught_by("stuck.longer-than")
class StuckIsWhoeverRuns(Memory):
    """The threshold is not looked at."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        super().list_stuck_sessions(threshold_secs)
        return super().list_stuck_sessions(0)


@caught_by("stuck.longest-first")
class StuckNewestFirst(Memory):
    """The one that is stuck the longest comes last."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(threshold_secs)[::-1]
