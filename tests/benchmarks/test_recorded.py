"""What is kept of a run comes back as it was, and says what has got worse since."""

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.measure import Bound, Measured, Row, Run, Samples
from benchmarks.recorded import Figure, Record, better, figure_of, machine, merged, read, worse, write


def _row(bound: Bound | None = None) -> Row:
    def measure(_run: Run) -> Measured:
        raise NotImplementedError

    return Row("row", "one : another", "x", measure, bound)


def _record(*figures: Figure) -> Record:
    return Record("2026-01-01T00:00:00+00:00", "python -m benchmarks", "full", machine(), list(figures))


def test_record_comes_back(tmp_path: Path) -> None:
    """Figures, moments, numbers and what has no figure are read as they were written, from JSON that all can read."""
    samples = {"ours": Samples([[1_000, 3_000], [2_000, 2_000]])}
    figures = [
        figure_of(_row(Bound(2)), Measured(1.5, samples, "a note", {"lost": 0.0})),
        figure_of(_row(), Measured(math.nan, note="cannot: no call does", numbers={"odd": math.inf})),
        figure_of(_row(Bound(2)), Measured(math.inf, note="over 10 s")),
    ]
    file = tmp_path / "results" / "full.json"
    write(file, _record(*figures))
    assert read(file) == _record(*figures)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)["rows"]
    assert [(row["value"], row["target"], row["reached"]) for row in rows] == [
        (1.5, 2, True),
        (None, None, None),
        (None, 2, False),
    ]
    assert rows[0]["microseconds"]["ours"] == {
        "operations": 4,
        "fastest": 1,
        "median": 2,
        "mean": 2,
        "typical_mean": 2,
        "p99": 3,
        "worst": 3,
    }


def test_no_record_is_none(tmp_path: Path) -> None:
    """Where nothing was recorded yet, there is nothing."""
    assert read(tmp_path / "full.json") is None


@pytest.mark.parametrize(
    ("recorded", "value", "expected"),
    [(3, 4, False), (3, 4.01, True), (3, 0.1, False), (0, 0, False), (3, None, True), (None, 9, False)],
)
def test_a_third_more_is_worse(recorded: float | None, value: float | None, *, expected: bool) -> None:
    """A ratio may grow by a third; where there was a figure and is none any more, that is worse."""
    assert worse(Figure("row", "", value, "x"), Figure("row", "", recorded, "x")) is expected


def test_where_more_is_better_less_is_worse() -> None:
    """Of a throughput, three quarters must be left, that is the ratio the other way round grew by a third."""
    recorded = Figure("row", "", 1.0, "x", target=0.8, at_least=True)
    assert [worse(attrs.evolve(recorded, value=value), recorded) for value in (0.76, 0.74, 5)] == [False, True, False]


def test_one_lost_is_worse_than_none() -> None:
    """A third of nothing is nothing."""
    assert worse(Figure("row", "", 1, "lost"), Figure("row", "", 0, "lost"))


@pytest.mark.parametrize(("name", "unit"), [("row", "ms"), ("row", "us"), ("peers.append.100.other", "x")])
def test_what_is_not_ours_or_not_comparable_is_never_worse(name: str, unit: str) -> None:
    """Milliseconds are another machine's, and peers may get slower."""
    assert not worse(Figure(name, "", 9, unit), Figure(name, "", 1, unit))


def test_better_is_nearer_to_what_is_wanted() -> None:
    """Less, or more where the target is a least; anything is better than no figure."""
    one, two, none = (Figure("row", "", value, "x") for value in (1, 2, None))
    assert [better(one, two).value, better(two, one).value, better(none, two).value, better(two, none).value] == [
        1,
        1,
        2,
        2,
    ]
    assert better(attrs.evolve(one, at_least=True), attrs.evolve(two, at_least=True)).value == 2


def test_merging_keeps_figures_of_the_same_machine_only() -> None:
    """Those that were not measured again, of rows that are known, and of peers, known only where installed."""
    old = _record(*(Figure(name, "", 1, "x") for name in ("one", "two", "gone", "peers.load.other")))
    new = _record(Figure("one", "", 2, "x"))
    kept = merged(new, old, {"one", "two"})
    assert [(figure.name, figure.value) for figure in kept.rows] == [("one", 2), ("two", 1), ("peers.load.other", 1)]
    assert merged(new, attrs.evolve(old, machine={"system": "another"}), {"one", "two"}) == new
    assert merged(new, None, {"one"}) == new
