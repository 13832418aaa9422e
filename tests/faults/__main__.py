"""``python -m tests.faults``: the long proofs, by hand, with a report in words."""

import argparse
import random
import sys
import time

from tests.faults.stores import STORES
from tests.faults.table import FAULTS, prove


def main() -> int:
    """Ask what the arguments say; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="this one only; may be repeated")
    parser.add_argument("--store", choices=STORES, action="append", help="this one only; may be repeated")
    parser.add_argument(
        "--times", type=int, help="how often each is tried; without it, everywhere or thousands of times"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311 -- no secret
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")  # noqa: T201 -- it is a command
    broken = 0
    for fault in arguments.fault or FAULTS:
        for store in arguments.store or STORES:
            started = time.monotonic()
            often = FAULTS[fault].often
            report = prove(fault, STORES[store], times=lambda n: arguments.times or often[n], seed=arguments.seed)  # noqa: B023 -- called at once
            broken += len(report.broken)
            print(*report.lines(), f"    {time.monotonic() - started:.0f} s", sep="\n", flush=True)  # noqa: T201 -- likewise
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
