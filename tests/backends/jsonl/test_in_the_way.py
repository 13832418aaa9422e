"""What stands in the way of writing: a write is applied and says so, or is not; and nothing is written twice."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, CorruptRecordWarning, CorruptSessionError
from sessionkit_jsonl import JSONLBackend, files

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")
BAD = b"a line that can't be read"


@pytest.fixture
def backend(tmp_path: Path) -> JSONLBackend:
    """A store with a session "s", one line of which can't be read."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    with (tmp_path / "s.jsonl").open("ab") as file:
        file.write(BAD + b"\n")
    backend.append("s", YO)
    return backend


@pytest.mark.parametrize("ending", [".corrupt", ".tmp"])
def test_an_applied_write_never_fails_for_lack_of_compaction(
    tmp_path: Path, backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Where a file can't compact itself, it grows; that is tried again when there is as much again to gain."""
    (tmp_path / f"s.jsonl{ending}").mkdir()
    replace, tries = files.replace, [0]

    def counted(path: str, data: bytes, *, aside: bytes = b"", sync: bool) -> None:
        tries[0] += 1
        replace(path, data, aside=aside, sync=sync)

    monkeypatch.setattr(files, "replace", counted)
    for number in range(200):
        assert backend.update_last("s", ChatMessage("assistant", f"{number} " + "x" * 10_000))
    assert (tmp_path / "s.jsonl").stat().st_size > 2_000_000
    assert 1 < tries[0] < 6
    assert not (tmp_path / "s.jsonl.corrupt").is_file()
    with pytest.raises((BackendUnavailableError, CorruptSessionError)):
        backend.compact("s")
    (tmp_path / f"s.jsonl{ending}").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl"]
    with pytest.warns(CorruptRecordWarning):
        assert str(backend.load("s")[-1].content).startswith("199 ")
    backend.compact("s")
    assert [message.role for message in backend.load("s")] == ["user", "assistant"]
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == BAD + b"\n"


def test_nothing_is_set_aside_twice(tmp_path: Path, backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set aside by a compaction that could not finish is there once after the next."""

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    for _ in range(3):
        with pytest.raises(BackendUnavailableError):
            backend.compact("s")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl", "s.jsonl.corrupt"]
    backend.compact("s")
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == BAD + b"\n"
    assert backend.load("s") == [HI, YO]


def test_compacting_changes_nobodys_rights(tmp_path: Path, backend: JSONLBackend) -> None:
    """Whoever could read a file still can when it was written anew; what is set aside is the owner's."""
    (tmp_path / "s.jsonl").chmod(0o644)
    backend.compact("s")
    assert stat.S_IMODE((tmp_path / "s.jsonl").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "s.jsonl.corrupt").stat().st_mode) == 0o600


@pytest.mark.parametrize("before", [None, b"7\n", b"00000000000000000001\n"])
def test_a_revision_that_does_not_fit_on_the_disk_keeps_the_session(
    tmp_path: Path, backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch, before: bytes | None
) -> None:
    """A deletion that can't write its revision down is an error, deletes nothing, and leaves the number as it was."""
    floor = tmp_path / ".revisions"
    if before is not None:
        floor.write_bytes(before)
    revision = max([backend.write("s", append=[HI]) for _ in range(10)])
    pwrite, short = os.pwrite, [True]

    def write_some(descriptor: int, data: bytes, offset: int) -> int:
        return pwrite(descriptor, data[:18] if short.pop() else data, offset)

    short[:] = [False, True]
    monkeypatch.setattr(os, "pwrite", write_some)
    with pytest.raises(BackendUnavailableError, match="No space left") as caught:
        backend.delete_session("s")
    monkeypatch.undo()
    assert caught.value.outcome == "not_applied"
    assert floor.read_bytes() == (before or b"")
    assert backend.list_sessions() == ["s"]
    assert backend.delete_session("s")
    assert backend.write("s", append=[HI]) > revision


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_name_that_no_folder_has_is_an_error_of_ours(tmp_path: Path, name: str, mode: str) -> None:
    """It says what is wrong with it."""
    with pytest.raises(BackendUnavailableError, match="can't be the name of a folder: it holds"):
        JSONLBackend(tmp_path / name, mode="rw" if mode == "rw" else "ro")
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_any_bytes_can_be_a_folders(tmp_path: Path) -> None:
    """File names are bytes, and Python spells those that are no UTF-8 in its own way."""
    with JSONLBackend(tmp_path / os.fsdecode(b"\xff")) as backend:
        backend.append("s", HI)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff"]  # noqa: PTH208 -- a Path is never of bytes


def test_a_store_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """All calls agree, and name the folder: nobody takes that for a store without sessions."""
    (tmp_path / "store").mkdir()
    backend = JSONLBackend(tmp_path / "store")
    (tmp_path / "store").rmdir()
    for call in (
        lambda: backend.load("s"),
        lambda: backend.get_session_metadata("s"),
        lambda: backend.load_with_timestamps("s", last=1),
        lambda: backend.remove_last("s"),
        lambda: backend.delete_session("s"),
        lambda: backend.append("s", HI),
        backend.list_sessions,
        backend.list_running_sessions,
    ):
        with pytest.raises(BackendUnavailableError, match=f"{tmp_path}/store"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``fsync``, each folder that leads to a session is written down in the one that it is in, whoever made it."""
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    leading = [str(tmp_path / "new"), *map(str, [tmp_path, *tmp_path.parents])]
    store, file = str(tmp_path / "new" / "store"), str(tmp_path / "new" / "store" / "s.jsonl")
    with JSONLBackend(store, fsync=True) as backend:
        assert synced == leading
        synced.clear()
        backend.append("s", HI)
        assert synced == [store, file]
        synced.clear()
        backend.append("s", HI)
        assert synced == [file]
    synced.clear()
    with JSONLBackend(store, fsync=True) as backend:
        assert synced == leading
        synced.clear()
        backend.append("s", HI)
        assert synced == [file, store, file]


def test_an_option_that_is_none_is_refused(tmp_path: Path) -> None:
    """A wrong mode must not open read-only in silence, nor a text count as true; nothing is created."""
    options: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"mode": "r/w"}, ValueError, "mode must be one of rw, ro"),
        ({"fsync": "no"}, TypeError, "fsync is True or False"),
    ]
    for given, kind, error in options:
        with pytest.raises(kind, match=error):
            JSONLBackend(tmp_path / "new", **given)
    assert list(tmp_path.iterdir()) == []
