"""The memory of an agent that has none: it is given the conversation so far, and what it answers is kept."""

from typing import Unpack

from sessionkit.history.answering import (
    Exchange,
    OnText,
    Respond,
    Said,
    answer,
    begin_exchange,
    check_respond,
    said_messages,
    waiting,
    window_with,
)
from sessionkit.history.keeping import session_of
from sessionkit.history.moments import at_one_moment
from sessionkit.history.needs import require
from sessionkit.history.options import ExchangeOptions, Options
from sessionkit.history.tails import tails
from sessionkit.history.turns import Turn, turn
from sessionkit.history.windows import window
from sessionkit.messages import ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.protocol import CoreBackend

_LOOK_BACK = 8


class Memory:
    """A layer around anything that answers messages, so that its callers pass the session's id and what is new.

    ::

        remember = Memory(backend, max_messages=50)
        agent = remember(respond)
        agent("user/1", "Where is my parcel?")

    Each call is a turn of its own, in a session that is created if need be; see `turn`. Only the window that the agent
    is given is read, so that a call costs the same however long the session is.
    """

    def __init__(self, backend: CoreBackend, **options: Unpack[ExchangeOptions]) -> None:
        """Wrap nothing yet.

        Args:
            backend: any that offers attributes, `SupportsWrite`, `SupportsTurns` and `SupportsTurnState`.
            options: those of `turn` and of `window`, and ``interval``, the seconds between two writes of an answer that
                grows. Without limits the agent is given the whole session.

        Raises:
            UnsupportedOperationError: the backend can't; the message names what it lacks.
            TypeError: there is no such option.
            ValueError: one is out of range.
        """
        self._store = require(
            backend, "Memory()", "SupportsWrite", "SupportsTurns", "SupportsTurnState", "set_session_context"
        )
        self._options = Options(**options)

    def __call__(self, respond: Respond) -> "RememberingAgent":
        """The same agent, with a memory.

        Raises:
            TypeError: it can't be called.
        """
        check_respond(respond)
        return RememberingAgent(self._store, respond, self._options)


class RememberingAgent:
    """An agent with a memory; made by `Memory`."""

    def __init__(self, store: CoreBackend, respond: Respond, options: Options) -> None:
        self._store = store
        self._respond = respond
        self._options = options

    def __call__(self, session_id: str, said: Said = None, /, *, on_text: OnText | None = None) -> list[ChatMessage]:
        """Tell the agent what is new; its answer, once it is stored.

        Args:
            session_id: the session; an unknown one begins.
            said: a user's text, a message or several; None to have the agent go on, and answer anew where its last
                answer was cut off.
            on_text: is given each piece of text as it comes.

        Raises:
            TurnTakenError: another turn runs in the session; the options may say to wait, or to take it over.
            ConflictError: the turn was taken over meanwhile.
        """
        messages = said_messages(said)
        with turn(self._store, session_id, **self._options.turn) as running:
            exchange = _exchange(running, messages, self._options)
            answer(exchange, self._respond, on_text)
        return exchange.answer


def _exchange(running: Turn, said: list[ChatMessage] | None, options: Options) -> Exchange:
    """An exchange that reads no more than the window that the agent is given."""
    store, key = running.store, running.key
    metadata, newest = at_one_moment(store, key, lambda: running.load(last=1))
    metadata = metadata or SessionMetadata(key)
    session, count = session_of(key, newest, metadata), metadata.message_count

    def given(stale: ChatMessage | None) -> list[ChatMessage]:
        heard = window(store, key, **options.window)
        if said is not None:
            return window_with(heard, said, options)
        heard = heard[:-1] if stale is not None and heard[-1:] == [stale] else heard
        return [*heard, *_waiting(running, int(stale is not None))]

    return begin_exchange(running, session, said, given, count=count, interval=options.interval, at_once=True)


def _waiting(running: Turn, stale: int) -> list[ChatMessage]:
    """`waiting`, read from the end, of which the newest may be stale."""
    for tail, whole in tails(running.store, running.key, _LOOK_BACK):
        known = tail[: len(tail) - stale]
        if whole or window(known):
            return waiting(known)
    return []
