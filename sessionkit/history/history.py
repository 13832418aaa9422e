"""The history of an agent: its sessions in a store, from one run to the next."""

import random
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, Unpack

from sessionkit.errors import ConflictError, UnknownSessionError, UnsupportedOperationError
from sessionkit.history.answering import OnText, Respond, Said, answer
from sessionkit.history.config import HistoryConfig
from sessionkit.history.continuing import Continuation
from sessionkit.history.enforcing import keep_newest
from sessionkit.history.keeping import changes, is_of, keep_owner, noted, session_of, settle, stored_of
from sessionkit.history.moments import at_one_moment
from sessionkit.history.needs import Store, require
from sessionkit.history.options import ExchangeOptions
from sessionkit.history.session import Session, SessionSummary, Stored
from sessionkit.keys import check_count
from sessionkit.messages import ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.protocol import CoreBackend, OpenBackend, SessionBackend
from sessionkit.registry import open_backend

_APPENDS = 100
_LONGEST_PAUSE = 0.05  # seconds


class SessionHistory:
    """Keeps sessions: creates, loads, saves, lists and deletes them. Use it in ``with``, or `close` it.

    Where history is disabled, which is the default, every call does nothing and gives nothing: None, ``[]``, 0 or
    False. So an agent calls it in any case.

    Safe to use from any thread; a `Session` is one thread's at a time. Every session of the store can be loaded and is
    listed, whoever created it.

    Args:
        config_or_backend: a configuration, over which the environment wins (see `HistoryConfig`), and whose backend is
            opened now and closed by `close`; None is `HistoryConfig()`. Or a backend, which makes history enabled and
            is never closed here.
        auto_save: with a backend: whether each message is stored as it comes, rather than all of an exchange at its
            end. None is the same as not given, which is True.
        max_sessions: with a backend: how many sessions are kept, those with the oldest activity being deleted first;
            None: all.

    Raises:
        TypeError: it is neither; or there is a configuration, in which `auto_save` and `max_sessions` are set.
        ConfigurationError: a variable of the environment is wrong, or `auto_save` or `max_sessions` is.
        BackendURLError: the configuration's URL can't be opened by anybody.
        BackendUnavailableError: the store can't be opened.
        UnsupportedOperationError: the backend can't write atomically or keep attributes; the message names it.
    """

    def __init__(
        self,
        config_or_backend: HistoryConfig | CoreBackend | None = None,
        *,
        auto_save: bool | None = None,
        max_sessions: int | None = None,
    ) -> None:
        self._opened: OpenBackend | None = None
        self._store: Store | None = None
        given: dict[str, Any] = {"auto_save": auto_save, "max_sessions": max_sessions}
        given = {name: value for name, value in given.items() if value is not None}
        if config_or_backend is None or isinstance(config_or_backend, HistoryConfig):
            if given:
                msg = f"{' and '.join(given)} go with a backend; of a configuration, set them there: HistoryConfig(...)"
                raise TypeError(msg)
            self._config = (config_or_backend or HistoryConfig()).with_environment()
            if not self._config.enabled:
                return
            self._opened = open_backend(self._config.backend_url)
            backend: CoreBackend = self._opened
        else:
            if isinstance(config_or_backend, str):
                msg = "SessionHistory() takes no URL; give it open_backend(url) or HistoryConfig(enabled=True, url=url)"
                raise TypeError(msg)
            self._config = HistoryConfig(enabled=True, **given)
            backend = config_or_backend
        try:
            self._store = require(backend, "SessionHistory", "SupportsWrite", "set_session_context")
        except BaseException:
            self.close()
            raise

    @property
    def is_enabled(self) -> bool:
        """Whether sessions are kept."""
        return self._store is not None

    @property
    def config(self) -> HistoryConfig:
        """What counts: the configuration with the environment applied; with a backend, what was said beside it."""
        return self._config

    @property
    def backend(self) -> SessionBackend | None:
        """Where sessions are kept; None where they are not."""
        return self._store

    def close(self) -> None:
        """Close the backend that was opened here, if any; a call after it is `BackendClosedError`. Idempotent."""
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SessionHistory({self._store!r})" if self.is_enabled else "SessionHistory(disabled)"

    def create_session(self, session: Session) -> None:
        """Store a session that is not there yet, in one write; then `enforce_max_sessions`, which spares this one.

        Where it was loaded from another store, this one has it from now on.

        Raises:
            ConflictError: there is a session with this id; nothing was changed.
            InvalidMessageError: a message or its metadata can't be stored exactly; nothing was.
            ValueError: a name in its metadata is taken, or a value None; likewise.
        """
        if self._store is not None:
            self._save(self._store, session, Stored())

    def load_session(self, session_id: str) -> Session | None:
        """The session as it is now: messages and all else of one moment. None where there is none.

        Costs a `SessionBackend.load`, again where somebody wrote meanwhile.
        """
        if self._store is None:
            return None
        store = self._store
        metadata, messages = at_one_moment(store, session_id, lambda: store.load(session_id))
        if metadata is None:
            return None
        _check_revision(store, metadata)
        session = session_of(session_id, messages, metadata)
        settle(session, store)
        return session

    def save_session(self, session: Session) -> None:
        """Store what has changed since the session was created, loaded or last saved here; all in one write.

        A session that was not, is created. Messages that were added cost what they are, however many are there already;
        from the first one that was replaced, removed or inserted, all are written anew. A session without changes is
        not written at all, nor, where it comes from here, looked at.

        Raises:
            ConflictError: another writer has changed or deleted it since, runs a turn in it or ended one; or it comes
                from another store; or a new one's id exists. Nothing was changed, neither in the store nor in
                `session`: load it again, or give it to `create_session`.
            InvalidMessageError: a message or its metadata can't be stored exactly; nothing was.
            ValueError: a name in its metadata is taken, or a value None; likewise.
        """
        if self._store is not None:
            self._save(self._store, session, stored_of(session))

    def append_messages(self, session_id: str, messages: Iterable[ChatMessage]) -> None:
        """Add messages at the end of a session, all or none, without loading it. Other writers are no conflict.

        Raises:
            UnknownSessionError: there is no session with this id; none was created.
            InvalidMessageError: one of them can't be stored exactly; none was.
            ConflictError: others wrote to it first, a hundred times in a row; nothing was changed.
        """
        if self._store is None:
            return
        added = list(messages)
        for attempt in range(_APPENDS):
            metadata = self._store.get_session_metadata(session_id)
            if metadata is None:
                msg = f"there is no session {session_id!r} to append to; create_session() creates one"
                raise UnknownSessionError(msg)
            _check_revision(self._store, metadata)
            try:
                # Without the revision, one that is deleted just now would be there again, with these messages alone.
                self._store.write(session_id, append=added, if_revision=metadata.revision)
            except ConflictError:
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.001 * 2**attempt)))  # noqa: S311 -- no secret
            else:
                return
        msg = f"others wrote to {session_id!r} first, {_APPENDS} times in a row; try again"
        raise ConflictError(msg)

    def list_sessions(self) -> list[SessionSummary]:
        """All sessions, newest activity first. No message is read."""
        if self._store is None:
            return []
        return [SessionSummary.of(metadata) for metadata in self._store.list_sessions_with_metadata()]

    def list_agent_sessions(self, agent_name: str) -> list[SessionSummary]:
        """The sessions that this agent owns, newest activity first. Costs a `list_sessions`."""
        # Not by search(): an owner may stand in the record alone, where the backend keeps none or the writer has died.
        return [summary for summary in self.list_sessions() if summary.agent_name == agent_name]

    def delete_session(self, session_id: str) -> bool:
        """Delete it and everything about it; whether it was there."""
        return self._store is not None and self._store.delete_session(session_id)

    def session_count(self) -> int:
        """How many sessions there are."""
        return 0 if self._store is None else len(self._store.list_sessions())

    def enforce_max_sessions(self, max_sessions: int | None = None) -> int:
        """Delete those whose activity is oldest, until no more than `max_sessions` are left; how many were deleted.

        A session in which a turn runs is never deleted, so more may be left. Each is looked at again just before, and
        spared where anything happened to it. Where the backend offers `SupportsTurns` and `SupportsTurnState`, that is
        in a turn of our own, so that no other one can begin between the look and the deletion: it is refused, as long
        as it does not take ours over; and a backend whose ``begin_turn()`` raises the revision by more than 1 is not
        relieved of any. Without turns, and of what is written outside of them, whatever comes after the look is lost
        with the session. Costs a search where there are no more, else a `list_sessions`, and a few flat calls for each
        that is deleted.

        Args:
            max_sessions: how many may stay; None is what the configuration says, and where it says nothing, all.

        Raises:
            TypeError: it is no whole number.
            ValueError: it is less than 1.
        """
        if max_sessions is not None:
            check_count(max_sessions, "max_sessions")
            if max_sessions == 0:
                msg = "max_sessions must be 1 or more; delete_session() deletes them all, one by one"
                raise ValueError(msg)
        most = self._config.max_sessions if max_sessions is None else max_sessions
        return 0 if self._store is None or most is None else keep_newest(self._store, most)

    def run(
        self,
        said: Said,
        /,
        *,
        respond: Respond,
        session: Session | None = None,
        on_text: OnText | None = None,
        **options: Unpack[ExchangeOptions],
    ) -> Session:
        """Begin a session: create it, and have an agent answer in it, as `continue_session` does.

        Args:
            said: a user's text, a message or several; None where the session itself says it.
            respond: what answers; see `Respond`.
            session: the session to begin, with its id, agent, model, metadata and first messages; None: a new one.
            on_text: is given each piece of text as it comes.
            options: as `continue_session`.

        Raises:
            ConflictError: there is a session with this id; nothing was changed.
        """
        session = Session() if session is None else session
        going_on = Continuation.of(self, session, said, respond, options)
        going_on.begins = True
        self.create_session(session)
        return self._answered(going_on, respond, on_text)

    def continue_session(
        self,
        session_id: str,
        said: Said = None,
        /,
        *,
        respond: Respond,
        on_text: OnText | None = None,
        **options: Unpack[ExchangeOptions],
    ) -> Session:
        """Have an agent answer in a session, in a turn of its own: whatever it is told and answers is stored.

        Each message is stored as it comes, and text that streams in as it grows, its status ``incomplete`` until it has
        ended; with the configuration's ``auto_save=False`` all is stored at the end, in one write, and nothing of it
        where that is not reached. What messages report of their usage is added to the session's in the same write.
        Where history is disabled the agent answers all the same, in a session that is not stored.

        Args:
            session_id: the session.
            said: a user's text, a message or several. None has the agent go on from where the session stands, as after
                a crash: an answer that was cut off at its end is not given to it, and its new answer takes the place;
                a tool call that has no result yet is given to it, at the end.
            respond: what answers; see `Respond`.
            on_text: is given each piece of text as it comes.
            options: ``wait``, ``stuck_after`` and ``heartbeat`` as for `turn`; ``max_messages``, ``max_tokens`` and
                ``count_tokens`` as for `window`, without which the agent is given all messages but those that no
                provider accepts; ``interval``, seconds, as for `Turn.stream`.

        Returns:
            The session, the new messages included. It costs a load, and another one where others wrote meanwhile.

        Raises:
            UnknownSessionError: there is no session with this id; none was created, unless it was there and somebody
                has deleted it while its turn was waited for.
            TurnTakenError: another turn runs in it; nothing was changed.
            ConflictError: the turn was taken over meanwhile; what came before that is stored.
            UnsupportedOperationError: the backend keeps no turns; the message names what it lacks.
            TypeError: the answer is neither text nor messages, or there is no such option.
            Exception: whatever `respond` or `on_text` raises. What had come before it is stored; the session's state is
                ``error``.
        """
        return self._answered(Continuation.of(self, Session(session_id), said, respond, options), respond, on_text)

    def _answered(self, going_on: Continuation, respond: Respond, on_text: OnText | None) -> Session:
        with going_on.turn() as running:
            exchange = going_on.begin(running)
            answer(exchange, respond, on_text)
        return going_on.end(running, exchange)

    def _save(self, store: Store, session: Session, since: Stored) -> None:
        """Make the store, which has `since` of it, have the session as it is."""
        key, is_new = session.session_id, since.revision == 0
        wanted = changes(session, since)
        if not any(wanted) and is_of(session, store):
            keep_owner(store, session)  # which a call that failed may not have done
            return
        if not is_new and not is_of(session, store):
            _check_is_the_one(store, key, since)
        try:
            revision = store.write(key, **wanted._asdict(), if_revision=since.revision)
        except ConflictError as error:
            if is_new:
                msg = f"there is a session {key!r} already: load it, or give this one another id"
            elif store.get_session_metadata(key) is None:
                msg = f"there is no session {key!r} any more, or it is of another store; create_session() creates it"
            else:
                raise
            raise ConflictError(msg) from error
        noted(session, wanted, revision, since)
        settle(session, store)
        keep_owner(store, session)
        if is_new and self._config.max_sessions is not None:
            keep_newest(store, self._config.max_sessions, spare=key)


def _check_is_the_one(store: Store, key: str, since: Stored) -> None:
    """Accept a store that has the very session; another store's may be at the same revision.

    Raises:
        ConflictError: it is another session of the same id.
    """
    metadata = store.get_session_metadata(key)
    if metadata is not None and since.created_at not in {None, metadata.created_at}:
        msg = f"the session {key!r} that is in this store is another one; load it, or give this one another id"
        raise ConflictError(msg)


def _check_revision(store: Store, metadata: SessionMetadata) -> None:
    """Check that the backend counts the changes of a session.

    Raises:
        UnsupportedOperationError: it does not.
    """
    if metadata.revision is None:
        kind = type(getattr(store, "__wrapped__", store)).__name__
        msg = f"{kind} tells no revision of a session (get_session_metadata), by which SessionHistory finds conflicts"
        raise UnsupportedOperationError(msg)
