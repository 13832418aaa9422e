"""Each parser of foreign bytes, for a second or two; ``python -m tests.fuzz`` does it for as long as you like."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.driving import drive
from tests.fuzz.mutants import MUTANTS, Declared
from tests.fuzz.mutations import Mutations
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, tmp_path: Path) -> None:
    """No input breaks a promise, and neither what is taken nor what is refused is so rare that nothing is tested."""
    target = TARGETS[name]
    report = drive(target, inputs=target.short, seed=1, findings=tmp_path)
    assert not report.findings, report.text()
    assert report.share("accepted") > 0.1, report.text()
    assert name == "search" or report.share("refused") > 0.02, report.text()


@pytest.mark.parametrize("declared", MUTANTS, ids=lambda declared: f"{declared.name} -> {declared.target}")
def test_a_broken_parser_is_found(declared: Declared) -> None:
    """Within the inputs of the short run, or some times as many, as chance has it."""
    target = TARGETS[declared.target]
    with declared.mutant():
        report = drive(target, inputs=8 * target.short, seed=1, enough=lambda report: bool(report.findings))
    assert report.findings, report.text()


def test_the_same_seed_makes_the_same_inputs() -> None:
    """So that what was found once is found again."""
    target = TARGETS["names"]
    runs = [[mutations.next() for _ in range(200)] for mutations in (Mutations(target, 5), Mutations(target, 5))]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 100


def test_the_command_reports(root: Path, tmp_path: Path) -> None:
    """It says how many inputs there were and what became of them, and writes what it found to files: here, nothing."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "names",
        "--inputs",
        "300",
        "--seed",
        "3",
        "--findings",
        tmp_path / "found",
    ]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("names: 300 inputs in 300 calls, ")
    assert "driver mutations, seed 3, no findings\n" in done.stdout
    assert "accepted: two keys" in done.stdout
    assert not (tmp_path / "found").exists()


def test_the_command_knows_every_target() -> None:
    """It can't ask them before it knows who drives."""
    assert sorted(TARGETS) == list(NAMES)


def test_what_is_found_is_written(tmp_path: Path) -> None:
    """As the bytes that break the promise, in a file that the report names."""
    [declared] = [each for each in MUTANTS if each.name == "forgets_reserved_names"]
    target = TARGETS["names"]
    with declared.mutant():
        report = drive(target, inputs=20_000, seed=1, findings=tmp_path, enough=lambda report: bool(report.findings))
        assert report.files
        with pytest.raises(AssertionError):
            target.run(report.files[0].read_bytes())
    assert str(report.files[0]) in report.text()
    target.run(report.files[0].read_bytes())
