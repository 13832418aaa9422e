"""The table that people read, and the JSON that machines do."""

import os
import platform
import sqlite3
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import FLOOR, OURS, Measured, Row, Samples

RECORDED = "## The last figures"
COUNTED = ("lost", "appends")
"""The units of what is counted, not timed."""

_WIDTHS = "{:<22}{:<64}{:>11}{:>11}{:>9}{:>14}  {}"


def header() -> str:
    """The first line of the table."""
    return _WIDTHS.format("row", "what", "ours (us)", "floor (us)", "p99", "figure", "bound")


def line(row: Row, measured: Measured) -> str:
    """A row of the table: the mean operation of each contender, the figure, and whether it reaches its bound."""
    ours = measured.samples.get(OURS)
    return _WIDTHS.format(
        row.name,
        row.what,
        *_means(measured),
        _micros(ours.p99 if ours else None),
        _figure(row, measured),
        f"{_bound(row, measured)}  {measured.note}".rstrip(),
    )


def reached(row: Row, measured: Measured) -> bool | None:
    """Whether the figure reaches the row's bound; None where it has none."""
    return None if row.bound is None else row.bound.reached_by(measured.value)


def as_json(results: Mapping[Row, Measured], *, quick: bool) -> dict[str, Any]:
    """Everything that was found, and on what."""
    return {
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m {' '.join(['benchmarks', *sys.argv[1:]])}",
        "quick": quick,
        "machine": machine(),
        "rows": [
            {
                "name": row.name,
                "what": row.what,
                "figure": measured.value,
                "unit": row.unit,
                "bound": None if row.bound is None else row.bound.limit,
                "at_least": row.bound is not None and row.bound.at_least,
                "reached": reached(row, measured),
                "note": measured.note,
                "numbers": dict(measured.numbers),
                "microseconds": {name: _summary(samples) for name, samples in measured.samples.items()},
            }
            for row, measured in results.items()
        ],
    }


def record(readme: Path, results: Mapping[Row, Measured], command: str) -> None:
    """Put the figures in the place of those that the README ends with."""
    text = readme.read_text(encoding="utf-8")
    kept, heading, _ = text.partition(RECORDED)
    if not heading:
        msg = f"{readme} has no heading {RECORDED!r} to put the figures under"
        raise ValueError(msg)
    where = ", ".join(f"{name} {value}" for name, value in machine().items())
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {where}: `{command}`",
        "",
        "| row | ours (us) | floor (us) | figure | bound | |",
        "| --- | ---: | ---: | ---: | --- | --- |",
        *(f"| {' | '.join(cells)} |" for cells in (_cells(row, measured) for row, measured in results.items())),
    ]
    readme.write_text("\n".join([f"{kept}{heading}", "", *lines, ""]), encoding="utf-8")


def _cells(row: Row, measured: Measured) -> list[str]:
    """A row of the README's table."""
    return [f"`{row.name}`", *_means(measured), _figure(row, measured), _bound(row, measured), measured.note]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _bound(row: Row, measured: Measured) -> str:
    if row.bound is None:
        return ""
    sign = ">=" if row.bound.at_least else "<="
    return f"{sign} {row.bound.limit:g} {'reached' if reached(row, measured) else 'MISSED'}"


def _means(measured: Measured) -> list[str]:
    """The mean operation of each contender."""
    contenders = (measured.samples.get(name) for name in (OURS, FLOOR))
    return [_micros(samples.typical_mean if samples else None) for samples in contenders]


def _figure(row: Row, measured: Measured) -> str:
    return f"{measured.value:{'.0f' if row.unit in COUNTED else '.2f'}} {row.unit}"


def _summary(samples: Samples) -> dict[str, float]:
    moments = {
        "fastest": samples.fastest,
        "median": samples.median,
        "mean": samples.mean,
        "typical_mean": samples.typical_mean,
        "p99": samples.p99,
        "worst": samples.worst,
    }
    return {"operations": len(samples.times)} | {name: round(time / 1e3, 3) for name, time in moments.items()}


def _micros(nanoseconds: float | None) -> str:
    return "" if nanoseconds is None else f"{nanoseconds / 1e3:,.1f}"
