"""``python -m tests.long_life sqlite``: minutes of mixed work at full speed; whether all that it takes is bounded."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.long_life.running import Load, Run, live

STORES = {"sqlite": ("sqlite:///{folder}/store.db", "store.db"), "jsonl": ("jsonl:///{folder}/store", "store")}


def main() -> int:
    """The exit status: 1 where something is not bounded."""
    parser = argparse.ArgumentParser(prog="python -m tests.long_life", description=__doc__)
    parser.add_argument("store", choices=sorted(STORES), nargs="?", help="which backend; its store is in a new folder")
    parser.add_argument("--minutes", type=float, default=20, help="how long (20)")
    parser.add_argument("--seed", type=int, default=0, help="the same work for the same seed, but for its order (0)")
    parser.add_argument("--threads", type=int, default=3, help="in each of the three processes (3)")
    parser.add_argument("--sessions", type=int, default=24, help="live ones of each thread, at most (24)")
    parser.add_argument("--record", type=Path, help="write what was measured to this file")
    parser.add_argument("--replot", type=Path, nargs="+", help="do nothing but report and plot these records")
    parser.add_argument("--plot", type=Path, help="draw it: an SVG or PNG (needs matplotlib: the extra 'benchmarks')")
    given = parser.parse_args()
    if given.replot is None and given.store is None:
        parser.error("say which store, or --replot a record")
    runs = [Run.load(path) for path in given.replot or ()]
    if not runs:
        url, name = STORES[given.store]
        with tempfile.TemporaryDirectory(prefix="sessionkit-long-life-") as folder:
            runs = [
                live(
                    url.format(folder=folder),
                    Path(folder, name),
                    seconds=given.minutes * 60,
                    seed=given.seed,
                    load=Load(given.threads, given.sessions),
                )
            ]
        if given.record is not None:
            runs[0].save(given.record)
    for run in runs:
        sys.stdout.write(run.text() + "\n")
    if given.plot is not None:
        from tests.long_life.plots import draw  # noqa: PLC0415 -- not everybody has matplotlib

        draw(runs, given.plot)
    return 0 if all(run.is_bounded() for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
