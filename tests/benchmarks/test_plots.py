"""The plots draw what is recorded, all of it, and the same each time."""

import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pip install -e '.[benchmarks]'")

from benchmarks.plots import Panel, append_panels, draw, size_panels, writers_panels
from benchmarks.recorded import Figure, Record, Times, machine


def _times(mean: float) -> Times:
    return Times(operations=1, fastest=mean, median=mean / 2, mean=mean, typical_mean=mean, p99=mean, worst=mean)


def _figure(name: str, *, value: float | None = 1.0, note: str = "", **means: float) -> Figure:
    return Figure(name, "", value, "x", note=note, microseconds={key: _times(mean) for key, mean in means.items()})


def _writers(count: int, per_second: float) -> Figure:
    numbers = {"per_second": per_second, "floor_per_second": 2 * per_second}
    return Figure(f"sqlite.writers.many.threads.{count}", "", 0.5, "x", 0.8, at_least=True, numbers=numbers)


RECORD = Record(
    "",
    "",
    "full",
    machine(),
    [
        _figure("sqlite.append.at.1000", ours=30, floor=20),
        _figure("sqlite.append.at.100", ours=31, floor=21),
        _figure("peers.append.100.sessionkit-sqlite", ours=99, floor=99),
        _figure("peers.append.100.sessionkit-sqlite-full", ours=1_500, floor=1_400, normal=20),
        _figure("peers.append.100.sessionkit-jsonl-fsync", ours=1_200, floor=1_400, normal=20),
        _figure("peers.append.100.slow", ours=5_000, floor=1_400, normal=20),
        _figure("peers.append.1000.slow", value=None, note="over 10 s: 500 messages were there by then"),
        _figure("peers.append.100.careless", ours=150, floor=20),
        _writers(16, 900),
        _writers(2, 1_000),
        _figure("sqlite.page.1000", ours=300, floor=100),
        _figure("sqlite.search.10000.common", value=30, ours=9, floor=10),
        _figure("sqlite.search.10000.rare.after_append", value=19, ours=9, floor=10),
    ],
)


def _drawn(panels: list[Panel]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """What each panel shows: the points of each curve."""
    return {panel.title: {curve.label: list(curve.points) for curve in panel.drawn} for panel in panels}


def test_appends_stand_beside_those_of_the_same_durability() -> None:
    """Who syncs at each append is apart; ours come with their floors, and who was too slow is named all the same."""
    assert _drawn(append_panels(RECORD)) == {
        "Not synced at each append": {
            "sessionkit, sqlite": [(100, 31), (1_000, 30)],
            "floor of sqlite": [(100, 21), (1_000, 20)],
            "careless": [(100, 150)],
        },
        "Synced at each append": {
            "sessionkit, sqlite-full": [(100, 1_500)],
            "floor of sqlite-full": [(100, 1_400)],
            "sessionkit, jsonl-fsync": [(100, 1_200)],
            "slow\n  over 10 s at 1,000": [(100, 5_000)],
        },
    }


def test_throughput_is_ours_and_the_floors() -> None:
    """By the number of writers, in its order."""
    assert _drawn(writers_panels(RECORD))["Threads, a session each"] == {
        "sessionkit, sqlite": [(2, 1_000), (16, 900)],
        "floor of sqlite": [(2, 2_000), (16, 1_800)],
    }


def test_sizes_show_medians() -> None:
    """Of a page the median; of a search the figure, which after appends is that of the worst moment."""
    assert _drawn(size_panels(RECORD)) == {
        "Page of the 50 newest sessions": {"sessionkit, sqlite": [(1_000, 150)], "floor of sqlite": [(1_000, 50)]},
        "Search, the first 20 sessions": {
            "common": [(10_000, 30_000)],
            "floor, common": [(10_000, 5)],
            "rare, right after appends": [(10_000, 19_000)],
        },
    }


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """No date and no random ids, so that a plot changes only where a figure has; no font that a reader must have."""
    drawn = [{path.name: path.read_bytes() for path in draw(RECORD, tmp_path / name)} for name in ("one", "two")]
    assert drawn[0] == drawn[1]
    assert sorted(drawn[0]) == ["append.svg", "size.svg", "writers.svg"]
    for content in drawn[0].values():
        assert b"<text" not in content
        assert not re.search(rb"<dc:(date|creator)", content)


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    """A record without such rows leaves no empty plot."""
    assert draw(Record("", "", "full", machine(), []), tmp_path) == []
