"""`Memory`: an agent that remembers, whose callers pass what is new."""

from collections.abc import Iterator
from typing import Any

import pytest

from sessionkit import (
    ChatMessage,
    InvalidSessionKeyError,
    OpenBackend,
    TimestampedMessage,
    ToolCall,
    TurnTakenError,
    UnsupportedOperationError,
    Usage,
)
from sessionkit.history import Memory, Session, SessionHistory, turn
from tests.toys import DictBackend

HI = ChatMessage("user", "hi")


class Parrot:
    """An agent that says how much it has heard, and remembers for the test what that was."""

    def __init__(self) -> None:
        self.heard: list[list[Any]] = []

    def __call__(self, messages: list[ChatMessage]) -> ChatMessage:
        """How many messages there are."""
        self.heard.append([message.content for message in messages])
        return ChatMessage("assistant", f"{len(messages)}", usage=Usage(len(messages), 1))


def test_an_agent_remembers(backend: OpenBackend) -> None:
    """The agent is given all of its session, its callers pass what is new and get what is answered; all is stored."""
    parrot = Parrot()
    agent = Memory(backend)(parrot)
    [first] = agent("s", "a")
    [second] = agent("s", [ChatMessage("user", "b"), ChatMessage("user", "c")])
    agent("t", ChatMessage("user", "d"))
    assert parrot.heard == [["a"], ["a", "1", "b", "c"], ["d"]]
    assert (first.content, second.content) == ("1", "4")
    assert [message.content for message in backend.load("s")] == ["a", "1", "b", "c", "4"]
    assert backend.list_running_sessions() == []


def test_several_messages_are_answered(backend: OpenBackend) -> None:
    """An answer of several messages comes back as they are stored."""
    answer: list[str | ChatMessage] = [ChatMessage("assistant", "one"), "tw", "o"]
    shown: list[str] = []
    answered = Memory(backend)(lambda _heard: iter(answer))("s", HI, on_text=shown.append)
    assert [message.content for message in answered] == ["one", "two"]
    assert backend.load("s") == [HI, *answered]
    assert shown == ["tw", "o"]


def test_no_more_than_the_window_is_read(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """With limits, an agent in a long session is given the window, and little more than that is read of it."""
    for i in range(500):
        backend.append("s", ChatMessage("user", f"q{i}"))
        backend.append("s", ChatMessage("assistant", f"a{i}"))
    read = 0
    true_read = type(backend).load_with_timestamps

    def count(self: OpenBackend, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        nonlocal read
        found = true_read(self, session_key, last=last)
        read += len(found)
        return found

    def too_much(_self: OpenBackend, _key: str, /) -> list[ChatMessage]:
        pytest.fail("all of it was loaded")

    monkeypatch.setattr(type(backend), "load_with_timestamps", count)
    monkeypatch.setattr(type(backend), "load", too_much)
    parrot = Parrot()
    Memory(backend, max_messages=5)(parrot)("s", "q")
    assert parrot.heard == [["q498", "a498", "q499", "a499", "q"]]
    assert read < 50


def test_a_cut_off_answer_is_given_anew(backend: OpenBackend) -> None:
    """Told nothing, the agent goes on; an answer that was cut off is not given to it, and its new one replaces it."""
    backend.append("s", HI)
    backend.append("s", ChatMessage("assistant", "wel", status="incomplete"))
    parrot = Parrot()
    [answered] = Memory(backend)(parrot)("s")
    assert parrot.heard == [["hi"]]
    assert backend.load("s") == [HI, answered]


def test_a_call_that_waits_is_given_too(backend: OpenBackend) -> None:
    """Told nothing, the agent is given, behind the window, the tool call that waits for its results."""
    call = ChatMessage("assistant", tool_calls=[ToolCall(f"c{i}", "look", "{}") for i in range(20)])
    results = [ChatMessage("tool", f"{i}", tool_call_id=f"c{i}") for i in range(19)]
    for message in (HI, ChatMessage("assistant", "yo"), ChatMessage("user", "look"), call, *results):
        backend.append("s", message)
    heard: list[list[ChatMessage]] = []

    def respond(messages: list[ChatMessage]) -> list[ChatMessage]:
        heard.append(messages)
        return []

    Memory(backend, max_messages=1)(respond)("s")
    assert heard == [[ChatMessage("user", "look"), call, *results]]


def test_a_whole_answer_is_not_given_twice(backend: OpenBackend) -> None:
    """Told nothing, an agent whose answer is there as a whole is not asked."""
    backend.append("s", HI)
    backend.append("s", ChatMessage("assistant", "yo"))
    parrot = Parrot()
    assert Memory(backend)(parrot)("s") == []
    assert parrot.heard == []


def test_no_room_for_what_is_said_stores_nothing(backend: OpenBackend) -> None:
    """Where the limits leave no room for what is said, nothing is stored, and the agent is not asked."""
    backend.append("s", ChatMessage("system", "Be short."))
    parrot = Parrot()
    with pytest.raises(ValueError, match="no room"):
        Memory(backend, max_messages=1)(parrot)("s", "hi")
    assert parrot.heard == []
    assert len(backend.load("s")) == 1


def test_usage_is_kept(backend: OpenBackend) -> None:
    """What answers report of their usage adds up, and what else is known of the session stays."""
    history = SessionHistory(backend)
    history.create_session(Session("s", agent_name="a", metadata={"x": 1}))
    agent = Memory(backend)(Parrot())
    agent("s", "a")
    agent("s", "b")
    session = history.load_session("s")
    assert session is not None
    assert (session.usage.total_input_tokens, session.usage.request_count) == (4, 2)
    assert (session.agent_name, session.metadata) == ("a", {"x": 1})


def test_what_fails_keeps_what_was_said(backend: OpenBackend) -> None:
    """Where the agent raises, what it was told stays, with what had come of its answer."""

    def respond(_heard: list[ChatMessage]) -> Iterator[str]:
        yield "we"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Memory(backend)(respond)("s", HI)
    assert [message.content for message in backend.load("s")] == ["hi", "we"]
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "error"


def test_one_turn_at_a_time(backend: OpenBackend) -> None:
    """While another turn runs, the agent is not asked and nothing is stored."""
    parrot = Parrot()
    with turn(backend, "s"), pytest.raises(TurnTakenError):
        Memory(backend)(parrot)("s", "hi")
    assert parrot.heard == []
    assert backend.load("s") == []


def test_what_is_wrong_is_refused(backend: OpenBackend) -> None:
    """Options, sessions and messages that are none are errors before anything is changed."""
    with pytest.raises(TypeError, match="'max_message'"):
        Memory(backend, max_message=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="count_tokens"):
        Memory(backend, max_tokens=3)
    with pytest.raises(ValueError, match="wait"):
        Memory(backend, wait=-1)
    with pytest.raises(TypeError, match="respond"):
        Memory(backend)(None)  # type: ignore[arg-type]
    agent = Memory(backend)(Parrot())
    with pytest.raises(InvalidSessionKeyError):
        agent("", "hi")
    bad: Any = 5
    with pytest.raises(TypeError):
        agent("s", bad)
    assert backend.list_sessions() == []


def test_what_a_backend_lacks_is_named() -> None:
    """A backend that can't keep turns is refused at once; the error names what is missing."""
    with pytest.raises(UnsupportedOperationError, match=r"DictBackend offers no write\(\).*Memory\(\) needs"):
        Memory(DictBackend())


def test_an_agent_that_must_be_awaited_is_told_where(backend: OpenBackend) -> None:
    """An agent that is a coroutine function gives no answer here; the error says what awaits it."""

    async def answer() -> str:
        return "yo"

    awaitable: Any = answer()
    with pytest.raises(TypeError, match=r"sessionkit\.aio awaits it"):
        Memory(backend)(lambda _heard: awaitable)("s", HI)
    awaitable.close()
