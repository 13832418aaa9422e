"""The plots, drawn from what is recorded.

They look the same wherever they are drawn: letters are paths, on a white ground of their own, and nothing in the files
tells when or by what version they were made.
"""

import math
import re
from collections.abc import Sequence
from itertools import cycle
from operator import itemgetter
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.measure import FLOOR, OURS
from benchmarks.peers.operations import NORMAL
from benchmarks.recorded import Figure, Record
from benchmarks.report import OUR_NAME, shown
from benchmarks.stores import JSONL, ON_DISK, SQLITE

Point = tuple[float, float]
Numbered = list[tuple[int, Figure]]

SETTINGS: dict[Any, Any] = {  # what matplotlib calls the type of its keys differs between versions
    "svg.hashsalt": "sessionkit",  # else its ids differ from run to run
    "svg.fonttype": "path",  # whoever looks at it needs no font
    "font.family": "DejaVu Sans",  # which comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "axes.edgecolor": "#888888",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
}

_COLOUR_OF = {SQLITE.name: "#0b5fa5", JSONL.name: "#1b7f4b"}
_SHADES = ("#0b5fa5", "#d1495b", "#8f5bb5", "#e08e0b")
_COLOURS = ("#d1495b", "#e08e0b", "#8f5bb5", "#b5651d", "#d16ba5", "#5f7d1f", "#3b9aa8", "#a83232", "#7a6a53")
_PEERS_APPEND = re.compile(r"peers\.append\.\d+\.([^.]+)")
_MARKERS = "sD^vPX<>*"


@attrs.frozen
class Curve:
    """A line of a plot; its points are in the order of their x."""

    label: str
    points: Sequence[Point]
    colour: str
    marker: str = "o"
    dashed: bool = False
    wide: bool = False


@attrs.frozen
class Panel:
    """Axes, both logarithmic, and their curves."""

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    timed: bool = True

    @property
    def drawn(self) -> list[Curve]:
        """The curves that have points."""
        return [curve for curve in self.curves if curve.points]


def draw(record: Record, folder: Path) -> list[Path]:
    """Draw each plot of which the record holds anything, as SVG, into that folder; their paths."""
    sheets = {"append": append_panels(record), "writers": writers_panels(record), "size": size_panels(record)}
    paths: list[Path] = []
    for name, panels in sheets.items():
        found = [panel for panel in panels if panel.drawn]
        if found:
            paths.append(folder / f"{name}.svg")
            _save(found, paths[-1])
    return paths


def append_panels(record: Record) -> list[Panel]:
    """What an append takes at each length of its session: the stores that sync at each one apart from the others."""
    names = dict.fromkeys(found[1] for name in record.by_name if (found := _PEERS_APPEND.fullmatch(name)))
    by_peer = {peer: _numbered(record, rf"peers\.append\.(\d+)\.{re.escape(peer)}") for peer in names}
    styles = cycle(zip(_COLOURS, _MARKERS, strict=True))
    curves: dict[bool, list[Curve]] = {False: _own_appends(record), True: []}
    for peer, rows in by_peer.items():
        syncs = any(NORMAL in figure.microseconds for _, figure in rows)
        if not peer.startswith(OUR_NAME):
            colour, marker = next(styles)
            curves[syncs].append(Curve(_told(peer, rows), _points(rows, OURS), colour, marker))
        elif syncs:  # the floor of all peers is a bare table, be they files
            ours, floor = _ours_and_floor(peer.removeprefix(f"{OUR_NAME}-"), rows)
            curves[syncs] += [ours, floor] if SQLITE.name in peer else [ours]
    return [
        Panel(title, "messages in the session", "one append, mean", curves[syncs])
        for syncs, title in ((False, "Not synced at each append"), (True, "Synced at each append"))
    ]


def writers_panels(record: Record) -> list[Panel]:
    """How many appends a second many writers make together."""
    return [
        Panel(
            f"{kind.capitalize()}, {where}",
            kind,
            "appends a second",
            _throughput(record, f"{many}.{kind}"),
            timed=False,
        )
        for many, where in (("one", "one session"), ("many", "a session each"))
        for kind in ("processes", "threads")
    ]


def size_panels(record: Record) -> list[Panel]:
    """What a page and a search take, at each size of the store."""
    return [
        Panel("Page of the 50 newest sessions", "sessions", "median", _pages(record)),
        Panel("Search, the first 20 sessions", "messages", "median", _searches(record)),
    ]


def _own_appends(record: Record) -> list[Curve]:
    stores = {store.name: _numbered(record, rf"{store.name}\.append\.at\.(\d+)") for store in ON_DISK}
    return [curve for name, rows in stores.items() for curve in _ours_and_floor(name, rows)]


def _pages(record: Record) -> list[Curve]:
    stores = {store.name: _numbered(record, rf"{store.name}\.page\.(\d+)") for store in ON_DISK}
    return [curve for name, rows in stores.items() for curve in _ours_and_floor(name, rows, mean=False)]


def _searches(record: Record) -> list[Curve]:
    """Right after appends it is the worst moment's median, which has no floor."""
    curves: list[Curve] = []
    kinds = {"common": "common", "rare": "rare", "absent": "absent", "rare.after_append": "rare, right after appends"}
    for (kind, told), colour, marker in zip(kinds.items(), _SHADES, _MARKERS, strict=False):
        rows = _numbered(record, rf"sqlite\.search\.(\d+)\.{kind}")
        points = [(size, figure.value * 1e3) for size, figure in rows if figure.value is not None]
        curves.append(Curve(told, points, colour, marker, wide=True))
        if kind == told:
            curves.append(Curve(f"floor, {told}", _points(rows, FLOOR, mean=False), colour, "", dashed=True))
    return curves


def _ours_and_floor(name: str, rows: Numbered, *, mean: bool = True) -> list[Curve]:
    colour = _COLOUR_OF[name.partition("-")[0]]
    return [
        Curve(f"{OUR_NAME}, {name}", _points(rows, OURS, mean=mean), colour, wide=True),
        Curve(f"floor of {name}", _points(rows, FLOOR, mean=mean), colour, marker="", dashed=True),
    ]


def _told(peer: str, rows: Numbered) -> str:
    """A peer's name, and where its curve has no point, which is never for want of a row."""
    return "\n".join([peer, *(f"  {shown(figure)} at {size:,}" for size, figure in rows if figure.value is None)])


def _throughput(record: Record, kind: str) -> list[Curve]:
    curves: list[Curve] = []
    for name, colour in _COLOUR_OF.items():
        rows = _numbered(record, rf"{name}\.writers\.{re.escape(kind)}\.(\d+)")
        ours, floor = (
            [(count, figure.numbers[number]) for count, figure in rows if number in figure.numbers]
            for number in ("per_second", "floor_per_second")
        )
        curves.append(Curve(f"{OUR_NAME}, {name}", ours, colour, wide=True))
        curves.append(Curve(f"floor of {name}", floor, colour, marker="", dashed=True))
    return curves


def _numbered(record: Record, pattern: str) -> Numbered:
    """The rows with names of that pattern, which has a group for a number, by that number."""
    found = [(re.fullmatch(pattern, figure.name), figure) for figure in record.rows]
    return sorted(((int(match[1]), figure) for match, figure in found if match), key=itemgetter(0))


def _points(rows: Numbered, contender: str, *, mean: bool = True) -> list[Point]:
    """What an operation took: on average, or the median one."""
    found = [(x, figure.microseconds[contender]) for x, figure in rows if contender in figure.microseconds]
    return [(x, times.typical_mean if mean else times.median) for x, times in found]


def _save(panels: Sequence[Panel], path: Path) -> None:
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    labels = [[curve.label for curve in panel.drawn] for panel in panels]
    shared = len(panels) > 1 and all(these == labels[0] for these in labels)
    with mpl.rc_context(SETTINGS):
        sheet = Sheet(figsize=(4.8 * columns, (3.2 if shared else 4.4) * rows), layout="constrained", facecolor="white")
        for at, panel in enumerate(panels):
            beside = sheet.axes[0] if at and panel.timed and panel.y == panels[0].y else None
            axes = sheet.add_subplot(rows, columns, at + 1, sharey=beside)
            _draw(axes, panel)
            if not shared:
                axes.legend(loc="upper left", bbox_to_anchor=(-0.05, -0.18), ncols=2)
        if shared:
            sheet.legend(*sheet.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.savefig(
            path, format=path.suffix[1:], metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else None
        )


def _draw(axes: Axes, panel: Panel) -> None:
    for curve in panel.drawn:
        axes.plot(
            [x for x, _ in curve.points],
            [y for _, y in curve.points],
            color=curve.colour,
            marker=curve.marker,
            linestyle="--" if curve.dashed else "-",
            linewidth=2.2 if curve.wide else 1.2,
            zorder=3 if curve.wide else 2,
            label=curve.label,
        )
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y, xscale="log")
    axes.set_xticks(sorted({x for curve in panel.drawn for x, _ in curve.points}))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    if panel.timed:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _duration(y)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))


def _duration(microseconds: float) -> str:
    """In the unit that a person would say."""
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds:g} µs"
