"""``python -m tests.corruption``: damages thousands of stores, and tells what became of them."""

# ruff: noqa: T201 -- printing is what it is for

import argparse
import sys
import time
from collections import Counter
from typing import Any

from tests.corruption.pool import outcomes
from tests.corruption.stores import KEYS, STORES, length

_EVERY = 60.0
"""Seconds between two lines that say how far it is."""


def summary(store: str, seen: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """What was found, in lines; of each damaged store, exactly one verdict."""
    whole = [one for _, one in seen if not one.get("died")]
    differing = [one for one in whole if one["lost"] or one["changed"]]
    said, older = sum(one["said"] for one in differing), sum(one["older"] and not one["said"] for one in differing)
    texts = sum(not one["lost"] and not one["said"] for one in differing)
    found, found_there = (sum(bool(one["found"]) for one in some) for some in (whole, differing))
    kinds = Counter(kind for one in whole for kind in one["found"])
    verdicts = Counter(verdict(one) for _, one in seen)
    written = len(whole) * sum(map(length, KEYS))
    readable, saved = sum(one["readable"] for one in whole), sum(one["saved"] for one in whole)
    return [
        f"{store}: {len(seen)} damaged stores, {len(differing)} of them with messages that were lost or changed",
        f"  could be opened to read: {sum(one['opens'] for one in whole)} of {len(seen)}",
        f"  of the {len(differing)}: {said} said so when read, {older} showed an earlier moment, {texts} another text",
        f"  the doctor found something in {found}, of the {len(differing)} in {found_there}",
        "  by kind: " + (", ".join(f"{kind} {times}" for kind, times in kinds.most_common()) or "none"),
        f"  messages: {written} written; {readable} read after the damage; {saved} after the repair",
        *(f"  {times} stores: {name}" for name, times in verdicts.most_common()),
    ]


def verdict(one: dict[str, Any]) -> str:
    """What became of a damaged store: the worst that is true of it."""
    if one["broken"]:
        return "A PROMISE WAS BROKEN"
    if one["hopeless"]:
        return "refused: no page of it in its place holds a message; left as it was"
    if one["saved"] == 0:
        return "in order again, but empty: not one message was left"
    if one["moved"]:
        return "in order again, with messages in a session that the repair had to name"
    if one["saved"] < sum(map(length, KEYS)):
        return "in order again, with fewer messages"
    return "in order again, with as many messages as were written"


def main() -> int:
    """Run it; the exit status is 1 where a promise was broken. Ctrl-C ends it with a report of what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.corruption", description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="default: each of them")
    parser.add_argument("--times", type=int, default=1000, help="how many of each")
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType] -- what a program has for stdout can
    seeds = range(asked.seed, asked.seed + asked.times)
    try:
        broken = [_tried(store, seeds, asked.workers) for store in asked.store or STORES]
    except KeyboardInterrupt:
        return 130
    return 1 if any(broken) else 0


def _tried(store: str, seeds: range, workers: int) -> int:
    """Try them, tell of each broken promise as it is found, and give how many stores broke one."""
    started = told = time.perf_counter()
    seen: list[tuple[int, dict[str, Any]]] = []
    try:
        for seed, one in outcomes(store, seeds, workers=workers):
            seen.append((seed, one))
            if one["broken"]:
                print(f"BROKEN, {store}, seed {seed}, {one.get('damage')}: " + "\n    ".join(one["broken"]))
            if time.perf_counter() - told > _EVERY:
                told = time.perf_counter()
                print(f"{store}: {len(seen)} of {len(seeds)} stores, {told - started:.0f} s")
    finally:
        broken = sorted(seed for seed, one in seen if one["broken"])
        print("\n".join(summary(store, seen)))
        which = f"{len(seen)} of " if len(seen) < len(seeds) else ""
        print(f"  {which}seeds {seeds.start} to {seeds.stop - 1}, {time.perf_counter() - started:.0f} s")
        print(f"  stores that broke a promise: {len(broken)} {broken or ''}")
    return len(broken)


if __name__ == "__main__":
    sys.exit(main())
