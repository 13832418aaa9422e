"""The store as a whole: opening, reading only, closing, costs, and space."""

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionkit
from sessionkit import (
    BackendClosedError,
    BackendUnavailableError,
    BackendURLError,
    ChatMessage,
    CorruptRecordWarning,
    SessionContext,
    SessionMetadata,
    capabilities,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS
from sessionkit_jsonl import JSONLBackend, files

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")


def test_every_method_is_native(tmp_path: Path) -> None:
    """All eighteen methods and all optional protocols are the backend's own."""
    own = capabilities(JSONLBackend(tmp_path))
    assert set(own.methods.values()) == {sessionkit.Support.NATIVE}
    assert own.protocols == set(OPTIONAL_PROTOCOLS)


def test_urls_open_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes are relative, four absolute; options stand in the query; a moved process finds its store."""
    monkeypatch.chdir(tmp_path)
    with sessionkit.open_backend("jsonl:///chats/deep?lock_timeout=0.5&fsync=true") as backend:
        backend.append("s", HI)
        monkeypatch.chdir("/")
        assert backend.load("s") == [HI]
    with sessionkit.open_backend(f"jsonl:///{tmp_path}/chats/deep?mode=ro") as backend:
        assert backend.load("s") == [HI]


@pytest.mark.parametrize("url", ["jsonl://", "jsonl:///", "jsonl://host/dir", "jsonl:///a%00b", "jsonl:///d?mode=rx"])
def test_urls_that_name_no_folder_are_refused(url: str) -> None:
    """A host, no folder, or an unknown mode is an error before anything is created."""
    with pytest.raises(BackendURLError):
        sessionkit.open_backend(url)


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    """A store in a file, or below one, can't be opened; the error says so and nothing is changed."""
    (tmp_path / "file").write_text("text")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BackendUnavailableError, match="folder"):
            JSONLBackend(path)
        with pytest.raises(BackendUnavailableError, match="folder"):
            JSONLBackend(path, mode="ro")
    assert (tmp_path / "file").read_text() == "text"


def test_reading_only_never_writes(tmp_path: Path) -> None:
    """With ``mode=ro`` nothing is written, whatever is called, and all reading works, torn tails included."""
    with pytest.raises(BackendUnavailableError):
        JSONLBackend(tmp_path / "missing", mode="ro")
    assert not (tmp_path / "missing").exists()
    with JSONLBackend(tmp_path) as writer:
        writer.append("s", HI)
    with (tmp_path / "s.jsonl").open("a") as file:
        file.write('{"role":"us')
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    with JSONLBackend(tmp_path, mode="ro") as reader:
        assert reader.load("s") == [HI]
        assert reader.list_sessions() == ["s"]
        for call in (
            lambda: reader.append("s", YO),
            lambda: reader.append("new", YO),
            lambda: reader.remove_last("s"),
            lambda: reader.update_last("s", YO),
            lambda: reader.clear_messages("s"),
            lambda: reader.compact("s"),
            lambda: reader.delete_session("s"),
            lambda: reader.set_session_name("s", "n"),
            lambda: reader.set_session_state("s", "idle"),
            lambda: reader.set_session_context("s", SessionContext("c")),
            lambda: reader.write("s", append=[YO]),
            lambda: reader.begin_turn("s", "t"),
            lambda: reader.set_turn_state("s", "t", "running"),
            lambda: reader.restore("new", [], SessionMetadata("new")),
        ):
            with pytest.raises(BackendUnavailableError, match="mode=ro"):
                call()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


def test_refused_calls_leave_no_file(tmp_path: Path) -> None:
    """A call that would have created a session and is refused leaves no file behind."""
    with JSONLBackend(tmp_path) as backend:
        with pytest.raises(sessionkit.ConflictError):
            backend.write("s", append=[HI], if_revision=5)
        with pytest.raises(ValueError, match="can't be dropped"):
            backend.write("s", append=[HI], drop_last=1)
        backend.set_session_name("s", "")
        backend.set_session_context("s", SessionContext(channel_id=""))
        assert backend.write("s") == 0
        assert not backend.delete_session("s")
        assert list(tmp_path.iterdir()) == []


def test_a_closed_backend_is_closed(tmp_path: Path) -> None:
    """Every call after `close` is refused; closing twice is fine; no file stays open."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    backend.close()
    backend.close()
    for call in (backend.load, backend.remove_last, backend.get_session_metadata, backend.delete_session):
        with pytest.raises(BackendClosedError):
            call("s")
    for listing in (backend.list_sessions, backend.list_running_sessions):
        with pytest.raises(BackendClosedError):
            listing()
    assert _open_files(tmp_path) == []


def test_a_backend_that_is_dropped_keeps_no_file(tmp_path: Path) -> None:
    """Where nobody called `close`, the files go with the object, and without a warning: nothing of theirs was lost."""
    backend = JSONLBackend(tmp_path)
    for number in range(3):
        backend.append(f"s{number}", HI)
    assert _open_files(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del backend
        gc.collect()
    assert _open_files(tmp_path) == []
    assert caught == []


def test_a_backend_that_outlives_the_modules_is_silent(tmp_path: Path) -> None:
    """Where the interpreter ends and nobody called `close`, nothing is printed, however late the object goes."""
    code = """
import os, sys
from sessionkit import ChatMessage
from sessionkit_jsonl import JSONLBackend
os.kept = JSONLBackend(sys.argv[1])
os.kept.append("s", ChatMessage("user", "hi"))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")


def _open_files(folder: Path) -> list[str]:
    """The files of the folder that this process has open."""
    return [target for link in Path("/proc/self/fd").iterdir() if str(folder) in (target := _target(link))]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the descriptor of the listing itself
        return ""


def test_open_files_are_bounded(tmp_path: Path) -> None:
    """However many sessions are written to, few files stay open."""
    with JSONLBackend(tmp_path) as backend:
        for number in range(200):
            backend.append(f"s{number}", HI)
        assert len(_open_files(tmp_path)) <= 32
        assert len(backend.list_sessions()) == 200


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each reading of a file took."""
    amounts: list[int] = []
    read = files.read

    def counted(descriptor: int, start: int, end: int) -> bytes:
        amounts.append(end - start)
        return read(descriptor, start, end)

    monkeypatch.setattr(files, "read", counted)
    return amounts


def test_what_is_flat_is_flat(tmp_path: Path, bytes_read: list[int]) -> None:
    """In a store just opened, no call whose cost is to be flat reads more of a long session than of a short one."""
    with JSONLBackend(tmp_path) as backend:
        for key, length in (("short", 200), ("long", 5_000)):
            backend.write(key, attributes={"a": 1})
            for number in range(length):
                backend.append(key, ChatMessage("user", f"message {number:05} {'x' * 100}"))
    steps: list[Callable[[JSONLBackend, str], object]] = [
        lambda backend, key: backend.get_session_metadata(key),
        lambda backend, key: backend.load_with_timestamps(key, last=20),
        lambda backend, key: backend.append(key, HI),
        lambda backend, key: backend.update_last(key, YO),
        lambda backend, key: backend.remove_last(key),
        lambda backend, key: backend.remove_last(key),
        lambda backend, key: backend.set_session_state(key, "running", "t"),
    ]

    def costs(key: str) -> list[int]:
        found: list[int] = []
        with JSONLBackend(tmp_path) as backend:
            for step in steps:
                bytes_read.clear()
                step(backend, key)
                found.append(sum(bytes_read))
        return found

    short = costs("short")
    assert max(short) < 40_000
    assert costs("long") == [pytest.approx(cost, rel=0.2) for cost in short]
    with JSONLBackend(tmp_path) as backend:
        bytes_read.clear()
        assert backend.list_sessions() == ["long", "short"]
        assert len(backend.list_sessions_with_metadata()) == 2
    assert sum(bytes_read) < 4 * 40_000


def test_a_large_revision_can_be_restored(tmp_path: Path) -> None:
    """A restored revision, however large, is kept, goes on, and is never reached again after deletion."""
    huge = 2**53 - 1
    with JSONLBackend(tmp_path) as backend:
        backend.restore("s", [], SessionMetadata("s", revision=huge))
        assert backend.write("s", append=[HI], if_revision=huge) == huge + 1
        backend.delete_session("s")
        assert backend.write("s", append=[HI]) > huge + 1


def test_metadata_that_can_not_be_stored_is_refused(tmp_path: Path) -> None:
    """Restoring a session whose name no file can hold is an error, and nothing is created."""
    with JSONLBackend(tmp_path) as backend:
        with pytest.raises(ValueError, match="lone surrogate"):
            backend.restore("s", [], SessionMetadata("s", name="\ud800"))
        assert list(tmp_path.iterdir()) == []


def test_cleanup_leaves_damaged_files(tmp_path: Path) -> None:
    """A file that can't be read is not cleaned up: nobody knows how long ago its session was active."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        (tmp_path / "bad.jsonl").write_text("rubbish\n")
        with pytest.warns(CorruptRecordWarning):
            assert backend.cleanup_stale(0) == 1
        assert [path.name for path in tmp_path.glob("*.jsonl")] == ["bad.jsonl"]


def test_streaming_leaves_no_giant_file(tmp_path: Path) -> None:
    """An answer that grows 500 times takes about the space of its last, not of all, and is right at each step."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.append("s", YO)
        largest = 0
        for number in range(500):
            answer = ChatMessage("assistant", "word " * number * 4)
            assert backend.update_last("s", answer)
            largest = max(largest, (tmp_path / "s.jsonl").stat().st_size)
            if number % 50 == 0:
                assert backend.load("s") == [HI, answer]
        assert largest < 400_000  # of 2.5 million that were written
        first, last = backend.load_with_timestamps("s")
        assert first.created_at is not None
        assert last.created_at is not None
        assert first.created_at <= last.created_at


def test_heartbeats_leave_no_giant_file(tmp_path: Path) -> None:
    """A turn of thousands of heartbeats takes no more space than what is worth writing anew."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        for _ in range(3_000):
            backend.set_session_state("s", "running", "turn")
        assert (tmp_path / "s.jsonl").stat().st_size < 400_000
        assert backend.load("s") == [HI]


def test_compact_reclaims_everything(tmp_path: Path) -> None:
    """After `compact` the file holds a header and a line a message; times, counts and revision are as before."""
    with JSONLBackend(tmp_path) as backend:
        for number in range(100):
            backend.append("s", ChatMessage("user", str(number)))
            if number % 3:
                backend.update_last("s", YO)
            if number % 5 == 0:
                backend.remove_last("s")
        backend.set_session_name("s", "name")
        before = backend.get_session_metadata("s"), backend.load_with_timestamps("s")
        backend.compact("s")
        assert (backend.get_session_metadata("s"), backend.load_with_timestamps("s")) == before
        assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 1 + len(before[1])
        backend.clear_messages("s")
        backend.compact("s")
        assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 2
        assert backend.list_sessions() == ["s"]


def test_what_a_crash_left_of_compacting_is_no_session(tmp_path: Path) -> None:
    """A half-written replacement is neither read nor listed, and goes with the next one."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.update_last("s", YO)
        (tmp_path / "s.jsonl.tmp").write_text('{"role":"user","content":"half')
        assert backend.load("s") == [YO]
        assert backend.list_sessions() == ["s"]
        backend.compact("s")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl"]


def test_closing_waits_no_longer_than_a_write(tmp_path: Path) -> None:
    """A thread that never gives its session back, as one that Ctrl-C has struck, does not keep `close` for ever."""
    backend = JSONLBackend(tmp_path, lock_timeout=0.01)
    backend.append("s", ChatMessage("user", "hi"))
    for slot in backend._slots._slots:
        slot.lock.acquire()
    backend.close()
    with pytest.raises(BackendClosedError):
        backend.load("s")
