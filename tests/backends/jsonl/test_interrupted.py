"""A signal handler in the middle of a call: one that calls the store, closes it or forks, and one that raises."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit.locks import acquire
from sessionkit_jsonl import JSONLBackend, files, log
from sessionkit_jsonl.names import file_name

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")


class StopError(Exception):
    """What a handler raises."""


@contextmanager
def at_each(name: str, monkeypatch: pytest.MonkeyPatch, module: Any, handler: Callable[[], object]) -> Generator[None]:
    """A real signal, once, just before the module's function is called; its handler calls this."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        handler()

    plain, left = getattr(module, name), [True]

    def signalled(*arguments: Any, **options: Any) -> Any:
        if left:
            left.clear()
            signal.raise_signal(signal.SIGUSR1)
        return plain(*arguments, **options)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, signalled)
            yield
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not left, "no signal came"


INNER: dict[str, Callable[[JSONLBackend], object]] = {
    "append": lambda backend: backend.append("s", YO),
    "compact": lambda backend: backend.compact("s"),
    "delete": lambda backend: backend.delete_session("s"),
    "another object": lambda backend: JSONLBackend(backend._folder.path).append("s", YO),
}


@pytest.mark.parametrize("call", INNER)
def test_a_handler_that_writes_the_same_session_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It says why, that it may try again, and that nothing was done; the interrupted call is done as ever."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    raised: list[BackendUnavailableError] = []

    def handler() -> None:
        with pytest.raises(BackendUnavailableError, match="a call of this thread is in the middle") as caught:
            INNER[call](backend)
        raised.append(caught.value)

    with at_each("append", monkeypatch, files, handler):
        backend.append("s", HI)
    assert [(error.retryable, error.outcome) for error in raised] == [(True, "not_applied")]
    assert backend.load("s") == [HI, HI]
    backend.append("s", YO)
    assert list(JSONLBackend(tmp_path).load("s")) == [HI, HI, YO]


def test_waiting_in_vain_for_a_process_removes_nothing(tmp_path: Path) -> None:
    """Who opened the file and could not lock it knows nothing of it, and leaves it as it is."""
    backend = JSONLBackend(tmp_path, lock_timeout=0)
    backend.append("s", HI)
    with (tmp_path / "s.jsonl").open("r+b") as file:
        acquire(file.fileno(), timeout=0)
        for store in (backend, JSONLBackend(tmp_path, lock_timeout=0)):
            with pytest.raises(BackendUnavailableError, match="another process"):
                store.append("s", YO)
    assert backend.load("s") == [HI]


def test_a_handler_may_read_and_write_other_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interrupted call has not locked is free; what is read is what was acknowledged."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    other = next(key for key in map(str, range(99)) if hash(key) % 32 != hash("s") % 32)
    seen: list[Any] = []

    def handler() -> None:
        backend.append(other, YO)
        seen.extend((backend.load("s"), backend.load(other), sorted(backend.list_sessions())))

    with at_each("append", monkeypatch, files, handler):
        backend.append("s", YO)
    assert seen == [[HI], [YO], sorted(["s", other])]
    assert backend.load("s") == [HI, YO]


def test_a_handler_waits_for_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a file whose last line is open asks for its lock, which the interrupted call has."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    with (tmp_path / "s.jsonl").open("ab") as file:
        file.write(b'{"role":"us')

    def handler() -> None:
        with pytest.raises(BackendUnavailableError, match="a call of this thread"):
            backend.load("s")

    with at_each("append", monkeypatch, files, handler):
        backend.append("s", YO)
    assert backend.load("s") == [HI, YO]


def test_a_handler_waits_for_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deletions share the file of revisions, and the one that is interrupted has it."""
    backend = JSONLBackend(tmp_path)
    other = next(key for key in map(str, range(99)) if hash(key) % 32 != hash("s") % 32)
    for key in ("s", other):
        backend.append(key, HI)

    def handler() -> None:
        with pytest.raises(BackendUnavailableError, match="a call of this thread"):
            backend.delete_session(other)

    with at_each("overwrite", monkeypatch, files, handler):
        assert backend.delete_session("s")
    assert backend.delete_session(other)


@pytest.mark.parametrize("at", ["append", "remove"])
def test_a_handler_may_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """The interrupted call is done, and its file is let go of."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    with at_each(at, monkeypatch, files, backend.close):
        if at == "append":
            backend.append("s", YO)
        else:
            backend.update_last("s", YO)
            backend.compact("s")
    again = JSONLBackend(tmp_path, lock_timeout=0)
    again.append("s", HI)
    assert again.load("s")[-2:] == [YO, HI]


def test_a_fork_in_a_handler_leaves_the_call_to_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's copy of it is an error; the message is there once, and both write on."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    children: list[int] = []

    def fork() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            children.append(os.fork())

    try:
        with at_each("append", monkeypatch, files, fork):
            backend.append("s", YO)
    except BackendUnavailableError as error:
        if children == [0]:
            good = error.outcome == "not_applied" and error.retryable
            backend.append("s", HI)
            os._exit(0 if good else 2)
        raise
    finally:
        if children == [0]:
            os._exit(1)
    _, status = os.waitpid(children[0], 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert backend.load("s").count(YO) == 1
    backend.append("s", YO)
    assert len(backend.load("s")) == 4


@pytest.mark.parametrize(
    ("module", "name"), [(files, "append"), (log, "record_line"), (files, "open_session"), (log, "release")]
)
def test_what_a_handler_raises_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    """Neither between threads nor between processes; what it interrupted is done or not."""
    backend = JSONLBackend(tmp_path, lock_timeout=0)

    def handler() -> None:
        raise StopError

    with at_each(name, monkeypatch, module, handler), pytest.raises(StopError):
        backend.append("s", HI)
    assert backend.load("s") in ([], [HI])
    JSONLBackend(tmp_path, lock_timeout=0).append("s", YO)
    failed: list[Exception] = []

    def write() -> None:
        try:
            backend.append("s", YO)
        except BackendUnavailableError as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert failed == []
    assert backend.load("s")[-2:] == [YO, YO]


def test_ctrl_c_anywhere_leaks_no_lock(tmp_path: Path) -> None:
    """A signal at a random moment of an append, over and over: another thread, and another object, write on at once."""
    backend = JSONLBackend(tmp_path, lock_timeout=0.5)
    stopped = 0

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise StopError

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for turn in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + turn % 40 * 0.000004)
                for _ in range(60):
                    backend.append("s", HI)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except StopError:
                stopped += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert [slot for slot in backend._slots._slots if slot.key is not None] == []
            done: list[bool] = []
            thread = threading.Thread(target=_all_free, args=(backend, done))
            thread.start()
            thread.join()
            assert done == [True]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stopped > 100
    JSONLBackend(tmp_path, lock_timeout=0).append("s", YO)
    assert (tmp_path / file_name("s")).read_bytes().endswith(b"\n")


def _all_free(backend: JSONLBackend, done: list[bool]) -> None:
    """Whether this thread can have every lock."""
    for slot in backend._slots._slots:
        if not slot.lock.acquire(blocking=False):
            done.append(False)
            return
        slot.lock.release()
    done.append(True)
