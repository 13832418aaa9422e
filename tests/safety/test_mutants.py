"""Each deliberate mistake is found by the proof that is named beside it; without it, the proof passes."""

from pathlib import Path

import pytest

from sessionkit import CorruptRecordWarning
from tests.safety.mutants import MUTANTS


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an assertion, or by the warning that is the bug itself."""
    mutant = MUTANTS[name]
    (tmp_path / "unbroken").mkdir()
    mutant.proof(tmp_path / "unbroken", monkeypatch)
    (tmp_path / "broken").mkdir()
    mutant.make(monkeypatch)
    with pytest.raises((AssertionError, CorruptRecordWarning, pytest.fail.Exception)) as found:
        mutant.proof(tmp_path / "broken", monkeypatch)
    assert not str(found.value).startswith("Timeout"), "it hung, and nothing was found"


def test_every_mutant_says_what_is_wrong() -> None:
    """In a sentence, and there are enough of them for each kind of attack."""
    assert all(mutant.bug.endswith(".") for mutant in MUTANTS.values())
    assert len(MUTANTS) >= 20
