"""A file of the store under a second name, as a backup by ``cp -al`` leaves it: what has that name stays as it is."""

import os
from pathlib import Path

import pytest

from sessionkit import ChatMessage
from sessionkit_jsonl import JSONLBackend

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")


def backed_up(store: Path) -> dict[str, bytes]:
    """Link each file of the store into a folder beside; says what they hold."""
    backup = store.with_name("backup")
    backup.mkdir()
    for file in store.iterdir():
        os.link(file, backup / file.name)
    return {file.name: file.read_bytes() for file in backup.iterdir()}


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_backup_of_links_stays_as_it_is(tmp_path: Path, *, is_open: bool, fsync: bool) -> None:
    """While every call goes on as before: to append, replace, set aside, repair and delete."""
    store = tmp_path / "store"
    backend = JSONLBackend(store, fsync=fsync)
    for key in ("s", "t", "gone"):
        backend.append(key, HI)
    (store / "t.jsonl").write_bytes((store / "t.jsonl").read_bytes() + b"rubbish\n")
    backend.compact("t")  # sets it aside
    backend.delete_session("gone")  # makes the file of revisions
    before = backed_up(store)
    assert set(before) == {"s.jsonl", "t.jsonl", "t.jsonl.corrupt", ".revisions"}
    if not is_open:
        backend.close()
        backend = JSONLBackend(store, fsync=fsync)
    backend.append("s", YO)
    assert backend.load("s") == [HI, YO]
    assert backend.update_last("s", HI)
    assert backend.load("s") == [HI, HI]
    with (store / "t.jsonl").open("ab") as file:
        file.write(b"more rubbish\n")
    (tmp_path / "backup" / "t.jsonl").unlink()  # which that program wrote to
    (tmp_path / "backup" / "t.jsonl").write_bytes(before["t.jsonl"])
    list(backend.check(repair=True))
    assert (store / "t.jsonl.corrupt").read_bytes() == b"rubbish\nmore rubbish\n"
    for _ in range(3):
        backend.append("s", YO)
    before_that = backend.get_session_metadata("s")
    assert backend.delete_session("s")
    backend.append("s", HI)
    now = backend.get_session_metadata("s")
    assert before_that is not None
    assert now is not None
    assert (now.revision or 0) > (before_that.revision or 0)
    assert {file.name: file.read_bytes() for file in (tmp_path / "backup").iterdir()} == before
    assert not [finding for finding in backend.check() if finding.severity == "problem"]


def test_a_copy_is_made_once(tmp_path: Path) -> None:
    """Then the file has one name, and the next write is added to it."""
    backend = JSONLBackend(tmp_path / "store")
    backend.append("s", HI)
    backed_up(tmp_path / "store")
    file = tmp_path / "store" / "s.jsonl"
    inodes = []
    for _ in range(3):
        backend.append("s", YO)
        inodes.append(file.stat().st_ino)
    assert inodes[0] != (tmp_path / "backup" / "s.jsonl").stat().st_ino
    assert len(set(inodes)) == 1


def test_the_mode_of_another_file_is_left_alone(tmp_path: Path) -> None:
    """A repair takes rights from the store's own files only; of others it says that it can't."""
    backend = JSONLBackend(tmp_path / "store")
    backend.append("s", HI)
    (tmp_path / "store" / "s.jsonl").chmod(0o644)
    backed_up(tmp_path / "store")
    (finding,) = backend.check(repair=True)
    assert (finding.kind, finding.repaired) == ("permissions", None)
    assert "it can't be changed" in finding.what
    assert (tmp_path / "backup" / "s.jsonl").stat().st_mode & 0o777 == 0o644
