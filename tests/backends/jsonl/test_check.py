"""`check` finds each kind of damage, and a repair leaves none, and every message that could be read."""

from pathlib import Path
from random import Random

import pytest

from sessionkit import BackendClosedError, BackendUnavailableError, ChatMessage
from sessionkit_jsonl import JSONLBackend, lines, log
from tests.backends.jsonl.damages import (
    KEY,
    LEFT_ALONE,
    MENDED,
    contents,
    edited,
    examine,
    filled,
    left_over,
    problems,
)
from tests.power.operations import Operations


@pytest.mark.parametrize("damage", MENDED)
def test_damage_is_found_and_mended(tmp_path: Path, damage: str) -> None:
    """The check says what it is and changes nothing; the repair leaves no problem, and no message is lost by it."""
    examine(tmp_path / "store", damage)


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
