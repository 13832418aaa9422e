"""Sessions listed twice, in another order, or with metadata that are not theirs; and what is taken for activity."""

from datetime import timedelta, timezone
from typing import Unpack

import attrs

from sessionkit import ChatMessage, SessionContext, SessionMetadata
from tests.mutants.declared import Change, Memory, caught_by


@caught_by("list.empty")
class ListsADefaultSession(Memory):
    """A session that nobody made is always listed."""

    def list_sessions(self) -> list[str]:
        return super().list_sessions() or ["default"]


@caught_by("append.creates-session", "list.each-once")
class ListsPerMessage(Memory):
    """`SELECT key FROM messages` without `DISTINCT`."""

    def list_sessions(self) -> list[str]:
        listed = self.list_sessions_with_metadata()
        return [metadata.key for metadata in listed for _ in range(max(1, metadata.message_count))]


@caught_by("list.each-once")
class ListsOnePage(Memory):
    """Only the first page of a paged answer is read."""

    def list_sessions(self) -> list[str]:
        return super().list_sessions()[:100]


@caught_by("list.most-recent-first")
class ListsOldestFirst(Memory):
    """The list is in ascending order."""

    def list_sessions(self) -> list[str]:
        return super().list_sessions()[::-1]


@caught_by("list.most-recent-first")
class ListsInOrderOfCreation(Memory):
    """The order is that of creation; later changes do not count."""

    def list_sessions(self) -> list[str]:
        return list(self._sessions)[::-1]


@caught_by("list.ties-by-key")
class BreaksTiesByChance(Memory):
    """Sessions active at the same moment come in the order in which they were written."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        found = [self.record(key).metadata(key) for key in list(self._sessions)]
        self._check_open()
        return sorted(found, key=lambda metadata: metadata.last_activity or 0, reverse=True)


@caught_by("list.ties-by-key")
class SortsKeysInUtf16(Memory):
    """Keys are compared as UTF-16, which puts characters beyond the first plane before some within."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        found = sorted(super().list_sessions_with_metadata(), key=lambda metadata: metadata.key.encode("utf-16-be"))
        return sorted(found, key=lambda metadata: metadata.last_activity or 0, reverse=True)


@caught_by("list.shares-nothing")
class ListsItsOwnList(Memory):
    """The list of keys is kept until something changes, and the list itself is given."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.given: list[str] = []

    def list_sessions(self) -> list[str]:
        found = super().list_sessions()
        if found != self.asked:
            self.asked, self.given = found, list(found)
        return self.given


@caught_by("metadata.listed-is-got")
class ListsWithoutNames(Memory):
    """The list is built by another query, which forgets the names."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return [attrs.evolve(metadata, name=None) for metadata in super().list_sessions_with_metadata()]


@caught_by("metadata.order-of-list")
class ListsMetadataByKey(Memory):
    """The metadata are listed by key, not as the sessions are."""

    def list_sessions(self) -> list[str]:
        return [metadata.key for metadata in super().list_sessions_with_metadata()]

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return sorted(super().list_sessions_with_metadata(), key=lambda metadata: metadata.key)


@caught_by("metadata.unknown-is-none")
class InventsMetadata(Memory):
    """An unknown session has empty metadata."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        return super().get_session_metadata(session_key) or SessionMetadata(session_key)


@caught_by("metadata.key")
class GivesEmptyTexts(Memory):
    """What was never set is an empty text: the columns are NOT NULL."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        found = super().get_session_metadata(session_key)
        return found and attrs.evolve(found, name=found.name or "", channel_id=found.channel_id or "")


@caught_by("metadata.times")
class GivesLocalTimes(Memory):
    """Times come back in the server's timezone."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        found = super().get_session_metadata(session_key)
        if found is None or found.created_at is None:
            return found
        return attrs.evolve(found, created_at=found.created_at.astimezone(timezone(timedelta(hours=2))))


@caught_by("metadata.times")
class CreatedWhenChanged(Memory):
    """An upsert writes `created_at` anew each time."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        record = self.record(session_key)
        record.created_at = record.last_activity


@caught_by("activity.append", "list.most-recent-first")
class AppendIsNoActivity(Memory):
    """The session's row is written only when the session is created."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        before = self.active(session_key)
        super().append(session_key, message)
        self.was_active(session_key, before)


@caught_by("activity.remove_last")
class RemovalIsNoActivity(Memory):
    """Removing a message leaves the session's last activity as it was."""

    def remove_last(self, session_key: str, /) -> bool:
        before = self.active(session_key)
        removed = super().remove_last(session_key)
        self.was_active(session_key, before)
        return removed


@caught_by("activity.update_last")
class UpdateIsNoActivity(Memory):
    """A streaming answer does not count until it is appended to."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.active(session_key)
        updated = super().update_last(session_key, message)
        self.was_active(session_key, before)
        return updated


@caught_by("activity.clear_messages")
class ClearingIsNoActivity(Memory):
    """The last activity is that of the newest message; where there is none, it stays."""

    def clear_messages(self, session_key: str, /) -> int:
        before = self.active(session_key)
        removed = super().clear_messages(session_key)
        self.was_active(session_key, before)
        return removed


@caught_by("activity.state", "cleanup.activity-saves")
class StateIsNoActivity(Memory):
    """A state is not activity, so that a long turn's session is cleaned up under it."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        before = self.active(session_key)
        super().set_session_state(session_key, state, turn_id)
        self.was_active(session_key, before)


@caught_by("activity.state")
class HeartbeatIsNoActivity(Memory):
    """A new state is activity, but a heartbeat is not."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        session, before = self.get_session_state(session_key), self.active(session_key)
        super().set_session_state(session_key, state, turn_id)
        if session and (session.state, session.turn_id) == (state, turn_id):
            self.was_active(session_key, before)


@caught_by("activity.not-names", "cleanup.activity-saves")
class NamesAreActivity(Memory):
    """`updated_at` moves at every change of the row, a name included."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        self.record(session_key).touch()


@caught_by("activity.not-names")
class ContextsAreActivity(Memory):
    """Saying where a session belongs moves it to the front."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if self._found(session_key):
            self.record(session_key).touch()


@caught_by("activity.not-reading")
class ReadingIsActivity(Memory):
    """Reading refreshes a session's time to live."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        if self._found(session_key):
            self.record(session_key).touch()
        return super().load(session_key)


@caught_by("activity.creation-by-setter")
class SettersLeaveNoTime(Memory):
    """A session that a name creates is as old as the epoch."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        is_new = self._found(session_key) is None
        super().set_session_name(session_key, name)
        if is_new and name:
            self.record(session_key).last_activity = 0


@caught_by("activity.write")
class WriteIsNoActivity(Memory):
    """A batch leaves the session's last activity as it was."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        before = self.active(session_key)
        revision = super().write(session_key, **change)
        self.was_active(session_key, before)
        return revision
