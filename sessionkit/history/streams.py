"""An answer that is stored while it grows, so that a crash leaves what there was of it.

`Tail` is the end of a session as one turn knows it. Others may append meanwhile, outside of any turn, such as a user
who goes on typing; so a message is replaced only where it is known to be the one that this turn wrote.
"""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from sessionkit.errors import ConflictError, SessionKitError
from sessionkit.keys import check_not_negative, check_text
from sessionkit.messages import JSON, ChatMessage, ToolCall

if TYPE_CHECKING:
    from sessionkit.history.turns import Turn

INTERVAL = 0.25
"""Seconds between two writes of an answer that grows."""

INCOMPLETE, COMPLETED = "incomplete", "completed"
"""The status of an answer that grows, and of one that was closed."""

_LOOK_BACK = 8


class Tail:
    """What a turn writes at the end of its session, one write after the other.

    Attributes:
        revision: the session's, after the last write; None before the first.
        is_alone: whether nobody else has changed the session since the first write, as far as this turn's writes show.
    """

    def __init__(self, turn: "Turn", *, revision: int | None = None, newest: ChatMessage | None = None) -> None:
        self.revision = revision
        self.is_alone = True
        self._turn = turn
        self._newest = newest
        self._behind: list[ChatMessage] = []

    def append(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> None:
        """Add messages, and merge attributes, in one write."""
        try:
            self.revision = self._turn.write(append=messages, attributes=attributes, if_revision=self.revision)
        except ConflictError:
            self._meet_others()
            self.revision = self._turn.write(append=messages, attributes=attributes)
        self._behind = []
        self._newest = messages[-1] if messages else self._newest

    def replace(self, message: ChatMessage, attributes: Mapping[str, JSON]) -> None:
        """Put a message in the place of the last one that was written here; what others wrote after it stays after it.

        Where somebody has removed that one, it is added at the end.
        """
        while self._newest is not None:
            try:
                self.revision = self._turn.write(
                    drop_last=1 + len(self._behind),
                    append=[message, *self._behind],
                    attributes=attributes,
                    if_revision=self.revision,
                )
            except ConflictError:
                self._meet_others()
                self._look_again()
            else:
                self._newest = message
                return
        self.append([message], attributes)

    def _meet_others(self) -> None:
        """Somebody has written: where it was another turn, that is a `ConflictError`."""
        self._turn.heartbeat()
        self.is_alone = False

    def _look_again(self) -> None:
        """Find the message that was written last, and what stands behind it now; at one revision."""
        store, key = self._turn.store, self._turn.key
        count = _LOOK_BACK
        while True:
            before = store.get_session_metadata(key)
            found = self._turn.load(last=count)
            after = store.get_session_metadata(key)
            if before is None or after is None or before.revision != after.revision:
                self._turn.heartbeat()  # raises where the session was deleted
                continue
            self.revision = after.revision
            places = [place for place, message in enumerate(found) if message == self._newest]
            if places:
                self._behind = found[places[-1] + 1 :]
                return
            if len(found) < count:
                self._newest, self._behind = None, []
                return
            count *= 2


class AnswerStream:
    """An assistant's message that grows; use it in ``with``.

    It is stored with the first thing written to it, its status ``incomplete``, and again as it grows: by the first
    piece that comes once the interval has passed. When the body ends it is stored whole, ``completed``; where the body
    raises, all that was written of it, ``incomplete``. A killed process leaves what was last stored of it. A stream to
    which nothing was written leaves no message.

    Raises:
        ConflictError: by whatever stores, where the turn was taken over; nothing was changed.
    """

    def __init__(self, turn: "Turn", *, interval: float, tail: Tail | None = None, **fields: Any) -> None:
        check_not_negative(interval, "interval")
        self._tail = Tail(turn) if tail is None else tail
        self._interval = interval
        self._shell = ChatMessage.assistant(status=INCOMPLETE, **fields)
        self._pieces: list[str] = []
        self._calls: dict[str, ToolCall] = {}
        self._final: ChatMessage | None = None
        self._is_stored = False
        self._is_changed = False
        self._stored_at = -float("inf")

    @property
    def message(self) -> ChatMessage:
        """The answer, as far as it has come."""
        if self._final is not None:
            return self._final
        content = "".join(self._pieces) if self._pieces else None
        return attrs.evolve(self._shell, content=content, tool_calls=tuple(self._calls.values()))

    @property
    def is_due(self) -> bool:
        """Whether `store` has something to store, and the interval has passed."""
        return self._is_changed and time.monotonic() - self._stored_at >= self._interval

    def write(self, text: str) -> None:
        """Add a piece of text."""
        self.add(text)
        if self.is_due:
            self.store()

    def tool_call(self, call_id: str, name: str = "", arguments: str = "") -> None:
        """Add a call of a tool; for an id that is there already, a piece of its arguments."""
        self.add_tool_call(call_id, name, arguments)
        if self.is_due:
            self.store()

    def set(self, **fields: Any) -> None:
        """Set other attributes of the message, such as ``usage``; they are stored with the next piece or at the end."""
        self._shell = attrs.evolve(self._shell, **fields)
        self._is_changed = bool(self._pieces or self._calls)

    def finish(self, message: ChatMessage) -> None:
        """Take this message for the whole answer, as it is: what a provider gives once its stream has ended."""
        self._final = message
        self._is_changed = True

    def add(self, text: str) -> None:
        """`write`, without storing it."""
        check_text(text, "a piece of an answer")
        if text:
            self._pieces.append(text)
            self._is_changed = True

    def add_tool_call(self, call_id: str, name: str = "", arguments: str = "") -> None:
        """`tool_call`, without storing it."""
        for value, what in ((call_id, "the id of a tool call"), (name, "its name"), (arguments, "its arguments")):
            check_text(value, what)
        known = self._calls.get(call_id, ToolCall(call_id, "", ""))
        self._calls[call_id] = attrs.evolve(known, name=name or known.name, arguments=known.arguments + arguments)
        self._is_changed = True

    def store(self, attributes: Mapping[str, JSON] = {}) -> None:
        """Store it as it is now, in one write with the attributes."""
        write = self._tail.replace if self._is_stored else self._append
        write(self.message, attributes)
        self._is_stored, self._is_changed = True, False
        self._stored_at = time.monotonic()

    def _append(self, message: ChatMessage, attributes: Mapping[str, JSON]) -> None:
        self._tail.append([message], attributes)

    def close(self, attributes: Mapping[str, JSON] = {}) -> None:
        """The answer is whole: store it ``completed``; `finish` has said what it is, or it is what was written."""
        if self._final is None:
            self._shell = attrs.evolve(self._shell, status=COMPLETED)
        if self._is_stored or self._is_changed:
            self.store(attributes)

    def abandon(self) -> None:
        """There will be no more: store what there is, ``incomplete`` as it is."""
        if self._is_changed:
            self.store()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.abandon()
        except SessionKitError as failure:
            error.add_note(f"and the end of the answer could not be stored: {failure}")
