"""An answer that grows: stored from its first piece on, and whatever cuts it off leaves what there was."""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest

import sessionkit
from sessionkit import BackendUnavailableError, ChatMessage, OpenBackend, ToolCall, Usage
from sessionkit.history import turn
from tests.history.processes import Worker

HI = ChatMessage("user", "hi")
PIECES = ["It ", "comes ", "on ", "Friday."]


def summary(message: ChatMessage) -> tuple[str | None, Any, str | None]:
    """What a stream says of it."""
    return message.role, message.content, message.status


def test_an_answer_is_stored_from_its_first_piece(backend: OpenBackend) -> None:
    """The first write has the first piece and is incomplete; closing completes it, in the same place."""
    backend.append("s", HI)
    with turn(backend, "s") as mine:
        with mine.stream(interval=0, model="m") as answer:
            assert backend.load("s") == [HI]
            for i, piece in enumerate(PIECES, 1):
                answer.write(piece)
                assert backend.load("s") == [HI, answer.message]
                assert summary(answer.message) == ("assistant", "".join(PIECES[:i]), "incomplete")
        assert backend.load("s") == [HI, answer.message]
        assert summary(answer.message) == ("assistant", "".join(PIECES), "completed")
        assert answer.message.model == "m"


def test_it_is_stored_no_more_often_than_its_interval(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an interval nothing but the first piece is stored; the next piece after it stores all; so does the end."""
    now = 100.0
    monkeypatch.setattr("sessionkit.history.streams.time.monotonic", lambda: now)
    with turn(backend, "s") as mine:
        with mine.stream(interval=2) as answer:
            answer.write("a")
            now = 101.9
            answer.write("b")
            assert [message.content for message in backend.load("s")] == ["a"]
            now = 102
            answer.write("c")
            assert [message.content for message in backend.load("s")] == ["abc"]
            answer.write("d")
            assert [message.content for message in backend.load("s")] == ["abc"]
        assert [summary(message) for message in backend.load("s")] == [("assistant", "abcd", "completed")]


def test_tool_calls_grow_too(backend: OpenBackend) -> None:
    """A call is added by its id, and its arguments piece by piece; without text the content stays None."""
    with turn(backend, "s") as mine:
        with mine.stream(interval=0) as answer:
            answer.tool_call("c1", "look", '{"id":')
            answer.tool_call("c2", "wait")
            answer.tool_call("c1", arguments=" 7}")
            assert backend.load("s") == [answer.message]
        [stored] = backend.load("s")
    assert stored.tool_calls == (ToolCall("c1", "look", '{"id": 7}'), ToolCall("c2", "wait", ""))
    assert (stored.content, stored.status) == (None, "completed")


def test_a_piece_may_be_as_large_as_a_message(backend: OpenBackend) -> None:
    """A provider that gives its answer at once gives one piece: the limit of names and states is none of its."""
    large = "é" * 100_000
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write(large)
        answer.tool_call("c", "save", large)
    assert [(message.content, message.tool_calls) for message in backend.load("s")] == [
        (large, (ToolCall("c", "save", large),))
    ]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_is_cut_off_stays(backend: OpenBackend, error: type[BaseException]) -> None:
    """Where the body raises, all that was written stays, incomplete, however long the interval."""

    def write_and_raise() -> None:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            for piece in PIECES:
                answer.write(piece)
            raise error

    with pytest.raises(error):
        write_and_raise()
    assert [summary(message) for message in backend.load("s")] == [("assistant", "".join(PIECES), "incomplete")]


def test_a_final_message_takes_its_place(backend: OpenBackend) -> None:
    """What `finish` is given is stored as it is, in the place of what was written."""
    whole = ChatMessage("assistant", "It comes on Friday!", usage=Usage(7, 5), provider_response_id="r1")
    with turn(backend, "s") as mine:
        with mine.stream(interval=0) as answer:
            answer.write("It com")
            answer.finish(whole)
        assert backend.load("s") == [whole]


def test_a_final_message_outlives_an_error_after_it(backend: OpenBackend) -> None:
    """Where the body raises after `finish`, the answer is stored as a whole all the same."""

    def finish_and_raise() -> None:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            answer.write("It com")
            answer.finish(HI)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finish_and_raise()
    assert backend.load("s") == [HI]


def test_other_fields_can_be_set(backend: OpenBackend) -> None:
    """What is known only at the end, such as the usage, is stored with it."""
    with turn(backend, "s") as mine:
        with mine.stream() as answer:
            answer.write("yo")
            answer.set(usage=Usage(7, 5))
        [stored] = backend.load("s")
    assert stored.usage == Usage(7, 5)
    assert stored.status == "completed"


def test_nothing_written_leaves_no_message(backend: OpenBackend) -> None:
    """An answer without a piece, or with empty ones, or with fields alone, is none."""
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.set(model="m")
        answer.write("")
    assert backend.load("s") == []


def test_an_id_that_is_sent_once_is_enough(backend: OpenBackend) -> None:
    """Without an id a piece belongs to the newest call; the first call needs one."""
    with turn(backend, "s") as mine:
        with mine.stream(interval=0) as answer:
            with pytest.raises(ValueError, match="needs an id"):
                answer.tool_call(None, "look")
            for call_id in ("c1", "c2"):
                answer.tool_call(call_id, "look")
                answer.tool_call(None, arguments='{"id"')
                answer.tool_call("", arguments=": 7}")
        assert backend.load("s") == [answer.message]
    assert answer.message.tool_calls == tuple(ToolCall(call_id, "look", '{"id": 7}') for call_id in ("c1", "c2"))


def test_nothing_is_added_to_an_answer_that_has_ended(backend: OpenBackend) -> None:
    """After `finish`, and after the block, whatever would be added is refused, and what is stored stays."""
    with turn(backend, "s") as mine:
        with mine.stream(interval=0) as closed:
            closed.write("a")
        with mine.stream(interval=0) as finished:
            finished.finish(HI)
            for answer in (closed, finished):
                attempts: list[Callable[[], None]] = [
                    partial(answer.write, "b"),
                    partial(answer.tool_call, "c1"),
                    partial(answer.set, model="m"),
                    partial(answer.finish, HI),
                ]
                for attempt in attempts:
                    with pytest.raises(ValueError, match="has ended"):
                        attempt()
        assert backend.load("s") == [closed.message, HI]


@pytest.mark.parametrize("field", ["status", "content", "tool_calls"])
def test_what_the_stream_says_itself_is_not_set(backend: OpenBackend, field: str) -> None:
    """A stream's text, calls and status are its own to set, and refused among its other fields."""
    fields: dict[str, Any] = {field: "x"}
    with turn(backend, "s") as mine:
        with pytest.raises(TypeError, match=field):
            mine.stream(**fields)
        with pytest.raises(TypeError, match=field):
            mine.stream().set(**fields)


@pytest.mark.parametrize("bad", [None, 5, b"x", "\ud800"])
def test_a_piece_is_text(backend: OpenBackend, bad: Any) -> None:
    """What is no text, or none that can be stored, is refused when it is written; what came before it stays."""
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("a")
        with pytest.raises((TypeError, ValueError)):
            answer.write(bad)
        with pytest.raises((TypeError, ValueError)):
            answer.tool_call("c1", "look", bad)
        assert [message.content for message in backend.load("s")] == ["a"]


def test_what_others_append_meanwhile_stays(backend: OpenBackend) -> None:
    """While an answer grows, what others append outside of the turn stays, in its place behind the answer."""
    others = [ChatMessage("user", f"and {i}") for i in range(12)]
    backend.append("s", HI)
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("a")
        for other in others:
            backend.append("s", other)
            answer.write("b")
            assert backend.load("s")[:3] == [HI, answer.message, others[0]]
        for other in others:
            backend.append("s", other)  # more than it looks at first
    assert backend.load("s") == [HI, answer.message, *others, *others]
    assert answer.message.content == "a" + "b" * 12


def test_an_answer_that_somebody_removed_is_written_again(backend: OpenBackend) -> None:
    """Where somebody else removes the growing answer, its next state is added at the end; nobody's message is lost."""
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("a")
        backend.remove_last("s")
        backend.append("s", HI)
        answer.write("b")
        assert backend.load("s") == [HI, answer.message]
    assert backend.load("s") == [HI, answer.message]


def test_changed_attributes_do_not_hinder_it(backend: OpenBackend) -> None:
    """A change of the session that is none of its messages leaves the answer in its place."""
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("a")
        backend.set_session_context("s", sessionkit.SessionContext(attributes={"x": 1}))
        answer.write("b")
        assert backend.load("s") == [answer.message]


def test_the_error_of_the_body_is_not_hidden(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last state can't be stored either, the body's own error comes through, with a note of the other."""

    def unavailable(*_arguments: Any, **_options: Any) -> int:
        raise BackendUnavailableError("disk full")

    def write_and_raise() -> None:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            answer.write("a")
            answer.write("b")
            monkeypatch.setattr(type(mine.store), "write", unavailable)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        write_and_raise()
    monkeypatch.undo()
    assert caught.value.__notes__ == ["and the end of the answer could not be stored: disk full"]
    assert [message.content for message in backend.load("s")] == ["a"]


_STREAMER = """
import itertools
with turn(backend, "s") as t, t.stream(interval=0) as answer:
    for i in itertools.count():
        answer.write(f"{i} ")
        say(i)
"""


def test_a_killed_process_leaves_the_partial_answer(url: str) -> None:
    """What a killed process had stored of its answer is there, incomplete, and its turn can be taken over."""
    with Worker(url, _STREAMER) as worker:
        said = [worker.hear() for _ in range(20)]
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
    with sessionkit.open_backend(url) as backend:
        [partial] = backend.load("s")
        assert partial.status == "incomplete"
        assert str(partial.content).startswith(" ".join(said))
        [stuck] = backend.list_stuck_sessions(0)
        assert stuck.key == "s"
        with turn(backend, "s", stuck_after=0) as mine:
            mine.update_last(attrs.evolve(partial, status="completed"))
        assert [message.status for message in backend.load("s")] == ["completed"]


def test_a_stream_writes_through_its_turn(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write of a stream is a `write(if_turn=...)`: it never goes around the turn."""

    def around(*_arguments: Any) -> None:
        pytest.fail("it went around the turn")

    for name in ("append", "update_last", "remove_last"):
        monkeypatch.setattr(type(backend), name, around)
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("a")
        answer.write("b")
    assert [message.content for message in backend.load("s")] == ["ab"]
