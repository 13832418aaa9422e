"""Several openings of one file: in one process, across forks, beside readers that may not write, after an interrupt."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, SessionQuery, decode_message
from sessionkit_sqlite import SQLiteBackend, store, terms
from sessionkit_sqlite.opening import connect_live

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

APPEND_ONE = """
import sys
from sessionkit import ChatMessage
from sessionkit_sqlite import SQLiteBackend
with SQLiteBackend(sys.argv[1]) as backend:
    backend.append("k", ChatMessage.user(sys.argv[2]))
"""


def append_in_another_process(path: Path, text: str) -> None:
    """A process that opens, appends and closes."""
    subprocess.run([sys.executable, "-c", APPEND_ONE, str(path), text], check=True)


def contents(backend: SQLiteBackend) -> list[object]:
    """The texts of session k."""
    return [message.content for message in backend.load("k")]


def test_a_second_opening_in_one_process_harms_no_lock(path: Path) -> None:
    """Opening and closing the file again in a process leaves its first connection's locks alone.

    POSIX drops them all when any descriptor of the file is closed; then the next process to close takes itself for
    the last, removes the log, and what the first goes on writing is lost.
    """
    with SQLiteBackend(path) as first:
        first.append("k", ChatMessage.user("1"))
        SQLiteBackend(path).close()
        SQLiteBackend(path, mode="ro").close()
        append_in_another_process(path, "2")
        first.append("k", ChatMessage.user("3"))
        append_in_another_process(path, "4")
        assert contents(first) == ["1", "2", "3", "4"]
    with SQLiteBackend(path) as again:
        assert contents(again) == ["1", "2", "3", "4"]


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("first_to_close", ["parent", "child"])
def test_either_side_of_a_fork_may_close_first(path: Path, first_to_close: str) -> None:
    """Parent and child each go on writing after the other has closed, and nothing acknowledged is lost."""
    backend = SQLiteBackend(path)
    backend.append("k", ChatMessage.user("before"))
    turn, answer = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            backend.append("k", ChatMessage.user("child 1"))
            if first_to_close == "child":
                backend.close()
            os.write(answer[1], b".")
            os.read(turn[0], 1)
            if first_to_close == "parent":
                backend.append("k", ChatMessage.user("child 2"))
                backend.close()
            status = 0
        finally:
            os._exit(status)
    os.read(answer[0], 1)
    backend.append("k", ChatMessage.user("parent 1"))
    if first_to_close == "parent":
        backend.close()
    os.write(turn[1], b".")
    assert os.waitpid(child, 0)[1] == 0
    if first_to_close == "child":
        backend.append("k", ChatMessage.user("parent 2"))
        backend.close()
    for descriptor in (*turn, *answer):
        os.close(descriptor)
    with SQLiteBackend(path) as again:
        last = "child 2" if first_to_close == "parent" else "parent 2"
        assert contents(again) == ["before", "child 1", "parent 1", last]


def test_reading_at_rest_leaves_no_trace(path: Path) -> None:
    """``mode=ro`` creates nothing beside a store that nobody has open, even where it could."""
    with SQLiteBackend(path) as writer:
        writer.append("k", ChatMessage.user("1"))
    before = {file.name: file.stat().st_mtime_ns for file in path.parent.iterdir()}
    with SQLiteBackend(path, mode="ro") as reader:
        assert contents(reader) == ["1"]
        assert reader.search(SessionQuery("1"))
    assert {file.name: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before


def test_a_reader_opened_at_rest_bears_a_later_writer(path: Path) -> None:
    """A sound store is never called damaged because somebody writes to it after a reader has opened it."""
    with SQLiteBackend(path) as writer:
        writer.write("k", append=[ChatMessage.user("x" * 3000)] * 200)
    with SQLiteBackend(path, mode="ro") as reader:
        assert len(reader.load("k")) == 200
        for count in range(1, 6):
            with SQLiteBackend(path) as writer:
                writer.clear_messages("k")
                writer.write("k", append=[ChatMessage.user("y" * 2000)] * (50 * count))
                assert len(reader.load("k")) == 50 * count
                writer.compact("k")
            assert len(reader.load("k")) == 50 * count


def test_short_lived_processes_index_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Openings that each append less than it takes to look for a batch still leave the index short of one batch."""
    monkeypatch.setattr(terms, "BATCH", 50)
    for i in range(30):
        with SQLiteBackend(path) as backend:
            for _ in range(10):
                backend.append("k", ChatMessage.user(f"word{i}"))
    with SQLiteBackend(path, mode="ro") as reader, reader._store.reading as connection:
        assert terms._waiting(connection) < 2 * 50


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_interrupted_writers_end_and_harm_nobody(path: Path) -> None:
    """Processes stopped by Ctrl-C close their stores and end; what they had acknowledged is there, and others go on."""
    script = """
import signal, sys
from sessionkit import ChatMessage
from sessionkit_sqlite import SQLiteBackend
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have had us ignore
done = 0
try:
    with SQLiteBackend(sys.argv[1]) as backend:
        print("open", flush=True)
        while True:
            backend.append(sys.argv[2], ChatMessage.user(str(done)))
            done += 1
except KeyboardInterrupt:
    print(done)
"""
    with SQLiteBackend(path) as other:
        for i in range(8):
            writer = subprocess.Popen(
                [sys.executable, "-c", script, str(path), str(i)], stdout=subprocess.PIPE, text=True
            )
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            time.sleep(0.01 * i)
            writer.send_signal(signal.SIGINT)
            try:
                printed, _ = writer.communicate(timeout=60)
            finally:
                writer.kill()  # or one that does not end would append for ever
            assert writer.returncode == 0
            acknowledged = int(printed)
            other.append("k", ChatMessage.user(str(i)))
            assert acknowledged <= len(other.load(str(i))) <= acknowledged + 1


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_while_threads_open_and_close(path: Path) -> None:
    """A backend that another thread is just opening is not half open in the child; nothing acknowledged is lost."""
    stop = threading.Event()
    acknowledged = [0, 0]

    def reopen(number: int) -> None:
        while not stop.is_set():
            with SQLiteBackend(path) as own:
                for _ in range(20):
                    own.append(f"thread {number}", ChatMessage.user(str(acknowledged[number])))
                    acknowledged[number] += 1

    with SQLiteBackend(path) as backend:
        threads = [threading.Thread(target=reopen, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for i in range(30):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    backend.append("k", ChatMessage.user(str(i)))
                    backend.close()
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert contents(backend) == [str(i) for i in range(30)]
        for number, count in enumerate(acknowledged):
            assert [m.content for m in backend.load(f"thread {number}")] == [str(i) for i in range(count)]


def test_a_link_is_the_file_that_it_leads_to(path: Path) -> None:
    """By whichever name a store is opened, it is one: the same locks, the same log, its owner's only."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with SQLiteBackend(link) as by_link, SQLiteBackend(path) as by_name:
        by_link.append("k", ChatMessage.user("1"))
        by_name.append("k", ChatMessage.user("2"))
        with SQLiteBackend(link, mode="ro") as reader:
            assert contents(reader) == ["1", "2"]
        names = {file.name for file in path.parent.iterdir()}
        assert names == {"link.db", *(path.name + ending for ending in ("", "-lock", "-shm", "-wal"))}
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_reader_gives_no_mixture(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store at rest that is written in the middle of a `load` is an error to try again, never half old, half new."""
    with SQLiteBackend(path) as writer:
        writer.write("k", append=[ChatMessage.user(f"old {i}") for i in range(2000)])
    decoded = 0

    def decode_while_somebody_writes(raw: bytes) -> ChatMessage:
        nonlocal decoded
        decoded += 1
        if decoded == 50:
            new = "from sessionkit import *; from sessionkit_sqlite import SQLiteBackend; import sys\n"
            new += "with SQLiteBackend(sys.argv[1]) as b:\n"
            new += "    b.write('k', drop_last=2000, append=[ChatMessage.user(f'new {i}') for i in range(2000)])"
            subprocess.run([sys.executable, "-c", new, str(path)], check=True)
        return decode_message(raw)

    with SQLiteBackend(path, mode="ro") as reader:
        monkeypatch.setattr("sessionkit_sqlite.backend.decode_message", decode_while_somebody_writes)
        with pytest.raises(BackendUnavailableError) as caught:
            reader.load("k")
        assert caught.value.retryable
        assert contents(reader) == [f"new {i}" for i in range(2000)]


def test_a_reader_gives_no_mixture_to_threads_either(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another thread opens the changed store anew as soon as the first is through."""
    with SQLiteBackend(path) as writer:
        writer.write("k", append=[ChatMessage.user(f"old {i}") for i in range(2000)])

    class SlowToReturn(dict[None, object]):
        """Nobody holds it any more, and the scheduler takes its turn."""

        def clear(self) -> None:
            super().clear()
            time.sleep(0.2)

    decoded = 0
    with SQLiteBackend(path, mode="ro") as reader:
        others = threading.Thread(target=reader.list_sessions)

        def decode_while_somebody_writes(raw: bytes) -> ChatMessage:
            nonlocal decoded
            decoded += 1
            if decoded == 50:
                append_in_another_process(path, "more")
                others.start()
                while not reader._store.reading.waiting:
                    time.sleep(0.001)
            return decode_message(raw)

        monkeypatch.setattr("sessionkit_sqlite.backend.decode_message", decode_while_somebody_writes)
        reader._store.reading.holder = SlowToReturn()
        with pytest.raises(BackendUnavailableError):
            reader.load("k")
        others.join()
        assert len(contents(reader)) == 2001


def test_a_reader_beside_a_writer_of_its_own_process_harms_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log's index can't be had for a moment, a reader waits for it, and copies nothing that is open here."""
    with SQLiteBackend(path) as writer:
        writer.append("k", ChatMessage.user("1"))
        failing = iter([True] * 150)

        def sometimes(path: Path, timeout: float) -> sqlite3.Connection | None:
            return None if next(failing, False) else connect_live(path, timeout)

        monkeypatch.setattr(store, "connect_live", sometimes)
        with SQLiteBackend(path, mode="ro") as reader:
            assert reader._store.reading.connection is not None
            append_in_another_process(path, "2")
            writer.append("k", ChatMessage.user("3"))
            append_in_another_process(path, "4")
            assert contents(reader) == contents(writer) == ["1", "2", "3", "4"]


def test_opening_to_read_while_others_are_opened(path: Path) -> None:
    """A reader looks whether its own process writes to the file; openings meanwhile don't disturb it."""
    opened: list[SQLiteBackend] = []

    class OpensAnother:
        """In the place of a path."""

        def __eq__(self, _other: object) -> bool:
            opened.append(SQLiteBackend(path.with_name(f"{len(opened)}.db")))
            return False

        __hash__ = None  # type: ignore[assignment]

    SQLiteBackend(path).close()
    with SQLiteBackend(path.with_name("other.db")) as other:
        place, other._store.path = other._store.path, OpensAnother()  # type: ignore[assignment]
        SQLiteBackend(path, mode="ro").close()
        other._store.path = place
    assert opened
    for backend in opened:
        backend.close()


def test_a_file_system_without_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is made all the same, for its owner only, and nothing is left beside it."""

    def refuse(_source: str, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with SQLiteBackend(path) as backend:
        backend.append("k", ChatMessage.user("1"))
        assert path.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}-lock"}
