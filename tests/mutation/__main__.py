"""``python -m tests.mutation AREA... [--only MODULE...]``: which changes of the code no test notices."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.mutation.areas import AREAS, Area
from tests.mutation.mutants import mutants_of
from tests.mutation.session import ALIVE, Run

ROOT = Path(__file__).parents[2]


def arguments() -> argparse.Namespace:
    """Those of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("areas", nargs="+", choices=sorted(AREAS), metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="of these modules, such as rows.py")
    parser.add_argument("--tests", nargs="*", metavar="PATH", help="ask these tests instead of the area's")
    parser.add_argument("-k", dest="chosen", metavar="EXPRESSION", help="and of those only these, as pytest has it")
    parser.add_argument("--all", action="store_true", help="with the operators that the area leaves out")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="mutants at a time; 2")
    parser.add_argument("--budget", type=float, default=60, metavar="SECONDS", help="of tests for each mutant; 60")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write each answer there, and ask no mutant twice")
    parser.add_argument("--again", type=Path, metavar="FILE", help="ask those again that survived in this record")
    parser.add_argument("--watched", type=Path, metavar="FILE", help="keep there which test comes by which line")
    return parser.parse_args()


def main() -> int:
    """Run, and print a report; 1 where a mutant is alive."""
    options = arguments()
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what pytest says of mutants is not for people
    alive = 0
    for name in options.areas:
        counts = mutate(AREAS[name], options, lambda line: print(line, file=report, flush=True))
        for path, count in sorted(counts.items()):
            figures = ", ".join(f"{number} {outcome}" for outcome, number in sorted(count.items()))
            print(f"{path}: {sum(count.values())} mutants, {figures}", file=report)
            alive += sum(count[outcome] for outcome in ALIVE)
    report.flush()
    return int(alive > 0)


def mutate(area: Area, options: argparse.Namespace, say: Any) -> dict[str, Any]:
    """Ask about an area's mutants; how many came to what, by module."""
    paths = [path for path in area.paths(ROOT) if not options.only or path.name in options.only]
    mutants = [mutant for path in paths for mutant in mutants_of(path, ROOT)]
    if not options.all:
        mutants = [mutant for mutant in mutants if mutant.operator not in area.without]
    if options.again:
        alive = {tuple(row["name"]) for row in rows(options.again) if row["outcome"] in ALIVE}
        mutants = [mutant for mutant in mutants if mutant.name in alive]
    if options.record and options.record.exists():
        asked = {tuple(row["name"]) for row in rows(options.record)}
        mutants = [mutant for mutant in mutants if mutant.name not in asked]
    folder = Path(tempfile.mkdtemp(prefix="mutation-"))
    expression = area.chosen if options.chosen is None else options.chosen
    chosen = [*(options.tests or area.tests), *(["-k", expression] if expression else [])]
    run = Run(
        ROOT,
        mutants,
        chosen,
        options.workers,
        options.budget,
        options.record or folder / "record.jsonl",
        options.watched or folder / "watched.json",
        say,
    )
    run.go()
    return dict(run.counts)


def rows(record: Path) -> list[dict[str, Any]]:
    """The answers of an earlier run; of several about one mutant the last."""
    read = [json.loads(line) for line in record.read_text().splitlines()]
    return list({tuple(row["name"]): row for row in read}.values())


if __name__ == "__main__":
    sys.exit(main())
