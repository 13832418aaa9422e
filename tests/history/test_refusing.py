"""What `SessionHistory.run` and `continue_session` refuse, and that nothing is changed by it."""

from collections.abc import Callable
from typing import Any

import pytest

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    OpenBackend,
    SessionBackend,
    SupportsWrite,
    TurnTakenError,
    UnknownSessionError,
    UnsupportedOperationError,
)
from sessionkit.history import Session, SessionHistory

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")


@pytest.fixture(name="history")
def _history(backend: OpenBackend) -> SessionHistory:
    return SessionHistory(backend)


def contents(session: Session) -> list[Any]:
    """What was said."""
    return [message.content for message in session.messages]


def said(text: str) -> Callable[[list[ChatMessage]], ChatMessage]:
    """An agent that always says the same."""
    return lambda _heard: ChatMessage("assistant", text)


def test_limits_without_room_store_nothing(history: SessionHistory, backend: OpenBackend) -> None:
    """Where the limits leave no room for what is said, or for the system messages, nothing is stored."""
    backend.append("s", ChatMessage("system", "Be short."))
    for limits in ({"max_messages": 1}, {"max_messages": 0}, {"max_tokens": 3, "count_tokens": lambda _: 2}):
        options: Any = limits
        with pytest.raises(ValueError, match="max_messages"):
            history.continue_session("s", "hi", respond=said("yo"), **options)
    assert len(backend.load("s")) == 1


def test_an_unknown_session_is_not_created(history: SessionHistory, backend: OpenBackend) -> None:
    """To go on with a session that is not there is an error, and creates none."""
    with pytest.raises(UnknownSessionError, match="no session 's'"):
        history.continue_session("s", "hi", respond=said("yo"))
    assert backend.list_sessions() == []


def test_one_turn_at_a_time(history: SessionHistory, backend: OpenBackend) -> None:
    """While another turn runs, a session does not go on, and nothing is changed; with `stuck_after` it may be taken."""
    backend.append("s", HI)
    backend.set_session_state("s", "running", "theirs")
    before = backend.get_session_metadata("s")
    with pytest.raises(TurnTakenError):
        history.continue_session("s", "hi", respond=said("yo"))
    assert backend.get_session_metadata("s") == before
    assert contents(history.continue_session("s", "hi", respond=said("yo"), stuck_after=0)) == ["hi", "hi", "yo"]


@pytest.mark.parametrize("answer", [None, 5, b"yo", {"role": "assistant"}, [None], ["yo", {"role": "assistant"}]])
def test_what_is_no_answer_is_refused(history: SessionHistory, backend: OpenBackend, answer: Any) -> None:
    """What is neither text nor a message is a TypeError, after what came before it was stored."""
    with pytest.raises(TypeError, match="answer"):
        history.run(HI, respond=lambda _heard: answer, session=Session("s"))
    came_before = ["yo"] if isinstance(answer, list) and "yo" in answer else []
    assert [message.content for message in backend.load("s")] == ["hi", *came_before]


def test_an_answer_that_cannot_be_stored_is_refused(history: SessionHistory, backend: OpenBackend) -> None:
    """A message that JSON can't hold is an error of the store's, and what came before it stays."""
    with pytest.raises(InvalidMessageError):
        history.run(HI, respond=lambda _heard: [YO, ChatMessage("assistant", "\ud800")], session=Session("s"))
    assert backend.load("s") == [HI, YO]


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (5, {}),
        ([None], {}),
        ({"role": "user"}, {}),
        ("hi", {"max_message": 3}),
        ("hi", {"max_messages": -1}),
        ("hi", {"max_tokens": 5}),
        ("hi", {"wait": -1}),
        ("hi", {"stuck_after": "1"}),
        ("hi", {"heartbeat": 0}),
        ("hi", {"interval": -1}),
        ("hi", {"respond": 5}),
        ("hi", {"session": "s"}),
    ],
)
def test_what_is_wrong_changes_nothing(
    history: SessionHistory, backend: OpenBackend, given: Any, options: dict[str, Any]
) -> None:
    """What is no message, and options that are unknown or out of range, are refused before anything is changed."""
    everything: Any = {"respond": said("yo"), **options}
    with pytest.raises((TypeError, ValueError)):
        history.run(given, **everything)
    assert backend.list_sessions() == []


def test_a_backend_without_turns_is_named(backend: OpenBackend) -> None:
    """A backend that keeps sessions but no turns can't go on with one; the error names the protocol."""

    class WithoutTurns(SessionBackend):
        """Passes on what a history needs to keep sessions."""

        def load(self, session_key: str, /) -> list[ChatMessage]:
            return backend.load(session_key)

        def append(self, session_key: str, message: ChatMessage, /) -> None:
            backend.append(session_key, message)

        def remove_last(self, session_key: str, /) -> bool:
            return backend.remove_last(session_key)

        def list_sessions(self) -> list[str]:
            return backend.list_sessions()

        def get_session_metadata(self, session_key: str, /) -> Any:
            return backend.get_session_metadata(session_key)

        def set_session_context(self, session_key: str, context: Any, /) -> None:
            backend.set_session_context(session_key, context)

        def write(self, session_key: str, /, **options: Any) -> int:
            assert isinstance(backend, SupportsWrite)
            return backend.write(session_key, **options)

    history = SessionHistory(WithoutTurns())
    history.create_session(Session("s"))
    with pytest.raises(UnsupportedOperationError, match=r"WithoutTurns offers no begin_turn\(\), .*SupportsTurns"):
        history.continue_session("s", "hi", respond=said("yo"))
    assert backend.load("s") == []
