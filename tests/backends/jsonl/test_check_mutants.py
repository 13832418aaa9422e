"""Checks as real authors break them: each misses a damage or makes a new one, and the tests of checks must say so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessionkit_jsonl import audit, check, files, log, scanning, view
from sessionkit_jsonl.check import Check
from sessionkit_jsonl.floor import RevisionFloor
from sessionkit_jsonl.log import SessionLog
from tests.backends.jsonl.damages import examine

Break = Callable[[pytest.MonkeyPatch], object]


def nothing(*_: Any, **__: Any) -> tuple[()]:
    """What is found, or done, instead."""
    return ()


def trusts_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts are taken for what the file says they are."""
    plain = audit.counted

    def counted(found: scanning.Scan) -> tuple[int, int, int]:
        plain(found)
        return found.standing.message_count, found.standing.turn_count, found.standing.tool_call_count

    monkeypatch.setattr(check, "counted", counted)


def keeps_revisions_in_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file of revisions is said to be mended."""
    monkeypatch.setattr(RevisionFloor, "replace", nothing)


def rewrites_only_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair writes a file anew only where there is something to set aside."""
    plain = SessionLog._put_in_place

    def put(self: SessionLog, anew: bytes, aside: list[tuple[int, bytes]]) -> None:
        if aside:
            plain(self, anew, aside)

    monkeypatch.setattr(SessionLog, "_put_in_place", put)


def drops_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair writes what is live, and nothing aside."""
    monkeypatch.setattr(files, "set_aside", nothing)


def stops_at_the_first_bad_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair keeps what stands before the damage, as a log that is replayed would."""
    plain = view.scan_file

    def scan_file(path: str, key: str | None, window: Any) -> scanning.Scan:
        found = plain(path, key, window)
        first = min((offset for offset, _ in found.unreadable), default=window.size)
        found.live = [entry for entry in found.live if entry.at < first]
        return found

    monkeypatch.setattr(log, "scan_file", scan_file)


def takes_torn_ends_for_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash left of a write is no finding."""
    plain = check._damage

    def damage(found: scanning.Scan, key: str | None, path: str) -> Any:
        return plain(attrs.evolve(found, torn=[]), key, path)

    monkeypatch.setattr(check, "_damage", damage)


def believes_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every line can be read, the file is taken to be in order."""
    monkeypatch.setattr(check, "wrong_claims", nothing)


def sees_no_disorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything asked of the lines' references to each other."""
    monkeypatch.setattr(check, "_disorder", nothing)


def looks_at_no_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only sessions' files are looked at, not what crashes left beside them."""
    monkeypatch.setattr(Check, "_of_left_over", nothing)


def asks_for_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read the files is not looked at."""
    monkeypatch.setattr(Check, "_permissions", nothing)


def changes_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mode is said to be changed."""
    monkeypatch.setattr(files, "restrict", nothing)


def mends_while_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that is to look only puts away what it finds."""
    plain = Check._of_left_over

    def left_over(self: Check, path: str) -> Any:
        yield from plain(self, path)
        files.remove(path)

    monkeypatch.setattr(Check, "_of_left_over", left_over)


def forgets_what_nobody_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of rubbish is removed by a repair."""
    plain = files.remove_session
    monkeypatch.setattr(files, "remove_session", lambda path, **options: plain(path, **options | {"keep_aside": False}))


MUTANTS: list[tuple[Break, str]] = [
    (trusts_counts, "a line taken away"),
    (trusts_counts, "too many turns counted"),
    (keeps_revisions_in_repair, "a revision that is no number"),
    (rewrites_only_what_cannot_be_read, "a time before the one above"),
    (drops_what_cannot_be_read, "a message of rubbish"),
    (stops_at_the_first_bad_line, "a message of rubbish"),
    (takes_torn_ends_for_whole, "a torn end"),
    (believes_marks, "a position that is not so"),
    (sees_no_disorder, "another line before"),
    (looks_at_no_beside, "the end of a compaction"),
    (asks_for_no_rights, "a folder that others may read"),
    (changes_no_rights, "a file that others may read"),
    (mends_while_it_looks, "the end of a compaction"),
    (forgets_what_nobody_can_read, "a file of rubbish"),
]
"""Each with a damage at which it must fail."""


@pytest.mark.parametrize(("mutant", "damage"), MUTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_check_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Break, damage: str) -> None:
    """By the damage that it misses, or that it makes; a check that is whole passes it."""
    examine(tmp_path / "whole", damage)
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        examine(tmp_path / "broken", damage)
