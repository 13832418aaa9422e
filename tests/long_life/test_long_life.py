"""A long life, shortened: what the verdict says of a few seconds of it, and of backends that leak on purpose.

``python -m tests.long_life`` is the long one.
"""

import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long_life.__main__ import STORES
from tests.long_life.running import Load, Run, live
from tests.long_life.verdict import judge

SMALL = Load(threads=2, sessions=3, messages=10)
"""So that what is bounded has come to its bound within a second or so."""


def run_of(store: str, folder: Path, seconds: float, mutant: str = "") -> Run:
    """A short run on a new store."""
    url, name = STORES[store]
    where = folder / name
    return live(url.format(folder=folder), where, seconds=seconds, seed=1, load=SMALL, every=0.1, mutant=mutant)


@pytest.mark.parametrize("store", STORES)
def test_a_short_life_is_bounded(tmp_path: Path, store: str) -> None:
    """Two processes that write and one that reads, at once: no call raises, and nothing has grown at the end."""
    run = run_of(store, tmp_path, 1.2)
    assert not run.errors, run.text()
    assert run.is_bounded(), run.text()
    assert run.operations
    measured = {name.partition(" of ")[0] for name in run.series}
    assert measured > {"memory", "handles", "threads", "files", "messages", "sessions", "operations"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "store", "measure"),
    [
        ("leaks_descriptors", "sqlite", "handles"),
        ("leaks_memory", "jsonl", "memory"),
        ("leaks_threads", "sqlite", "threads"),
        ("never_compacts", "jsonl", "folder"),
        ("never_restarts_the_log", "sqlite", "log"),
    ],
)
def test_a_process_that_leaks_is_caught(tmp_path: Path, mutant: str, store: str, measure: str) -> None:
    """By the measure that it makes grow, within seconds."""
    run = run_of(store, tmp_path, 12, mutant)
    assert not run.errors, run.text()
    grown = {verdict.name.partition(" of ")[0] for verdict in run.verdicts() if verdict.why is not None}
    assert measure in grown, run.text()


SECONDS = [float(second) for second in range(120)]


@pytest.mark.parametrize(
    ("values", "bounded"),
    [
        ([50.0 for _ in SECONDS], True),
        ([50.0 + 5 * math.sin(second) for second in SECONDS], True),
        ([min(second, 30.0) * 3 for second in SECONDS], True),
        ([20.0 + second % 20 for second in SECONDS], True),
        ([20.0 + second for second in SECONDS], False),
        ([50.0 + (200.0 if second > 100 else 0.0) for second in SECONDS], False),
        ([50.0 * 1.02**second for second in SECONDS], False),
        ([50.0 + 40 * (second // 40) for second in SECONDS], False),
    ],
    ids=["still", "waves", "warming up", "saw teeth", "a leak", "a late peak", "ever faster", "steps"],
)
def test_the_verdict(values: list[float], bounded: bool) -> None:  # noqa: FBT001 -- a parameter
    """What warms up, waves or is swept now and then is bounded; what rises is not."""
    assert (judge("handles of writer 1", list(zip(SECONDS, values, strict=True))).why is None) is bounded


def memory_of_a_run(leaked: float, seconds: int = 1200) -> list[tuple[float, float]]:
    """What a process takes each second: it warms up, an allocator's pages come and go, and so much is leaked in all."""
    chance = random.Random(1)  # noqa: S311 -- the same each time
    return [
        (
            float(second),
            24 + 5 * (1 - math.exp(-second / 120)) + leaked * second / seconds + chance.gauss(0, 0.15),
        )
        for second in range(seconds)
    ]


@pytest.mark.parametrize(("leaked", "bounded"), [(0.0, True), (4.0, False), (6.0, False)])
def test_a_slow_leak_is_told_from_warming_up(leaked: float, bounded: bool) -> None:  # noqa: FBT001 -- a parameter
    """A kilobyte for each hundred calls is below any allowance after twenty minutes, but steady; warming up is not."""
    assert (judge("memory of writer 1", memory_of_a_run(leaked)).why is None) is bounded


def test_what_creeps_ever_slower_is_bounded() -> None:
    """As an allocator's memory does, by a logarithm; and a short run's last warming up says nothing."""
    creeping = [(float(second), 24 + math.log1p(second / 10)) for second in range(1200)]
    assert judge("memory of reader", creeping).why is None
    assert judge("memory of reader", memory_of_a_run(1.0, 120)).why is None


def test_the_command_reports_and_says_what_is_not_bounded(root: Path, tmp_path: Path) -> None:
    """A record is reported as the run was, and the exit status tells what it was."""
    run = Run("sqlite:///x", 7, 120.0, 1200)
    for second in SECONDS:
        run.note("log", second, 3.0)
        run.note("handles of reader", second, second)
    run.save(tmp_path / "record.json")
    command = [sys.executable, "-m", "tests.long_life", "--replot", str(tmp_path / "record.json")]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("sqlite: 2.0 minutes, 1,200 operations (10 a second), 3 processes, seed 7\n")
    assert [line.split()[:3] for line in done.stdout.splitlines() if "NOT BOUNDED" in line] == [
        ["handles", "of", "reader"]
    ]
    run.series.pop("handles of reader")
    run.save(tmp_path / "record.json")
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything is bounded")


def test_a_run_without_a_measurement_is_not_bounded() -> None:
    """Nothing was looked at."""
    assert not Run("sqlite:///x", 0).is_bounded()
