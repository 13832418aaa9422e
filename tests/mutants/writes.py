"""Fences that are not checked, and changes that are not one."""

from contextlib import suppress
from typing import Unpack

from sessionkit import ChatMessage, ConflictError, SessionState
from sessionkit.clock import now
from tests.mutants.declared import Change, Memory, caught_by


@caught_by("write.if-revision")
class IgnoresIfRevision(Memory):
    """The revision is not compared."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["if_revision"] = None
        return super().write(session_key, **change)


@caught_by("write.if-revision")
class TakesRevisionZeroForNone(Memory):
    """`if if_revision`: 0 is taken for no condition, and two writers create the session."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["if_revision"] = change.get("if_revision") or None
        return super().write(session_key, **change)


@caught_by("write.if-revision")
class TakesNewerRevisions(Memory):
    """The revision is compared by `<=`."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        wanted = change.get("if_revision")
        if wanted and self._found(session_key):
            change["if_revision"] = min(wanted, self.record(session_key).revision)
        return super().write(session_key, **change)


@caught_by("write.if-turn")
class IgnoresIfTurn(Memory):
    """A turn that was taken over writes on."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("write.if-turn")
class TakesEndedTurns(Memory):
    """The turn id is compared, the state is not: a turn that has ended writes on."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        state = self.get_session_state(session_key)
        if state is not None and state.turn_id == change.get("if_turn"):
            change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("write.if-revision", "write.if-turn")
class DropsBeforeTheFence(Memory):
    """The messages are dropped before the condition is looked at, and stay dropped."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        try:
            return super().write(session_key, **change)
        except ConflictError:
            for _ in range(change.get("drop_last", 0)):
                self.remove_last(session_key)
            raise


@caught_by("write.if-turn-attributes")
class FencesMessagesOnly(Memory):
    """The condition is checked where messages are written: attributes are merged by a statement of their own."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["append"] = list(change.get("append", ()))
        if change.get("attributes") and not change["append"] and not change.get("drop_last"):
            change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("write.if-turn-stuck", raises=(ConflictError,))
class RefusesTheStuckWriter(Memory):
    """A turn that has been silent for longer than the store's own limit writes no more, though nobody has taken it."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        session = self._found(session_key)
        beaten = session.record.heartbeat_at if session else None
        if change.get("if_turn") is not None and beaten and now() - beaten > 600_000_000:
            msg = f"the turn {change.get('if_turn')!r} has timed out"
            raise ConflictError(msg)
        return super().write(session_key, **change)


@caught_by("write.both-fences")
class ChecksTheRevisionOnly(Memory):
    """`if ... elif`: where a revision is given, the turn is not looked at."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        if change.get("if_revision") is not None:
            change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("write.both-fences")
class ChecksTheTurnOnly(Memory):
    """A turn that runs is taken for condition enough, and the revision is not compared."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        if change.get("if_turn") is not None:
            change["if_revision"] = None
        return super().write(session_key, **change)


@caught_by("write.both-fences")
class TakesTheEmptyTurnForNone(Memory):
    """`if if_turn`: an empty turn id is taken for no condition."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["if_turn"] = change.get("if_turn") or None
        return super().write(session_key, **change)


@caught_by("write.fences-nothing")
class WritesNothingUnchecked(Memory):
    """Where there is nothing to write, `write` returns before it looks at its conditions."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        if not (change.get("append", ()) or change.get("drop_last", 0) or change.get("attributes", {})):
            change["if_revision"] = change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("write.all-or-nothing")
class WritesOneByOne(Memory):
    """A batch is appended message by message: the first ones stay when a later one fails."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = change.pop("append", ())
        revision = super().write(session_key, **change)
        for message in added:
            self.append(session_key, message)
            revision = self.record(session_key).revision
        return revision


@caught_by("write.all-or-nothing")
class SkipsBadMessages(Memory):
    """What can't be stored is left out of the batch, in silence."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        good: list[ChatMessage] = []
        for message in change.pop("append", ()):
            with suppress(ValueError):
                self._encoded(message)
                good.append(message)
        change["append"] = good
        return super().write(session_key, **change)


@caught_by("write.one-change")
class DropsAfterAppending(Memory):
    """First the new messages are appended, then the newest are dropped."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        dropped = change.get("drop_last", 0)
        added = list(change.get("append", ()))
        if dropped and len(added) >= dropped:
            change["drop_last"] = 0
            change["append"] = added[:-dropped]
            return super().write(session_key, **change)
        change["append"] = added
        return super().write(session_key, **change)


@caught_by("write.one-change")
class AppendsBackwards(Memory):
    """A batch is pushed on a stack: it comes out the other way round."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        change["append"] = list(change.get("append", ()))[::-1]
        return super().write(session_key, **change)


@caught_by("write.drop-too-many")
class DropsWhatThereIs(Memory):
    """Dropping more than there is drops all."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        there = len(self.load(session_key))
        change["drop_last"] = min(there, change.get("drop_last", 0))
        return super().write(session_key, **change)


@caught_by("write.attributes")
class WriteReplacesAttributes(Memory):
    """`write` stores the attributes that it is given, and no other."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        if change.get("attributes") and self._found(session_key):
            self.record(session_key).attributes = {}
        return super().write(session_key, **change)


@caught_by("write.nothing-creates-nothing")
class WritingNothingCreates(Memory):
    """`write` creates the session, even where there is nothing to write."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        super().write(session_key, **change)
        return self.record(session_key).revision


@caught_by("write.returns-revision")
class GivesTheOldRevision(Memory):
    """`write` gives the revision that it found."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        before = self.record(session_key).revision if self._found(session_key) else 0
        return super().write(session_key, **change) and before


@caught_by("extend.all-or-none")
class ClaimsToWrite(Memory):
    """`write` is there, and gives up on the first message that it can't store, keeping those before."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        for message in change.pop("append", ()):
            self.append(session_key, message)
        return super().write(session_key, **change)


@caught_by("activity.begin_turn")
class BeginIsNoActivity(Memory):
    """A turn begun does not move its session to the front."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        before = self.active(session_key)
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        self.was_active(session_key, before)
        return state
