"""What all backends share that keep a `SessionRecord` of each session; for authors of backends.

Names, owners, contexts, states and turns are changes of the record, and reading them is looking at it. So a backend
that can have a record looked at and changed has nine of the methods, and with them `sessionkit.SupportsTurns` and
`sessionkit.SupportsTurnState`.
"""

# ruff: noqa: D102 -- what each override promises stands in the protocol

from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar, cast

from sessionkit.keys import check_not_negative, check_session_key, check_state, check_text, check_turn_id
from sessionkit.models import SessionContext, SessionMetadata, SessionState
from sessionkit.protocol import SessionBackend
from sessionkit.record import SessionRecord, check_context, check_fences, sets_anything

T = TypeVar("T")


class RecordBackend(SessionBackend):
    """A base class: write `_look`, `_edit` and `close`, and the methods below come with them."""

    __slots__ = ()

    @abstractmethod
    def _look(self, session_key: str, look: Callable[[SessionRecord], T], /) -> T | None:
        """What `look` gives of the session's record, as it was at one moment; None for an unknown session.

        `look` changes nothing. The key has been checked.

        Raises:
            BackendClosedError: the backend is closed.
        """

    @abstractmethod
    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        """Have `change` change the session's record, atomically, and store it; what `change` gave.

        An unknown session is created first, or with ``create=False`` left alone: None. The key has been checked.

        Raises:
            BackendClosedError: the backend is closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the backend holds. Idempotent; any other call after it is `BackendClosedError`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def set_session_name(self, session_key: str, name: str, /) -> None:
        self._set_text(session_key, "name", name)

    def get_session_name(self, session_key: str, /) -> str | None:
        check_session_key(session_key)
        return self._look(session_key, lambda record: record.name)

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:
        self._set_text(session_key, "agent_alias", alias)

    def get_session_agent_alias(self, session_key: str, /) -> str | None:
        check_session_key(session_key)
        return self._look(session_key, lambda record: record.agent_alias)

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        check_session_key(session_key)
        check_context(context)
        self._edit(session_key, lambda record: record.set_context(context), create=sets_anything(context))

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        check_session_key(session_key)
        return self._look(session_key, lambda record: record.metadata(session_key))

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        check_session_key(session_key)
        check_state(state, turn_id)
        self._edit(session_key, lambda record: record.enter_state(state, turn_id), create=True)

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        check_session_key(session_key)
        return self._look(session_key, SessionRecord.session_state)

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        """`sessionkit.SupportsTurns.begin_turn`."""
        check_session_key(session_key)
        check_turn_id(turn_id)
        if stuck_after is not None:
            check_not_negative(stuck_after, "stuck_after")

        def begin(record: SessionRecord) -> SessionState:
            record.begin_turn(turn_id, stuck_after)
            return record.session_state()

        return cast("SessionState", self._edit(session_key, begin, create=True))

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        """`sessionkit.SupportsTurnState.set_turn_state`."""
        check_session_key(session_key)
        check_turn_id(turn_id)
        check_state(state, turn_id)

        def enter(record: SessionRecord) -> int:
            check_fences(session_key, record, if_revision=None, if_turn=turn_id)
            record.enter_state(state, turn_id)
            return record.revision

        revision = self._edit(session_key, enter, create=False)
        if revision is None:
            check_fences(session_key, None, if_revision=None, if_turn=turn_id)
        return cast("int", revision)

    def _set_text(self, session_key: str, field: str, value: str) -> None:
        check_session_key(session_key)
        check_text(value, field)
        self._edit(session_key, lambda record: setattr(record, field, value or None), create=bool(value))
