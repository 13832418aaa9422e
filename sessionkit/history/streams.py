"""An answer that is stored while it grows, so that a crash leaves what there was of it."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import attrs

from sessionkit.errors import InvalidMessageError, SessionKitError
from sessionkit.history.tail import Draft, Tail, Told, nothing_told
from sessionkit.keys import check_any_text, check_not_negative
from sessionkit.messages import ChatMessage, ToolCall

INTERVAL = 0.25
"""Seconds between two writes of an answer that grows."""

INCOMPLETE, COMPLETED = "incomplete", "completed"
"""The status of an answer that grows, and of one that was closed."""

_OWN = frozenset(("content", "tool_calls", "status"))


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
        self._is_closing = False
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
        check_any_text(text, "a piece of an answer")
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
            check_any_text(value, what)
        known = self._calls.get(call_id, ToolCall(call_id, "", ""))
        self._calls[call_id] = attrs.evolve(known, name=name or known.name, arguments=known.arguments + arguments)
        self._is_changed = True

    def store(self, told: Told = nothing_told) -> bool:
        """Store it as it is now, in one write with the attributes; whether it was stored, and is not held back."""
        is_stored = self._tail.put([self.message], told)
        self._is_changed = False
        self._stored_at = time.monotonic()
        return is_stored

    def complete(self) -> None:
        """The answer is whole: what `finish` has said that it is, else what was written, ``completed``."""
        self._is_over = self._is_closing = self._is_changed = True
        self._shell = attrs.evolve(self._shell, status=COMPLETED)

    def abandon(self, error: BaseException) -> None:
        """It was cut off: store what was written, ``incomplete``; what keeps it from that goes into a note of `error`.

        Where it is whole, by `finish` or because it was stored so after all, it stays whole. In a forked process it is
        the parent's.
        """
        if not self._tail.is_here:
            return
        try:
            if not self._is_whole():
                self._final, self._is_over = None, True
                self._shell = attrs.evolve(self._shell, status=INCOMPLETE)
                if self._is_changed and not self.is_empty:
                    self.store()
        except SessionKitError as failure:
            error.add_note(f"and the end of the answer could not be stored: {failure}")

    def _is_whole(self) -> bool:
        """Whether it is in the store as a whole, at the latest now."""
        if self._is_closing:
            return self._tail.holds(self.message)
        if self._final is None:
            return False
        try:
            self.store()
        except InvalidMessageError:
            return False
        return True

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
        elif self._tail.is_here and not self.is_empty:
            self.complete()
            try:
                self.store()
            except BaseException as failure:
                self.abandon(failure)
                raise


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in _OWN & fields.keys():
        msg = f"{name} is what the stream itself says of its message; write(), tool_call() and finish() make it"
        raise TypeError(msg)
