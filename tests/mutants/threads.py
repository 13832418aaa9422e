"""What is two steps where it must be one, for threads; each waits between them, so that chance has no part in it."""

import time
from typing import Unpack

from sessionkit import ChatMessage, ConflictError, SessionContext, SessionMetadata, SessionQuery
from sessionkit.clock import now
from sessionkit.keys import check_not_negative
from tests.mutants.declared import Change, Memory, TwoStepTurns, TwoStepUpdates, caught_by


def _pause() -> None:
    """Let other threads come in between."""
    time.sleep(0.0005)


class _Slow(Memory):
    """Takes its time to write, so that what others do falls in between; not wrong by itself."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        _pause()

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        revision = super().write(session_key, **change)
        _pause()
        return revision


@caught_by("threads.one-session")
class LosesUpdates(Memory):
    """Two threads read the messages, each adds its own, and the second writes over the first."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        before = found.messages[:] if found else []
        super().append(session_key, message)
        session = self._found_or_new(session_key)
        added = session.messages[-1:]
        _pause()
        session.messages = before + added


@caught_by("threads.one-session")
class CountsOutsideTheLock(Memory):
    """The message is added under the lock, the count beside it."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        count = found.record.message_count if found else 0
        super().append(session_key, message)
        _pause()
        self.record(session_key).message_count = count + 1


@caught_by("threads.one-session")
class DoublesOnRetry(Memory):
    """Where another thread came in between, the write is taken for failed, and tried again."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        found = self._found(session_key)
        count = found.record.message_count if found else 0
        super().append(session_key, message)
        _pause()
        if self.record(session_key).message_count != count + 1:
            super().append(session_key, message)


@caught_by("threads.many-sessions")
class CreatesOverOthers(Memory):
    """Two threads find that a session is not there, and the second creates it over the first."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        if self._found(session_key) is None:
            _pause()
            self._sessions.pop(session_key, None)
        super().append(session_key, message)


@caught_by("threads.removals")
class RemovesTwice(Memory):
    """Two threads find the same newest message, and both say that they have removed it."""

    def remove_last(self, session_key: str, /) -> bool:
        newest = self.record(session_key).message_count if self._found(session_key) else 0
        _pause()
        if newest and newest == self.record(session_key).message_count:
            super().remove_last(session_key)
        return bool(newest)


@caught_by("threads.updates")
class UpdatesInTwoSteps(TwoStepUpdates, Memory):
    """The old message is removed and the new one added; a reader between sees neither."""


@caught_by("threads.readers-see-a-prefix")
class ReadsFromALaggingReplica(_Slow):
    """Every second read goes to a replica, which lacks the newest messages."""

    reads = 0

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = super().load(session_key)
        self.reads += 1
        return messages[:-2] if self.reads % 2 and len(messages) > 2 else messages


@caught_by("threads.lists", raises=(RuntimeError,))
class ListsWithoutTheLock(_Slow):
    """The sessions are listed while others come and go: `dictionary changed size during iteration`."""

    def list_sessions(self) -> list[str]:
        self._check_open()
        listed: list[str] = []
        for key in self._sessions:
            _pause()
            listed.append(key)
        return listed


@caught_by("threads.lists")
class ListsPageByPage(_Slow):
    """The list is read in pages of five: where a session goes meanwhile, another one is skipped."""

    def list_sessions(self) -> list[str]:
        listed: list[str] = []
        while page := super().list_sessions()[len(listed) : len(listed) + 5]:
            listed += page
            _pause()
        return listed


@caught_by("threads.search-one-moment")
class SearchesInTwoSteps(_Slow):
    """`search` reads the metadata at one moment and the messages at the next, which need not go together."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        listed = self.list_sessions_with_metadata()
        _pause()
        texts = {found.key: [message.text for message in self.load(found.key)] for found in listed}
        return query.page(found for found in listed if query.matches(found, texts[found.key]))


@caught_by("threads.attributes")
class MergesOutsideTheLock(Memory):
    """Attributes are read, merged and written: what others set meanwhile is lost."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, SessionContext(context.channel_id, context.room_id, context.sender_id))
        merged = {**self.record(session_key).attributes, **context.attributes}
        _pause()
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
        _pause()
        change["if_revision"] = None
        return super().write(session_key, **change)


@caught_by("threads.one-turn")
class BeginsOutsideTheLock(TwoStepTurns, Memory):
    """Two threads find that no turn runs, and both begin theirs."""


@caught_by("threads.any-method", raises=(KeyError,))
class DeletesWhatIsGone(Memory):
    """A session is looked up, and where another thread has deleted it meanwhile, the driver's error comes out."""

    def delete_session(self, session_key: str, /) -> bool:
        found = self._found(session_key)
        time.sleep(0.01)
        if self._found(session_key) is not found:
            raise KeyError(session_key)
        return super().delete_session(session_key)


@caught_by("threads.batches")
class WritesInTwoSteps(Memory):
    """`write` drops first and appends afterwards; a reader between sees neither the old nor the new."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = [message for message in change.pop("append", ()) if self._encoded(message)]
        revision = super().write(session_key, **change)
        _pause()
        return super().write(session_key, append=added) if added else revision


@caught_by("threads.clear-at-once")
class ClearsOneByOne(Memory):
    """`clear_messages` removes message by message; a reader sees some of them."""

    def clear_messages(self, session_key: str, /) -> int:
        removed = 0
        while self.remove_last(session_key):
            removed += 1
            _pause()
        return removed


@caught_by("threads.cleanup")
class CleansUpWhatWasStale(Memory):
    """What is stale is listed first and deleted afterwards, even if somebody has gone on with it meanwhile."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        self._check_open()
        oldest = now() - ttl_hours * 3_600_000_000
        stale = [key for key, session in list(self._sessions.items()) if session.record.last_activity < oldest]
        _pause()
        return sum(map(self.delete_session, stale))
