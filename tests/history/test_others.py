"""What others do to a session while an agent answers in it: none of it is lost, and nothing of ours is doubled."""

from collections.abc import Iterator
from typing import Any

import pytest

import sessionkit
from sessionkit import ChatMessage, OpenBackend, UnknownSessionError, Usage
from sessionkit.history import Session, SessionHistory, Turn, turn
from sessionkit.history.continuing import Continuation
from sessionkit.history.tail import Tail
from tests.history.processes import Worker

HI = ChatMessage("user", "hi")


def contents(backend: OpenBackend) -> list[Any]:
    """What the session says."""
    return [message.content for message in backend.load("s")]


def test_equal_messages_are_told_apart_by_their_place(backend: OpenBackend) -> None:
    """An answer is replaced only in its own place, were there others that are equal to it."""
    equal = ChatMessage("assistant", "a", status="incomplete")
    backend.append("s", equal)
    with turn(backend, "s") as mine, mine.stream(interval=0, timestamp=None) as answer:
        answer.write("a")
        assert backend.load("s") == [equal, equal]
        backend.append("s", equal)
        answer.write("b")
        assert contents(backend) == ["a", "ab", "a"]
        backend.clear_messages("s")
        backend.append("s", equal)
        answer.write("c")
    assert contents(backend) == ["a", "abc"]


def test_an_equal_message_elsewhere_is_not_taken_for_it(backend: OpenBackend) -> None:
    """Where an answer without a timestamp is removed, a message that is equal to it is left as it is."""
    equal = ChatMessage("assistant", "a", status="incomplete")
    backend.append("s", equal)
    with turn(backend, "s") as mine, mine.stream(interval=0, timestamp=None) as answer:
        answer.write("a")
        backend.remove_last("s")
        answer.write("b")
    assert contents(backend) == ["a", "ab"]


def test_places_are_counted(backend: OpenBackend) -> None:
    """After messages that were put in each other's place, the place of the next one is known."""
    with turn(backend, "s") as mine:
        tail = Tail(mine)
        for text in "abc":
            tail.put([ChatMessage("assistant", text)])
        tail.settle()
        tail.put([ChatMessage("assistant", "d")])
        backend.append("s", HI)
        tail.put([ChatMessage("assistant", "e")])
    assert contents(backend) == ["c", "e", "hi"]


def test_a_model_is_told_where_others_have_none(backend: OpenBackend) -> None:
    """What somebody else saves without a model does not take away the one that the answers name."""
    history = SessionHistory(backend)

    def respond(_heard: list[ChatMessage]) -> Iterator[ChatMessage]:
        other = history.load_session("s")
        assert other is not None
        other.metadata["x"] = 1
        history.save_session(other)
        yield ChatMessage("assistant", "yo", model="m")

    session = history.run(HI, respond=respond, session=Session("s"))
    assert (session.model, session.metadata) == ("m", {"x": 1})


def test_another_session_of_the_same_id_goes_on(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody deletes a session and begins another of its id, while its turn is waited for, that one goes on."""
    history = SessionHistory(backend)
    history.create_session(Session("s", messages=[HI]))
    true_begin = Turn.begin

    def begin_another_first(self: Turn, wait: float, stuck_after: float | None) -> Any:
        backend.delete_session("s")
        backend.append("s", ChatMessage("user", "another"))
        return true_begin(self, wait, stuck_after)

    monkeypatch.setattr(Turn, "begin", begin_another_first)
    history.continue_session("s", "more", respond=lambda _: "yo")
    assert contents(backend) == ["another", "more", "yo"]


def test_what_others_save_meanwhile_is_kept(backend: OpenBackend) -> None:
    """What somebody else saves of a session during an exchange is there after it, and the exchange's usage is added."""
    history = SessionHistory(backend)

    def respond(_heard: list[ChatMessage]) -> Iterator[str | ChatMessage]:
        yield ChatMessage("assistant", "one", usage=Usage(1, 1))
        other = history.load_session("s")
        assert other is not None
        other.usage.add(Usage(1000, 1000))
        other.model, other.agent_name, other.metadata["x"] = "m", "a", 1
        other.ended_at = other.started_at
        history.save_session(other)
        yield ChatMessage("assistant", "two", usage=Usage(1, 1))
        yield ChatMessage("assistant", "three", usage=Usage(1, 1))

    session = history.run(HI, respond=respond, session=Session("s"))
    assert (session.usage.total_input_tokens, session.usage.request_count) == (1003, 4)
    assert (session.model, session.agent_name, session.metadata) == ("m", "a", {"x": 1})
    assert session.ended_at is None  # it has gone on since
    assert history.load_session("s") == session


@pytest.mark.parametrize("kept", [1, 0])
def test_others_may_write_before_a_cut_off_answer_is_replaced(backend: OpenBackend, kept: int) -> None:
    """What somebody appends, or has cleared, before the first new piece stays so; only the old answer is replaced."""
    backend.append("s", HI)
    backend.append("s", ChatMessage("assistant", "part", status="incomplete"))
    history = SessionHistory(backend)

    def respond(_heard: list[ChatMessage]) -> Iterator[str]:
        if not kept:
            backend.clear_messages("s")
        backend.append("s", ChatMessage("user", "and?"))
        yield "whole"

    session = history.continue_session("s", respond=respond)
    assert contents(backend) == (["hi", "whole", "and?"] if kept else ["and?", "whole"])
    assert session.messages == backend.load("s")


def test_a_session_that_is_deleted_meanwhile_stays_deleted(
    backend: OpenBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that somebody deletes while its turn is waited for is unknown then, and nothing is said in it."""
    history = SessionHistory(backend)
    history.create_session(Session("s", messages=[HI]))
    true_begin = Turn.begin

    def delete_first(self: Turn, wait: float, stuck_after: float | None) -> Any:
        backend.delete_session("s")
        return true_begin(self, wait, stuck_after)

    monkeypatch.setattr(Turn, "begin", delete_first)
    with pytest.raises(UnknownSessionError):
        history.continue_session("s", "more", respond=lambda _: "yo")
    assert backend.load("s") == []
    assert backend.list_running_sessions() == []


def test_a_session_that_begins_is_there(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that somebody deletes to make room just when it begins, begins all the same, with all that it has."""
    history = SessionHistory(backend)
    true_begin, true_check = Turn.begin, Continuation.check

    def delete_first(self: Turn, wait: float, stuck_after: float | None) -> Any:
        backend.delete_session("t")
        return true_begin(self, wait, stuck_after)

    def delete_before(self: Continuation) -> None:
        backend.delete_session("s")
        true_check(self)

    monkeypatch.setattr(Turn, "begin", delete_first)
    monkeypatch.setattr(Continuation, "check", delete_before)
    for key in "st":
        given = Session(key, messages=[HI], agent_name="a", metadata={"x": 1})
        session = history.run("more", respond=lambda _: "yo", session=given)
        assert [message.content for message in session.messages] == ["hi", "more", "yo"]
        assert (session.agent_name, session.metadata) == ("a", {"x": 1})
        assert history.load_session(key) == session


def test_an_answer_beside_busy_writers_is_there_once(url: str) -> None:
    """However busily others write to the session, an answer that grows is there once, and all of theirs too."""
    with sessionkit.open_backend(url) as backend, Worker(url, _BUSY) as busy:
        busy.hear()
        with turn(backend, "s") as mine:
            for _ in range(3):
                with mine.stream(interval=0) as answer:
                    for piece in "12345678":
                        answer.write(piece)
        busy.go_on()
        [count] = busy.finish()
        said = [message.content for message in backend.load("s")]
        assert [text for text in said if text == "12345678"] == ["12345678"] * 3
        assert [text for text in said if text != "12345678"] == [f"other {i}" for i in range(int(count))]


_BUSY = """
import itertools, threading, time
asked = threading.Event()
threading.Thread(target=lambda: (wait_for_a_line(), asked.set())).start()
for i in itertools.count():
    if asked.is_set():
        break
    backend.append("s", ChatMessage("user", f"other {i}"))
    if not i:
        say("begun")
    time.sleep(0.001)
say(i)
"""


def test_others_may_change_what_stands_before(backend: OpenBackend) -> None:
    """While an answer grows somebody may put a summary in the place of what stands before it: it is there once."""
    history = SessionHistory(backend)
    history.create_session(Session("s", messages=[ChatMessage("user", text) for text in "abc"]))
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("one")
        other = history.load_session("s")
        assert other is not None
        other.messages[:2] = [ChatMessage("user", "summary")]
        history.save_session(other)
        answer.write(" two")
    assert contents(backend) == ["summary", "c", "one two"]
