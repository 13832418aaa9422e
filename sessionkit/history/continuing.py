"""Going on with a session: everything of `SessionHistory.continue_session` but waiting for the agent.

So that the synchronous and the asynchronous one differ in nothing else. Whatever reads or writes is a call of its own.
"""

from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from typing import TYPE_CHECKING, Self

import attrs

from sessionkit.errors import UnknownSessionError
from sessionkit.history.answering import Exchange, ExchangeOptions, Options, Said, begin_exchange, said_messages
from sessionkit.history.keeping import changes, noted
from sessionkit.history.session import Session
from sessionkit.history.turns import Turn, turn
from sessionkit.history.windows import window
from sessionkit.messages import ChatMessage

if TYPE_CHECKING:
    from sessionkit.history.history import SessionHistory


@attrs.frozen
class Continuation:
    """A session that is to go on: what was checked of it before anything is changed.

    Attributes:
        history: where it is kept.
        session: the session, which where history is enabled stands for its id only.
        said: what the agent is told; None to have it go on from where the session stands.
        options: those of the turn, the window and the stream.
    """

    history: "SessionHistory"
    session: Session
    said: list[ChatMessage] | None
    options: Options

    @classmethod
    def of(cls, history: "SessionHistory", session: Session, said: Said, options: ExchangeOptions) -> Self:
        """Check what was given.

        Raises:
            TypeError: what is said is neither text nor messages, or there is no such option.
            ValueError: an option of the window is out of range.
        """
        return cls(history, session, said_messages(said), Options.of(options))

    def turn(self) -> AbstractContextManager[Turn | None]:
        """The turn in which it goes on; none where nothing is kept.

        Raises:
            UnknownSessionError: there is no such session.
        """
        if self.history.backend is None:
            return nullcontext()
        self.check()
        return turn(self.history.backend, self.session.session_id, **self.options.turn)

    def check(self) -> None:
        """Accept a session that is there.

        Raises:
            UnknownSessionError: it is not.
        """
        backend, key = self.history.backend, self.session.session_id
        if backend is not None and backend.get_session_metadata(key) is None:
            msg = f"there is no session {key!r} to go on with; run() begins one"
            raise UnknownSessionError(msg)

    def begin(self, running: Turn | None) -> Exchange:
        """Tell the agent what was said."""
        session = self.session
        if running is not None:
            session = self.history.load_session(session.session_id) or session
        exchange = begin_exchange(
            running, session, self.said, interval=self.options.interval, at_once=self.history.config.auto_save
        )
        exchange.heard = self._given(session.messages)
        return exchange

    def _given(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        """The window of the messages; told nothing, an agent is given what waits for it at the end as well."""
        given = window(messages, **self.options.window)
        if self.said is None:
            newest = window(messages)[-1:]
            waiting = takewhile(lambda message: all(message is not other for other in newest), reversed(messages))
            given += reversed(list(waiting))
        return given

    def end(self, running: Turn | None, exchange: Exchange) -> Session:
        """The session as it is now, after the turn: as the exchange left it, unless others wrote meanwhile."""
        session = exchange.session
        if running is None:
            return session
        ended = running.revision
        if ended is not None and exchange.revision == ended - 1:  # so nobody but the turn has changed it
            noted(session, changes(session), ended)
            return session
        return self.history.load_session(session.session_id) or session
