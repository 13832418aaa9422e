"""Opening, locking, forking, closing: one file under many users."""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionkit import (
    BackendClosedError,
    BackendUnavailableError,
    ChatMessage,
    SessionKitError,
    SessionQuery,
)
from sessionkit_sqlite import SQLiteBackend, schema, store

READ_AS_NOBODY = """
import os, sys, tempfile  # imported while the files of Python may be read, wherever they are
from sessionkit import *
from sessionkit_sqlite import SQLiteBackend
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
with SQLiteBackend(sys.argv[1], mode="ro") as backend:
    assert len(backend.load("k")) == 50, len(backend.load("k"))
    assert [s.key for s in backend.search(SessionQuery("hello 49"))] == ["k"]
    try:
        backend.append("k", ChatMessage.user("more"))
    except BackendUnavailableError as error:
        print("refused:", error)
"""

needs_posix = pytest.mark.skipif(not hasattr(os, "setuid"), reason="takes the rights of POSIX away")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="sessionkit-test-"))
    folder.chmod(0o755)
    yield folder
    for inner in (folder, *folder.rglob("*/")):
        inner.chmod(0o700)
    shutil.rmtree(folder)


def fill(backend: SQLiteBackend) -> None:
    """Fifty messages in session k."""
    for i in range(50):
        backend.append("k", ChatMessage.user(f"hello {i}"))


def read_as_nobody(path: Path) -> str:
    """What somebody sees who may not write there; raises where he can't read, or could write."""
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)
    before = sorted(path.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", READ_AS_NOBODY, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.parent.iterdir()) == before
    return done.stdout


@needs_posix
def test_a_live_store_is_read_where_it_may_not_be_written(public_folder: Path) -> None:
    """``mode=ro`` reads a store that somebody else is writing, and writes nothing."""
    with SQLiteBackend(public_folder / "a.db") as writer:
        fill(writer)
        assert "refused" in read_as_nobody(public_folder / "a.db")


@needs_posix
def test_a_store_at_rest_is_read_where_it_may_not_be_written(public_folder: Path) -> None:
    """``mode=ro`` reads a store that nobody has open, though SQLite may not make its log there."""
    with SQLiteBackend(public_folder / "a.db") as writer:
        fill(writer)
    assert "refused" in read_as_nobody(public_folder / "a.db")


@needs_posix
def test_a_log_without_its_index_is_read_where_it_may_not_be_written(public_folder: Path) -> None:
    """``mode=ro`` misses no message of a log that a crash or a copy left behind."""
    (public_folder / "copy").mkdir()
    with SQLiteBackend(public_folder / "a.db") as writer:
        fill(writer)
        for name in ("a.db", "a.db-wal"):
            shutil.copy(public_folder / name, public_folder / "copy")
    assert "refused" in read_as_nobody(public_folder / "copy" / "a.db")


def test_files_are_their_owners_only(path: Path) -> None:
    """Nobody else may read a conversation."""
    path = path.parent / "new" / "sessions.db"
    with SQLiteBackend(path) as backend:
        fill(backend)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_newer_layout_is_refused_unharmed(path: Path, mode: store.Mode) -> None:
    """A database of a later sessionkit is neither read wrongly nor changed."""
    SQLiteBackend(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    path.with_name(f"{path.name}-lock").unlink()
    with pytest.raises(BackendUnavailableError, match="newer sessionkit"):
        SQLiteBackend(path, mode=mode)
    assert path.read_bytes() == before
    if mode == "rw":  # only to read, SQLite makes its log where it may
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_another_programs_database_is_refused_unharmed(path: Path, mode: store.Mode) -> None:
    """Tables of somebody else are not mixed with ours."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BackendUnavailableError, match="another program"):
        SQLiteBackend(path, mode=mode)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_file_that_is_no_database_is_refused_unharmed(path: Path, mode: store.Mode) -> None:
    """Any other file is left as it is, with nothing made beside it."""
    path.write_text("a diary, not a database")
    with pytest.raises(BackendUnavailableError, match="no SQLite database"):
        SQLiteBackend(path, mode=mode)
    assert path.read_text() == "a diary, not a database"
    assert list(path.parent.iterdir()) == [path]


def test_read_only_creates_nothing(path: Path) -> None:
    """``mode=ro`` on a file that is not there is an error, and it still is not there."""
    with pytest.raises(BackendUnavailableError, match="does not exist"):
        SQLiteBackend(path, mode="ro")
    assert list(path.parent.iterdir()) == []


def test_a_relative_path_stays_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store opened by a relative path is the same file after the working directory has changed."""
    monkeypatch.chdir(path.parent)
    with SQLiteBackend(path.name) as backend:
        (path.parent / "elsewhere").mkdir()
        monkeypatch.chdir(path.parent / "elsewhere")
        fill(backend)
        assert len(backend.load("k")) == 50
        assert list(Path.cwd().iterdir()) == []


def test_twenty_first_openings_at_once(path: Path) -> None:
    """Processes that make the same store together all succeed."""
    script = "import sys; from sessionkit import *; from sessionkit_sqlite import SQLiteBackend\n"
    script += "with SQLiteBackend(sys.argv[1]) as b: b.append('k', ChatMessage.user(sys.argv[2]))"
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(path), str(i)], stderr=subprocess.PIPE, text=True)
        for i in range(20)
    ]
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 20
    with SQLiteBackend(path) as backend:
        assert sorted(int(str(m.content)) for m in backend.load("k")) == list(range(20))


def test_waiting_for_another_process_ends(path: Path) -> None:
    """A lock that is never released ends in our error, retryable, after ``busy_timeout``."""
    SQLiteBackend(path).close()
    script = "import sys, time; from sessionkit_sqlite.store import Store; from pathlib import Path\n"
    script += "s = Store(Path(sys.argv[1]), mode='rw', synchronous='normal', busy_timeout=5)\n"
    script += "with s.writing: print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        with pytest.raises(BackendUnavailableError) as caught:
            SQLiteBackend(path, busy_timeout=0.2)
        assert caught.value.retryable
        assert caught.value.outcome == "not_applied"
        assert 0.2 <= time.monotonic() - started < 5
    finally:
        holder.kill()
        holder.communicate()


def test_waiting_for_another_thread_ends(path: Path) -> None:
    """A thread that holds the connection for too long gives our error to the others."""
    with SQLiteBackend(path, busy_timeout=0.1) as backend:
        raised: list[BackendUnavailableError] = []

        def wait() -> None:
            with pytest.raises(BackendUnavailableError, match="another thread") as caught:
                backend.append("k", ChatMessage.user("x"))
            raised.append(caught.value)

        thread = threading.Thread(target=wait)
        with backend._store.writing:
            thread.start()
            thread.join()
        assert raised[0].retryable
        backend.append("k", ChatMessage.user("x"))


def test_a_foreign_lock_is_our_error(path: Path) -> None:
    """A program that locks the database itself, beside our lock file, is waited for no longer than agreed."""
    with SQLiteBackend(path, busy_timeout=0.2) as backend:
        foreign = sqlite3.connect(path, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendUnavailableError) as caught:
            backend.append("k", ChatMessage.user("x"))
        assert caught.value.retryable
        foreign.execute("ROLLBACK")
        foreign.close()
        backend.append("k", ChatMessage.user("x"))


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_in_the_middle_of_use(path: Path) -> None:
    """Children of a process whose threads are writing append to the same store, and harm nothing."""
    with SQLiteBackend(path) as backend:
        stop = threading.Event()

        def hammer() -> None:
            while not stop.is_set():
                backend.append("parent", ChatMessage.user("x"))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(10):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    backend.append("child", ChatMessage.user(str(i)))
                    status = 0 if backend.load("parent") else 2
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert [m.content for m in backend.load("child")] == [str(i) for i in range(10)]
        foreign = sqlite3.connect(path)
        assert foreign.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        foreign.close()


def test_closing_in_the_middle_of_use(path: Path) -> None:
    """Threads that are writing get our error; the interpreter lives; what was acknowledged is there."""
    backend = SQLiteBackend(path)
    acknowledged: list[int] = []
    surprises: list[BaseException] = []

    def hammer() -> None:
        try:
            for i in range(100_000):
                backend.append("k", ChatMessage.user("x"))
                acknowledged.append(i)
        except BackendClosedError:
            pass
        except SessionKitError as error:
            surprises.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    backend.close()
    for thread in threads:
        thread.join()
    assert surprises == []
    with SQLiteBackend(path) as again:
        assert len(again.load("k")) == len(acknowledged)


def test_a_dropped_backend_leaks_no_descriptor(path: Path) -> None:
    """Neither a backend that is dropped without `close` nor one that could not be opened keeps a file open."""
    descriptors = Path("/dev/fd")
    if not descriptors.exists():
        pytest.skip("this system does not list descriptors")
    with sqlite3.connect(path.with_name("theirs.db")) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()

    def use() -> None:
        with SQLiteBackend(path) as backend:
            fill(backend)
        with pytest.raises(BackendUnavailableError):
            SQLiteBackend(path.with_name("theirs.db"))
        dropped = SQLiteBackend(path)._store.writing
        assert dropped.connection is not None
        dropped.connection.close()  # Python 3.13 warns of one that is dropped

    use()
    gc.collect()
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        use()
        gc.collect()
    assert len(list(descriptors.iterdir())) <= before


def test_waiting_counts_once(path: Path) -> None:
    """A call that waits for a thread and then for a process waits ``busy_timeout`` in all, not twice."""
    with SQLiteBackend(path, busy_timeout=2) as backend, SQLiteBackend(path) as other:
        backend.append("k", ChatMessage.user("x"))
        started = time.monotonic()

        def hold_one_after_the_other() -> None:
            with other._store.writing:
                backend._store.writing.take(other)
                held.set()
                time.sleep(1.5)
                backend._store.writing.let_go(other)
                done.wait(30)

        held, done = threading.Event(), threading.Event()
        holder = threading.Thread(target=hold_one_after_the_other)
        holder.start()
        held.wait()
        with pytest.raises(BackendUnavailableError) as caught:
            backend.append("k", ChatMessage.user("x"))
        waited = time.monotonic() - started
        done.set()
        holder.join()
        assert caught.value.retryable
        assert str(path) in str(caught.value)
        assert 2 <= waited < 3.2  # twice would be 3.5


@pytest.mark.parametrize("option", [{"mode": "weird"}, {"synchronous": "off"}, {"busy_timeout": -1}])
def test_options_out_of_range(path: Path, option: dict[str, Any]) -> None:
    """A misspelt mode does not open the store for writing; nothing is created."""
    with pytest.raises(ValueError, match=next(iter(option))):
        SQLiteBackend(path, **option)
    assert list(path.parent.iterdir()) == []


def test_every_error_of_sqlite_is_ours(path: Path) -> None:
    """Whatever the driver raises, the caller gets an error of ours with it as the cause."""

    def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
        yield kind
        for inner in kind.__subclasses__():
            yield from subclasses(inner)

    with SQLiteBackend(path) as backend:
        for kind in subclasses(sqlite3.Error):
            with pytest.raises(SessionKitError) as caught, backend._store.reading:
                raise kind("boom")
            assert type(caught.value.__cause__) is kind


def test_an_unreadable_message_is_skipped_and_set_aside(path: Path) -> None:
    """One damaged row loses one message: `load` warns, `compact` keeps it in a table of its own."""
    with SQLiteBackend(path) as backend:
        fill(backend)
        backend.compact("k")
        foreign = sqlite3.connect(path)
        foreign.execute("UPDATE messages SET message = '{\"role' WHERE id & 0xFFFFFFFF = 3")
        foreign.commit()
        with pytest.warns(match="skipped, row"):
            assert len(backend.load("k")) == 49
        backend.compact("k")
        assert len(backend.load("k")) == 49
        metadata = backend.get_session_metadata("k")
        assert metadata is not None
        assert metadata.message_count == 49
        assert [s.key for s in backend.search(SessionQuery("hello 2"))] == []
        assert [s.key for s in backend.search(SessionQuery("hello 3"))] == ["k"]
        assert foreign.execute("SELECT message FROM corrupt_messages").fetchall() == [('{"role',)]
        backend.delete_session("k")
        assert foreign.execute("SELECT count(*) FROM corrupt_messages").fetchone() == (0,)
        foreign.close()
