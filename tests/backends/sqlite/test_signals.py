"""A signal handler that uses the store in which its own thread is in the middle of a call: an answer, and at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from sessionkit import BackendClosedError, BackendUnavailableError, ChatMessage
from sessionkit_sqlite import SQLiteBackend, connected

X = ChatMessage.user("x")

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signals")


@contextmanager
def on_signal(handler: Callable[[], object]) -> Generator[list[BaseException]]:
    """The handler of SIGUSR1; what it raised is kept."""
    raised: list[BaseException] = []

    def handle(_number: int, _frame: FrameType | None) -> None:
        try:
            handler()
        except Exception as error:  # noqa: BLE001 -- looked at by the test
            raised.append(error)

    earlier = signal.signal(signal.SIGUSR1, handle)
    try:
        yield raised
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def send() -> None:
    """The signal, to this very thread; it has been handled when this ends."""
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)


@pytest.fixture
def endless(path: Path) -> Iterator[SQLiteBackend]:
    """A store that waits for others as long as it can."""
    with SQLiteBackend(path, busy_timeout=1_000_000) as backend:
        backend.append("k", X)
        yield backend


@pytest.mark.parametrize("call", ["append", "load"])
def test_a_handler_in_the_middle_of_a_call_is_refused(endless: SQLiteBackend, call: str) -> None:
    """With an error that says so and may be tried again; the interrupted call ends as ever."""
    calls: dict[str, Callable[[], object]] = {
        "append": lambda: endless.append("k", X),
        "load": lambda: endless.load("k"),
    }
    store = endless._store
    with on_signal(calls[call]) as raised:
        with store.writing if call == "append" else store.reading as connection:
            connection.execute("BEGIN")
            send()
            connection.execute("COMMIT")
        (error,) = raised
        assert isinstance(error, BackendUnavailableError)
        assert error.retryable
        assert error.outcome == "not_applied"
        assert "interrupted, by a signal handler" in str(error)
        raised.clear()
        send()
        assert raised == []


def test_a_handler_may_read_while_its_thread_writes(endless: SQLiteBackend) -> None:
    """The two connections are two; a handler that logs what it reads works."""
    read: list[int] = []
    with on_signal(lambda: read.append(len(endless.load("k")))) as raised:
        with endless._store.writing:
            send()
        assert (raised, read) == ([], [1])


def test_a_handler_at_every_step_of_a_write(path: Path) -> None:
    """Wherever it strikes, it either writes or is refused at once; everything acknowledged is there, once."""
    with SQLiteBackend(path, busy_timeout=1_000_000) as backend:
        acknowledged: list[str] = []
        text = iter(map(str, range(1_000_000)))

        def append(kind: str) -> None:
            content = f"{kind} {next(text)}"
            backend.append("k", ChatMessage.user(content))
            acknowledged.append(content)

        struck = 0
        with on_signal(lambda: append("handler")) as raised:
            for step in range(0, 200, 3):
                left = step

                def trace(frame: FrameType, _event: str, _argument: object) -> object:
                    nonlocal left, struck
                    if "sessionkit_sqlite" not in frame.f_code.co_filename:
                        return None
                    left -= 1
                    if left == 0:
                        struck += 1
                        sys.settrace(None)
                        send()
                    return trace

                earlier = sys.gettrace()
                sys.settrace(trace)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- it calls itself
                try:
                    append("outer")
                finally:
                    sys.settrace(earlier)
            assert {type(error) for error in raised} == {BackendUnavailableError}
        assert struck > 10
        assert sorted(acknowledged) == sorted(str(message.content) for message in backend.load("k"))


def test_a_handler_that_closes(path: Path) -> None:
    """It waits for nothing; the interrupted call ends as ever, and with it the file is closed."""
    backend = SQLiteBackend(path, busy_timeout=1_000_000)
    with on_signal(backend.close) as raised, backend._store.writing as connection:
        send()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert raised == []
    assert backend._store.writing.connection is None
    with pytest.raises(BackendClosedError):
        backend.append("k", X)
    assert not Path(f"{path}-wal").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_handler_that_forks(endless: SQLiteBackend, path: Path) -> None:
    """At once; the parent's call ends as ever; whatever the child does with that file is refused, and harms none."""
    outcomes: list[int] = []
    in_child = False

    def fork() -> None:
        nonlocal in_child
        child = os.fork()
        if child == 0:
            in_child = True
            return
        outcomes.append(os.waitpid(child, 0)[1])

    def refused(call: Callable[[], object]) -> bool:
        try:
            call()
        except BackendUnavailableError:
            return True
        return False

    with on_signal(fork):
        try:
            with endless._store.writing as connection:
                connection.execute("BEGIN IMMEDIATE")
                send()
                connection.execute("DELETE FROM messages")
                connection.execute("ROLLBACK")
        except BackendUnavailableError:
            assert in_child
    if in_child:  # which has come back from the handler, and goes on with the call it was forked in
        calls: list[Callable[[], object]] = [
            lambda: endless.append("k", X),
            lambda: endless.load("k"),
            lambda: SQLiteBackend(path),
        ]
        os._exit(0 if all(refused(call) for call in calls) else 1)
    assert outcomes == [0]
    assert not connected._lost
    endless.append("k", X)
    assert len(endless.load("k")) == 2
