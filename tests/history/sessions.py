"""A session to keep, and a backend that is watched while it is kept."""

from collections.abc import Callable
from typing import Any

from sessionkit import ChatMessage, SessionBackend
from sessionkit.clock import to_datetime
from sessionkit.history.history import SessionHistory
from sessionkit.history.session import AggregatedUsage, Session
from sessionkit_memory import MemoryBackend

SAID, ANSWERED, THANKED = (
    ChatMessage.user("What time is it?"),
    ChatMessage.assistant("Noon."),
    ChatMessage.user("Thanks"),
)
UNSTORABLE = ChatMessage("user", extra={"x": float("nan")})


class Watched:
    """A backend that notes what is written, and lets others meddle just before or after a call.

    Attributes:
        written: the options of each `write`.
        before: by a method's name, what happens before it is called; taken away once it has.
        after: likewise, afterwards.
    """

    def __init__(self, backend: SessionBackend) -> None:
        self.__wrapped__: Any = backend
        self.written: list[dict[str, Any]] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.__wrapped__, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.before.pop(name, int)()
            if name == "write":
                self.written.append({"key": arguments[0], **options})
            result = method(*arguments, **options)
            self.after.pop(name, int)()
            return result

        return call if callable(method) else method


def watched() -> tuple[Any, SessionHistory]:
    """A backend that is watched, and a history in it."""
    backend: Any = Watched(MemoryBackend())
    return backend, SessionHistory(backend)


def kept(history: SessionHistory, session_id: str) -> Session:
    """The session, which must be there."""
    session = history.load_session(session_id)
    assert session is not None
    return session


def contents(history: SessionHistory, session_id: str) -> list[Any]:
    """The contents of its messages."""
    return [message.content for message in kept(history, session_id).messages]


def full(session_id: str = "k") -> Session:
    """A session with something in each attribute."""
    return Session(
        session_id,
        "agent",
        "model",
        [SAID, ANSWERED],
        to_datetime(10**15),
        to_datetime(10**15 + 1),
        usage=AggregatedUsage(100, 20, total_cost_usd=0.25, request_count=1),
        metadata={"topic": "time", "tags": ["a", {"b": None}], "empty": {}},
    )


def keys(history: SessionHistory) -> list[str]:
    """Of all sessions, newest activity first."""
    return [summary.session_id for summary in history.list_sessions()]
