"""What is kept of a run comes back as it was, and says what has got worse since."""

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.measure import Bound, Measured, Row, Run, Samples
from benchmarks.recorded import (
    OWN_MACHINE,
    Figure,
    Record,
    figure_of,
    lost_peers,
    machine,
    merged,
    middle,
    read,
    worse,
    write,
)


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
    assert worse(_found(value), _found(recorded)) is expected


def _found(value: float | None, name: str = "row", unit: str = "x") -> Figure:
    return Figure(name, "", value, unit, compare=value)


def test_where_more_is_better_less_is_worse() -> None:
    """Of a throughput, three quarters must be left, that is the ratio the other way round grew by a third."""
    recorded = attrs.evolve(_found(1), target=0.8, at_least=True)
    assert [worse(attrs.evolve(recorded, compare=value), recorded) for value in (0.76, 0.74, 5)] == [False, True, False]


def test_one_lost_is_worse_than_none() -> None:
    """A third of nothing is nothing."""
    assert worse(_found(1, unit="lost"), _found(0, unit="lost"))


def test_what_is_compared_means_the_same_everywhere() -> None:
    """A ratio is, be it the figure or what stands behind milliseconds; those alone are another machine's."""
    units = {unit: figure_of(attrs.evolve(_row(), unit=unit), Measured(7)).compare for unit in ("x", "syncs", "ms")}
    assert units == {"x": 7, "syncs": 7, "ms": None}
    assert figure_of(attrs.evolve(_row(), unit="ms"), Measured(7, compare=2)).compare == 2
    assert not worse(_found(9, "peers.append.100.other"), _found(1, "peers.append.100.other"))


def test_middle_is_no_lucky_look() -> None:
    """The median of several looks; one without a figure is the worst."""
    one, two, none = _found(1), _found(2), _found(None)
    looks = ([two], [two, one], [one, none, two], [none, one, none])
    assert [middle(these) for these in looks] == [two, one, two, none]


def test_cores_and_disk_decide_some_rows() -> None:
    """Writers, threads and what waits for the disk; not how often it does."""
    names = ["sqlite.writers.one.threads.4", "jsonl.beside", "memory.aio", "sqlite.full.append", "jsonl.sync.append"]
    others = ["sqlite.append", "sqlite.full.syncs", "jsonl.sync.syncs", "sqlite.append.at.100"]
    assert [name for name in (*names, *others) if OWN_MACHINE.fullmatch(name)] == names


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 7}'])
def test_what_is_no_record_says_so(tmp_path: Path, text: str) -> None:
    """A file that is damaged, or from another version, is named with what to do."""
    file = tmp_path / "full.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"full\.json is no record of this version: remove it"):
        read(file)


def test_peers_are_lost_with_what_differs() -> None:
    """A record of another Python loses them; one without peers has none to lose."""
    old = attrs.evolve(_record(_found(1, "peers.load.other")), machine=machine() | {"python": "3.0.0"})
    assert lost_peers(machine(), old) == [f"python 3.0.0, now {machine()['python']}"]
    assert lost_peers(machine(), attrs.evolve(old, machine=machine())) == []
    assert lost_peers(machine(), attrs.evolve(old, rows=[_found(1)])) == []


def test_merging_keeps_figures_of_the_same_machine_only() -> None:
    """Those that were not measured again, of rows that are known, and of peers, known only where installed."""
    old = _record(*(Figure(name, "", 1, "x") for name in ("one", "two", "gone", "peers.load.other")))
    new = _record(Figure("one", "", 2, "x"))
    kept = merged(new, old, {"one", "two"})
    assert [(figure.name, figure.value) for figure in kept.rows] == [("one", 2), ("two", 1), ("peers.load.other", 1)]
    assert merged(new, attrs.evolve(old, machine={"system": "another"}), {"one", "two"}) == new
    assert merged(new, None, {"one"}) == new
