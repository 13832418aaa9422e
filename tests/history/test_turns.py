"""Turns: one at a time, alive while they last, harmless once they are lost."""

import os
import platform
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import sessionkit
from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    ConflictError,
    InvalidMessageError,
    InvalidSessionKeyError,
    OpenBackend,
    SessionMetadata,
    SessionState,
    SupportsRestore,
    TurnTakenError,
    UnsupportedOperationError,
)
from sessionkit.history import Turn, turn
from tests.history.processes import Worker
from tests.toys import DictBackend

HI = ChatMessage("user", "hi")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def state_of(backend: OpenBackend) -> str | None:
    """What the session is doing."""
    state = backend.get_session_state("s")
    return None if state is None else state.state


def stuck_session(backend: Any) -> None:
    """A session whose turn has given no sign of life for years."""
    metadata = SessionMetadata(
        "s", state="running", turn_id="dead", turn_started_at=LONG_AGO, heartbeat_at=LONG_AGO, created_at=LONG_AGO
    )
    assert isinstance(backend, SupportsRestore)
    backend.restore("s", [], metadata)


def test_a_turn_is_running_then_idle(backend: OpenBackend) -> None:
    """While the body lasts the session is running under the turn's id, and idle after it."""
    with turn(backend, "s") as mine:
        state = backend.get_session_state("s")
        assert state is not None
        assert (state.state, state.turn_id) == ("running", mine.id)
        assert state.turn_started_at == mine.started_at
        mine.append(HI)
    assert state_of(backend) == "idle"
    assert backend.load("s") == [HI]


def test_each_turn_has_an_id_of_its_own(backend: OpenBackend) -> None:
    """No two turns have the same id, or one could write in the other's name; it tells whose it is."""
    with turn(backend, "s") as first:
        pass
    with turn(backend, "s") as second:
        assert first.id != second.id
        assert first.id.startswith(f"{platform.node()}:{os.getpid()}:")
        with pytest.raises(ConflictError):
            first.append(HI)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_body_that_raises_leaves_an_error(backend: OpenBackend, error: type[BaseException]) -> None:
    """Where the body raises, whatever it is, the state is error, and what was written stays."""

    def raise_in_the_body() -> None:
        with turn(backend, "s") as mine:
            mine.append(HI)
            raise error

    with pytest.raises(error):
        raise_in_the_body()
    assert state_of(backend) == "error"
    assert backend.load("s") == [HI]


def test_a_turn_writes_load_and_replace(backend: OpenBackend) -> None:
    """A turn appends several messages as one, replaces the last, merges attributes, and reads what is there."""
    yo = ChatMessage("assistant", "yo")
    with turn(backend, "s") as mine:
        mine.append(HI, yo)
        assert mine.load() == [HI, yo]
        revision = mine.update_last(HI)
        assert mine.load(last=1) == [HI]
        assert mine.write(attributes={"x": 1}, if_revision=revision) > revision
        with pytest.raises(ConflictError):
            mine.write(append=[yo], if_revision=revision)
        with pytest.raises(InvalidMessageError):
            mine.append(HI, ChatMessage("user", "\ud800"))
        assert mine.load() == [HI, HI]
    metadata = backend.get_session_metadata("s")
    assert metadata is not None
    assert metadata.attributes == {"x": 1}


def test_a_second_turn_is_told_who_holds_it(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that finds another one running is refused, with its id, since when it runs and its last sign of life."""
    with turn(backend, "s") as theirs:
        before = backend.get_session_metadata("s")
        asked = Mock()
        monkeypatch.setattr(type(backend), "set_turn_state", asked)
        with pytest.raises(TurnTakenError, match=f"turn '{theirs.id}' runs in 's' since .* last heartbeat") as caught:
            turn(backend, "s").__enter__()
        assert not asked.called  # what has not begun is not ended
        monkeypatch.undo()
        assert caught.value.session_key == "s"
        assert caught.value.turn_id == theirs.id
        assert caught.value.since == theirs.started_at
        assert caught.value.heartbeat_at is not None
        assert backend.get_session_metadata("s") == before
        theirs.append(HI)


def test_a_turn_waits_for_the_other_to_end(backend: OpenBackend) -> None:
    """With `wait`, a turn begins once the other has ended."""
    mine = Turn(backend, "s", heartbeat=10)
    attempts = mine.begin(wait=60, stuck_after=None)
    with turn(backend, "s"):
        assert 0 < next(attempts) <= next(attempts) <= 0.05
    assert next(attempts, "begun") == "begun"
    mine.append(HI)
    mine.end("idle")


def test_waiting_ends(backend: OpenBackend) -> None:
    """A turn that waits in vain is refused once its time has passed, after more than one attempt."""
    mine = Turn(backend, "s", heartbeat=10)
    attempts = mine.begin(wait=0.02, stuck_after=None)
    with turn(backend, "s"):
        next(attempts)
        with pytest.raises(TurnTakenError):
            list(attempts)


def test_a_stuck_turn_is_taken_over(backend: OpenBackend) -> None:
    """A turn that has been silent for `stuck_after` seconds is taken over; one that has not is not."""
    stuck_session(backend)
    with pytest.raises(TurnTakenError):
        turn(backend, "s").__enter__()
    with pytest.raises(TurnTakenError):
        turn(backend, "s", stuck_after=timedelta(days=36_500).total_seconds()).__enter__()
    with turn(backend, "s", stuck_after=60) as mine:
        mine.append(HI)
    assert state_of(backend) == "idle"


def test_a_lost_turn_changes_nothing(backend: OpenBackend) -> None:
    """After a takeover, whatever the old holder does through its turn is a conflict, and changes nothing at all."""
    ours = turn(backend, "s")
    lost = ours.__enter__()
    lost.append(HI)
    attempts: list[Callable[[], object]] = [
        lambda: lost.append(HI),
        lambda: lost.update_last(HI),
        lambda: lost.write(attributes={"x": 1}),
        lambda: lost.write(drop_last=1),
        lost.heartbeat,
        lambda: lost.stream(interval=0).write("late"),
        lambda: ours.__exit__(None, None, None),
    ]

    def assert_all_refused() -> None:
        before = backend.get_session_metadata("s"), backend.load("s")
        for attempt in attempts:
            with pytest.raises(ConflictError):
                attempt()
            assert (backend.get_session_metadata("s"), backend.load("s")) == before

    with turn(backend, "s", stuck_after=0) as theirs:
        assert_all_refused()
        theirs.append(HI)
        attempts.pop()  # a context manager can be left once
    assert_all_refused()  # nor does it come back to life when the one that took over has ended
    assert backend.load("s") == [HI, HI]


def test_a_turn_can_end_early(backend: OpenBackend) -> None:
    """A turn that ends itself, in whatever state, leaves that state, and writes nothing after it."""
    with turn(backend, "s") as mine:
        mine.end("waiting")
        with pytest.raises(ConflictError):
            mine.append(HI)
    assert state_of(backend) == "waiting"


def test_a_lost_turn_says_so_at_its_end(backend: OpenBackend) -> None:
    """A body that did not notice the takeover raises at its end; one that raised already keeps its own error."""
    with pytest.raises(ConflictError), turn(backend, "s"), turn(backend, "s", stuck_after=0):
        pass

    def raise_after_the_takeover() -> None:
        with turn(backend, "s"):
            backend.set_session_state("s", "idle")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        raise_after_the_takeover()
    [note] = caught.value.__notes__
    assert "could not be ended: no turn runs in 's'" in note
    assert state_of(backend) == "idle"


def test_heartbeats_go_out_by_themselves(backend: OpenBackend) -> None:
    """While a body is silent its turn gives signs of life, and none after its end; its thread is gone then."""
    threads = threading.active_count()
    with turn(backend, "s", heartbeat=0.005) as mine:
        seen = set[SessionState | None]()
        while len(seen) < 4:
            seen.add(backend.get_session_state("s"))
        assert {state and state.turn_started_at for state in seen} == {mine.started_at}
    assert threading.active_count() == threads


def test_heartbeats_outlast_an_unreachable_store(backend: OpenBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign of life that can't be given is tried again at the next time."""
    with turn(backend, "s", heartbeat=0.005) as mine:
        failed, worked = threading.Event(), threading.Event()
        true_call = mine.store.set_turn_state

        def flaky(*arguments: Any) -> int:
            if not failed.is_set():
                failed.set()
                raise BackendUnavailableError("busy", retryable=True)
            worked.set()
            return true_call(*arguments)

        monkeypatch.setattr(type(mine.store), "set_turn_state", lambda _self, *arguments: flaky(*arguments))
        assert failed.wait(30)
        assert worked.wait(30)
        monkeypatch.undo()


def test_a_lost_turn_stops_its_heartbeat(backend: OpenBackend) -> None:
    """The thread of a turn that was taken over ends by itself, and does not disturb the one that took over."""
    threads = threading.active_count()
    ours = turn(backend, "s", heartbeat=0.005)
    ours.__enter__()
    with turn(backend, "s", stuck_after=0) as theirs:
        while threading.active_count() > threads + 1:
            theirs.heartbeat()
    with pytest.raises(ConflictError):
        ours.__exit__(None, None, None)
    assert state_of(backend) == "idle"


def test_what_a_backend_lacks_is_named() -> None:
    """A backend that can't keep turns is refused before anything is changed; the error names what is missing."""
    backend = DictBackend()
    with pytest.raises(UnsupportedOperationError, match=r"DictBackend offers no write\(\), the protocol SupportsWrite"):
        turn(backend, "s").__enter__()
    assert backend.list_sessions() == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"wait": -1}, ValueError),
        ({"stuck_after": -1}, ValueError),
        ({"heartbeat": 0}, ValueError),
        ({"heartbeat": -1}, ValueError),
        ({"wait": "1"}, TypeError),
        ({"heartbeat": None}, TypeError),
    ],
)
def test_bad_options_change_nothing(backend: OpenBackend, options: dict[str, Any], error: type[Exception]) -> None:
    """An option out of range, or of another type, is an error before anything is changed."""
    with pytest.raises(error):
        turn(backend, "s", **options).__enter__()
    with pytest.raises(InvalidSessionKeyError):
        turn(backend, "").__enter__()
    assert backend.list_sessions() == []


_RACER = """
import os, pathlib
holding = pathlib.Path(arguments[1])
for i in range(250):
    with turn(backend, "s", wait=50) as t:
        os.close(os.open(holding, os.O_CREAT | os.O_EXCL))  # fails where somebody else holds the turn too
        t.append(ChatMessage("user", f"{arguments[0]} {i}"))
        t.append(ChatMessage("assistant", f"{arguments[0]} {i}"))
        holding.unlink()
"""


def test_two_processes_never_hold_one_turn(url: str, tmp_path: Path) -> None:
    """Two processes race for one session's turn 500 times: never two holders, and what they write is never mixed."""
    place = str(tmp_path / "holding")
    with Worker(url, _RACER, "a", place) as first, Worker(url, _RACER, "b", place) as second:
        first.finish()
        second.finish()
    with sessionkit.open_backend(url) as backend:
        texts = [message.content for message in backend.load("s")]
        assert texts[::2] == texts[1::2]
        for name in "ab":
            assert [text for text in texts[::2] if str(text)[0] == name] == [f"{name} {i}" for i in range(250)]
        assert state_of(backend) == "idle"


_SLEEPER = """
try:
    with turn(backend, "s", heartbeat=0.05) as t:
        t.append(ChatMessage("user", "before"))
        say("begun")
        wait_for_a_line()  # stopped meanwhile, with its heartbeat
        for attempt in (lambda: t.append(ChatMessage("user", "late")), t.heartbeat, lambda: t.write(drop_last=1)):
            try:
                attempt()
            except ConflictError:
                say("refused")
except ConflictError:
    say("lost")
"""


def test_a_process_that_was_asleep_cannot_interleave(url: str) -> None:
    """A process that is stopped in its turn and wakes after a takeover is refused, and disturbs nobody."""
    with Worker(url, _SLEEPER) as sleeper, sessionkit.open_backend(url) as backend:
        assert sleeper.hear() == "begun"
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        with turn(backend, "s", wait=60, stuck_after=0.3) as mine:
            os.kill(sleeper.process.pid, signal.SIGCONT)
            sleeper.go_on()
            assert sleeper.finish() == ["refused", "refused", "refused", "lost"]
            mine.append(ChatMessage("assistant", "mine"))
        assert [message.content for message in backend.load("s")] == ["before", "mine"]
        assert state_of(backend) == "idle"


_LONG_CALL = """
with turn(backend, "s", heartbeat=0.05) as t:
    say("begun")
    wait_for_a_line()  # a tool that is silent for long
    t.append(ChatMessage("tool", "done"))
"""


def test_a_long_silent_call_is_not_stuck(url: str) -> None:
    """A turn whose body is silent for many times `stuck_after` is not taken over while its process lives."""
    with Worker(url, _LONG_CALL) as worker, sessionkit.open_backend(url) as backend:
        assert worker.hear() == "begun"
        with pytest.raises(TurnTakenError):
            turn(backend, "s", wait=3, stuck_after=1.5).__enter__()
        worker.go_on()
        worker.finish()
        assert [message.content for message in backend.load("s")] == ["done"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_leaves_the_turn_to_its_parent(url: str) -> None:
    """A process that is forked in the body, and leaves it there, does not end its parent's turn."""
    with sessionkit.open_backend(url) as backend, turn(backend, "s") as mine:
        child = os.fork()
        if not child:
            try:
                mine.end("idle")
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        mine.append(HI)
