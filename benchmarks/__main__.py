"""Measure, print the table, and say which targets were missed; see README.md beside this file."""

import argparse
import shlex
import sys
import tempfile
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import attrs

from benchmarks.measure import FULL, QUICK, Row, Run, Scale
from benchmarks.peers import PEERS, NoPeersError, peer_rows
from benchmarks.recorded import (
    LOST,
    Figure,
    Record,
    better,
    compared,
    figure_of,
    machine,
    merged,
    now,
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
"""How often a row is measured again that seems to have got worse: a busy moment is no worse figure."""

ROWS = all_rows()


def chosen(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows whose names begin with one of those; all where there is none.

    Raises:
        ValueError: one of them begins no row's name.
    """
    for name in names:
        if not any(row.name.startswith(name) for row in rows):
            msg = f"no row begins with {name!r}; there are {', '.join(row.name for row in rows)}"
            raise ValueError(msg)
    return [row for row in rows if not names or row.name.startswith(tuple(names))]


def measure(rows: Sequence[Row], scale: Scale, record: Record | None = None) -> list[Figure]:
    """Measure each in a fresh folder, printing the table as it grows.

    A row that raises has no figure; the traceback is printed, and the others go on. One that has got worse than its
    record is measured again, and the better figure counts; unless what it counts may not happen once.
    """
    print(where(), header(), sep="\n", flush=True)
    figures: list[Figure] = []
    recorded = {} if record is None else record.by_name
    with _temporary() as shared:
        for row in rows:
            if row.size > scale.most or (figure := _measured(row, scale, shared)) is None:
                continue
            for _ in range(AGAIN):
                if row.name not in recorded or row.unit == LOST or not worse(figure, recorded[row.name]):
                    break
                with _temporary() as anew:  # so that nothing is taken from what other rows have measured
                    figure = better(figure, _measured(row, scale, anew) or figure)
            figures.append(figure)
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
    old = read(file)
    try:
        rows = _prepared(options, file, old)
    except (ValueError, ImportError, NoPeersError) as error:
        parser.error(str(error))
    if options.plots and old:
        _draw(old)
        return 0
    figures = measure(rows, scale, old if options.check else None)
    versions = _versions() if options.peers else {}
    new = Record(now(), shlex.join([*COMMAND, *given]), scale.name, machine(), figures, versions)
    if options.json:
        write(options.json, new)
    if options.markdown:
        options.markdown.write_text(markdown(new), encoding="utf-8")
    if options.record:
        _keep(file, merged(new, old, {row.name for row in ROWS}))
    missed = [figure.name for figure in figures if figure.reached is False]
    if missed:
        print(f"missed: {', '.join(missed)}")
    fell = bool(options.check and old and _says_what_got_worse(figures, old))
    return 1 if fell or len(figures) < sum(row.size <= scale.most for row in rows) else 0


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
    parser.add_argument("--plots", action="store_true", help="draw what is recorded, without measuring anything")
    return parser


def _prepared(options: argparse.Namespace, file: Path, old: Record | None) -> list[Row]:
    """The rows to measure. Whatever would make the run useless is found before it.

    Raises:
        ValueError: no row has such a name, or there is no record that is needed, or none that can be added to.
        ImportError: what draws is not installed.
        NoPeersError: not one peer is.
    """
    if old is None and (options.check or options.plots):
        msg = f"there is no {file.relative_to(RESULTS.parent)}; --record makes it"
        raise ValueError(msg)
    if options.record and options.only and old and old.machine != machine():
        msg = "the record is another machine's: record everything, without --only"
        raise ValueError(msg)
    if options.plots or (options.record and not options.quick):
        _require_matplotlib()
    return chosen([*ROWS, *(peer_rows() if options.peers else ())], options.only)


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


def _says_what_got_worse(figures: Sequence[Figure], record: Record) -> bool:
    """Hold the figures against the record, and print what came of it."""
    recorded = record.by_name
    new = [figure.name for figure in figures if compared(figure) and figure.name not in recorded]
    fell = [figure for figure in figures if figure.name in recorded and worse(figure, recorded[figure.name])]
    if new:
        print(f"not in the record: {', '.join(new)}")
    for figure in fell:
        print(f"got worse: {figure.name}, {shown(figure)}; recorded {shown(recorded[figure.name])}")
    return bool(fell)


if __name__ == "__main__":
    sys.exit(main())
