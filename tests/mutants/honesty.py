"""Calls after `close`, and claims that are not true."""

from datetime import UTC, datetime
from functools import partial

from sessionkit import ChatMessage, SessionState, TimestampedMessage
from sessionkit.keys import check_session_key
from sessionkit.protocol import PROVIDED
from sessionkit_memory import MemoryBackend
from tests.mutants.declared import Memory, caught_by
from tests.toys import KeepingBackend


@caught_by("close.then-error")
class WorksAfterClose(Memory):
    """A call after `close` opens the store again."""

    def _check_open(self) -> None:
        self._closed = False
        super()._check_open()


@caught_by("close.then-error")
class AnswersNothingAfterClose(Memory):
    """A closed store lists nothing, instead of saying that it is closed."""

    def list_sessions(self) -> list[str]:
        return [] if self._closed else super().list_sessions()


@caught_by("close.then-error", raises=(AttributeError,))
class LeaksErrorsAfterClose(Memory):
    """After `close` the driver's own error comes out."""

    def close(self) -> None:
        super().close()
        del self._sessions

    def _check_open(self) -> None:
        assert self._sessions is not None


@caught_by("close.idempotent", raises=(RuntimeError,))
class ClosesOnce(Memory):
    """A second `close` is an error of the driver."""

    def close(self) -> None:
        if self._closed:
            msg = "unlock of an unlocked lock"
            raise RuntimeError(msg)
        super().close()


@caught_by("append.refuses-not-json", raises=(TypeError,))
class LeaksEncodingErrors(Memory):
    """What the encoder raises comes out bare."""

    def _encoded(self, message: ChatMessage) -> bytes:
        if isinstance(message, ChatMessage) and any(isinstance(value, bytes) for value in message.extra.values()):
            msg = "Object of type bytes is not JSON serializable"
            raise TypeError(msg)
        return super()._encoded(message)


@caught_by("unsupported.warns")
class ClaimsWhatItWraps(KeepingBackend):
    """A wrapper passes on every method, and so seems to have what the wrapped backend has not."""

    def __init__(self) -> None:
        super().__init__()
        wrapped = KeepingBackend()
        wrapped.sessions = self.sessions
        for name in PROVIDED:
            setattr(self, name, partial(getattr(wrapped, name)))


@caught_by("unsupported.answers-nothing", "unsupported.warns")
class DoesWhatItDisclaims(KeepingBackend):
    """A wrapper adds names to a backend without, and is declared as incapable of them as what it wraps."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}
        self.__wrapped__ = KeepingBackend()
        self.__wrapped__.sessions = self.sessions

    def set_session_name(self, session_key: str, name: str, /) -> None:
        check_session_key(session_key)
        self.names[session_key] = name

    def get_session_name(self, session_key: str, /) -> str | None:
        check_session_key(session_key)
        return self.names.get(session_key)


@caught_by("timestamps.not-invented")
class InventsTimes(KeepingBackend):
    """A store that keeps no times gives the time of the call."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        found = super().load_with_timestamps(session_key, last=last)
        return [TimestampedMessage(stored.message, datetime.now(UTC)) for stored in found]


@caught_by("state.idle-until-set")
class PretendsStates(KeepingBackend):
    """States are not kept, but the methods are there and do nothing, so that nobody is warned."""

    def set_session_state(self, session_key: str, _state: str, /, turn_id: str | None = None) -> None:  # noqa: ARG002 -- the bug: nothing is kept
        check_session_key(session_key)

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        check_session_key(session_key)
        return None


@caught_by("turn.starts")
class PretendsToRun(KeepingBackend):
    """The state is said to be whatever was set last, without a turn's times."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, SessionState] = {}

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        self.states[session_key] = SessionState(state, turn_id)

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        return self.states.get(session_key)


@caught_by("capabilities.pairs")
class SetsWhatNobodyGets(KeepingBackend):
    """A name can be set, and there is no way to see it."""

    def set_session_name(self, session_key: str, _name: str, /) -> None:
        check_session_key(session_key)


@caught_by("capabilities.complete")
class HidesAMethod(MemoryBackend):
    """An optional method is set to None, to say that it is not offered; callers fall over it."""

    compact = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] -- the bug
