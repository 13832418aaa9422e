"""The newest messages: read, replaced, removed, and their times."""

from typing import Unpack

import attrs

from sessionkit import ChatMessage, TimestampedMessage, check_session_key
from sessionkit.clock import now, to_datetime
from sessionkit.models import RUNNING
from tests.mutants.declared import Change, Memory, caught_by


@caught_by("timestamps.last")
class ReadsOneTooMany(Memory):
    """The tail is off by one."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        return super().load_with_timestamps(session_key, last=last + 1 if last else last)


@caught_by("timestamps.last")
class TakesZeroForAll(Memory):
    """`messages[-0:]` is all of them."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        return super().load_with_timestamps(session_key, last=last or None)


@caught_by("timestamps.last")
class ReadsTheTailBackwards(Memory):
    """The newest n come from `ORDER BY id DESC LIMIT n`, and nobody turns them round."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        found = super().load_with_timestamps(session_key, last=last)
        return found if last is None else found[::-1]


@caught_by("timestamps.same-messages")
class ReadsTenUnlessAsked(Memory):
    """Without `last` the newest ten are given, and not all."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        return super().load_with_timestamps(session_key, last=10 if last is None else last)


@caught_by("timestamps.last-after-removal")
class CountsPositions(Memory):
    """The newest n are those with the n highest positions, though positions have gaps where messages were removed."""

    def __init__(self) -> None:
        super().__init__()
        self.positions: dict[str, list[int]] = {}
        self.highest = 0

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.highest += 1
        self.positions.setdefault(session_key, []).append(self.highest)

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        if removed and session_key in self.positions:
            self.positions[session_key].pop()
        return removed

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        check_session_key(session_key)
        positions = self.positions.get(session_key)
        if last is not None and positions:
            last = sum(position > positions[-1] - last for position in positions)
        return super().load_with_timestamps(session_key, last=last)


@caught_by("timestamps.when-stored")
class BelievesTheMessagesClock(Memory):
    """`created_at` is the message's own timestamp, which may be years old."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        found = super().load_with_timestamps(session_key, last=last)
        return [attrs.evolve(stored, created_at=stored.message.timestamp or stored.created_at) for stored in found]


@caught_by("timestamps.when-stored")
class StampsWhenRead(Memory):
    """`created_at` is when the message was read."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        found = super().load_with_timestamps(session_key, last=last)
        return [attrs.evolve(stored, created_at=to_datetime(now())) for stored in found]


@caught_by("times.never-backwards")
class FollowsTheClockBack(Memory):
    """Where the clock is put back, a newer message is stored before an older one."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        messages = self._found_or_new(session_key).messages
        messages[-1] = attrs.evolve(messages[-1], created_at=now())


@caught_by("times.never-backwards")
class RemovalFollowsTheClockBack(Memory):
    """`remove_last` and `clear_messages` set the last activity to what the clock says."""

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        self.was_active(session_key, now() if removed else None)
        return removed

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        self.was_active(session_key, now() if removed else None)
        return removed


@caught_by("times.never-backwards")
class BatchesFollowTheClockBack(Memory):
    """`write` stamps its messages with what the clock says."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = change["append"] = list(change.get("append", ()))
        revision = super().write(session_key, **change)
        if added:
            messages = self._found_or_new(session_key).messages
            messages[-1] = attrs.evolve(messages[-1], created_at=now())
        return revision


@caught_by("times.never-backwards")
class HeartbeatsFollowTheClockBack(Memory):
    """A heartbeat is what the clock says, and may be before the turn's start."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        if state == RUNNING:
            self.record(session_key).heartbeat_at = now()


@caught_by("times.never-before-restored")
class FollowsTheClockBehindRestored(Memory):
    """After a restore from a machine whose clock is ahead, new messages are stored before the restored ones."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        record = self.record(session_key)
        record.last_activity = min(record.last_activity, now())
        super().append(session_key, message)


@caught_by("remove_last.newest")
class RemovesTheFirst(Memory):
    """The list is kept the other way round, so that the oldest message is removed."""

    def remove_last(self, session_key: str, /) -> bool:
        if session := self._found(session_key):
            session.messages.reverse()
        removed = super().remove_last(session_key)
        if session:
            session.messages.reverse()
        return removed


@caught_by("remove_last.session-stays")
class RemovesEmptySessions(Memory):
    """A session without messages is deleted."""

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        if removed and not self.load(session_key):
            self.delete_session(session_key)
        return removed


@caught_by("remove_last.none-is-false", "reading.creates-nothing")
class RemovingCreates(Memory):
    """Removing goes through get-or-create: it leaves an empty session behind."""

    def remove_last(self, session_key: str, /) -> bool:
        self.record(session_key)
        return super().remove_last(session_key)


@caught_by("remove_last.none-is-false")
class AlwaysRemoved(Memory):
    """`remove_last` says True whatever happened: an affected row is never counted."""

    def remove_last(self, session_key: str, /) -> bool:
        super().remove_last(session_key)
        return True


@caught_by("remove_last.then-append")
class AppendsBeforeTheGap(Memory):
    """After a removal the next position is that of the message before, which is pushed behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: set[str] = set()

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        if removed:
            self.removed.add(session_key)
        return removed

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        messages = self._found_or_new(session_key).messages
        if session_key in self.removed and len(messages) > 1:
            messages[-2:] = messages[:-3:-1]
        self.removed.discard(session_key)


@caught_by("update_last.replaces-newest", "model.agrees")
class RemovalUncoversTheReplaced(Memory):
    """A replaced message is kept beneath the new one, and removing that brings it back."""

    def __init__(self) -> None:
        super().__init__()
        self.beneath: dict[str, ChatMessage] = {}

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.load(session_key)
        updated = super().update_last(session_key, message)
        if updated:
            self.beneath[session_key] = before[-1]
        return updated

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.beneath.pop(session_key, None)

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        old = self.beneath.pop(session_key, None)
        if removed and old is not None:
            self.append(session_key, old)
        return removed


@caught_by("update_last.none-is-false")
class UpdateAppends(Memory):
    """`update_last` is an upsert: where there is no message it stores one."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        if not super().update_last(session_key, message):
            self.append(session_key, message)
        return True


@caught_by("update_last.keeps-created-at")
class UpdateStampsAnew(Memory):
    """`update_last` deletes and inserts, so that the message seems to be as old as its last word."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        self._encoded(message)
        if not self.remove_last(session_key):
            return False
        self.append(session_key, message)
        return True


@caught_by("update_last.refuses-not-json")
class UpdateRemovesFirst(Memory):
    """The old message is gone before the new one turns out not to be storable."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        if not self.remove_last(session_key):
            return False
        self.append(session_key, message)
        return True


@caught_by("update_last.replaces-newest")
class UpdateHitsTheFirst(Memory):
    """`UPDATE ... WHERE session = ?` without the newest position: the first message is replaced too."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        updated = super().update_last(session_key, message)
        if updated:
            messages = self._found_or_new(session_key).messages
            messages[0] = messages[-1]
        return updated


@caught_by("update_last.replaces-newest")
class UpdateMerges(Memory):
    """What the new message leaves out stays from the old one."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.load(session_key)
        if before and message.tool_metadata is None and message.name is None and type(before[-1].content) is str:
            message = attrs.evolve(message, name=before[-1].content)
        return super().update_last(session_key, message)
