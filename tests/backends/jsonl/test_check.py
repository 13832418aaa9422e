"""`check` finds each kind of damage, and a repair leaves none, and every message that could be read."""

import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sessionkit import BackendClosedError, BackendUnavailableError, ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend, lines, log
from sessionkit_jsonl.names import file_name
from tests.power.operations import Operations

KEY = "s"
LONG = "x" * 200

Damage = Callable[[Path], object]


def filled(folder: Path) -> JSONLBackend:
    """A store with two sessions, one of which was compacted, and a deleted one."""
    folder.mkdir(mode=0o700)
    backend = JSONLBackend(folder)
    for i in range(6):
        for key in (KEY, LONG):
            backend.append(key, ChatMessage("assistant" if i % 2 else "user", f"message {i}"))
    backend.remove_last(KEY)
    backend.set_session_name(KEY, "name")
    backend.append(KEY, ChatMessage("user", "last"))
    backend.append("gone", ChatMessage("user", "hi"))
    backend.delete_session("gone")
    return backend


def edited(change: Callable[[list[bytes]], object]) -> Damage:
    """A change of the lines of the session's file."""

    def damage(folder: Path) -> None:
        file = folder / file_name(KEY)
        lines = file.read_bytes().splitlines(keepends=True)
        change(lines)
        file.write_bytes(b"".join(lines))

    return damage


def replaced(at: int, old: bytes, new: bytes) -> Damage:
    """Other bytes in a line, as many as before."""
    assert len(old) == len(new)

    def change(lines: list[bytes]) -> None:
        assert old in lines[at]
        lines[at] = lines[at].replace(old, new)

    return edited(change)


def left_over(folder: Path) -> None:
    """What a compaction leaves that is killed before the renaming."""
    (folder / f"{file_name(KEY)}.tmp").write_bytes((folder / file_name(KEY)).read_bytes()[:50])


def left_over_alone(folder: Path) -> None:
    """The same, of a session whose own file is gone."""
    (folder / "other.jsonl.tmp").write_bytes(b'{"role":"user","content":"hi"}\n')


def copied(folder: Path) -> None:
    """A session's file under another's name."""
    (folder / "t.jsonl").write_bytes((folder / file_name(KEY)).read_bytes())


def restricted(name: str, mode: int) -> Damage:
    """Another mode."""
    return lambda folder: (folder / name).chmod(mode)


MENDED: dict[str, tuple[str, Damage]] = {
    "a message of rubbish": ("corrupt-message", edited(lambda lines: lines.__setitem__(3, b"rubbish\n"))),
    "a hole in a message": ("corrupt-message", replaced(3, b"message", bytes(7))),
    "a message that is no JSON": ("corrupt-message", replaced(3, b'"message', b'"mess\x01ge')),
    "a header of rubbish": ("corrupt-session", replaced(0, b'"key"', b"#####")),
    "a file of rubbish": ("corrupt-session", edited(lambda lines: lines.__setitem__(slice(None), [b"rubbish\n"] * 2))),
    "a torn end": ("torn-record", edited(lambda lines: lines.append(b'{"role":"user","content":"ne'))),
    "half a creation": ("torn-record", lambda folder: (folder / "t.jsonl").write_bytes(b'{"sessionkit":1,"sess')),
    "a line moved down": ("order", edited(lambda lines: lines.insert(6, lines.pop(2)))),
    "a line copied": ("order", edited(lambda lines: lines.append(lines[3]))),
    "a time before the one above": ("order", replaced(5, b'"at":17', b'"at":16')),
    "too many messages counted": ("counts", replaced(9, b'"n":6', b'"n":9')),
    "too many turns counted": ("counts", replaced(9, b'"turns":2', b'"turns":5')),
    "a line taken away": ("counts", edited(lambda lines: lines.pop(3))),
    "a position that is not so": ("structure", replaced(5, b'"pos":5', b'"pos":4')),
    "another line before": ("structure", replaced(5, b'"prev":4', b'"prev":3')),
    "a snapshot elsewhere": ("structure", replaced(3, b'"meta":0', b'"meta":7')),
    "more bytes in vain than there are": ("structure", replaced(8, b'"dead":2', b'"dead":9')),
    "the end of a compaction": ("orphan", left_over),
    "a compaction of nothing": ("orphan", left_over_alone),
    "a revision that is no number": ("structure", lambda folder: (folder / ".revisions").write_bytes(b"rubbish\n")),
    "a revision beyond all": ("structure", lambda folder: (folder / ".revisions").write_bytes(b"9" * 20 + b"\n")),
    "a file that others may read": ("permissions", restricted(file_name(KEY), 0o644)),
    "a folder that others may read": ("permissions", restricted(".", 0o755)),
    "a revision that others may write": ("permissions", restricted(".revisions", 0o666)),
}
"""What is done to a store, the kind of finding that it must be, and that a repair leaves none of it."""

LEFT_ALONE: dict[str, tuple[str, Damage]] = {
    "a name that is no key's": ("orphan", lambda folder: (folder / "A.jsonl").write_bytes(b"")),
    "another session's file": ("corrupt-session", copied),
    "a newer format": ("corrupt-session", replaced(0, b'"sessionkit":1', b'"sessionkit":7')),
    "a link": ("structure", lambda folder: (folder / "t.jsonl").symlink_to(folder / file_name(KEY))),
    "a folder": ("structure", lambda folder: (folder / "t.jsonl").mkdir()),
    "another name": ("structure", lambda folder: (folder / "elsewhere").hardlink_to(folder / file_name(KEY))),
}
"""Problems that only people can solve."""


def messages_of(backend: JSONLBackend) -> dict[str, list[ChatMessage]]:
    """What can be read, whatever is told of the rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        return {key: backend.load(key) for key in backend.list_sessions()}


def problems(backend: JSONLBackend, *, repair: bool = False) -> list[Any]:
    """The findings that need something to be done."""
    return [finding for finding in backend.check(repair=repair) if finding.severity == "problem"]


def contents(folder: Path) -> dict[str, bytes]:
    """All files."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("damage", MENDED)
def test_damage_is_found_and_mended(tmp_path: Path, damage: str) -> None:
    """The check says what it is and changes nothing; the repair leaves no problem, and no message is lost by it."""
    kind, do = MENDED[damage]
    backend = filled(tmp_path / "store")
    assert list(backend.check()) == []
    do(tmp_path / "store")
    backend = JSONLBackend(tmp_path / "store")
    before, files = messages_of(backend), contents(tmp_path / "store")
    found = problems(backend)
    assert kind in {finding.kind for finding in found}
    assert all(finding.repaired is None for finding in found)
    assert contents(tmp_path / "store") == files
    repaired = problems(backend, repair=True)
    assert [finding.kind for finding in repaired] == [finding.kind for finding in found]
    assert all(finding.repaired for finding in repaired)
    assert problems(backend) == []
    assert messages_of(JSONLBackend(tmp_path / "store")) == before
    backend.append(KEY, ChatMessage("user", "after"))
    assert problems(backend) == []


@pytest.mark.parametrize("damage", LEFT_ALONE)
def test_what_only_people_can_solve_stays(tmp_path: Path, damage: str) -> None:
    """It is found again after a repair, which changes nothing about it."""
    kind, do = LEFT_ALONE[damage]
    backend = filled(tmp_path / "store")
    do(tmp_path / "store")
    for path in (tmp_path / "store").iterdir():
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
    files = contents(tmp_path / "store")
    for repair in (False, True, False):
        assert {finding.kind for finding in problems(backend, repair=repair)} == {kind}
    assert contents(tmp_path / "store") == files


def test_what_cannot_be_read_is_kept(tmp_path: Path) -> None:
    """A repair sets it aside, byte for byte, and the next check says so in a note."""
    backend = filled(tmp_path / "store")
    edited(lambda lines: lines.__setitem__(3, b"rubbish\n"))(tmp_path / "store")
    list(backend.check(repair=True))
    assert (tmp_path / "store" / "s.jsonl.corrupt").read_bytes() == b"rubbish\n"
    assert [(finding.kind, finding.severity) for finding in backend.check()] == [("set-aside", "note")]


def test_a_repaired_revision_is_above_all(tmp_path: Path) -> None:
    """Where nobody knows any more what was deleted, the highest that is there is known."""
    backend = filled(tmp_path / "store")
    metadata = backend.get_session_metadata(KEY)
    (tmp_path / "store" / ".revisions").write_bytes(b"rubbish\n")
    list(backend.check(repair=True))
    backend.append("new", ChatMessage("user", "hi"))
    new = backend.get_session_metadata("new")
    assert new is not None
    assert metadata is not None
    assert new.revision is not None
    assert metadata.revision is not None
    assert new.revision > metadata.revision
    assert (tmp_path / "store" / ".revisions.corrupt").read_bytes() == b"rubbish\n"


def test_reading_only_finds_and_never_mends(tmp_path: Path) -> None:
    """With ``mode=ro`` a check works and a repair is an error at once; closed, both are."""
    filled(tmp_path / "store").close()
    left_over(tmp_path / "store")
    (tmp_path / "store" / "s.jsonl.tmp").chmod(0o600)
    backend = JSONLBackend(tmp_path / "store", mode="ro")
    assert [finding.kind for finding in backend.check()] == ["orphan"]
    with pytest.raises(BackendUnavailableError):
        backend.check(repair=True)
    backend.close()
    with pytest.raises(BackendClosedError):
        backend.check()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """They are noted, and not even their modes are changed."""
    backend = filled(tmp_path / "store")
    (tmp_path / "store" / "notes.txt").write_text("mine")
    (tmp_path / "store" / "notes.txt").chmod(0o644)
    for repair in (True, False):
        assert [(finding.kind, finding.severity) for finding in backend.check(repair=repair)] == [("orphan", "note")]
    assert (tmp_path / "store" / "notes.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("seed", range(12))
def test_a_sound_store_has_no_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever was done: no mark is suspected that our own writer made, nor changed by a repair."""
    monkeypatch.setattr(lines, "BEGINNING", 600)
    operations = Operations(Random(seed))  # noqa: S311 -- to be repeated, not to be secret
    (tmp_path / "store").mkdir(mode=0o700)
    with JSONLBackend(tmp_path / "store") as backend:
        for count in range(80):
            _, call = operations.next()
            call(backend)
            if count % 8 == 0:
                before = contents(tmp_path / "store")
                assert list(backend.check(repair=True)) == []
                assert contents(tmp_path / "store") == before


def test_a_forgotten_removal_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that does not say how few messages a line below the beginning left: the first messages would be wrong."""
    backend = filled(tmp_path / "store")
    monkeypatch.setattr(lines, "BEGINNING", 200)
    monkeypatch.setattr(log, "BEGINNING", 10_000)
    backend.clear_messages(KEY)
    assert "structure" in {finding.kind for finding in problems(backend)}
