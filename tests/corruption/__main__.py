"""``python -m tests.corruption``: damages thousands of stores, and tells what became of them."""

# ruff: noqa: T201 -- printing is what it is for

import argparse
import sys
import time
from collections import Counter
from typing import Any

from tests.corruption.pool import outcomes
from tests.corruption.stores import KEYS, STORES, length


def summary(store: str, seen: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """What was found, in lines."""
    whole = [one for _, one in seen if not one.get("died")]
    differing = [one for one in whole if one["lost"] or one["changed"]]
    lost = sum(one["lost"] for one in whole)
    said, older = sum(one["said"] for one in differing), sum(one["older"] and not one["said"] for one in differing)
    texts = sum(not one["lost"] and not one["said"] for one in differing)
    found, found_there = (sum(bool(one["found"]) for one in some) for some in (whole, differing))
    kinds = Counter(kind for one in whole for kind in one["found"])
    saved = sum(one["saved"] for one in whole)
    return [
        f"{store}: {len(seen)} damaged stores, {len(differing)} of them with messages that were lost or changed",
        f"  could be opened to read: {sum(one['opens'] for one in whole)}; messages lost in all: {lost}",
        f"  of the {len(differing)}: {said} said so when read, {older} showed an earlier moment, {texts} another text",
        f"  the doctor found something in {found}, of the {len(differing)} in {found_there}",
        "  by kind: " + (", ".join(f"{kind} {times}" for kind, times in kinds.most_common()) or "none"),
        f"  messages after the repair: {saved} of {len(whole) * sum(map(length, KEYS))}",
        f"  nothing of a store was left in {sum(one['hopeless'] for one in whole)}",
    ]


def main() -> int:
    """Run it; the exit status is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.corruption", description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="default: each of them")
    parser.add_argument("--times", type=int, default=1000, help="how many of each")
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", type=int, default=10, help="how many broken promises to show")
    asked = parser.parse_args()
    broken = 0
    for store in asked.store or STORES:
        started = time.perf_counter()
        seeds = range(asked.seed, asked.seed + asked.times)
        seen = list(outcomes(store, seeds, workers=asked.workers))
        print("\n".join(summary(store, seen)))
        print(f"  seeds {seeds.start} to {seeds.stop - 1}, {time.perf_counter() - started:.0f} s")
        worse = sorted((seed, one) for seed, one in seen if one["broken"])
        for seed, one in worse[: asked.show]:
            print(f"  BROKEN, seed {seed}, {one.get('damage')}: " + "\n    ".join(one["broken"]))
        print(f"  promises broken: {len(worse)}")
        broken += len(worse)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
