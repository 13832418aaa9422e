"""What a power cut leaves where a file's size got to the disk and some of its bytes did not: zeroes."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend, files

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")


def failing_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next fsync fails, and those after it have nothing left to wait for, as on Linux."""

    def fail(_: int) -> None:
        monkeypatch.undo()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("kept", [0, 10, 60, 120])
def test_a_creation_with_holes_is_none(file: Path, backend: JSONLBackend, kept: int) -> None:
    """Zeroes in the place of a new session's first bytes: it was never created, and can be."""
    backend.append("s", HI)
    whole = file.read_bytes()
    gone = len(whole) - kept
    file.write_bytes(bytes(gone) + whole[gone:])
    assert backend.load("s") == []
    assert backend.get_session_metadata("s") is None
    assert backend.list_sessions() == []
    backend.append("s", YO)
    assert backend.load("s") == backend.load("s") == [YO]
    backend.compact("s")
    assert backend.load("s") == [YO]


@pytest.mark.parametrize("start", [8, 40, 75, 100, 150])
def test_a_creation_with_a_hole_within_is_none(file: Path, backend: JSONLBackend, start: int) -> None:
    """Wherever the hole is, and though the rest of the line is there: half a creation is none."""
    backend.append("s", ChatMessage("user", "x" * 100))
    whole = file.read_bytes()
    file.write_bytes(whole[:start] + bytes(20) + whole[start + 20 :])
    assert backend.load("s") == []
    backend.set_session_name("s", "n")
    backend.append("s", YO)
    assert backend.load("s") == [YO]
    assert JSONLBackend(file.parent).get_session_name("s") == "n"


def test_a_header_with_a_hole_costs_no_message(file: Path, backend: JSONLBackend) -> None:
    """Once somebody went on with the session it was whole: its messages stay, and the damage is told."""
    for message in (HI, YO):
        backend.append("s", message)
    file.write_bytes(bytes(30) + file.read_bytes()[30:])
    with pytest.warns(CorruptRecordWarning):
        assert backend.load("s") == [HI, YO]


@pytest.mark.filterwarnings("always::sessionkit.CorruptRecordWarning")
def test_a_message_that_a_hole_swallowed_is_told(file: Path, backend: JSONLBackend) -> None:
    """The end of one line and the start of the next are gone, and what they make is replaced: that one is missing."""
    for text in ("a", "b", "swallowed", "d"):
        backend.append("s", ChatMessage("user", text))
    backend.update_last("s", ChatMessage("user", "e"))
    whole = file.read_bytes()
    start, end = whole.index(b"swallowed"), whole.index(b'{"role":"user","content":"d"')
    file.write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    with pytest.warns(CorruptRecordWarning):
        assert [message.text for message in backend.load("s")] == ["a", "b", "e"]


def test_a_revision_file_of_zeroes_stops_nobody(tmp_path: Path, backend: JSONLBackend) -> None:
    """Its size got to the disk and its number did not: no session was deleted yet, and others can be created."""
    (tmp_path / ".revisions").write_bytes(bytes(21))
    backend.append("s", HI)
    assert backend.delete_session("s")
    assert int((tmp_path / ".revisions").read_bytes()) == 2


def test_a_failed_fsync_is_told_and_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what became of the write; the next one puts its bytes in the same place, so that all get there."""
    with JSONLBackend(tmp_path, fsync=True) as backend:
        backend.append("s", HI)
        before = (tmp_path / "s.jsonl").read_bytes()
        failing_fsync(monkeypatch)
        with pytest.raises(BackendUnavailableError) as caught:
            backend.append("s", YO)
        assert caught.value.outcome == "unknown"
        assert (tmp_path / "s.jsonl").read_bytes() == before
        backend.append("s", YO)
        assert backend.load("s") == [HI, YO]


def test_a_failed_fsync_of_the_revision_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number is written again before the next deletion, though it is the one that stands there."""
    written: list[bytes] = []
    plain: Any = files.overwrite

    def noted(descriptor: int, data: bytes) -> None:
        written.append(data)
        plain(descriptor, data)

    with JSONLBackend(tmp_path, fsync=True) as backend:
        backend.append("s", HI)
        failing_fsync(monkeypatch)
        with pytest.raises(BackendUnavailableError) as caught:
            backend.delete_session("s")
        assert caught.value.outcome == "not_applied"
        assert backend.load("s") == [HI]
        monkeypatch.setattr(files, "overwrite", noted)
        assert backend.delete_session("s")
        assert list(map(int, written)) == [2]


def test_a_failed_fsync_of_a_compaction_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, and nothing is left beside it."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.update_last("s", YO)
        before = (tmp_path / "s.jsonl").read_bytes()
        failing_fsync(monkeypatch)
        with pytest.raises(BackendUnavailableError) as caught:
            backend.compact("s")
        assert caught.value.outcome == "not_applied"
        assert [path.name for path in tmp_path.iterdir()] == ["s.jsonl"]
        assert (tmp_path / "s.jsonl").read_bytes() == before
