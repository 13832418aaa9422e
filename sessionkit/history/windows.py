"""The newest part of a session that a provider will accept: its system messages, and a run of whole units."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import dropwhile, takewhile
from typing import cast, overload

import attrs

from sessionkit.defaults import supports, with_defaults
from sessionkit.history.tails import tails
from sessionkit.history.units import is_system, units_of
from sessionkit.keys import check_count
from sessionkit.messages import ChatMessage
from sessionkit.protocol import CoreBackend, SessionBackend, SupportsFirst

_FIRST_TAIL = 32
_SLACK = 8  # messages read beyond `max_messages`, to see the unit before the window as a whole


@overload
def window(
    messages: Iterable[ChatMessage],
    /,
    *,
    max_messages: int | None = None,
    max_tokens: int | None = None,
    count_tokens: Callable[[ChatMessage], int] | None = None,
) -> list[ChatMessage]: ...


@overload
def window(
    backend: CoreBackend,
    /,
    session_key: str,
    *,
    max_messages: int | None = None,
    max_tokens: int | None = None,
    count_tokens: Callable[[ChatMessage], int] | None = None,
) -> list[ChatMessage]: ...


def window(
    source: Iterable[ChatMessage] | CoreBackend,
    /,
    session_key: str | None = None,
    *,
    max_messages: int | None = None,
    max_tokens: int | None = None,
    count_tokens: Callable[[ChatMessage], int] | None = None,
) -> list[ChatMessage]:
    """The newest part of a conversation that keeps to the limits and that a provider accepts, oldest message first.

    The messages are given as they are, signed reasoning blocks and all; those of a list are the same objects.

    **Units.** A unit is an assistant's message that calls tools, with the results that directly follow it, or any
    other single message. It is in the window as a whole or not at all. Calls are `ChatMessage.tool_calls` and the
    ``tool_use`` blocks of the content or the raw blocks; results are messages of the role ``tool`` and users' messages
    with ``tool_result`` blocks, whatever else these hold. They belong together by their ids, but only within such a
    sequence, as ids may come again later in a session. Whatever the limits, left out are:

    - a call with its unit, where not each call of the message has its result directly after it: it is pending, the
      agent was killed, or another message (were it a system message, or the user's words beside other results) comes
      first;
    - a result whose call is not there;
    - an assistant's message that says nothing: no call, no text but blanks, and no other content than reasoning;
    - what `ConversationSession` keeps under its reserved role, which is no provider's.

    **Choice.** All system messages (``system`` and ``developer``) are kept, in their places, and count first. Then
    units are taken, the newest first, until one does not fit. Where that is so, and there is a user's message among
    them, what is older than the first such message is left out, as providers want a user to begin: of a turn that does
    not fit in, nothing is kept once the user has spoken again. Where there is none, which is in the middle of one long
    turn, all that fits is kept, though some providers refuse a conversation that an assistant begins; a limit that
    has room for a turn avoids both. Where every unit fits, all are given, whoever begins. Where not even the newest
    one does, the system messages are given alone. A higher limit never gives less.

    **From a store.** With limits, the session is read from its end, in tails that double in size until one is enough:
    with `max_messages`, mostly one of 8 messages more; with `max_tokens`, up to four times as many messages as fit, or
    32. Its first messages are read too, as far as they are system messages. System messages further up in the middle,
    before the tail that was read, are not looked for: they are missing, where a list would have them; otherwise the
    answer is that of the list. This needs `SupportsFirst`; on any other backend all is read, as it is without limits.
    Others may write meanwhile: the tail is of one moment, and the first messages are read after it.

    Args:
        source: the messages, oldest first; or a backend.
        session_key: with a backend, the session; an unknown one has no messages.
        max_messages: how many messages to give at most, system messages included.
        max_tokens: how many tokens these may hold together.
        count_tokens: how many tokens a message holds, in whole numbers; it is asked only with `max_tokens`, and of no
            more messages than need be.

    Raises:
        ValueError: a limit is negative; `max_tokens` comes without `count_tokens`; or the system messages alone are
            beyond a limit, as none of them is left out in silence.
        TypeError: `source` is neither, or a limit no whole number.
        InvalidSessionKeyError: the session key is no key.
    """
    limits = _Limits(max_messages, max_tokens, count_tokens)
    if session_key is not None:
        return _from_store(with_defaults(cast("CoreBackend", source)), session_key, limits)
    if not isinstance(source, Iterable):
        msg = f"window() takes messages, or a backend and a session key, not {type(source).__name__} alone"
        raise TypeError(msg)
    messages = list(source)
    for message in messages:
        if not isinstance(message, ChatMessage):
            msg = f"window() takes ChatMessages, not {type(message).__name__}: ChatMessage.from_dict() makes one"
            raise TypeError(msg)
    return _choose(messages, limits)[0]


@attrs.frozen
class _Limits:
    """The limits of a window, checked."""

    max_messages: int | None
    max_tokens: int | None
    count_tokens: Callable[[ChatMessage], int] | None

    def __attrs_post_init__(self) -> None:
        for limit in ("max_messages", "max_tokens"):
            if getattr(self, limit) is not None:
                check_count(getattr(self, limit), limit)
        if self.max_tokens is not None and self.count_tokens is None:
            msg = "max_tokens needs count_tokens, a function that gives the tokens of a message"
            raise ValueError(msg)

    @property
    def first_tail(self) -> int | None:
        """How many messages to read at first; None for all."""
        if self.max_messages is not None:
            needed = self.max_messages + _SLACK
            return needed if self.max_tokens is None else min(needed, _FIRST_TAIL)
        return None if self.max_tokens is None else _FIRST_TAIL

    def room(self) -> "_Room":
        """All that may be taken."""
        return _Room(
            math.inf if self.max_messages is None else self.max_messages,
            math.inf if self.max_tokens is None else self.max_tokens,
            self.count_tokens if self.max_tokens is not None else None,
        )


@attrs.define
class _Room:
    """What is left of the limits while messages are taken."""

    messages: float
    tokens: float
    count_tokens: Callable[[ChatMessage], int] | None

    def take(self, messages: Sequence[ChatMessage]) -> bool:
        """Whether they fit; then there is less room."""
        if len(messages) > self.messages:
            return False
        tokens = sum(map(self._counted, messages))
        if tokens > self.tokens:
            return False
        self.messages -= len(messages)
        self.tokens -= tokens
        return True

    def _counted(self, message: ChatMessage) -> int:
        if self.count_tokens is None:
            return 0
        tokens = self.count_tokens(message)
        check_count(tokens, "what count_tokens() gives")
        return tokens


def _choose(messages: Sequence[ChatMessage], limits: _Limits) -> tuple[list[ChatMessage], bool]:
    """The window of these messages, and whether it was cut: there is an older unit, which did not fit."""
    room = limits.room()
    kept = [position for position, message in enumerate(messages) if is_system(message)]
    if not room.take([messages[position] for position in kept]):
        msg = (
            f"the {len(kept)} system messages take more than max_messages={limits.max_messages}, "
            f"max_tokens={limits.max_tokens} allow: raise the limit, or shorten them"
        )
        raise ValueError(msg)
    run: list[list[int]] = []
    units = units_of(messages)
    while units and room.take([messages[position] for position in units[-1]]):
        run.append(units.pop())
    run.reverse()
    if units:
        begun_by_user = list(dropwhile(lambda unit: messages[unit[0]].role != "user", run))
        run = begun_by_user or run
    kept += (position for unit in run for position in unit)
    return [messages[position] for position in sorted(kept)], bool(units)


def _from_store(backend: SessionBackend, session_key: str, limits: _Limits) -> list[ChatMessage]:
    """The window of a session, from tails of it that are long enough, and its beginning."""
    first_tail = limits.first_tail
    if first_tail is None or not supports(backend, SupportsFirst):
        return _choose(backend.load(session_key), limits)[0]
    chosen: list[ChatMessage] = []
    for tail, whole in tails(backend, session_key, first_tail):
        known = tail
        if not whole:
            if is_system(tail[0]):
                continue  # it may be one of the beginning's, which must not be there twice
            # Results at the start of the tail are left out, as their call may stand before it; all else in it is whole.
            known = _leading_system_messages(backend, session_key) + tail
        chosen, cut = _choose(known, limits)
        if cut:
            break
    return chosen


def _leading_system_messages(backend: SessionBackend, session_key: str) -> list[ChatMessage]:
    """Those before any other message."""
    count = 4
    while True:
        first = [stored.message for stored in cast("SupportsFirst", backend).load_first(session_key, count)]
        leading = list(takewhile(is_system, first))
        if len(leading) < count:
            return leading
        count *= 2
