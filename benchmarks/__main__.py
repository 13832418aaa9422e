"""Measure, print the table, and say which targets were missed; see README.md beside this file."""

import argparse
import shlex
import sys
import tempfile
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import attrs

from benchmarks.measure import FULL, QUICK, Row, Run, Scale
from benchmarks.peers import PEERS, NoPeersError, peer_rows
from benchmarks.recorded import (
    LOST,
    OWN_MACHINE,
    Figure,
    Record,
    figure_of,
    lost_peers,
    machine,
    merged,
    middle,
    now,
    ours,
    read,
    worse,
    write,
)
from benchmarks.report import header, insert, line, markdown, shown, where
from benchmarks.rows import all_rows

README = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).with_name("results")

COMMAND = ("python", "-m", "benchmarks")

AGAIN = 2
"""How often a row is measured again that seems to have got worse: of a busy moment and two others the median counts."""

ROWS = all_rows()


def chosen(rows: Sequence[Row], names: Sequence[str], scale: Scale) -> list[Row]:
    """The rows of that scale whose names begin with one of those; all where there is none.

    Raises:
        ValueError: one of them begins no row's name, or only names of rows that are too large for the scale.
    """
    fitting = [row for row in rows if row.size <= scale.most]
    for name in names:
        if any(row.name.startswith(name) for row in fitting):
            continue
        if any(row.name.startswith(name) for row in rows):
            msg = f"what begins with {name!r} is too large for --{scale.name}"
        else:
            near = get_close_matches(name, [row.name for row in rows], cutoff=0.3)
            msg = f"no row begins with {name!r}; near are {', '.join(near) or 'none'}"
        raise ValueError(msg)
    return [row for row in fitting if not names or row.name.startswith(tuple(names))]


def measure(rows: Sequence[Row], scale: Scale, record: Record | None = None) -> list[Figure]:
    """Measure each in a fresh folder, printing the table as it grows.

    A row that raises has no figure; the traceback is printed, and the others go on. One that has got worse than its
    record is measured twice more, and the median counts; unless what it counts may not happen once.
    """
    print(where(), header(), sep="\n", flush=True)
    figures: list[Figure] = []
    recorded = {} if record is None else record.by_name
    with _temporary() as shared:
        for row in rows:
            if (figure := _measured(row, scale, shared)) is None:
                continue
            looks = [figure]
            if row.name in recorded and row.unit != LOST and worse(figure, recorded[row.name]):
                for _ in range(AGAIN):
                    with _temporary() as anew:  # so that nothing is taken from what other rows have measured
                        looks += filter(None, [_measured(row, scale, anew)])
            figures.append(middle(looks))
    return figures


def _measured(row: Row, scale: Scale, shared: Path) -> Figure | None:
    with _temporary() as folder:
        try:
            figure = figure_of(row, row.measure(Run(folder, scale, shared)))
        except Exception:  # noqa: BLE001 -- whatever a row raises, a peer's code among it, costs no other row's figure
            traceback.print_exc()
            print(f"{row.name:<38}failed", flush=True)
            return None
    print(line(figure), flush=True)
    return figure


@contextmanager
def _temporary() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sessionkit-benchmark-") as folder:
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a row failed, or where ``--check`` was asked for and a figure has got worse."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    options = parser.parse_args(given)
    scale = QUICK if options.quick else FULL
    file = RESULTS / f"{scale.name}.json"
    try:
        old = read(file)
        rows = _prepared(options, scale, file, old)
    except (ValueError, ImportError, OSError, NoPeersError) as error:
        parser.error(str(error))
    if options.plots and old:
        _draw(old)
        return 0
    began = monotonic()
    held = _held(old) if options.check and old else None
    figures = measure(rows, scale, held)
    seconds = monotonic() - began
    print(f"took {seconds / 60:.1f} minutes")
    versions = _versions() if options.peers else {}
    new = Record(now(), shlex.join([*COMMAND, *given]), scale.name, machine(), figures, versions, round(seconds))
    if options.json:
        write(options.json, new)
    if options.markdown:
        options.markdown.write_text(markdown(new), encoding="utf-8")
    if options.record:
        _keep(file, merged(new, old, {row.name for row in ROWS}))
    missed = [figure.name for figure in figures if figure.reached is False]
    if missed:
        print(f"missed: {', '.join(missed)}")
    fell = bool(old and held and _says_what_got_worse(figures, old, held))
    return 1 if fell or len(figures) < len(rows) else 0


def _held(record: Record) -> Record:
    """The record, or of another machine's what can be held against this one's figures."""
    if record.machine == machine():
        return record
    print("the record is another machine's: left out is what depends on its cores and its disk")
    return attrs.evolve(record, rows=[figure for figure in record.rows if not OWN_MACHINE.fullmatch(figure.name)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run without the large sizes, under three minutes")
    parser.add_argument("--peers", action="store_true", help="also what people use today, as far as it is installed")
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", default=(), help="rows whose names begin with one of these"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write everything that was measured there")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables there")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a figure is a third worse than recorded"
    )
    parser.add_argument("--record", action="store_true", help="keep the figures; of a full run in README.md, too")
    parser.add_argument("--plots", action="store_true", help="draw what a full run recorded; nothing is measured")
    return parser


def _prepared(options: argparse.Namespace, scale: Scale, file: Path, old: Record | None) -> list[Row]:
    """The rows to measure. Whatever would make the run useless is found before it.

    Raises:
        ValueError: no row has such a name, or there is no record that is needed, or none that can be added to, or
            options contradict each other.
        ImportError: what draws is not installed.
        OSError: where something is to be written, nothing can be.
        NoPeersError: not one peer is.
    """
    if options.plots and any(value for name, value in vars(options).items() if name != "plots"):
        msg = "--plots draws what a full run recorded, and goes with no other option"
        raise ValueError(msg)
    if old is None and (options.check or options.plots):
        msg = f"there is no {file.relative_to(RESULTS.parent)}; --record makes it"
        raise ValueError(msg)
    if options.record and old:
        _require_same_machine(options, old)
    if options.plots or (options.record and not options.quick):
        _require_matplotlib()
    rows = chosen([*ROWS, *_rows_of_peers(options)], options.only, scale)
    for path in filter(None, (options.json, options.markdown)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a", encoding="utf-8").close()
    return rows


def _rows_of_peers(options: argparse.Namespace) -> list[Row]:
    """Those of the peers, where they are asked for; none where none is installed, and none is chosen either."""
    try:
        return peer_rows() if options.peers else []
    except NoPeersError:
        if options.only and all(any(row.name.startswith(name) for row in ROWS) for name in options.only):
            return []
        raise


def _require_same_machine(options: argparse.Namespace, old: Record) -> None:
    if options.only and old.machine != machine():
        msg = "the record is another machine's: record everything, without --only"
        raise ValueError(msg)
    if not options.peers and (differences := lost_peers(machine(), old)):
        msg = f"the peers were recorded with {'; '.join(differences)}, and would be lost: add --peers"
        raise ValueError(msg)


def _versions() -> dict[str, str]:
    """Of the distributions that the peers come with."""
    return {package: version(package) for peer in PEERS if not peer.missing() for package in peer.packages}


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        msg = "the plots need matplotlib; install it with: pip install -e '.[benchmarks]'"
        raise ImportError(msg)


def _keep(file: Path, record: Record) -> None:
    """Write the record, with the command that makes all of it; of a full run also what people see."""
    options = [*(["--quick"] if record.scale == QUICK.name else []), *(["--peers"] if record.peers else [])]
    record = attrs.evolve(record, command=shlex.join([*COMMAND, "--record", *options]))
    write(file, record)
    if record.scale == FULL.name:
        insert(README, markdown(record))
        _draw(record)


def _draw(record: Record) -> None:
    from benchmarks.plots import draw  # noqa: PLC0415 -- matplotlib is wanted only here, and slow to import

    for path in draw(record, RESULTS):
        print(path)


def _says_what_got_worse(figures: Sequence[Figure], record: Record, held: Record) -> bool:
    """Hold the figures against those of the record that can be, and print what came of it."""
    recorded = held.by_name
    known = {row.name for row in ROWS}
    new = [figure for figure in figures if ours(figure) and figure.compare is not None]
    told = {
        "not in the record": [figure.name for figure in new if figure.name not in record.by_name],
        "no longer measured": [figure.name for figure in record.rows if ours(figure) and figure.name not in known],
    }
    for what, names in told.items():
        if names:
            print(f"{what}: {', '.join(names)}")
    fell = [figure for figure in figures if figure.name in recorded and worse(figure, recorded[figure.name])]
    for figure in fell:
        print(f"got worse: {figure.name}, {_held_against(figure)}; recorded {_held_against(recorded[figure.name])}")
    return bool(fell)


def _held_against(figure: Figure) -> str:
    ratio = "" if figure.compare in (figure.value, None) else f" ({figure.compare:.2f} x)"
    return shown(figure) + ratio


if __name__ == "__main__":
    sys.exit(main())
