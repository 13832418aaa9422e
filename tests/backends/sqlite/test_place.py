"""A file that is deleted, moved or replaced while it is open: nothing is acknowledged that goes nowhere."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit_sqlite import SQLiteBackend, place, store

X = ChatMessage.user("x")


def _replace(path: Path) -> None:
    with SQLiteBackend(path.with_name("other.db")) as other:
        other.append("k", ChatMessage.user("the other file's"))
    path.with_name("other.db").replace(path)


def _replace_with_link(path: Path) -> None:
    os.link(path, path.with_name("another name"))
    _replace(path)


TAKEN_AWAY: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "moved": lambda path: path.rename(path.with_name("elsewhere.db")),
    "replaced": _replace,
    "replaced, with another name left": _replace_with_link,
    "replaced by a copy": lambda path: (shutil.copy(path, f"{path}.copy"), Path(f"{path}.copy").replace(path)),
}
CALLS: dict[str, Callable[[SQLiteBackend], object]] = {
    "append": lambda backend: backend.append("k", X),
    "update_last": lambda backend: backend.update_last("k", X),
    "state": lambda backend: backend.set_session_state("k", "running", "t"),
    "load": lambda backend: backend.load("k"),
    "list": lambda backend: backend.list_sessions(),
}


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("taken_away", TAKEN_AWAY)
@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_is_gone_is_said(
    path: Path, backend: SQLiteBackend, call: str, taken_away: str, monkeypatch: pytest.MonkeyPatch, *, portable: bool
) -> None:
    """The very next call of either kind does nothing, says why, and so does each one after."""
    if portable:
        monkeypatch.setattr(place, "_HARMLESS", None)
    backend.append("k", X)
    backend.load("k")
    TAKEN_AWAY[taken_away](path)
    for _ in range(3):
        with pytest.raises(BackendUnavailableError, match="deleted, moved or replaced") as caught:
            CALLS[call](backend)
        assert caught.value.outcome == "not_applied"
        assert not caught.value.retryable


def test_a_file_that_comes_back_is_used_again(path: Path, backend: SQLiteBackend) -> None:
    """Nothing was written meanwhile, so nothing is missing."""
    backend.append("k", X)
    path.rename(path.with_name("elsewhere.db"))
    with pytest.raises(BackendUnavailableError):
        backend.append("k", X)
    path.with_name("elsewhere.db").rename(path)
    backend.append("k", X)
    assert len(backend.load("k")) == 2


@pytest.mark.skipif(place._HARMLESS is None, reason="where each call looks at the path anyway")
def test_a_folder_that_was_moved_is_noticed_soon(path: Path) -> None:
    """The file knows nothing of it: a writer sees it within so many writes, which stand in the file."""
    folder = path.parent / "folder"
    with SQLiteBackend(folder / "a.db") as backend:
        backend.append("k", X)
        folder.rename(path.parent / "moved")
        acknowledged = 1
        with suppress(BackendUnavailableError):
            for _ in range(place.LOOK_EVERY * 2):
                backend.append("k", X)
                acknowledged += 1
        assert acknowledged <= place.LOOK_EVERY
    with SQLiteBackend(path.parent / "moved" / "a.db") as moved:
        assert len(moved.load("k")) == acknowledged


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_folder_that_was_replaced_is_noticed_by_who_only_reads(path: Path, mode: store.Mode) -> None:
    """Within so many calls; who has nothing to lose then reads the new one."""
    folder = path.parent / "folder"
    with SQLiteBackend(folder / "a.db") as writer, SQLiteBackend(folder / "a.db", mode=mode) as reader:
        writer.append("k", X)
        assert [len(reader.load("k")) for _ in range(3)] == [1, 1, 1]
        folder.rename(path.parent / "moved")
        with SQLiteBackend(folder / "a.db") as other:
            other.append("k", ChatMessage.user("the other file's"))
            seen: set[str] = set()
            with suppress(BackendUnavailableError):
                for _ in range(place.LOOK_EVERY):
                    seen = {message.text for message in reader.load("k")}
                assert mode == "ro"
            assert seen == ({"x"} if mode == "rw" else {"the other file's"})


def test_a_backup_of_hard_links_keeps_nobody_out(path: Path) -> None:
    """As `cp -al` makes it, of a store that nobody has open; what has the lock file's other name is not written."""
    with SQLiteBackend(path) as backend:
        backend.append("k", X)
    mark = Path(f"{path}-lock").read_bytes()
    backup = path.with_name("backup-lock")
    os.link(f"{path}-lock", backup)
    with SQLiteBackend(path) as backend:
        backend.append("k", X)
        with SQLiteBackend(path) as other:
            other.append("k", X)
        assert len(backend.load("k")) == 3
    assert backup.read_bytes() == mark
    assert Path(f"{path}-lock").stat().st_nlink == 1


def test_another_name_of_an_open_log_keeps_its_users_going(path: Path) -> None:
    """A backup program may give it one at any time; whoever comes then is told when to see to it."""
    with SQLiteBackend(path) as backend:
        backend.append("k", X)
        backend.load("k")
        os.link(f"{path}-wal", path.with_name("backup-wal"))
        backend.append("k", X)
        assert len(backend.load("k")) == 2
        with pytest.raises(BackendUnavailableError, match=r"-wal .*while nobody has the store open"):
            SQLiteBackend(path)
    with SQLiteBackend(path) as backend:
        assert len(backend.load("k")) == 2


def test_a_reader_goes_on_with_the_new_file(path: Path, backend: SQLiteBackend) -> None:
    """What is opened to read only is opened anew, for it has nothing to lose."""
    backend.append("k", X)
    with SQLiteBackend(path, mode="ro") as reader:
        assert len(reader.load("k")) == 1
        backend.close()
        for beside in ("-wal", "-shm"):  # which belong to the old file: SQLite would take them for the new one's
            Path(f"{path}{beside}").unlink(missing_ok=True)
        _replace(path)
        assert [message.content for message in reader.load("k")] == ["the other file's"]
        path.unlink()
        with pytest.raises(BackendUnavailableError, match="does not exist"):
            reader.load("k")


def test_a_log_that_is_deleted_is_brought_home(path: Path, backend: SQLiteBackend) -> None:
    """A writer notices soon, and says so; every message that it had acknowledged is in the file then."""
    backend.append("k", X)
    Path(f"{path}-wal").unlink()
    acknowledged = 1
    with suppress(BackendUnavailableError):
        while acknowledged <= place.LOOK_EVERY:
            backend.append("k", X)
            acknowledged += 1
    for _ in range(3):
        with pytest.raises(BackendUnavailableError, match="-wal was deleted or replaced"):
            backend.append("k", X)
    assert 1 < acknowledged <= place.LOOK_EVERY
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as alone:
        assert alone.execute("SELECT count(*) FROM messages").fetchone() == (acknowledged,)
    backend.close()
    with SQLiteBackend(path) as again:
        assert len(again.load("k")) == acknowledged


def test_a_log_that_is_replaced_is_said(path: Path, backend: SQLiteBackend) -> None:
    """Nothing is copied from anywhere then."""
    backend.append("k", X)
    shutil.copy(f"{path}-wal", f"{path}-other")
    Path(f"{path}-other").replace(f"{path}-wal")
    before = path.read_bytes()
    with suppress(BackendUnavailableError):
        for _ in range(place.LOOK_EVERY):
            backend.append("k", X)
    with pytest.raises(BackendUnavailableError, match="-wal was deleted or replaced"):
        backend.append("k", X)
    assert path.read_bytes() == before


def test_the_log_of_a_deleted_file_is_set_aside(path: Path) -> None:
    """SQLite would remove it where it finds an empty file beside; it may be all there is left of the messages."""
    backend = SQLiteBackend(path)
    backend.append("k", X)
    log = Path(f"{path}-wal").read_bytes()
    path.unlink()
    backend.close()
    Path(f"{path}-wal").write_bytes(log)
    with SQLiteBackend(path) as fresh:
        assert fresh.list_sessions() == []
    (aside,) = path.parent.glob("*.lost-*-wal")
    assert aside.read_bytes() == log


@pytest.mark.parametrize("then", ["deleted", "replaced"])
def test_a_lock_file_that_is_taken_away_costs_nothing(path: Path, backend: SQLiteBackend, then: str) -> None:
    """Two writers with a lock file each are kept apart by SQLite; positions are not reused, and soon both have one."""
    lock = Path(f"{path}-lock")
    for number in range(3):
        backend.append("k", ChatMessage.user(str(number)))
    lock.unlink()
    if then == "replaced":
        lock.write_bytes(b"")
    with SQLiteBackend(path) as other:
        other.append("k", ChatMessage.assistant("other"))
        other.remove_last("k")
        for number in range(3, 3 + place.LOOK_EVERY * 2):
            backend.append("k", ChatMessage.user(str(number)))
        metadata = backend.get_session_metadata("k")
        assert metadata is not None
        assert metadata.message_count == len(backend.load("k")) == 3 + place.LOOK_EVERY * 2
        assert metadata.turn_count == 0
        assert metadata.revision == 1 + metadata.message_count + 2  # with what came and went
        other.append("k", X)
        assert backend._store.writing.lock_file is not None
        mine = os.fstat(backend._store.writing.lock_file)
        assert (mine.st_dev, mine.st_ino) == place.identity(lock)
