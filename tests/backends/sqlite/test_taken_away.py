"""What is deleted or moved beside an open store, after long use, or where a second writer has a lock of his own."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit_sqlite import SQLiteBackend, place, store

X, NEW = ChatMessage.user("x"), ChatMessage.user("new")
OPENED = Path("/proc/self/fd")
BY_ANOTHER: dict[str, tuple[Callable[[SQLiteBackend], object], int]] = {
    "deleted": (lambda other: other.delete_session("k"), 0),
    "deleted and created again": (lambda other: (other.delete_session("k"), other.write("k", append=[X])), 1),
    "cleared": (lambda other: other.clear_messages("k"), 0),
    "appended": (lambda other: other.append("k", X), 4),
    "appended and removed": (lambda other: (other.write("k", append=[X]), other.remove_last("k")), 3),
    "appended twice and removed": (
        lambda other: (other.write("k", append=[X, X]), other.write("k", drop_last=2)),
        3,
    ),
    "removed": (lambda other: other.remove_last("k"), 2),
    "compacted": (lambda other: other.compact("k"), 3),
}


@pytest.mark.parametrize("done", BY_ANOTHER)
@pytest.mark.parametrize("beside", [0, 2, 5])
def test_what_is_appended_without_a_common_lock_is_there(
    path: Path, backend: SQLiteBackend, done: str, beside: int
) -> None:
    """Whatever became of the session meanwhile, and however many messages another session has."""
    change, left = BY_ANOTHER[done]
    for _ in range(beside):
        backend.append("another session", X)
    for _ in range(3):
        backend.append("k", X)
    Path(f"{path}-lock").unlink()
    with SQLiteBackend(path) as other:
        change(other)
        for number in range(1, 4):
            backend.append("k", NEW)
            expected = [X] * left + [NEW] * number
            assert other.load("k") == backend.load("k") == expected
            metadata = other.get_session_metadata("k")
            assert metadata is not None
            assert metadata.message_count == len(expected)
        assert other.load("another session") == [X] * beside


@pytest.mark.skipif(place._HARMLESS is None, reason="where each call looks at the path anyway")
@pytest.mark.parametrize("before", [1, 2])
def test_a_folder_that_is_moved_after_long_use_is_noticed_as_soon(path: Path, before: int) -> None:
    """The look at the path comes again and again."""
    folder = path.parent / "folder"
    with SQLiteBackend(folder / "a.db") as backend:
        for _ in range(before * place.LOOK_EVERY + 5):
            backend.load("k")
        folder.rename(path.parent / "moved")
        looks = 0
        with suppress(BackendUnavailableError):
            for _ in range(place.LOOK_EVERY):
                backend.load("k")
                looks += 1
        assert looks < place.LOOK_EVERY


@pytest.mark.skipif(place._HARMLESS is None, reason="where each call looks at the path anyway")
def test_a_file_that_is_gone_is_said_by_a_coarse_clock(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its entry has changed within one tick of it: how many names the file has tells."""

    def fstat(descriptor: int) -> SimpleNamespace:
        return SimpleNamespace(st_ctime_ns=1, st_nlink=os.fstat(descriptor).st_nlink)

    monkeypatch.setattr(place, "_fstat", fstat)
    backend.append("k", X)
    backend.append("k", X)
    path.unlink()
    with pytest.raises(BackendUnavailableError, match="deleted, moved or replaced"):
        backend.append("k", X)


@pytest.mark.skipif(not OPENED.exists(), reason="this system does not tell what is open")
def test_closing_gives_back_every_descriptor(path: Path) -> None:
    """However a store was opened, and though what it had open was taken away."""
    SQLiteBackend(path).close()
    before = len(list(OPENED.iterdir()))
    modes: tuple[store.Mode, ...] = ("rw", "ro")
    for mode in modes:
        with SQLiteBackend(path, mode=mode) as backend:
            backend.load("k")
            assert len(list(OPENED.iterdir())) > before
        assert len(list(OPENED.iterdir())) == before
    with SQLiteBackend(path) as backend:
        backend.append("k", X)
        path.unlink()
        with pytest.raises(BackendUnavailableError):
            backend.load("k")
    assert len(list(OPENED.iterdir())) == before
