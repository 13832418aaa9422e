"""A check tells of what is not ours, and a repair leaves it as it is."""

import os
from pathlib import Path

import pytest

from sessionkit import ChatMessage, Finding
from sessionkit_jsonl import JSONLBackend

OTHERS = b'{"session_key":"a","messages":[]}\n'


def checked(folder: Path, *, repair: bool = False) -> list[Finding]:
    """What a check says, of a store opened for it."""
    with JSONLBackend(folder) as backend:
        return list(backend.check(repair=repair))


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The mode and the bytes of each file."""
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize("damaged", [OTHERS, b"\0" * 100, b"no JSON\n"])
def test_a_folder_that_is_no_store_is_not_changed(tmp_path: Path, damaged: bytes) -> None:
    """Where nothing was written by us, as in a home folder, a repair changes no mode, no name and no byte."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "sessions.jsonl").write_bytes(damaged)
    (folder / "notes.txt").write_text("mine")
    before = everything(folder)

    findings = checked(folder, repair=True)

    assert everything(folder) == before
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(each.repaired is None for each in findings)
    assert any("nothing in this folder was written by sessionkit" in each.what for each in findings)


def test_another_programs_file_in_a_store_is_left_alone(tmp_path: Path) -> None:
    """A file of JSON that is no conversation, beside sessions, is told of, and keeps name, bytes and mode."""
    with JSONLBackend(tmp_path / "store") as backend:
        backend.append("a", ChatMessage.user("hello"))
    others = tmp_path / "store" / "sessions.jsonl"
    others.write_bytes(OTHERS)
    others.chmod(0o644)

    [finding] = checked(tmp_path / "store", repair=True)

    assert (finding.kind, finding.session_key, finding.repaired) == ("orphan", "sessions", None)
    assert others.read_bytes() == OTHERS
    assert others.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_others_may_use_is_a_store_where_a_file_of_it_is_ours(tmp_path: Path) -> None:
    """A store in a folder that was there before is told of as open to others, and closed by a repair."""
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o755)
    with JSONLBackend(folder) as backend:
        backend.append("a", ChatMessage.user("hello"))

    assert [each.kind for each in checked(folder)] == ["permissions"]
    assert [each.repaired is not None for each in checked(folder, repair=True)] == [True]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert checked(folder) == []


def test_a_session_whose_file_was_emptied_is_told(tmp_path: Path) -> None:
    """An empty file is no session, and is told of once nobody can be about to write to it; a repair removes it."""
    with JSONLBackend(tmp_path / "store") as backend:
        backend.append("a", ChatMessage.user("hello"))
    file = tmp_path / "store" / "a.jsonl"
    file.write_bytes(b"")
    assert checked(tmp_path / "store") == []  # it may be being made
    os.utime(file, (0, 0))

    [finding] = checked(tmp_path / "store")
    assert (finding.kind, finding.session_key) == ("torn-record", "a")
    [finding] = checked(tmp_path / "store", repair=True)
    assert finding.repaired is not None
    assert not file.exists()
    assert not file.with_name("a.jsonl.corrupt").exists()
    assert checked(tmp_path / "store") == []
