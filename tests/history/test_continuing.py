"""`SessionHistory.run` and `continue_session`: what an agent is told and answers is stored, whatever becomes of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sessionkit import (
    ChatMessage,
    ConflictError,
    OpenBackend,
    ToolCall,
    Usage,
)
from sessionkit.history import AggregatedUsage, Session, SessionHistory, Turn

HI = ChatMessage("user", "hi")
YO = ChatMessage("assistant", "yo", usage=Usage(10, 5, cost_usd=0.5))
CALL = ChatMessage("assistant", tool_calls=(ToolCall("c1", "look", "{}"),))
RESULT = ChatMessage("tool", "seven", tool_call_id="c1")


@pytest.fixture(name="history")
def _history(backend: OpenBackend) -> SessionHistory:
    return SessionHistory(backend)


@pytest.fixture(name="saving_once")
def _saving_once(backend: OpenBackend) -> SessionHistory:
    """A history that stores nothing before the exchange has ended."""
    return SessionHistory(backend, auto_save=False)


def contents(session: Session | None) -> list[Any]:
    """What was said."""
    assert session is not None
    return [message.content for message in session.messages]


def said(text: str) -> Callable[[list[ChatMessage]], ChatMessage]:
    """An agent that always says the same."""
    return lambda _heard: ChatMessage("assistant", text)


def test_a_session_goes_on(history: SessionHistory) -> None:
    """`run` begins a session and `continue_session` goes on with it; the agent is given all that was said."""
    heard: list[list[Any]] = []

    def respond(messages: list[ChatMessage]) -> ChatMessage:
        heard.append([message.content for message in messages])
        return ChatMessage("assistant", f"answer {len(heard)}")

    session = history.run("one", respond=respond)
    session = history.continue_session(session.session_id, "two", respond=respond)
    assert heard == [["one"], ["one", "answer 1", "two"]]
    assert contents(session) == ["one", "answer 1", "two", "answer 2"]
    assert session.final_response == "answer 2"
    assert history.load_session(session.session_id) == session


def test_a_session_begins_as_it_is_given(history: SessionHistory) -> None:
    """`run` takes the id, the agent, the model, the metadata and the first messages of the session it is given."""
    system = ChatMessage("system", "Be short.")
    given = Session("s", agent_name="a", model="m", metadata={"x": 1}, messages=[system])
    session = history.run(HI, respond=said("yo"), session=given)
    assert contents(session) == ["Be short.", "hi", "yo"]
    loaded = history.load_session("s")
    assert loaded == session
    assert (session.agent_name, session.model, session.metadata) == ("a", "m", {"x": 1})
    with pytest.raises(ConflictError):
        history.run("again", respond=said("no"), session=Session("s"))
    assert history.load_session("s") == session


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        ("yo", ["yo"]),
        (YO, ["yo"]),
        (["yo"], ["yo"]),
        (("y", "", "o"), ["yo"]),
        ([CALL, RESULT, YO], [None, "seven", "yo"]),
        ([CALL, RESULT, "y", "o"], [None, "seven", "yo"]),
        (["Let me ", "see.", CALL, RESULT, "y", "o"], ["Let me see.", None, "seven", "yo"]),
        (["y", YO, "y", "o"], ["yo", "yo"]),
        ([], []),
    ],
    ids=range(9),
)
def test_every_form_of_answer_is_stored(history: SessionHistory, answer: Any, stored: list[Any]) -> None:
    """A text, a message, several, or pieces of text between messages: all of it is stored, in its order."""
    for given in (answer, iter(answer) if isinstance(answer, list) else answer):

        def respond(_heard: list[ChatMessage], given: Any = given) -> Any:
            return given

        session = history.run("hi", respond=respond)
        assert contents(session) == ["hi", *stored]
        assert history.load_session(session.session_id) == session
        assert {message.status for message in session.messages} <= {None, "completed"}


def test_a_message_after_pieces_is_the_whole_answer(history: SessionHistory) -> None:
    """An assistant's message right after pieces takes their place where it holds their text, and else stands after."""
    session = history.run("hi", respond=lambda _heard: ["y", "o ", YO, YO])
    assert session.messages[1:] == [YO, YO]
    blocks = ChatMessage("assistant", [{"type": "thinking", "thinking": "?"}, {"type": "text", "text": "yo!"}])
    session = history.run("hi", respond=lambda _heard: ["yo", blocks])
    assert session.messages[1:] == [blocks]
    padded = ChatMessage("assistant", "\n yo")
    session = history.run("hi", respond=lambda _heard: [" yo ", padded])
    assert session.messages[1:] == [padded]
    session = history.run("hi", respond=lambda _heard: ["no, ", YO])
    assert contents(session) == ["hi", "no, ", "yo"]


def test_pieces_are_stored_and_given_on_as_they_come(history: SessionHistory, backend: OpenBackend) -> None:
    """Each piece is stored, as an incomplete answer behind what was said, and then given to `on_text`."""
    shown: list[tuple[str, Any, str | None]] = []

    def show(piece: str) -> None:
        newest = backend.load("s")[-1]
        shown.append((piece, newest.content, newest.status))

    history.run(HI, respond=lambda _heard: iter("abc"), session=Session("s"), on_text=show, interval=0)
    assert shown == [("a", "a", "incomplete"), ("b", "ab", "incomplete"), ("c", "abc", "incomplete")]
    assert backend.load("s")[-1].status == "completed"


def test_what_was_said_is_stored_before_the_answer(history: SessionHistory, backend: OpenBackend) -> None:
    """When the agent is asked, what it was told is stored, and the session is running."""

    def respond(_heard: list[ChatMessage]) -> ChatMessage:
        assert backend.load("s") == [HI]
        assert [metadata.key for metadata in backend.list_running_sessions()] == ["s"]
        return YO

    history.run(HI, respond=respond, session=Session("s"))
    assert backend.list_running_sessions() == []


def test_usage_is_kept(history: SessionHistory) -> None:
    """What messages report of their usage adds up in the session, whether they came whole or in pieces."""
    session = history.run("hi", respond=lambda _heard: YO)
    session = history.continue_session(session.session_id, "hi", respond=lambda _heard: ["y", "o", YO])
    session = history.continue_session(session.session_id, "hi", respond=said("nothing reported"))
    assert session.usage == AggregatedUsage(20, 10, total_cost_usd=1.0, request_count=2)
    loaded = history.load_session(session.session_id)
    assert loaded is not None
    assert loaded.usage == session.usage


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_agent_that_fails_loses_nothing(
    history: SessionHistory, backend: OpenBackend, error: type[BaseException]
) -> None:
    """Where the agent raises, what it was told and what had come of its answer is stored; the state is error."""

    def respond(_heard: list[ChatMessage]) -> Iterator[str | ChatMessage]:
        yield CALL
        yield RESULT
        yield "It is "
        yield "se"
        raise error

    with pytest.raises(error):
        history.run(HI, respond=respond, session=Session("s"), interval=3600)
    *whole, partial = backend.load("s")
    assert whole == [HI, CALL, RESULT]
    assert (partial.content, partial.status) == ("It is se", "incomplete")
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "error"


def test_a_reader_that_fails_stops_the_agent(history: SessionHistory, backend: OpenBackend) -> None:
    """Where `on_text` raises, the agent's iterator is closed at once, and what had come is stored."""
    closed: list[bool] = []

    def pieces() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    held = pieces()

    def fail(_piece: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError) as caught:
        history.run(HI, respond=lambda _heard: held, session=Session("s"), on_text=fail)
    assert closed
    assert caught.tb is not None  # whose frames hold the iterator: nobody else has closed it
    assert [message.content for message in backend.load("s")] == ["hi", "a"]


def test_a_cut_off_answer_is_given_anew(history: SessionHistory, backend: OpenBackend) -> None:
    """Told nothing, an agent goes on from where the session stands; its new answer replaces one that was cut off."""
    cut_off = ChatMessage("assistant", "It is se", status="incomplete")
    backend.append("s", HI)
    backend.append("s", cut_off)
    heard: list[list[ChatMessage]] = []

    def respond(messages: list[ChatMessage]) -> Iterator[str]:
        heard.append(messages)
        assert backend.load("s") == [HI, cut_off]
        yield "It is "
        assert [message.content for message in backend.load("s")] == ["hi", "It is "]
        yield "seven."

    session = history.continue_session("s", respond=respond, interval=0)
    assert heard == [[HI]]
    assert contents(session) == ["hi", "It is seven."]
    assert history.load_session("s") == session


def test_a_cut_off_answer_stays_without_a_new_one(history: SessionHistory, backend: OpenBackend) -> None:
    """An answer that was cut off stays where no new one comes, and where the user says something else."""
    cut_off = ChatMessage("assistant", "It is se", status="incomplete")
    backend.append("s", cut_off)
    session = history.continue_session("s", respond=lambda _heard: [])
    assert backend.load("s") == session.messages == [cut_off]
    session.messages.append(HI)
    history.save_session(session)
    assert backend.load("s") == [cut_off, HI]
    backend.remove_last("s")
    assert contents(history.continue_session("s", "never mind", respond=said("ok"))) == ["It is se", "never mind", "ok"]


def test_a_window_is_given_to_the_agent(history: SessionHistory, backend: OpenBackend) -> None:
    """With limits, the agent is given the window that they leave; the session that comes back has everything."""
    for i in range(10):
        backend.append("s", ChatMessage("user", f"q{i}"))
        backend.append("s", ChatMessage("assistant", f"a{i}"))
    heard: list[Any] = []

    def respond(messages: list[ChatMessage]) -> str:
        heard.extend(message.content for message in messages)
        return "ok"

    session = history.continue_session("s", "q", respond=respond, max_messages=3)
    assert heard == ["q9", "a9", "q"]
    assert len(session.messages) == 22


def test_an_agent_is_given_what_a_provider_accepts(history: SessionHistory, backend: OpenBackend) -> None:
    """A call that a killed agent left without its result is not given to it once more is said; told nothing, it is."""
    heard: list[list[ChatMessage]] = []

    def respond(messages: list[ChatMessage]) -> list[ChatMessage]:
        heard.append(messages)
        return []

    for message in (HI, CALL):
        backend.append("s", message)
    history.continue_session("s", respond=respond)
    history.continue_session("s", respond=respond, max_messages=0)
    history.continue_session("s", YO, respond=respond)
    assert heard == [[HI, CALL], [CALL], [HI, YO]]
    assert backend.load("s") == [HI, CALL, YO]


def test_waiting_messages_are_given_in_their_order(history: SessionHistory, backend: OpenBackend) -> None:
    """Told nothing, an agent is given a call, and the results that it already has, as they were stored."""
    two = ChatMessage("assistant", tool_calls=(ToolCall("c1", "look", "{}"), ToolCall("c2", "look", "{}")))
    for message in (HI, two, RESULT):
        backend.append("s", message)
    heard: list[list[ChatMessage]] = []

    def respond(messages: list[ChatMessage]) -> list[ChatMessage]:
        heard.append(messages)
        return [ChatMessage("tool", "eight", tool_call_id="c2"), YO]

    session = history.continue_session("s", respond=respond)
    assert heard == [[HI, two, RESULT]]
    assert contents(session) == ["hi", None, "seven", "eight", "yo"]


def test_a_whole_answer_is_not_given_twice(history: SessionHistory, backend: OpenBackend) -> None:
    """Told nothing, an agent whose answer is there as a whole is not asked: its process died after it."""
    backend.append("s", HI)
    backend.append("s", YO)
    backend.set_session_state("s", "running", "dead")
    session = history.continue_session("s", respond=said("again"), stuck_after=0)
    assert session.messages == [HI, YO]
    assert backend.load("s") == [HI, YO]
    assert backend.list_running_sessions() == []


def test_an_append_at_the_last_moment_is_noticed(
    history: SessionHistory, backend: OpenBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody appends between an exchange's last write and its turn's end is in the session given back."""
    true_end = Turn.end

    def append_and_end(self: Turn, state: str) -> None:
        backend.append("s", ChatMessage("user", "wait"))
        true_end(self, state)

    monkeypatch.setattr(Turn, "end", append_and_end)
    session = history.run("hi", respond=said("yo"), session=Session("s"))
    assert contents(session) == ["hi", "yo", "wait"]


def test_the_model_is_that_of_the_answers(history: SessionHistory) -> None:
    """A session without a model takes that of its first answer; one that has a model gives it to what streams in."""
    session = history.run("hi", respond=lambda _heard: ChatMessage("assistant", "yo", model="m"))
    assert session.model == "m"
    session = history.continue_session(session.session_id, "hi", respond=lambda _heard: ["y", "o"])
    assert session.messages[-1].model == "m"
    assert history.load_session(session.session_id) == session


def test_saving_goes_on_after_an_exchange(history: SessionHistory) -> None:
    """The session that comes back is as the store has it: it can be changed and saved, or given up to a conflict."""
    session = history.run("hi", respond=said("yo"))
    session.metadata["rated"] = 5
    session.messages.append(HI)
    history.save_session(session)
    assert history.load_session(session.session_id) == session
    history.continue_session(session.session_id, "and?", respond=said("well"))
    session.messages.append(HI)
    with pytest.raises(ConflictError):
        history.save_session(session)


def test_what_others_append_meanwhile_is_there(history: SessionHistory, backend: OpenBackend) -> None:
    """What somebody appends during an exchange stays, and the session that comes back has it and can be saved."""

    def respond(_heard: list[ChatMessage]) -> Iterator[str]:
        yield "a"
        backend.append("s", ChatMessage("user", "wait"))
        yield "b"

    session = history.run(HI, respond=respond, session=Session("s"), interval=0)
    assert contents(session) == ["hi", "ab", "wait"]
    session.messages.append(HI)
    history.save_session(session)
    assert contents(history.load_session("s")) == ["hi", "ab", "wait", "hi"]


def test_a_session_that_goes_on_has_not_ended(history: SessionHistory) -> None:
    """Going on with a session that had ended clears its end."""
    session = history.run("hi", respond=said("yo"))
    session.ended_at = session.started_at
    history.save_session(session)
    assert history.continue_session(session.session_id, "hi", respond=said("yo")).ended_at is None
    loaded = history.load_session(session.session_id)
    assert loaded is not None
    assert loaded.ended_at is None


def test_without_auto_save_all_is_stored_at_the_end(saving_once: SessionHistory, backend: OpenBackend) -> None:
    """Without `auto_save` an exchange is one write at its end: of a failed one nothing is stored, of another all."""
    saving_once.run(HI, respond=said("yo"), session=Session("s"))
    before = backend.load("s")

    def respond(_heard: list[ChatMessage]) -> Iterator[str | ChatMessage]:
        for piece in ("a", "b", CALL, RESULT, YO, "c"):
            yield piece
            assert backend.load("s") == before

    session = saving_once.continue_session("s", "more", respond=respond, interval=0)
    assert backend.load("s") == session.messages
    assert contents(session) == ["hi", "yo", "more", "ab", None, "seven", "yo", "c"]
    assert session.usage.request_count == 1
    assert saving_once.load_session("s") == session

    def fail(_heard: list[ChatMessage]) -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        saving_once.continue_session("s", "more", respond=fail)
    assert backend.load("s") == session.messages


def test_without_auto_save_a_cut_off_answer_is_replaced(saving_once: SessionHistory, backend: OpenBackend) -> None:
    """Without `auto_save`, too, the new answer takes the place of one that was cut off, in one write."""
    backend.append("s", HI)
    backend.append("s", ChatMessage("assistant", "y", status="incomplete"))
    session = saving_once.continue_session("s", respond=lambda _heard: ["y", "o", CALL, RESULT])
    assert contents(session) == ["hi", "yo", None, "seven"]
    assert backend.load("s") == session.messages


def test_a_disabled_history_answers_all_the_same() -> None:
    """Where nothing is kept, an agent answers, and the session that comes back has what was said."""
    shown: list[str] = []
    history = SessionHistory()
    session = history.run(
        "hi", respond=lambda _heard: ["y", "o"], session=Session("s", model="m"), on_text=shown.append
    )
    assert contents(session) == ["hi", "yo"]
    assert shown == ["y", "o"]
    assert contents(history.continue_session("s", "hi", respond=said("yo"))) == ["hi", "yo"]
    assert history.load_session("s") is None
