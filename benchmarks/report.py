"""The tables that people read: the one that grows while a run goes on, and those of the README, in Markdown."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import attrs

from benchmarks.measure import FLOOR, OURS
from benchmarks.peers.operations import NORMAL
from benchmarks.peers.rows import OPERATIONS
from benchmarks.recorded import COUNTED, PEERS, Figure, Record, Times, machine
from benchmarks.stores import ON_DISK

RECORDED = "## The last figures"
"""The heading that the README's figures stand under."""

GROUPS: Mapping[str, Sequence[str]] = {
    "Appending": ("append", "full", "sync", "extend", "growth", "syncs"),
    "Loading": ("load", "last"),
    "Changing the last message": ("update_last", "remove_last"),
    "Many sessions": ("list", "page", "running", "stuck", "cleanup", "open", "compact"),
    "Searching": ("search",),
    "Many writers": ("writers", "beside"),
    "Asynchronous callers": ("aio", "loop"),
    "History": ("history",),
    "Starting, space and memory": ("import", "disk", "memory"),
}
"""The headings of the README's tables, and the subjects under each; a subject is what follows a store in a name."""

OTHERS = "Others"

OUR_NAME = "sessionkit"
"""What our names begin with among the peers'."""

_STORES = ("memory", *(store.name for store in ON_DISK))
_WIDTHS = "{:<40}{:>13}{:>12}{:>12}{:>14}{:>12}{:>12}{:>15}  {:<16}{}"
_COLUMNS = ("row", "ours, median", "mean", "p99", "floor, median", "mean", "p99", "figure", "target", "")
_MARKDOWN = ("| " + " | ".join(_COLUMNS) + " |", f"| --- |{' ---: |' * 7} --- | --- |")
_TIMES_NORMAL, _UNSYNCED = "times_normal", "a floor that doesn't sync"  # what a peer's row has, and its note says
_LARGE = 100  # from here on a ratio's decimals say nothing


def header() -> str:
    """The first line of the table."""
    return _WIDTHS.format(*_COLUMNS).rstrip()


def line(figure: Figure) -> str:
    """A row of the table: ours and the floor in microseconds, the figure, and whether it reaches its target."""
    return _WIDTHS.format(figure.name, *_cells(figure)).rstrip()


def markdown(record: Record) -> str:
    """What was found, where and when: a table a subject, and one that has the peers side by side."""
    days = sorted({figure.measured_at.partition("T")[0] for figure in record.rows})
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
    where = ", ".join(f"{name} {value}" for name, value in record.machine.items())
    peers = [figure for figure in record.rows if figure.name.startswith(PEERS)]
    return "\n".join(
        [
            f"{when}, {where}: `{record.command}`. Times are in microseconds.",
            *chain.from_iterable(_table(heading, rows) for heading, rows in _grouped(record.rows).items()),
            *(_peers_table(peers, record.peers) if peers else ()),
            "",
        ]
    )


def insert(readme: Path, text: str) -> None:
    """Put that in the place of the figures that the README ends with.

    Raises:
        ValueError: the README has no heading to put them under.
    """
    kept, heading, _ = readme.read_text(encoding="utf-8").partition(RECORDED)
    if not heading:
        msg = f"{readme} has no heading {RECORDED!r} to put the figures under"
        raise ValueError(msg)
    readme.write_text(f"{kept}{heading}\n\n{text}", encoding="utf-8")


def where() -> str:
    """What the figures are measured on, in a line."""
    return ", ".join(f"{name} {value}" for name, value in machine().items())


def shown(figure: Figure) -> str:
    """The figure with its unit; where there is none, what the note says first: that it cannot, or is over so long."""
    if figure.value is None:
        return re.split(r"[:;,]", figure.note or "none", maxsplit=1)[0]
    decimals = 0 if figure.unit in COUNTED or abs(figure.value) >= _LARGE else 2
    return f"{figure.value:,.{decimals}f} {figure.unit}"


def in_order(names: Sequence[str]) -> list[str]:
    """The names sorted, with numbers as numbers, so that 16 comes behind 2."""
    return sorted(
        names, key=lambda name: [(part.isdigit(), int(part) if part.isdigit() else part) for part in name.split(".")]
    )


def _grouped(rows: Sequence[Figure]) -> dict[str, list[Figure]]:
    """The rows of each table, in order; no table without rows."""
    by_name = {figure.name: figure for figure in rows if not figure.name.startswith(PEERS)}
    heading_of = {subject: heading for heading, subjects in GROUPS.items() for subject in subjects}
    groups: dict[str, list[Figure]] = {heading: [] for heading in (*GROUPS, OTHERS)}
    for name in in_order(list(by_name)):
        groups[heading_of.get(_subject(name), OTHERS)].append(by_name[name])
    return {heading: found for heading, found in groups.items() if found}


def _subject(name: str) -> str:
    first, *others = name.split(".")
    return others[0] if first in _STORES and others else first


def _table(heading: str, rows: Sequence[Figure]) -> list[str]:
    lines = [f"| `{figure.name}` | {' | '.join(_escaped(_cells(figure)))} |" for figure in rows]
    return ["", f"### {heading}", "", *_MARKDOWN, *lines]


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]


def _peers_table(rows: Sequence[Figure], versions: Mapping[str, str]) -> list[str]:
    """Operations down, peers across, ours first; each cell against the floor of the same durability."""
    cells: dict[str, dict[str, Figure]] = {}
    order = {operation.name: at for at, operation in enumerate(OPERATIONS)}
    rows = sorted(rows, key=lambda figure: order.get(_parts(figure)[0], len(order)))
    for figure in rows:
        operation, peer = _parts(figure)
        cells.setdefault(operation, {})[peer] = figure
    peers = sorted(dict.fromkeys(_parts(figure)[1] for figure in rows), key=lambda peer: not peer.startswith(OUR_NAME))
    synced = {_parts(figure)[1] for figure in rows if NORMAL in figure.microseconds}
    lines = [["syncs at each append", *("yes" if peer in synced else "no" for peer in peers)]]
    for operation, found in cells.items():
        lines.append([f"`{operation}`", *(_ratio(found.get(peer)) for peer in peers)])
        if any(NORMAL in figure.microseconds for figure in found.values()):
            lines.append([f"against {_UNSYNCED}", *(_against_normal(found.get(peer)) for peer in peers)])
    return [
        "",
        "### Peers",
        "",
        "A plain number is how many times as long as the floor of the same durability it takes. Measured with "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ".",
        "",
        f"| | {' | '.join(peers)} |",
        f"| --- |{' ---: |' * len(peers)}",
        *(f"| {' | '.join(line)} |" for line in lines),
        "",
        *filter(None, (_remarks(peer, rows) for peer in peers)),
    ]


def _parts(figure: Figure) -> tuple[str, str]:
    """The operation and the peer of a row of peers."""
    operation, _, peer = figure.name.removeprefix(PEERS).rpartition(".")
    return operation, peer


def _ratio(figure: Figure | None) -> str:
    return "" if figure is None else shown(figure).removesuffix(" x")


def _against_normal(figure: Figure | None) -> str:
    if figure is None or _TIMES_NORMAL not in figure.numbers:
        return _ratio(figure)
    return _ratio(attrs.evolve(figure, value=figure.numbers[_TIMES_NORMAL]))


def _remarks(peer: str, rows: Sequence[Figure]) -> str:
    """What the table alone doesn't say of a peer; nothing where there is nothing to say."""
    remarks: dict[str, list[str]] = {}
    for figure in rows:
        operation, found = _parts(figure)
        for remark in figure.note.split("; ") if found == peer and figure.note else ():
            if not remark.endswith(_UNSYNCED):
                remarks.setdefault(remark, []).append(f"`{operation}`")
    told = "; ".join(f"{', '.join(names)} {remark}" for remark, names in remarks.items())
    return f"- {peer}: {told}" if told else ""


def _cells(figure: Figure) -> list[str]:
    """All of a row but its name."""
    ours, floor = (figure.microseconds.get(name) for name in (OURS, FLOOR))
    note = "" if figure.value is None and figure.note == shown(figure) else figure.note
    return [*_micros(ours), *_micros(floor), shown(figure), _target(figure), note]


def _micros(times: Times | None) -> list[str]:
    return [_number(time) for time in (times.median, times.typical_mean, times.p99)] if times else ["", "", ""]


def _number(microseconds: float) -> str:
    return f"{microseconds:,.1f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'>=' if figure.at_least else '<='} {figure.target:g} {'reached' if figure.reached else 'MISSED'}"
