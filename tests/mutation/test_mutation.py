"""The tool itself: what it changes and what it leaves alone, and that it tells the living from the dead."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mutmut", reason="mutants are made with mutmut, which nothing else needs")

from tests.mutation.mutants import Mutant, mutants_of

MODULE = '''"""A module."""

from functools import cache

LIMIT = 3
QUERY = "SELECT a FROM t WHERE b >= ? AND c = 0 ORDER BY d DESC LIMIT 1"


def larger(value: int, *, than: int = LIMIT) -> bool:
    """Whether it is."""
    if value < 0:
        raise ValueError("a wrong value")
    return value > than


@cache
def countdown(value: int) -> int:
    """Down to none."""
    while value > 0:
        value -= 1
    return value


def unasked() -> bool:
    """Nobody does."""
    return not larger(5)


def halved(value: int) -> int:
    """What nobody notices."""
    return value if value == 0 else value // 2
'''
TESTS = """
import pytest
from toy import countdown, halved, larger


def test_larger():
    assert larger(4)
    assert not larger(3)
    assert larger(0, than=-1)
    with pytest.raises(ValueError):
        larger(-1)


def test_countdown():
    assert countdown(3) == countdown(0) == 0


def test_halved():
    assert halved(4) == 2
    assert halved(0) == 0
"""
PROGRAM = """
import sys
from pathlib import Path
from tests.mutation.mutants import mutants_of
from tests.mutation.session import Run

root = Path.cwd()
mutants = [one for one in mutants_of(root / "toy.py", root) if one.functions or one.after == "LIMIT = 4"]
arguments = ["-c", "pytest.ini", "test_toy.py"]
Run(root, mutants, arguments, 2, 9, root / "record", root / "watched", lambda _: None, patience=1).go()
"""


@pytest.fixture
def toy(tmp_path: Path) -> list[Mutant]:
    """The mutants of a small module, which stands in a folder with its tests."""
    (tmp_path / "toy.py").write_text(MODULE)
    (tmp_path / "test_toy.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return list(mutants_of(tmp_path / "toy.py", tmp_path))


def test_a_mutant_is_one_change(toy: list[Mutant]) -> None:
    """Each is another program; wording, types, documentation, decorators and what is raised stay as they are."""
    assert len({mutant.source for mutant in toy}) == len(toy) > 40
    for mutant in toy:
        compile(mutant.source, "toy.py", "exec")
        for kept in ('"""A module."""', "value: int", "@cache", '"""Nobody does."""'):
            assert kept in mutant.source
        assert "a wrong value" in mutant.source or mutant.after == "pass"
    changes = {(mutant.before, mutant.after) for mutant in toy}
    assert ("if value < 0:", "if value <= 0:") in changes
    assert ("if value < 0:", "if ((value < 0) and False):") in changes
    assert ('raise ValueError("a wrong value")', "pass") in changes
    assert ("LIMIT = 3", "LIMIT = 4") in changes


@pytest.mark.parametrize(
    ("old", "new"),
    [("b >= ?", "b > ?"), ("AND", "OR"), (" DESC", ""), ("LIMIT 1", "LIMIT 2"), ("c = 0", "c = 1")],
)
def test_sql_is_program_too(toy: list[Mutant], old: str, new: str) -> None:
    """Its comparisons, its order and its limits are changed, not its letters."""
    queries = [line for line in MODULE.splitlines() if line.startswith("QUERY")]
    assert queries[0].replace(old, new) in {mutant.after for mutant in toy}


@pytest.mark.usefixtures("toy")
def test_the_living_are_told_from_the_dead(tmp_path: Path) -> None:
    """What a test notices is killed by it, on import too; what loops is stopped; the rest survives, or nobody asked."""
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = [sys.executable, "-c", PROGRAM]
    subprocess.run(program, cwd=tmp_path, env=variables, check=True, capture_output=True, timeout=100)
    rows: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()]
    outcomes = {(row["name"][1], row["name"][2]): row["outcome"] for row in rows}
    assert outcomes["if value < 0:", "if value <= 0:"] == "killed"
    assert outcomes["LIMIT = 3", "LIMIT = 4"] == "killed"
    assert outcomes["value -= 1", "pass"] == "timed out"
    assert outcomes["return not larger(5)", "return larger(5)"] == "unreached"
    half = "return value if value == 0 else value // 2"
    assert outcomes[half, half.replace("value ==", "(value ==").replace("0 else", "0) and False else")] == "survived"
    assert outcomes[half, half.replace("// 2", "// 3")] == "killed"
    assert {row["said"] for row in rows if row["name"][1] == "value -= 1"} >= {"timed out"}
