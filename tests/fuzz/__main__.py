"""``python -m tests.fuzz TARGET``: give a parser of foreign bytes very many inputs, and say what came of them."""

import argparse
import sys
import tempfile
from pathlib import Path

NAMES = ("codec", "history", "import", "jsonl", "names", "search", "urls")


def main() -> int:
    """The exit status: 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=(*NAMES, "all"), help="which parser; all: one after the other")
    parser.add_argument("--inputs", type=int, default=200_000, help="how many inputs (200,000)")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs for the same seed (0)")
    parser.add_argument("--driver", choices=("mutations", "atheris"), default="mutations", help="who makes the inputs")
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path(tempfile.gettempdir()) / "sessionkit-fuzz",
        help="the folder for inputs that break a promise",
    )
    parser.add_argument("--replay", type=Path, help="run this one input, and show the whole error")
    given = parser.parse_args()
    if given.driver == "atheris":
        if given.target == "all":
            parser.error("atheris takes one target at a time: it ends the process")
        from tests.fuzz.guided import guide  # noqa: PLC0415 -- before anything of sessionkit

        guide(given.target, inputs=given.inputs, seed=given.seed, findings=given.findings)
    from tests.fuzz.driving import drive  # noqa: PLC0415 -- as above
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 -- as above

    if given.replay is not None:
        sys.stdout.write(f"{dict(TARGETS[given.target].run(given.replay.read_bytes()))}\n")
        return 0
    found = 0
    for name in NAMES if given.target == "all" else (given.target,):
        report = drive(TARGETS[name], inputs=given.inputs, seed=given.seed, findings=given.findings)
        sys.stdout.write(report.text() + "\n")
        sys.stdout.flush()
        found += len(report.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
