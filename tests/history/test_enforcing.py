"""Keeping no more than so many sessions: which ones go, and which never do."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    OpenBackend,
    SessionBackend,
    SessionMetadata,
    SessionState,
    TimestampedMessage,
)
from sessionkit.history.history import SessionHistory
from sessionkit.history.session import Session
from sessionkit_memory import MemoryBackend
from tests.history.processes import Worker
from tests.history.sessions import ANSWERED, SAID, THANKED, keys, watched


@pytest.fixture
def history(backend: OpenBackend) -> SessionHistory:
    """A history in each kind of store."""
    return SessionHistory(backend)


def test_the_oldest_are_deleted(history: SessionHistory) -> None:
    """Sessions are deleted by their activity, the oldest first, until so many are left."""
    for name in "abcde":
        history.create_session(Session(name))
    history.append_messages("a", [SAID])
    assert history.enforce_max_sessions() == 0
    assert history.enforce_max_sessions(5) == 0
    assert history.enforce_max_sessions(3) == 2
    assert keys(history) == ["a", "e", "d"]
    assert history.enforce_max_sessions(1) == 2
    assert keys(history) == ["a"]


def test_a_running_session_is_never_deleted(history: SessionHistory, backend: OpenBackend) -> None:
    """The next older ones are; where all are running, more are left."""
    for name in "abcd":
        history.create_session(Session(name))
    for name in "ac":
        backend.set_session_state(name, "running", "t")
    history.append_messages("b", [SAID])
    history.append_messages("d", [SAID])
    assert history.enforce_max_sessions(3) == 1
    assert keys(history) == ["d", "c", "a"]
    assert history.enforce_max_sessions(1) == 1
    assert keys(history) == ["c", "a"]
    assert history.enforce_max_sessions(1) == 0


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda backend: backend.set_session_state("a", "running", "t"), id="turn"),
        pytest.param(lambda backend: backend.append("a", SAID), id="message"),
    ],
)
def test_what_comes_alive_just_then_is_spared(meddle: Callable[[Any], None]) -> None:
    """A session is looked at again before it is deleted, and where it came alive the next one goes in its place."""
    backend, history = watched()
    for name in "abc":
        history.create_session(Session(name))
    backend.after["list_sessions_with_metadata"] = lambda: meddle(backend.__wrapped__)
    assert history.enforce_max_sessions(2) == 1
    assert set(keys(history)) == {"a", "c"}


def test_what_others_delete_meanwhile_is_not_made_up_for() -> None:
    """As many as were too many are gone, and those that were deleted here are counted."""
    backend, history = watched()
    for name in "abcd":
        history.create_session(Session(name))
    backend.after["list_sessions_with_metadata"] = lambda: backend.__wrapped__.delete_session("a")
    assert history.enforce_max_sessions(2) == 1
    assert keys(history) == ["d", "c"]


class Meddled:
    """A backend at which somebody does something just before one of its calls.

    Attributes:
        calls: the names of the methods that were called.
    """

    def __init__(self, backend: SessionBackend, before_call: int, meddle: Callable[[], object]) -> None:
        self.__wrapped__: Any = backend
        self.calls: list[str] = []
        self._to_come = {before_call: meddle}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.__wrapped__, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._to_come.pop(len(self.calls), int)()
            self.calls.append(name)
            return method(*arguments, **options)

        return call


CALLS = ["search", "list_sessions_with_metadata", "get_session_metadata", "begin_turn", "get_session_metadata"]
"""What is called until the first session is known to be one that goes; then it is deleted."""


def meddled_with(before_call: int, meddle: Callable[[MemoryBackend], object]) -> tuple[MemoryBackend, int]:
    """A store with a, b and c, of which a is to go, unless the meddling is in the way; how many were deleted."""
    backend = MemoryBackend()
    for name in "abc":
        backend.append(name, SAID)
    backend.set_session_state("a", "error")
    for name in "bc":
        backend.append(name, SAID)
    watched: Any = Meddled(backend, before_call, lambda: meddle(backend))
    deleted = SessionHistory(watched).enforce_max_sessions(2)
    assert watched.calls[: before_call + 1] == [*CALLS, "delete_session"][: before_call + 1]
    return backend, deleted


@pytest.mark.parametrize("before_call", range(len(CALLS) + 1))
def test_no_turn_that_begins_meanwhile_is_deleted(before_call: int) -> None:
    """A turn that begins at any point is refused, or its session stays, running, with all it has."""
    began: list[str | None] = []

    def begin(backend: MemoryBackend) -> None:
        began.append(backend.begin_turn("a", "theirs").turn_id)

    backend, deleted = meddled_with(before_call, begin)
    assert deleted == 1
    if began == ["theirs"]:
        assert sorted(backend.list_sessions()) == ["a", "c"]
        assert backend.write("a", append=[SAID], if_turn="theirs")
        assert backend.load("a") == [SAID, SAID]
    else:
        assert sorted(backend.list_sessions()) == ["b", "c"]
    assert (began == ["theirs"]) is (before_call < len(CALLS) - 1)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda backend: backend.append("a", ANSWERED), id="message"),
        pytest.param(lambda backend: backend.update_last("a", THANKED), id="replaced"),
        pytest.param(lambda backend: backend.set_session_name("a", "a name"), id="name"),
        pytest.param(lambda backend: backend.delete_session("a") and backend.append("a", SAID), id="another"),
    ],
)
@pytest.mark.parametrize("before_call", range(2, len(CALLS)))
def test_what_changes_meanwhile_is_spared(before_call: int, change: Callable[[MemoryBackend], object]) -> None:
    """What changes before the last look keeps the session, which has its former state and can begin a turn."""
    before = 0
    metadata = None

    def meddle(backend: MemoryBackend) -> None:
        nonlocal before, metadata
        change(backend)
        before, metadata = len(backend.load("a")), backend.get_session_metadata("a")

    backend, deleted = meddled_with(before_call, meddle)
    assert deleted == 1
    assert sorted(backend.list_sessions()) == ["a", "c"]
    assert len(backend.load("a")) == before
    after = backend.get_session_metadata("a")
    assert after is not None
    assert metadata is not None
    assert after.name == metadata.name
    assert after.state in {"error", "idle"}
    assert backend.begin_turn("a", "theirs").turn_id == "theirs"


@pytest.mark.parametrize("before_call", range(2, len(CALLS) + 1))
def test_what_others_delete_meanwhile_is_gone(before_call: int) -> None:
    """It is not brought back, nor counted, nor another one deleted in its place."""
    backend, deleted = meddled_with(before_call, lambda backend: backend.delete_session("a"))
    assert deleted == 0
    assert sorted(backend.list_sessions()) == ["b", "c"]


@pytest.mark.parametrize("before_call", range(2, len(CALLS) + 1))
def test_of_two_who_enforce_none_deletes_for_the_other(before_call: int) -> None:
    """However they meet, no more sessions are deleted than are too many."""
    others: list[int] = []
    backend, deleted = meddled_with(
        before_call, lambda backend: others.append(SessionHistory(backend).enforce_max_sessions(2))
    )
    assert deleted + sum(others) == 1
    assert sorted(backend.list_sessions()) == ["b", "c"]


def test_what_keeps_it_from_deleting_leaves_no_turn_behind() -> None:
    """The error is raised, and the session has its former state."""

    def fail(_: object) -> None:
        msg = "the disk is full"
        raise BackendUnavailableError(msg, retryable=True, outcome="not_applied")

    for before_call in (len(CALLS) - 1, len(CALLS)):
        kept: list[MemoryBackend] = []

        def meddle(backend: MemoryBackend, kept: list[MemoryBackend] = kept) -> None:
            kept.append(backend)
            fail(backend)

        with pytest.raises(BackendUnavailableError, match="the disk is full"):
            meddled_with(before_call, meddle)
        [backend] = kept
        assert len(backend.list_sessions()) == 3
        state = backend.get_session_state("a")
        assert state is not None
        assert state.state == "error"


class WithoutTurns(MemoryBackend):
    """Memory in which no turn can be begun."""

    begin_turn = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] -- on purpose


def test_without_turns_the_oldest_are_deleted_all_the_same() -> None:
    """Where no turn can be begun, each is deleted after a look at it, as nothing better can be done."""
    backend = WithoutTurns()
    history = SessionHistory(backend)
    for name in "abcd":
        history.create_session(Session(name))
    backend.set_session_state("a", "running", "t")
    for name in "bcd":
        history.append_messages(name, [SAID])
    assert history.enforce_max_sessions(2) == 2
    assert keys(history) == ["d", "a"]


def test_without_turns_one_that_has_changed_is_spared() -> None:
    """Where no turn can be begun, a session that somebody has written to since the list was made is not deleted."""
    backend = WithoutTurns()
    for name in "abc":
        backend.append(name, SAID)
    meddled: Any = Meddled(backend, CALLS.index("get_session_metadata"), lambda: backend.append("a", SAID))
    assert SessionHistory(meddled).enforce_max_sessions(2) == 1
    assert sorted(backend.list_sessions()) == ["a", "c"]


TURNS = """
refused = 0
for number in range(150):
    try:
        with turn(backend, "a") as running:
            running.append(ChatMessage.user(str(number)))
            running.append(ChatMessage.assistant(str(number)))
            assert [message.content for message in running.load(last=2)] == [str(number)] * 2
    except TurnTakenError as error:
        assert error.turn_id.startswith("sessionkit.enforcing:")
        refused += 1
    backend.append("b", ChatMessage.user("so that the other one is older"))
say("ran", 150 - refused)
"""

ENFORCING = """
import threading
told = threading.Thread(target=wait_for_a_line)
told.start()
history, deleted = SessionHistory(backend), 0
say("ready")
while told.is_alive():
    deleted += history.enforce_max_sessions(1)
say(deleted)
"""


def test_no_turn_of_another_process_is_ever_deleted(url: str) -> None:
    """One process runs turns, each of which ends with what it wrote, while another one enforces all the time."""
    with Worker(url, ENFORCING) as enforcing, Worker(url, TURNS) as running:
        assert enforcing.hear() == "ready"
        [ran] = running.finish()
        enforcing.go_on()
        [deleted] = enforcing.finish()
    assert int(ran.removeprefix("ran ")) > 0
    assert int(deleted) > 0


@pytest.mark.parametrize(("most", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_limit_that_is_none(most: Any, kind: type[Exception], history: SessionHistory) -> None:
    """A limit that is no whole number of 1 or more is refused, and nothing is deleted."""
    history.create_session(Session())
    with pytest.raises(kind, match="max_sessions"):
        history.enforce_max_sessions(most)
    assert history.session_count() == 1


def test_a_session_of_one_who_died_enforcing_goes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that somebody was deleting when they died is not counted as gone for ever, but deleted by the next."""
    backend = MemoryBackend()
    for key in ("old", "new"):
        backend.append(key, ChatMessage("user", "hi"))
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    backend.restore(
        "dying",
        [TimestampedMessage(ChatMessage("user", "hi"), long_ago)],
        SessionMetadata(
            "dying",
            created_at=long_ago,
            state="running",
            turn_id="sessionkit.enforcing:dead",
            turn_started_at=long_ago,
            heartbeat_at=long_ago,
        ),
    )
    assert SessionHistory(backend).enforce_max_sessions(2) == 1
    assert sorted(backend.list_sessions()) == ["new", "old"]

    true_begin = MemoryBackend.begin_turn

    def begin_and_fail(*arguments: Any, **options: Any) -> SessionState:
        true_begin(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(MemoryBackend, "begin_turn", begin_and_fail)
    with pytest.raises(KeyboardInterrupt):
        SessionHistory(backend).enforce_max_sessions(1)
    assert backend.list_running_sessions() == []
