"""Going on with a session: everything of `SessionHistory.continue_session` but waiting for the agent.

So that the synchronous and the asynchronous one differ in nothing else. Whatever reads or writes is a call of its own.
"""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Self

import attrs

from sessionkit.errors import UnknownSessionError
from sessionkit.history.answering import (
    Exchange,
    Said,
    begin_exchange,
    check_respond,
    said_messages,
    waiting,
    window_with,
)
from sessionkit.history.keeping import changes, noted
from sessionkit.history.options import ExchangeOptions, Options
from sessionkit.history.session import Session, Stored
from sessionkit.history.turns import Turn, turn
from sessionkit.messages import ChatMessage

if TYPE_CHECKING:
    from sessionkit.history.history import SessionHistory


@attrs.define
class Continuation:
    """A session that is to go on: what was checked of it before anything is changed.

    Attributes:
        history: where it is kept.
        session: the session, which where history is enabled stands for its id only.
        said: what the agent is told; None to have it go on from where the session stands.
        options: those of the turn, the window and the stream.
        begins: whether it has just been created, and is again where somebody has made room for others.
    """

    history: "SessionHistory"
    session: Session
    said: list[ChatMessage] | None
    options: Options
    begins: bool = False
    _created_at: datetime | None = attrs.field(default=None, init=False)

    @classmethod
    def of(
        cls, history: "SessionHistory", session: Session, said: Said, respond: object, options: ExchangeOptions
    ) -> Self:
        """Check what was given.

        Raises:
            TypeError: one of these is of another type, or there is no such option.
            ValueError: an option is out of range.
        """
        if not isinstance(session, Session):
            msg = f"a session to begin is a Session, such as Session('an-id'), not {type(session).__name__}"
            raise TypeError(msg)
        check_respond(respond)
        return cls(history, session, said_messages(said), Options(**options))

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
        """Accept a session that is there, or is to begin.

        Raises:
            UnknownSessionError: it is not.
        """
        if self.history.backend is not None:
            metadata = self.history.backend.get_session_metadata(self.session.session_id)
            if metadata is None and not self.begins:
                raise self._unknown()
            self._created_at = None if metadata is None else metadata.created_at

    def begin(self, running: Turn | None) -> Exchange:
        """Tell the agent what is said.

        Raises:
            ValueError: the limits leave no room for it; nothing was stored.
            UnknownSessionError: somebody has deleted the session while its turn was waited for; an empty one is left.
        """
        session = self.session
        if running is not None:
            self._check_again(running)
            session = self.history.load_session(session.session_id) or session
        known = session.messages

        def given(_stale: ChatMessage | None) -> list[ChatMessage]:  # which is no part of `known` any more
            heard = window_with(known, self.said or [], self.options)
            return heard if self.said is not None else [*heard, *waiting(known)]

        return begin_exchange(
            running,
            session,
            self.said,
            given,
            count=len(known),
            interval=self.options.interval,
            at_once=self.history.config.auto_save,
        )

    def _check_again(self, running: Turn) -> None:
        """To begin a turn creates a session that is gone: one with nothing in it, and not the one that was there."""
        metadata = running.store.get_session_metadata(running.key)
        if metadata is None or metadata.created_at == self._created_at:
            return
        if metadata.message_count or metadata.attributes:
            return
        if not self.begins:
            raise self._unknown()  # and an empty one is left: somebody may just be writing to it
        running.write(**changes(self.session, Stored())._asdict())

    def _unknown(self) -> UnknownSessionError:
        return UnknownSessionError(f"there is no session {self.session.session_id!r} to go on with; run() begins one")

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
