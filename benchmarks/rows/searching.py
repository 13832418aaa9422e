"""The rows of search in large stores: the first page for words that few, most or no messages hold, and after appends.

The stores are `benchmarks.big.messages`: sessions of a hundred messages each, everything indexed.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import big
from benchmarks.corpus import ABSENT, RARE, common_word
from benchmarks.floors_many import BareSearch
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, Samples, interleave, ratio
from benchmarks.stores import JSONL, SQLITE, Store
from sessionkit import OpenBackend, SessionQuery

PAGE = 20
SIZES = {SQLITE: (10_000, 100_000, 1_000_000), JSONL: (10_000, 100_000)}
LARGEST = 1_000_000
WORDS = {"rare": RARE, "common": common_word(), "absent": ABSENT}
BOUNDS = {"rare": 1.0, "common": 60.0, "absent": 1.0}
"""Of the largest store, in milliseconds."""

AFTER_APPEND = tuple(WORDS)
AFTER_APPEND_BOUND = 20.0

_SESSIONS = 20  # that the appends go to, in turn
_STEP, _STEPS = 128, 32
_PER_STEP = 7

Search = Callable[[], list[Any]]


def _searches(store: Store, folder: Path, kind: str) -> tuple[OpenBackend, BareSearch, Search, Search]:
    """Ours and the floor's, opened, and what each is asked."""
    query, word = SessionQuery(WORDS[kind], limit=PAGE), WORDS[kind]
    backend, floor = store.open(folder), BareSearch(folder / big.FLOOR)
    bare = floor.by_session if kind == "common" else floor.by_match
    return backend, floor, partial(backend.search, query), partial(bare, word, PAGE)


def _search(store: Store, size: int, kind: str, run: Run) -> Measured:
    """The floor takes whichever way is the quicker for the word."""
    folder = big.messages(run, store, size)
    backend, floor, ours, bare = _searches(store, folder, kind)
    with backend, closing(floor):
        rounds, often = (run.scale.rounds, 4) if store is SQLITE else (max(2, run.scale.repeats // 3), 1)
        samples = interleave({OURS: lambda _: ours(), FLOOR: lambda _: bare()}, rounds=rounds, per_round=often, chunk=1)
        found = [one.key for one in ours()]
        if store is SQLITE and len(found) != len(bare()):
            raise RuntimeError("ours and the floor found different sessions")
    return _milliseconds(samples, samples[OURS].median, f"{len(found)} found")


def _after_append(size: int, kind: str, run: Run) -> Measured:
    """More appends than any batch takes to come together, and now and then the search, right after one of them.

    The figure is that of the worst moment, each moment's the median of a few searches with an append before each. The
    floor has nothing added, and neither has the store that others search, of which this is a copy.
    """
    folder = run.folder / "copy"
    shutil.copytree(big.messages(run, SQLITE, size), folder)
    backend, floor, ours, bare = _searches(SQLITE, folder, kind)
    texts = big.without_rare()
    added = count()

    def append(number: int) -> None:
        for at in islice(added, 1 if number % _PER_STEP else _STEP - _PER_STEP):
            backend.append(f"added/{at % _SESSIONS}", texts[at % len(texts)])

    with backend, closing(floor):
        samples = interleave(
            {OURS: lambda _: ours(), FLOOR: lambda _: bare()},
            rounds=min(_STEPS, run.scale.per_round // 16),
            per_round=_PER_STEP,
            chunk=1,
            before={OURS: append},
        )
    steps = samples[OURS].rounds
    return _milliseconds(samples, max(median(times) for times in steps), f"the worst moment of {len(steps)}")


def _sessions(kind: str, run: Run) -> Measured:
    """Where all sessions hold the word, or none does; the floor of neither is measured."""
    many = big.sessions(run, SQLITE, LARGEST)
    query = SessionQuery({"common": big.WORD, "absent": ABSENT}[kind], limit=PAGE)
    with SQLITE.open(many.folder) as backend:
        samples = interleave({OURS: lambda _: backend.search(query)}, rounds=run.scale.rounds)
        found = len(backend.search(query))
    return Measured(samples[OURS].median / 1e6, samples, f"{found} found")


def _milliseconds(samples: dict[str, Samples], nanoseconds: float, note: str) -> Measured:
    numbers = {"ratio": ratio(samples), "floor_ms": samples[FLOOR].median / 1e6}
    return Measured(nanoseconds / 1e6, samples, note, numbers, numbers["ratio"])


ROWS = [
    *(
        Row(
            f"{store.name}.search.{size}.{kind}",
            f"first {PAGE} sessions with a word that is {kind}, of {size:,} messages",
            "ms",
            partial(_search, store, size, kind),
            Bound(BOUNDS[kind]) if size == LARGEST else None,
            size,
        )
        for store, sizes in SIZES.items()
        for size in sizes
        for kind in WORDS
    ),
    *(
        Row(
            f"sqlite.search.{size}.{kind}.after_append",
            f"the same of {size:,} right after an append, with as much unindexed as appends let wait",
            "ms",
            partial(_after_append, size, kind),
            Bound(max(BOUNDS[kind], AFTER_APPEND_BOUND)) if size == LARGEST else None,
            size,
        )
        for size in SIZES[SQLITE]
        for kind in AFTER_APPEND
    ),
    *(
        Row(
            f"sqlite.search.sessions.{kind}",
            f"first {PAGE} of {LARGEST:,} sessions of one message, with a word that is {kind}",
            "ms",
            partial(_sessions, kind),
            Bound(BOUNDS[kind]),
            LARGEST,
        )
        for kind in ("common", "absent")
    ),
]
