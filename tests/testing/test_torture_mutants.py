"""Every store that breaks under kills or in company is found broken, by the violation that says what is wrong."""

from collections.abc import Generator
from pathlib import Path

import pytest

from sessionkit.testing.torture import run
from tests.mutants.declared import Mutant
from tests.mutants.table import all_mutants
from tests.testing.torturing import installed

MUTANTS = [mutant for mutant in all_mutants() if mutant.violations]

ATTEMPTS = 3
"""How often a store is tortured before its bug counts as not found: how processes meet is chance."""

PATIENCE = 3
"""After how many seconds without a step a process counts as stuck."""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    with installed(tmp_path / "installed", monkeypatch):
        yield


def found(mutant: Mutant, folder: Path) -> set[str]:
    """The kinds of the violations that are found, of those that are asked for, in some attempts."""
    kinds: set[str] = set()
    for attempt in range(ATTEMPTS):
        url = f"mutant://somebody:xyzzy-plugh@localhost/{folder}/{attempt}?mutant={mutant.name}&area={mutant.area}"
        report = run(url, seconds=20, seed=attempt, patience=PATIENCE)
        kinds |= {violation.kind for violation in report.violations}
        assert "xyzzy" not in report.to_json()
        if kinds & set(mutant.violations):
            break
    return kinds


def test_a_store_that_buffers_is_caught(tmp_path: Path) -> None:
    """What was acknowledged and is gone is told: the session, what was expected and found, and the last steps."""
    [mutant] = [mutant for mutant in MUTANTS if mutant.name == "buffers-appends"]
    urls = [f"mutant:///{tmp_path}/store{i}?mutant={mutant.name}&area={mutant.area}" for i in range(ATTEMPTS)]
    reports = (run(url, seconds=20, seed=seed) for seed, url in enumerate(urls))
    # What is found first depends on how the processes meet.
    report = next(report for report in reports if report.kinds["lost"])
    lost = next(violation for violation in report.violations if violation.kind == "lost")
    assert lost.session
    assert "missing" in lost.found or "without" in lost.found
    assert any("acknowledged" in line for line in lost.about)
    assert "BROKEN: " in report.to_text()
    assert "The store was left as it is." in report.to_text()
    assert list(tmp_path.glob("store*"))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_killing_finds_the_mutant(mutant: Mutant, tmp_path: Path) -> None:
    """Torture finds the store broken, by a violation of the kind that is its bug."""
    kinds = found(mutant, tmp_path)
    assert kinds & set(mutant.violations), f"{sorted(kinds)} found in {mutant.name}: {mutant.bug}"
    print(f"{mutant.name} -> {', '.join(sorted(kinds))}: {mutant.bug}")  # noqa: T201 -- for who asks with -rP
