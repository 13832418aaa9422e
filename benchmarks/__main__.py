"""Measure, print the table, and say which bounds were missed; see README.md beside this file."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import FULL, QUICK, Measured, Row, Run, Scale
from benchmarks.report import as_json, header, line, machine, reached, record
from benchmarks.rows import all_rows

README = Path(__file__).with_name("README.md")

ROWS = all_rows()


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows whose names begin with one of those; all where there is none.

    Raises:
        ValueError: one of them begins no row's name.
    """
    for name in names:
        if not any(row.name.startswith(name) for row in ROWS):
            msg = f"no row begins with {name!r}; there are {', '.join(row.name for row in ROWS)}"
            raise ValueError(msg)
    return [row for row in ROWS if not names or row.name.startswith(tuple(names))]


def measure(rows: Sequence[Row], scale: Scale) -> dict[Row, Measured]:
    """Measure each in a fresh folder, printing the table as it grows."""
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(header())
    results: dict[Row, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="sessionkit-benchmark-") as shared:
        for row in rows:
            if row.size > scale.most:
                continue
            with tempfile.TemporaryDirectory(prefix="sessionkit-benchmark-") as folder:
                results[row] = row.measure(Run(Path(folder), scale, Path(shared)))
            print(line(row, results[row]), flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where ``--check`` was asked for and a bound was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that everything works: no figures")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write everything that was measured there")
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", default=(), help="rows whose names begin with one of these"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is missed")
    parser.add_argument("--record", action="store_true", help="put the figures into README.md beside this file")
    options = parser.parse_args(arguments)
    try:
        rows = chosen(options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.record and (options.quick or options.only):
        parser.error("--record takes every row in full, so neither --quick nor --only")
    results = measure(rows, QUICK if options.quick else FULL)
    if options.json:
        options.json.write_text(json.dumps(as_json(results, quick=options.quick), indent=2) + "\n", encoding="utf-8")
    if options.record:
        record(README, results, "python -m benchmarks --record")
    missed = [row.name for row, measured in results.items() if reached(row, measured) is False]
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
