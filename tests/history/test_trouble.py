"""Calls of the store that fail, are cut off, or are made by others in between: nothing is doubled, lost or left."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import sessionkit
from sessionkit import BackendUnavailableError, ChatMessage, OpenBackend, Usage
from sessionkit.history import Memory, Session, SessionHistory, Turn, turn

HI = ChatMessage("user", "hi")
PIECES = "abcd"
FAILURES = (BackendUnavailableError, KeyboardInterrupt)

TROUBLES: dict[str, tuple[bool, BaseException]] = {
    "not made": (False, BackendUnavailableError("busy")),
    "made, but unknown": (True, BackendUnavailableError("lost", outcome="unknown")),
    "interrupted": (False, KeyboardInterrupt()),
    "interrupted when made": (True, KeyboardInterrupt()),
}


@pytest.fixture(name="fail", params=TROUBLES)
def _fail(
    request: pytest.FixtureRequest, backend: OpenBackend, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Have the n-th write of the backend fail, made or not."""
    is_made, error = TROUBLES[request.param]
    true_write = getattr(type(backend), "write")  # noqa: B009 -- of whatever backend it is

    def fail_at(place: int) -> None:
        count = 0

        def write(self: Any, /, *arguments: Any, **options: Any) -> int:
            nonlocal count
            count += 1
            revision = 0
            if count != place or is_made:
                revision = true_write(self, *arguments, **options)
            if count == place:
                raise error
            return revision

        monkeypatch.setattr(type(backend), "write", write)

    return fail_at


def contents(backend: OpenBackend) -> list[Any]:
    """What the session says."""
    return [message.content for message in backend.load("s")]


@pytest.mark.parametrize("place", [1, 2, 4, 5])
def test_a_stream_that_fails_is_stored_once(backend: OpenBackend, fail: Callable[[int], None], place: int) -> None:
    """Whichever of its writes fails, made or not, an answer is there once, with all that was written to it."""
    fail(place)
    threads = threading.active_count()
    with suppress(*FAILURES), turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        for piece in PIECES:
            answer.write(piece)
    assert contents(backend) == [PIECES[:place]]
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "error"
    assert threading.active_count() == threads


@pytest.mark.parametrize("place", [1, 2, 4])
def test_a_stream_goes_on_after_a_failure(backend: OpenBackend, fail: Callable[[int], None], place: int) -> None:
    """A caller that goes on after a write has failed, made or not, ends with the whole answer, once."""
    fail(place)
    backend.append("s", HI)
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        for piece in PIECES:
            with suppress(*FAILURES):
                answer.write(piece)
    assert backend.load("s") == [HI, answer.message]
    assert (answer.message.content, answer.message.status) == (PIECES, "completed")


@pytest.mark.parametrize("place", range(1, 8))
@pytest.mark.parametrize("interval", [0, 3600])
def test_an_exchange_that_fails_can_go_on(
    backend: OpenBackend, fail: Callable[[int], None], place: int, interval: float
) -> None:
    """Whichever write of an exchange fails, nothing is there twice, and the agent goes on from what is there."""
    backend.set_session_name("s", "exists")
    fail(place)
    history = SessionHistory(backend)
    whole = ChatMessage("assistant", PIECES, usage=Usage(1, 1))

    def respond(heard: list[ChatMessage]) -> Iterator[str | ChatMessage]:
        assert [message.content for message in heard] == ["hi"]
        yield from PIECES
        yield whole

    with suppress(*FAILURES):
        history.continue_session("s", HI, respond=respond, interval=interval)
    assert contents(backend) in ([], ["hi"], ["hi", "a"], ["hi", "ab"], ["hi", "abc"], ["hi", PIECES])
    if not contents(backend):
        history.continue_session("s", HI, respond=respond, interval=interval)
    session = history.continue_session("s", respond=respond, interval=interval)
    assert backend.load("s") == session.messages == [HI, whole]
    assert session.usage.request_count == 1


def test_what_was_streamed_outlives_a_final_message_that_cannot_be_stored(backend: OpenBackend) -> None:
    """Where the final message can't be stored, what was streamed before it is, however long the interval."""
    bad = ChatMessage("assistant", "abc", extra={"x": float("nan")})
    history = SessionHistory(backend)
    with pytest.raises(sessionkit.InvalidMessageError):
        history.run(HI, respond=lambda _: ["a", "b", "c", bad], session=Session("s"), interval=3600)
    assert contents(backend) == ["hi", "abc"]

    def finish_badly() -> None:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            answer.write("d")
            answer.write("e")
            answer.finish(bad)

    with pytest.raises(sessionkit.InvalidMessageError):
        finish_badly()
    assert contents(backend) == ["hi", "abc", "de"]

    def finish_badly_and_raise() -> None:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            answer.write("f")
            answer.write("g")
            answer.finish(bad)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finish_badly_and_raise()
    assert contents(backend) == ["hi", "abc", "de", "fg"]


def test_a_turn_that_could_not_begin_has_nothing_to_end(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store can't be reached for a turn to begin, its error says that and no more, and no turn is left."""

    def unavailable(*_arguments: Any, **_options: Any) -> None:
        raise BackendUnavailableError("busy")

    monkeypatch.setattr(type(backend), "begin_turn", unavailable)
    with pytest.raises(BackendUnavailableError) as caught:
        turn(backend, "s").__enter__()
    assert not hasattr(caught.value, "__notes__")
    assert backend.list_sessions() == []


def test_an_end_is_tried_again(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store can't be reached just when a turn ends, it ends a little later."""
    true_call = getattr(type(backend), "set_turn_state")  # noqa: B009 -- of whatever backend it is
    failures = [BackendUnavailableError("busy", retryable=True)]

    def busy_once(self: Any, /, *arguments: Any) -> int:
        if failures:
            raise failures.pop()
        revision: int = true_call(self, *arguments)
        return revision

    monkeypatch.setattr(type(backend), "set_turn_state", busy_once)
    with turn(backend, "s"):
        pass
    assert failures == []
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "idle"


def test_an_interrupt_at_the_end_leaves_no_turn(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just when a turn would end leaves neither the turn running nor its thread."""
    threads = threading.active_count()
    true_end = Turn.end
    interrupts = [KeyboardInterrupt()]

    def interrupted_once(self: Turn, state: str) -> None:
        if interrupts:
            raise interrupts.pop()
        true_end(self, state)

    monkeypatch.setattr(Turn, "end", interrupted_once)
    with suppress(KeyboardInterrupt), turn(backend, "s"):
        pass
    assert interrupts == []
    assert backend.list_running_sessions() == []
    assert threading.active_count() == threads


def test_a_turn_that_is_forgotten_stops_beating(backend: OpenBackend) -> None:
    """A turn that nobody holds any more, and nobody has ended, gives no signs of life for ever."""
    threads = threading.active_count()
    forgotten = Turn(backend, "s", heartbeat=0.005)
    list(forgotten.begin(0, None))
    assert threading.active_count() == threads + 1
    del forgotten
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name == "sessionkit heartbeat":
            thread.join(30)
    assert threading.active_count() == threads


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_stores_nothing_of_its_parents_answer(url: str) -> None:
    """A process that is forked while an answer grows, and leaves by an exception or in peace, stores nothing of it."""
    with sessionkit.open_backend(url) as backend:
        with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            answer.write("a")
            for error in (SystemExit(), None):
                child = os.fork()
                if not child:
                    answer.write("b")
                    answer.__exit__(None if error is None else type(error), error, None)
                    os._exit(0)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert contents(backend) == ["a"]
            answer.write("c")
        assert backend.load("s") == [answer.message]
        assert answer.message.content == "ac"


def test_a_write_that_arrives_late_doubles_nothing(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that was given up, and is made when the next one has been prepared, leaves the answer there once."""
    with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
        answer.write("1")
        true_write = mine.store.write
        late: list[Callable[[], int]] = []

        def give_up(key: str, **options: Any) -> int:
            late.append(lambda: true_write(key, **options))
            raise BackendUnavailableError("timeout", outcome="unknown")

        def after_the_late_one(key: str, **options: Any) -> int:
            while late:
                late.pop()()
            return true_write(key, **options)

        monkeypatch.setattr(type(mine.store), "write", lambda _self, key, **options: give_up(key, **options))
        with suppress(BackendUnavailableError):
            answer.write("2")
        monkeypatch.setattr(type(mine.store), "write", lambda _self, key, **options: after_the_late_one(key, **options))
        answer.write("3")
        monkeypatch.undo()
    assert contents(backend) == ["123"]


def test_an_end_whose_answer_was_lost_is_no_conflict(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that has ended, though the store could not say so, has ended; the session that comes back is as it is."""
    true_call = getattr(type(backend), "set_turn_state")  # noqa: B009 -- of whatever backend it is
    failures = [BackendUnavailableError("lost", retryable=True, outcome="unknown")]

    def lost_once(self: Any, /, *arguments: Any) -> int:
        revision: int = true_call(self, *arguments)
        if failures:
            raise failures.pop()
        return revision

    monkeypatch.setattr(type(backend), "set_turn_state", lost_once)
    history = SessionHistory(backend)
    session = history.run(HI, respond=lambda _: "yo", session=Session("s"))
    assert failures == []
    assert history.load_session("s") == session
    session.messages.append(HI)
    history.save_session(session)


def test_a_call_before_a_cut_off_answer_is_given(backend: OpenBackend) -> None:
    """A call that waits for its result is given to an agent that goes on, though an answer was cut off behind it."""
    call = ChatMessage("assistant", tool_calls=(sessionkit.ToolCall("c1", "look", "{}"),))
    heard: list[list[ChatMessage]] = []

    def respond(messages: list[ChatMessage]) -> list[ChatMessage]:
        heard.append(messages)
        return []

    for message in (HI, call, ChatMessage("assistant", "part", status="incomplete")):
        backend.append("s", message)
    SessionHistory(backend).continue_session("s", respond=respond)
    Memory(backend)(respond)("s")
    assert heard == [[HI, call], [HI, call]]


@pytest.mark.parametrize("heartbeat", [float("inf"), float("nan"), sys.float_info.max])
def test_a_heartbeat_is_one_that_a_thread_can_wait_for(backend: OpenBackend, heartbeat: float) -> None:
    """A time between signs of life that no thread can wait for is refused before anything is changed."""
    with pytest.raises(ValueError, match="heartbeat"):
        turn(backend, "s", heartbeat=heartbeat).__enter__()
    assert backend.list_sessions() == []
