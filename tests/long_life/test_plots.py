"""The plots of a run draw what it measured, the same each time."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pip install -e '.[benchmarks]'")

from tests.long_life.plots import draw, thinned
from tests.long_life.running import ROLES, Run


def a_run(scheme: str) -> Run:
    """Two minutes in which nothing grows."""
    run = Run(f"{scheme}:///x", 1, 120.0, 5000)
    for second in range(120):
        for role in ROLES:
            run.note(f"memory of {role}", second, 20.0)
        run.note("log" if scheme == "sqlite" else "folder", second, 4.0 + second % 3)
    return run


def test_a_plot_of_two_runs_is_the_same_each_time(tmp_path: Path) -> None:
    """One sheet with both, on a ground of its own, of which nothing tells when it was drawn."""
    for name in ("one.svg", "other.svg"):
        draw([a_run("sqlite"), a_run("jsonl")], tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "other.svg").read_text(encoding="utf-8")
    assert "#0b5fa5" in drawn
    assert "fill: #ffffff" in drawn


def test_a_plot_may_be_looked_at(tmp_path: Path) -> None:
    """As a PNG, in a folder that is made for it."""
    draw([a_run("sqlite")], tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_long_run_is_drawn_by_what_is_highest() -> None:
    """Of thousands of points some hundred and fifty are left, the highest moment of a log among them; of few, all."""
    points = [(float(second), 49.0 if second == 777 else second % 7.0) for second in range(3000)]
    drawn = thinned(points)
    assert len(drawn) == 150
    assert (777.0, 49.0) in drawn
    assert min(value for _, value in drawn) == 6.0
    assert thinned(points[:120]) == points[:120]
