"""What the proofs found, one test each."""

from collections.abc import Callable

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, SessionQuery
from sessionkit.clock import now
from sessionkit.os_errors import is_systems, partly
from sessionkit.record import SessionRecord
from sessionkit_memory import MemoryBackend

HI = ChatMessage("user", "hi")


class Interrupting(MemoryBackend):
    """In the middle of each append, does something else."""

    def __init__(self, action: Callable[[MemoryBackend], object]) -> None:
        super().__init__()
        self.action = action

    def _append(self, session_key: str, raw: bytes, message: ChatMessage) -> None:
        with self._changing(session_key, self._found(session_key)) as session:
            self.action(self)
            session.push(raw, message, session.record.changed())


@pytest.mark.parametrize(
    "action",
    [
        lambda s: s.load("a"),
        lambda s: s.append("b", HI),
        lambda s: s.search(SessionQuery("hi")),
        lambda s: s.compact("a"),
    ],
    ids=["load", "append", "search", "compact"],
)
def test_a_call_in_the_middle_of_another_is_refused_at_once(action: Callable[[MemoryBackend], object]) -> None:
    """Of the same thread: it would wait for itself. Nothing of either is there afterwards, and the work goes on."""
    backend = Interrupting(action)
    with pytest.raises(BackendUnavailableError, match="try again once that call has returned") as caught:
        backend.append("a", HI)
    assert (caught.value.retryable, caught.value.outcome) == (True, "not_applied")
    assert backend.list_sessions() == []
    backend.action = lambda _: None
    backend.append("a", HI)
    assert backend.load("a") == [HI]


def test_a_change_that_is_interrupted_is_undone() -> None:
    """Whatever is raised between two of its steps: messages, counts and revision are as they were."""

    def interrupt(_: MemoryBackend) -> None:
        raise KeyboardInterrupt

    backend = Interrupting(lambda _: None)
    backend.append("a", HI)
    before = backend.get_session_metadata("a")
    backend.action = interrupt
    with pytest.raises(KeyboardInterrupt):
        backend.append("a", HI)
    assert backend.get_session_metadata("a") == before
    assert backend.load("a") == [HI]


def test_a_turn_from_the_future_can_be_taken_over() -> None:
    """Where the clock went back since its last sign of life, ``stuck_after=0`` still takes any turn over."""
    record = SessionRecord.new(0)
    record.begin_turn("one", None)
    record.heartbeat_at = now() + 3_600_000_000
    record.begin_turn("two", 60)
    assert record.turn_id == "one"
    record.begin_turn("two", 0)
    assert record.turn_id == "two"


def test_what_a_handler_raises_is_not_the_systems() -> None:
    """`TimeoutError` is an `OSError`, but one without a number did not come from the operating system."""
    assert not is_systems(TimeoutError("too late"))
    assert is_systems(OSError(28, "No space left on device"))


@pytest.mark.parametrize(("applied", "outcome"), [(0, "not_applied"), (1, "unknown")])
def test_a_call_that_was_half_done_does_not_say_otherwise(applied: int, outcome: str) -> None:
    """What fails after some of it was applied has an unknown outcome."""
    with pytest.raises(BackendUnavailableError) as caught, partly(applied=applied):
        raise BackendUnavailableError("no")
    assert caught.value.outcome == outcome
