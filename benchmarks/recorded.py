"""What is kept of a run, as JSON, and whether a later run's figures have got worse.

A record is a file a scale, ``results/full.json`` and ``results/quick.json``. What people read,
tables and plots, is made from it, and can be made again without measuring.
"""

import json
import math
import os
import platform
import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import cattrs

from benchmarks.measure import Bound, Measured, Row, Samples

PEERS = "peers."
"""What the names of the rows begin with that measure others."""

LOST = "lost"
"""The unit of what may not happen once, so that no second look changes it."""

COUNTED = (LOST, "appends")
"""The units of what is counted, not timed."""

COMPARABLE = ("x", "B/B", "syncs", *COUNTED)
"""The units of figures that mean the same on every machine."""

OWN_MACHINE = re.compile(r".*\.(writers\..*|beside|aio|full\.append|sync\.append)")
"""The rows that say something else on another machine: of how many cores and how fast a disk it has."""

WORSE = 4 / 3
"""How many times its recorded figure a row may reach: a third more."""


@attrs.frozen
class Times:
    """How long the operations of one contender took, in microseconds; `typical_mean` is the median round's mean."""

    operations: int
    fastest: float
    median: float
    mean: float
    typical_mean: float
    p99: float
    worst: float


@attrs.frozen
class Figure:
    """What a row found, and what it was to find.

    Attributes:
        name: the row's.
        what: what is compared with what.
        value: the figure; None where there is none, and then the note says why.
        unit: of the figure; ``x`` is a ratio.
        target: what it must reach, where anything is demanded.
        at_least: whether more is better, and the target what it must not fall below.
        note: a remark, for people.
        numbers: what else was counted.
        microseconds: how long each contender's operations took.
        measured_at: when, in ISO 8601.
        compare: what a later figure is held against: the value, or the ratio behind it; None where neither means the
            same on every machine.
    """

    name: str
    what: str
    value: float | None
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""
    numbers: Mapping[str, float] = attrs.Factory(dict)
    microseconds: Mapping[str, Times] = attrs.Factory(dict)
    measured_at: str = ""
    compare: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the figure reaches its target; None where it has none."""
        if self.target is None:
            return None
        return self.value is not None and Bound(self.target, self.at_least).reached_by(self.value)


@attrs.frozen
class Record:
    """The figures of a run.

    Attributes:
        recorded_at: when the run ended, in ISO 8601.
        command: what was called.
        scale: the name of the scale; figures of different ones can't be compared.
        machine: what they were measured on.
        rows: the figures, in the order in which they were measured.
        peers: the versions of the peers' distributions, where peers were measured.
        seconds: how long the last run took.
    """

    recorded_at: str
    command: str
    scale: str
    machine: Mapping[str, str]
    rows: list[Figure]
    peers: Mapping[str, str] = attrs.Factory(dict)
    seconds: float = 0

    @property
    def by_name(self) -> dict[str, Figure]:
        """The figures by their rows' names."""
        return {figure.name: figure for figure in self.rows}


def machine() -> dict[str, str]:
    """What the figures are measured on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def figure_of(row: Row, measured: Measured) -> Figure:
    """What is kept of what a row found: of the samples their moments, and of numbers those that JSON knows."""
    value = _rounded(measured.value) if math.isfinite(measured.value) else None
    against = value if measured.compare is None else _rounded(measured.compare)
    return Figure(
        row.name,
        row.what,
        value,
        row.unit,
        None if row.bound is None else row.bound.limit,
        row.bound is not None and row.bound.at_least,
        measured.note,
        {name: _rounded(number) for name, number in measured.numbers.items() if math.isfinite(number)},
        {name: _times(samples) for name, samples in measured.samples.items()},
        now(),
        None if measured.compare is None and row.unit not in COMPARABLE else against,
    )


def read(path: Path) -> Record | None:
    """The record in that file; None where there is no such file.

    Raises:
        ValueError: it isn't what `write` writes: damaged, or another version's.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return cattrs.structure(json.loads(text), Record)
    except (ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
        msg = f"{path} is no record of this version: remove it, and make it anew with --record"
        raise ValueError(msg) from error


def write(path: Path, record: Record) -> None:
    """Put the record there, as JSON that says of each row, too, whether it reached its target."""
    data: dict[str, Any] = cattrs.unstructure(record)
    for row, figure in zip(data["rows"], record.rows, strict=True):
        row["reached"] = figure.reached
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def lost_peers(new_machine: Mapping[str, str], old: Record) -> list[str]:
    """What is different about the machine of the old record, where peers' rows would be lost with it."""
    if not any(figure.name.startswith(PEERS) for figure in old.rows):
        return []
    return [
        f"{name} {old.machine.get(name, 'unknown')}, now {new_machine.get(name, 'unknown')}"
        for name in sorted({*old.machine, *new_machine})
        if old.machine.get(name) != new_machine.get(name)
    ]


def merged(new: Record, old: Record | None, known: Collection[str]) -> Record:
    """The new record, and of an old one from the same machine the rows that were not measured this time.

    A row that is neither known any more nor a peer's is dropped: peers are known only where they are installed.
    """
    if old is None or old.machine != new.machine:
        return new
    kept = [
        figure
        for figure in old.rows
        if figure.name not in new.by_name and (figure.name in known or figure.name.startswith(PEERS))
    ]
    return attrs.evolve(new, rows=[*new.rows, *kept], peers=new.peers or old.peers)


def ours(figure: Figure) -> bool:
    """Whether a row's figure is ours, not a peer's."""
    return not figure.name.startswith(PEERS)


def worse(figure: Figure, recorded: Figure) -> bool:
    """Whether the figure has got worse than the recorded one by more than a third. A better one never has."""
    if not ours(figure) or recorded.compare is None:
        return False
    if figure.compare is None:
        return True
    if figure.at_least:
        return figure.compare * WORSE < recorded.compare
    return figure.compare > recorded.compare * WORSE


def middle(figures: Sequence[Figure]) -> Figure:
    """The median of several figures of a row; the lower one of two that are in the middle. None is more than any."""
    return sorted(figures, key=_compared)[(len(figures) - 1) // 2]


def _compared(figure: Figure) -> float:
    return math.inf if figure.compare is None else figure.compare


def _times(samples: Samples) -> Times:
    moments = (samples.fastest, samples.median, samples.mean, samples.typical_mean, samples.p99, samples.worst)
    return Times(len(samples.times), *(round(moment / 1e3, 3) for moment in moments))


def _rounded(number: float) -> float:
    """Six digits of it: what more there is, is noise."""
    return float(f"{number:.6g}")
