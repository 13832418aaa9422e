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
from sessionkit.history.moments import at_one_moment
from sessionkit.history.tails import tails
from sessionkit.keys import check_not_negative, check_text
from sessionkit.messages import JSON, ChatMessage, ToolCall

if TYPE_CHECKING:
    from sessionkit.history.turns import Turn

INTERVAL = 0.25
"""Seconds between two writes of an answer that grows."""

INCOMPLETE, COMPLETED = "incomplete", "completed"
"""The status of an answer that grows, and of one that was closed."""

_LOOK_BACK = 8
_TRIES = 100
_OWN = frozenset(("content", "tool_calls", "status"))


class Tail:
    """What a turn writes at the end of its session, one write after the other."""

    def __init__(self, turn: "Turn", *, revision: int | None = None, stale: ChatMessage | None = None) -> None:
        """At first it is what is there, at that revision; `stale` is its end, if what is written first replaces it."""
        self._revision = revision
        self._is_alone = True
        self._turn = turn
        self._newest = stale
        self._is_stale = stale is not None
        self._behind: list[ChatMessage] = []

    @property
    def revision(self) -> int | None:
        """The session's by the last write; None where it is not known, or others have written as well."""
        return self._revision if self._is_alone else None

    def append(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> None:
        """Add messages, and merge attributes, in one write."""
        if messages and self._is_stale:
            self.replace(messages, attributes)
            return
        try:
            self._revision = self._turn.write(append=messages, attributes=attributes, if_revision=self._revision)
        except ConflictError:
            self._meet_others()
            self._revision = self._turn.write(append=messages, attributes=attributes)
        self._behind = []
        self._newest = messages[-1] if messages else self._newest

    def replace(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> None:
        """Put messages in the place of the last one that was written here; what others wrote after it stays after them.

        Where somebody has removed that one, they are added at the end.
        """
        self._is_stale = False
        for _ in range(_TRIES):
            if self._newest is None:
                break
            try:
                self._revision = self._turn.write(
                    drop_last=1 + len(self._behind),
                    append=[*messages, *self._behind],
                    attributes=attributes,
                    if_revision=self._revision,
                )
            except ConflictError:
                self._meet_others()
                self._look_again()
            else:
                self._newest = messages[-1]
                return
        else:
            msg = f"others wrote to {self._turn.key!r} first, {_TRIES} times in a row; try again"
            raise ConflictError(msg)
        self.append(messages, attributes)

    def flush(self) -> None:
        """Nothing is held back."""

    def _meet_others(self) -> None:
        """Somebody has written: where it was another turn, that is a `ConflictError`."""
        self._turn.heartbeat()
        self._is_alone = False

    def _look_again(self) -> None:
        """Find the message that was written last, and what stands behind it now; at one revision."""
        metadata, (tail, place) = at_one_moment(self._turn.store, self._turn.key, self._found)
        self._revision = None if metadata is None else metadata.revision
        self._behind = tail[place + 1 :]
        if place < 0:
            self._newest, self._behind = None, []

    def _found(self) -> tuple[list[ChatMessage], int]:
        """The newest messages, and where among them the one is that was written last; -1 where it is gone."""
        tail: list[ChatMessage] = []
        for tail, _ in tails(self._turn.store, self._turn.key, _LOOK_BACK):
            place = next((place for place in reversed(range(len(tail))) if tail[place] == self._newest), -1)
            if place >= 0:
                return tail, place
        return tail, -1


class Draft:
    """`Tail` for what is to be stored at the end, in one write; without a tail, never.

    Attributes:
        messages: what is held back.
    """

    def __init__(self, tail: Tail | None) -> None:
        self.messages: list[ChatMessage] = []
        self._attributes: dict[str, JSON] = {}
        self._tail = tail

    @property
    def revision(self) -> int | None:
        """`Tail.revision`."""
        return None if self._tail is None else self._tail.revision

    def append(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> None:
        """`Tail.append`, later."""
        self.messages.extend(messages)
        self._attributes.update(attributes)

    def replace(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> None:
        """`Tail.replace`, later."""
        del self.messages[-1:]
        self.append(messages, attributes)

    def flush(self) -> None:
        """Store it all."""
        if self._tail is not None:
            self._tail.append(self.messages, self._attributes)


class AnswerStream:
    """An assistant's message that grows; use it in ``with``.

    It is stored with the first thing written to it, its status ``incomplete``, and again as it grows: by the first
    piece that comes once the interval has passed. When the body ends it is stored whole, ``completed``; where the body
    raises, all that was written of it, ``incomplete``. A killed process leaves what was last stored of it. A stream to
    which nothing was written leaves no message.

    Raises:
        ConflictError: by whatever stores, where the turn was taken over; nothing was changed.
        ValueError: by whatever adds to it after its end.
    """

    def __init__(self, tail: Tail | Draft, *, interval: float, **fields: Any) -> None:
        check_not_negative(interval, "interval")
        _check_fields(fields)
        self._tail = tail
        self._interval = interval
        self._shell = ChatMessage.assistant(status=INCOMPLETE, **fields)
        self._pieces: list[str] = []
        self._calls: dict[str, ToolCall] = {}
        self._final: ChatMessage | None = None
        self._is_over = False
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
    def is_empty(self) -> bool:
        """Whether nothing was written to it."""
        return not (self._pieces or self._calls or self._final)

    @property
    def is_due(self) -> bool:
        """Whether `store` has something to store, and the interval has passed."""
        return self._is_changed and time.monotonic() - self._stored_at >= self._interval

    def write(self, text: str) -> None:
        """Add a piece of text."""
        self.add(text)
        if self.is_due:
            self.store()

    def tool_call(self, call_id: str | None, name: str = "", arguments: str = "") -> None:
        """Add a call of a tool; for an id that is there already, a piece of its arguments.

        Without an id, which some providers send but once, it is the newest call.
        """
        self.add_tool_call(call_id, name, arguments)
        if self.is_due:
            self.store()

    def set(self, **fields: Any) -> None:
        """Set other attributes of the message, such as ``usage``; they are stored with the next piece or at the end."""
        self._check_grows()
        _check_fields(fields)
        self._shell = attrs.evolve(self._shell, **fields)
        self._is_changed = not self.is_empty

    def finish(self, message: ChatMessage) -> None:
        """Take this message for the whole answer, as it is: what a provider gives once its stream has ended."""
        self._check_grows()
        self._final = message
        self._is_over = True
        self._is_changed = True

    def add(self, text: str) -> None:
        """`write`, without storing it."""
        self._check_grows()
        check_text(text, "a piece of an answer")
        if text:
            self._pieces.append(text)
            self._is_changed = True

    def add_tool_call(self, call_id: str | None, name: str = "", arguments: str = "") -> None:
        """`tool_call`, without storing it."""
        self._check_grows()
        call_id = call_id or next(reversed(self._calls), None)
        if call_id is None:
            msg = "the first tool call of an answer needs an id"
            raise ValueError(msg)
        for value, what in ((call_id, "the id of a tool call"), (name, "its name"), (arguments, "its arguments")):
            check_text(value, what)
        known = self._calls.get(call_id, ToolCall(call_id, "", ""))
        self._calls[call_id] = attrs.evolve(known, name=name or known.name, arguments=known.arguments + arguments)
        self._is_changed = True

    def store(self, attributes: Mapping[str, JSON] = {}) -> None:
        """Store it as it is now, in one write with the attributes."""
        write = self._tail.replace if self._is_stored else self._tail.append
        write([self.message], attributes)
        self._is_stored, self._is_changed = True, False
        self._stored_at = time.monotonic()

    def complete(self) -> None:
        """The answer is whole: what `finish` has said that it is, else what was written, ``completed``."""
        self._is_over = True
        self._shell = attrs.evolve(self._shell, status=COMPLETED)

    def abandon(self, error: BaseException) -> None:
        """It was cut off: store what there is, ``incomplete``; what keeps it from that goes into a note of `error`."""
        self._is_over = True
        try:
            if self._is_changed:
                self.store()
        except SessionKitError as failure:
            error.add_note(f"and the end of the answer could not be stored: {failure}")

    def _check_grows(self) -> None:
        if self._is_over:
            msg = "this answer has ended; stream() begins another one"
            raise ValueError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.abandon(error)
        elif not self.is_empty:
            self.complete()
            self.store()


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in _OWN & fields.keys():
        msg = f"{name} is what the stream itself says of its message; write(), tool_call() and finish() make it"
        raise TypeError(msg)
