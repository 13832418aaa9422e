"""What is kept in memory."""

from typing import NamedTuple

import attrs

from sessionkit.messages import ChatMessage
from sessionkit.record import SessionRecord


@attrs.frozen
class Stored:
    """A message as it is kept."""

    raw: bytes
    created_at: int
    turns: int
    tool_calls: int


@attrs.define
class Session:
    """What is known of a session, and its messages, oldest first."""

    record: SessionRecord
    messages: list[Stored] = attrs.Factory(list)

    def push(self, raw: bytes, message: ChatMessage, created_at: int) -> None:
        stored = Stored(raw, created_at, message.is_turn, message.tool_call_count)
        self.messages.append(stored)
        self.record.count(1, stored.turns, stored.tool_calls)

    def pop(self) -> Stored:
        stored = self.messages.pop()
        self.record.count(-1, -stored.turns, -stored.tool_calls)
        return stored


class Note(NamedTuple):
    """How a session was before the change that has begun; `session` is None where there was none.

    Attributes:
        tail: the messages that the change may drop, the last of so many as there were.
    """

    key: str
    session: Session | None
    record: SessionRecord | None = None
    messages: list[Stored] = []  # noqa: RUF012 -- never changed
    length: int = 0
    tail: list[Stored] = []  # noqa: RUF012 -- likewise
