"""What is two steps where it must be one, for threads that write; each waits between them."""

import copy
import time
from collections.abc import Iterator
from typing import Unpack

from sessionkit import ChatMessage, ConflictError, SessionContext
from sessionkit.clock import now
from sessionkit.keys import check_not_negative
from tests.mutants.declared import Change, Memory, TwoStepTurns, TwoStepTurnStates, caught_by
from tests.mutants.slow import SlowMemory, TwoStepTakeovers, pause


@caught_by("threads.one-session")
class LosesUpdates(Memory):
    """Two threads read the messages, each adds its own, and the second writes over the first."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        before = found.messages[:] if found else []
        super().append(session_key, message)
        session = self._found_or_new(session_key)
        added = session.messages[-1:]
        pause()
        session.messages = before + added


@caught_by("threads.one-session")
class CountsOutsideTheLock(Memory):
    """The message is added under the lock, the count beside it."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        count = found.record.message_count if found else 0
        super().append(session_key, message)
        pause()
        self.record(session_key).message_count = count + 1


@caught_by("threads.one-session")
class DoublesOnRetry(Memory):
    """Where another thread came in between, the write is taken for failed, and tried again."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        count = found.record.message_count if found else 0
        super().append(session_key, message)
        pause()
        if self.record(session_key).message_count != count + 1:
            super().append(session_key, message)


@caught_by("threads.many-sessions")
class CreatesOverOthers(Memory):
    """Two threads find that a session is not there, and the second creates it over the first."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        if self._found(session_key) is None:
            pause()
            self._sessions.pop(session_key, None)
        super().append(session_key, message)


@caught_by("threads.removals")
class RemovesTwice(Memory):
    """Two threads find the same newest message, and both say that they have removed it."""

    def remove_last(self, session_key: str, /) -> bool:
        newest = self.record(session_key).message_count if self._found(session_key) else 0
        pause()
        if newest and newest == self.record(session_key).message_count:
            super().remove_last(session_key)
        return bool(newest)


@caught_by("threads.attributes")
class MergesOutsideTheLock(Memory):
    """Attributes are read, merged and written: what others set meanwhile is lost."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, SessionContext(context.channel_id, context.room_id, context.sender_id))
        merged = {**self.record(session_key).attributes, **context.attributes}
        pause()
        self.record(session_key).attributes = merged


@caught_by("threads.no-lost-update", "threads.one-creates")
class FencesOutsideTheLock(Memory):
    """The revision is compared first, and the change is made afterwards."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        wanted = change.get("if_revision")
        present = self.record(session_key).revision if self._found(session_key) else 0
        if wanted not in (None, present):
            msg = f"{session_key!r} is at revision {present}"
            raise ConflictError(msg)
        pause()
        change["if_revision"] = None
        return super().write(session_key, **change)


@caught_by("threads.one-turn")
class BeginsOutsideTheLock(TwoStepTurns, Memory):
    """Two threads find that no turn runs, and both begin theirs."""


@caught_by("threads.late-heartbeats", "threads.one-ends", "threads.turns-apart")
class SetsTurnStatesOutsideTheLock(TwoStepTurnStates, Memory):
    """The turn is compared first, and its state set afterwards: a late heartbeat takes back what others have begun."""


@caught_by("threads.any-method", raises=(KeyError,))
class DeletesWhatIsGone(Memory):
    """A session is looked up, and where another thread has deleted it meanwhile, the driver's error comes out."""

    def delete_session(self, session_key: str, /) -> bool:
        found = self._found(session_key)
        time.sleep(0.01)
        if self._found(session_key) is not found:
            raise KeyError(session_key)
        return super().delete_session(session_key)


@caught_by("threads.cleanup")
class CleansUpWhatWasStale(Memory):
    """What is stale is listed first and deleted afterwards, even if somebody has gone on with it meanwhile."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        self._check_open()
        oldest = now() - ttl_hours * 3_600_000_000
        stale = [key for key, session in list(self._sessions.items()) if session.record.last_activity < oldest]
        pause()
        return sum(map(self.delete_session, stale))


@caught_by("threads.side-by-side")
class CompactsOutsideTheLock(SlowMemory):
    """`compact` writes back what it has read: what was appended meanwhile is lost."""

    def compact(self, session_key: str, /) -> None:
        session = self._found(session_key)
        if session is not None:
            kept = session.messages[:]
            pause()
            session.messages = kept


class _Rewriting(SlowMemory):
    """One setter reads the whole record, and writes all of it back."""

    def rewrite(self, session_key: str) -> None:
        session = self._found(session_key)
        if session is not None:
            read = copy.copy(session.record)
            pause()
            session.record = read


@caught_by("threads.side-by-side")
class NamesRewriteTheRecord(_Rewriting):
    """A name is written back with all else that was read with it: counts and settings that have changed meanwhile."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        self.rewrite(session_key)


@caught_by("threads.side-by-side")
class HeartbeatsRewriteTheRecord(_Rewriting):
    """A heartbeat is written back with all else that was read with it."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        self.rewrite(session_key)


@caught_by("threads.heartbeats-beside")
class TurnHeartbeatsRewriteTheRecord(_Rewriting):
    """A turn's heartbeat is written back with all else that was read with it."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, state)
        self.rewrite(session_key)
        return revision


@caught_by("threads.search-after")
class IndexesUpToTheLast(SlowMemory):
    """What others append while a search indexes counts as indexed, and is never found."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = 0
        self.missed: set[str] = set()

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        self.writing += 1
        alone = self.writing == 1
        super().append(session_key, message)
        if not alone:
            self.missed.add(message.text)
        self.writing -= 1

    def _texts(self, session_key: str) -> Iterator[str]:
        return (text for text in super()._texts(session_key) if text not in self.missed)


@caught_by("threads.one-turn")
class TakesOverOutsideTheLock(TwoStepTakeovers, Memory):
    """Two threads find that the turn that runs is stuck, and both take it over."""
