"""Clearing, deleting, cleaning up and compacting too much, too little, or something else."""

import attrs

from sessionkit import ChatMessage
from sessionkit.clock import now
from sessionkit.keys import check_not_negative
from tests.mutants.declared import Memory, caught_by


@caught_by("clear.removes-all")
class ClearingDeletes(Memory):
    """`clear_messages` deletes the session."""

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        self.delete_session(session_key)
        return removed


@caught_by("clear.removes-all")
class ClearingSaysOne(Memory):
    """`clear_messages` gives how many statements it ran, not how many messages there were."""

    def clear_messages(self, session_key: str, /) -> int:
        return min(1, super().clear_messages(session_key))


@caught_by("clear.removes-all")
class ClearingKeepsTheSystem(Memory):
    """`clear_messages` keeps the first message, taking it for the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, ChatMessage] = {}

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        first = self.given.pop(session_key, None)
        if first is not None:
            self.append(session_key, first)
        return removed

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.given.setdefault(session_key, message)


@caught_by("clear.nothing-is-zero", "reading.creates-nothing")
class ClearingCreates(Memory):
    """Clearing goes through get-or-create."""

    def clear_messages(self, session_key: str, /) -> int:
        self.record(session_key)
        return super().clear_messages(session_key)


@caught_by("delete.forgets-session")
class DeletesSoftly(Memory):
    """A deleted session has no messages any more, but is still listed."""

    def delete_session(self, session_key: str, /) -> bool:
        existed = super().delete_session(session_key)
        if existed:
            self.record(session_key)
        return existed


@caught_by("delete.forgets-messages")
class DeletesTheRowOnly(Memory):
    """The session's row is deleted, its messages are not."""

    def __init__(self) -> None:
        super().__init__()
        self.orphans: dict[str, list[ChatMessage]] = {}

    def delete_session(self, session_key: str, /) -> bool:
        self.orphans[session_key] = self.load(session_key)
        return super().delete_session(session_key)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return super().load(session_key) or self.orphans.get(session_key, [])


@caught_by("cleanup.without-times")
class CleansUpTheEmpty(Memory):
    """A session without messages has no newest one, so that it is older than anything."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        for session in self._sessions.values():
            if not session.messages:
                session.record.last_activity = 0
        return super().cleanup_stale(ttl_hours)


@caught_by("delete.then-afresh", "delete.forgets-everything")
class NamesOutliveDeletion(Memory):
    """Names are in a table of their own, which deletion forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        self.names[session_key] = name

    def get_session_name(self, session_key: str, /) -> str | None:
        super().get_session_name(session_key)
        return self.names.get(session_key) or None

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).name = self.names.get(session_key) or None


@caught_by("cleanup.forgets-everything")
class NamesOutliveCleanup(Memory):
    """`cleanup_stale` has a DELETE of its own, which knows nothing of the table of names."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, str | None] = {}

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        names = {metadata.key: metadata.name for metadata in self.list_sessions_with_metadata()}
        deleted = super().cleanup_stale(ttl_hours)
        self.left = {key: name for key, name in names.items() if key not in self._sessions}
        return deleted

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        if session_key in self.left:
            self.record(session_key).name = self.left.pop(session_key)


@caught_by("delete.without-messages")
class DeletesOnlyTalk(Memory):
    """Whether the session existed is told by its messages."""

    def delete_session(self, session_key: str, /) -> bool:
        had_messages = bool(self.load(session_key))
        return super().delete_session(session_key) and had_messages


@caught_by("delete.unknown-is-false")
class DeletingAlwaysWorks(Memory):
    """`delete_session` says True whatever there was."""

    def delete_session(self, session_key: str, /) -> bool:
        super().delete_session(session_key)
        return True


@caught_by("cleanup.strictly-older")
class CleansUpAtTheLimit(Memory):
    """`cleanup_stale` compares by `<=`: a session exactly as old as allowed is deleted."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        self._check_open()
        oldest = now() - ttl_hours * 3_600_000_000
        stale = [key for key, session in self._sessions.items() if session.record.last_activity <= oldest]
        return sum(map(self.delete_session, stale))


@caught_by("cleanup.hours")
class CleansUpByMinutes(Memory):
    """The time to live is taken for minutes."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        return super().cleanup_stale(ttl_hours / 60)


@caught_by("cleanup.hours", "cleanup.deletes-stale")
class CleansUpInWholeHours(Memory):
    """The time to live is rounded up to whole hours."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        return super().cleanup_stale(-(-ttl_hours // 1))


@caught_by("cleanup.activity-saves")
class CleansUpByCreation(Memory):
    """A session is stale when it was created long ago."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        for session in self._sessions.values():
            session.record.last_activity = session.record.created_at
        return super().cleanup_stale(ttl_hours)


@caught_by("cleanup.deletes-stale")
class CleansUpOneAtATime(Memory):
    """`cleanup_stale` deletes the first stale session, and says that it was all."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        oldest = self.list_sessions()[-1:]
        active = {key: self.active(key) for key in self.list_sessions() if key not in oldest}
        for key in active:
            self.record(key).touch()
        deleted = super().cleanup_stale(ttl_hours)
        for key, before in active.items():
            self.was_active(key, before)
        return deleted


@caught_by("cleanup.deletes-stale")
class CleansUpMessagesOnly(Memory):
    """A stale session loses its messages, and stays in the list."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        keys = self.list_sessions()
        deleted = super().cleanup_stale(ttl_hours)
        for key in keys:
            self.record(key)
        return deleted


@caught_by("compact.changes-nothing")
class CompactingSummarises(Memory):
    """`compact` keeps the newest ten messages."""

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        while len(self.load(session_key)) > 10:
            session = self._found_or_new(session_key)
            session.messages.pop(0)
            session.record.message_count -= 1


@caught_by("compact.changes-nothing")
class CompactingStampsAnew(Memory):
    """`compact` writes the messages anew, as of now."""

    def compact(self, session_key: str, /) -> None:
        if session := self._found(session_key):
            session.messages[:] = [attrs.evolve(stored, created_at=now()) for stored in session.messages]


@caught_by("compact.keeps-names")
class CompactingLosesTheName(Memory):
    """`compact` carries the messages over, and not what else was known."""

    def compact(self, session_key: str, /) -> None:
        if session := self._found(session_key):
            session.record.name = None


@caught_by("counts.compact")
class CompactingCountsAnew(Memory):
    """`compact` counts what is left, and takes every message for a turn."""

    def compact(self, session_key: str, /) -> None:
        if session := self._found(session_key):
            session.record.turn_count = session.record.message_count


@caught_by("compact.then-go-on")
class CompactingForgetsTheTail(Memory):
    """After `compact` the place of the newest message is not known anew, and an update hits the oldest."""

    def __init__(self) -> None:
        super().__init__()
        self.compacted: set[str] = set()

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        self.compacted.add(session_key)

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        updated = super().update_last(session_key, message)
        if updated and session_key in self.compacted:
            self._found_or_new(session_key).messages.reverse()
        return updated
