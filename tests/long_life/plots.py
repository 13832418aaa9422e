"""The plots of runs: what was measured over time, a panel each; drawn as the benchmarks' are."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plots import SETTINGS
from tests.long_life.running import ROLES, Run

_PANELS = (
    *("memory", "handles", "threads", "log", "database", "folder", "largest file", "files"),
    *("sessions", "messages", "speed"),
)
_COLUMNS = 3
_POINTS = 150
_COLOURS = ("#0b5fa5", "#1b7f4b", "#d1495b")
_TITLES = {
    "memory": "Memory, MiB",
    "handles": "Open file handles",
    "threads": "Threads",
    "log": "Write-ahead log, MiB",
    "database": "Database, MiB",
    "folder": "Folder, MiB",
    "largest file": "Largest file, MiB",
    "files": "Files",
    "sessions": "Live sessions",
    "messages": "Live messages",
    "speed": "Operations a second",
}


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw what the runs measured into one sheet, a column of panels for each of them."""
    sheets = [[name for name in _PANELS if _series(run, name)] for run in runs]
    rows = [math.ceil(len(names) / _COLUMNS) for names in sheets]
    with mpl.rc_context(SETTINGS):
        sheet = Figure(figsize=(10.8, 2 * sum(rows) + 0.5 * len(runs)), layout="constrained", facecolor="white")
        parts = sheet.subfigures(len(runs), 1, height_ratios=rows, squeeze=False)
        for run, names, part in zip(runs, sheets, parts[:, 0], strict=True):
            store = {"sqlite": "SQLite", "jsonl": "JSONL"}.get(run.url.partition(":")[0], run.url.partition(":")[0])
            part.suptitle(f"{store}: {run.operations:,} operations in {run.seconds / 60:,.1f} minutes", fontsize=11)
            for at, name in enumerate(names):
                _draw(part.add_subplot(math.ceil(len(names) / _COLUMNS), _COLUMNS, at + 1), run, name)
        handles, labels = sheet.axes[0].get_legend_handles_labels()
        sheet.legend(handles, labels, loc="outside lower center", ncols=3)
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
        sheet.savefig(path, format=path.suffix[1:], metadata=metadata)


def _series(run: Run, name: str) -> dict[str, list[tuple[float, float]]]:
    """What was measured under that name: of each process, or of the store."""
    if name in run.series:
        return {"": run.series[name]}
    return {role: run.series[f"{name} of {role}"] for role in ROLES if f"{name} of {role}" in run.series}


def _draw(axes: Axes, run: Run, name: str) -> None:
    for label, measured in _series(run, name).items():
        points = thinned(measured)
        colour = _COLOURS[ROLES.index(label)] if label else "#444444"
        axes.plot([time / 60 for time, _ in points], [value for _, value in points], color=colour, label=label or None)
    axes.set(title=_TITLES[name], xlabel="minutes")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The highest of each stretch, some hundred and fifty in all: a bound is about what is highest."""
    length = max(1, len(points) // _POINTS)
    return [max(points[i : i + length], key=lambda point: point[1]) for i in range(0, len(points), length)]
