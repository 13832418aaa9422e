"""Revisions that repeat, that stand still, or that move where nothing has changed."""

from collections.abc import Iterable

from sessionkit import ChatMessage, SessionContext, SessionMetadata, SessionState, TimestampedMessage
from tests.mutants.declared import Memory, caught_by


@caught_by("revision.never-repeats")
class RevisionsStartAgain(Memory):
    """A session created anew after deletion counts from 1."""

    def delete_session(self, session_key: str, /) -> bool:
        deleted = super().delete_session(session_key)
        self._highest_deleted = 0
        return deleted


@caught_by("revision.never-repeats")
class RevisionsGoOnPerLastDeletion(Memory):
    """Only the session deleted last is remembered, not the highest revision of all."""

    def delete_session(self, session_key: str, /) -> bool:
        self._highest_deleted = 0
        return super().delete_session(session_key)


@caught_by("revision.counts-changes")
class RevisionCountsMessages(Memory):
    """The revision is the number of messages: a replaced message is no change."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.record(session_key).revision if self._found(session_key) else 0
        updated = super().update_last(session_key, message)
        if updated:
            self.record(session_key).revision = before
        return updated


@caught_by("revision.counts-changes")
class ContextsRaiseNoRevision(Memory):
    """New attributes leave the revision as it is."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        before = self.record(session_key).revision if self._found(session_key) else 0
        super().set_session_context(session_key, context)
        if before:
            self.record(session_key).revision = before


@caught_by("revision.not-heartbeats")
class HeartbeatsRaiseTheRevision(Memory):
    """Each heartbeat is a new revision, so that the turn's own next write is a conflict."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        self.record(session_key).revision += 1


@caught_by("revision.counts-turns")
class TakeoverIsNoChange(Memory):
    """A turn that is taken over leaves the revision as it is, so that the old one writes on."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.record(session_key).revision if self.get_session_state(session_key) else 0
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        if before and stuck_after is not None:
            self.record(session_key).revision = before
        return state


@caught_by("revision.counts-turns")
class BeginAgainRaisesTheRevision(Memory):
    """`begin_turn` for the turn that runs already is a change."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.get_session_state(session_key)
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        self.record(session_key).revision += before is not None and before.turn_id == state.turn_id == turn_id
        return state


@caught_by("revision.not-names")
class NamesRaiseTheRevision(Memory):
    """The revision is the version of the session's row: a name is a change."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        if session := self._found(session_key):
            session.record.revision += 1


@caught_by("revision.not-names")
class PlacesRaiseTheRevision(Memory):
    """Whatever a context says is a change."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if session := self._found(session_key):
            session.record.revision += not context.attributes


@caught_by("revision.after-cleanup")
class CleanupForgetsTheRevision(Memory):
    """`cleanup_stale` has a DELETE of its own, which does not note the highest revision."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        before = self._highest_deleted
        deleted = super().cleanup_stale(ttl_hours)
        self._highest_deleted = before
        return deleted


@caught_by("revision.after-restore")
class RestoresTheRevision(Memory):
    """A restored session has the revision that its metadata carry, whatever has been since."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        if metadata.revision is not None:
            self.record(session_key).revision = metadata.revision


@caught_by("revision.after-restore", "model.agrees")
class RestoresAtRevisionOne(Memory):
    """A restored session begins at 1."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.record(session_key).revision = 1
