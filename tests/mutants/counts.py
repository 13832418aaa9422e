"""Counts that drift from what counting the messages gives."""

from collections.abc import Iterable
from typing import Unpack

from sessionkit import ChatMessage, SessionMetadata, TimestampedMessage
from tests.mutants.declared import Change, Memory, caught_by


@caught_by("counts.remove_last")
class RemovingDoesNotCount(Memory):
    """The count is not decremented when a message is removed."""

    def remove_last(self, session_key: str, /) -> bool:
        before = len(self.load(session_key))
        removed = super().remove_last(session_key)
        if removed:
            self.record(session_key).message_count = before
        return removed


@caught_by("counts.remove_last")
class ForgetsTurnsOfTheRemoved(Memory):
    """Messages are counted down, turns and tool calls are not."""

    def remove_last(self, session_key: str, /) -> bool:
        found = self._found(session_key)
        turns, calls = (found.record.turn_count, found.record.tool_call_count) if found else (0, 0)
        removed = super().remove_last(session_key)
        if removed:
            self.record(session_key).turn_count, self.record(session_key).tool_call_count = turns, calls
        return removed


@caught_by("counts.update_last")
class UpdateCountsTheOld(Memory):
    """A replaced message still counts as what it was when it was appended."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        found = self._found(session_key)
        turns, calls = (found.record.turn_count, found.record.tool_call_count) if found else (0, 0)
        updated = super().update_last(session_key, message)
        if updated:
            self.record(session_key).turn_count, self.record(session_key).tool_call_count = turns, calls
        return updated


@caught_by("counts.update_last")
class UpdateCountsTwice(Memory):
    """A streaming answer adds to the counts with each piece."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        updated = super().update_last(session_key, message)
        if updated:
            self.record(session_key).count(0, message.is_turn, message.tool_call_count)
        return updated


@caught_by("counts.update_last")
class UpdateResetsCounts(Memory):
    """`update_last` rewrites the session's row, and counts the new message only."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        updated = super().update_last(session_key, message)
        if updated:
            record = self.record(session_key)
            record.turn_count, record.tool_call_count = int(message.is_turn), message.tool_call_count
        return updated


@caught_by("counts.clear_messages")
class ClearingDoesNotCount(Memory):
    """The messages are gone, their counts stay."""

    def clear_messages(self, session_key: str, /) -> int:
        found = self._found(session_key)
        counts = (found.record.message_count, found.record.turn_count, found.record.tool_call_count) if found else ()
        removed = super().clear_messages(session_key)
        if counts and removed:
            self.record(session_key).count(*counts)
        return removed


@caught_by("counts.append")
class CountsUsersTurns(Memory):
    """A turn is counted for each message of the user, not for each answer."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).turn_count += (message.role == "user") - message.is_turn


@caught_by("counts.append")
class CountsEveryAnswer(Memory):
    """An assistant's message of nothing but tool calls counts as a turn."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).turn_count += message.role == "assistant" and not message.is_turn


@caught_by("counts.append")
class CountsNoEmptyAnswer(Memory):
    """An assistant's message with an empty content counts as none: `if content`."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).turn_count -= message.is_turn and not message.content


@caught_by("counts.append")
class CountsNoBlocks(Memory):
    """Tool calls in the shape of blocks are not counted."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).tool_call_count -= message.tool_call_count - len(message.tool_calls)


@caught_by("counts.append")
class CountsMessagesWithCalls(Memory):
    """A message that calls three tools counts as one call."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).tool_call_count -= max(0, message.tool_call_count - 1)


@caught_by("counts.write")
class CountsABatchAsOne(Memory):
    """A batch counts as one message."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = list(change.get("append", ()))
        change["append"] = added
        revision = super().write(session_key, **change)
        if len(added) > 1:
            self.record(session_key).message_count -= len(added) - 1
        return revision


@caught_by("counts.restore")
class BelievesRestoredCounts(Memory):
    """The counts of a restored session are those of its metadata, which somebody else has counted."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.record(session_key).message_count = metadata.message_count


@caught_by("counts.delete_session")
class CountsOutliveDeletion(Memory):
    """The counters are kept beside the session, and outlive it."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, int] = {}

    def delete_session(self, session_key: str, /) -> bool:
        count = len(self.load(session_key))
        deleted = super().delete_session(session_key)
        self.left[session_key] = count
        return deleted

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).message_count += self.left.pop(session_key, 0)
