"""The rows of SQLite against a bare table."""

import shutil
import statistics
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from benchmarks.corpus import Corpus, recorded
from benchmarks.floors import TUNED, BareTable
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, Scale, compared, interleave, ratio_of_medians
from benchmarks.stores import SHALLOW, SQLITE, fill
from sessionkit import open_backend

_LAST = 50
_BEHIND = 1 << 32
"""From here on stand a bare table's rows of a session behind another."""


def _append(
    run: Run,
    *,
    corpus: Corpus | None = None,
    behind: bool = False,
    synchronous: str = "normal",
    settings: Mapping[str, object] | None = None,
    rounds: int = 0,
) -> Measured:
    """With others behind it, a row goes into the middle of the table, which is dearer: for the floor as for ours."""
    corpus = corpus or run.corpus
    floor = BareTable(run.folder / "floor.db", synchronous, settings)
    with open_backend(SQLITE.url(run.folder), synchronous=synchronous) as backend:
        fill(backend, run, "session", 0, SHALLOW)
        if behind:
            fill(backend, run, "behind", 0, SHALLOW)
            for number, data in enumerate(run.corpus.dicts[:SHALLOW]):
                floor.append("behind", data, _BEHIND + number)

        def ours(number: int) -> None:
            backend.append("session", corpus.messages[number % len(corpus)])

        def bare(number: int) -> None:
            floor.append("session", corpus.dicts[number % len(corpus)], number + 1 if behind else None)

        samples = interleave(
            {OURS: ours, FLOOR: bare}, rounds=rounds or run.scale.rounds, per_round=run.scale.per_round
        )
    floor.close()
    return compared(samples)


@cache
def _appended(scale: Scale, shared: Path) -> Measured:
    """Measured once a run, for three rows."""
    run = Run(shared / "appended", scale, shared)
    run.folder.mkdir()
    try:
        return _append(run)
    finally:
        shutil.rmtree(run.folder)


def _mean(run: Run) -> Measured:
    return _appended(run.scale, run.shared)


def _median(run: Run) -> Measured:
    """Of each round the ratio of the medians, of these the median."""
    samples = _appended(run.scale, run.shared).samples
    return Measured(ratio_of_medians(samples), samples)


def _stall(run: Run) -> Measured:
    """The longest of all appends: a batch of the index, or a checkpoint, which the floor has too."""
    samples = _appended(run.scale, run.shared).samples
    worst, floor = samples[OURS].worst / 1e6, samples[FLOOR].worst / 1e6
    rounds = zip(samples[OURS].rounds, samples[FLOOR].rounds, strict=True)
    against = statistics.median(max(ours) / max(bare) for ours, bare in rounds)
    return Measured(worst, samples, f"the floor's: {floor:.1f} ms", {"floor_worst_ms": floor}, against)


def _full(run: Run) -> Measured:
    """Each append of both waits for the disk, so there are fewer rounds, and medians, as disks are moody."""
    samples = _append(run, synchronous="full", rounds=max(1, run.scale.rounds // 2)).samples
    return Measured(ratio_of_medians(samples), samples)


def _load(run: Run) -> Measured:
    """Neither is the only session of its file."""
    floor = BareTable(run.folder / "floor.db")
    first, last = SHALLOW + 1, SHALLOW + run.scale.deep
    with SQLITE.open(run.folder) as backend:
        _fill_both(backend.append, floor.append, run)
        samples = interleave(
            {OURS: lambda _: backend.load("session"), FLOOR: lambda _: floor.load(first, last)},
            rounds=run.scale.repeats,
        )
    floor.close()
    return compared(samples)


def _last(run: Run) -> Measured:
    floor = BareTable(run.folder / "floor.db")
    first, last = SHALLOW + 1, SHALLOW + run.scale.deep
    with SQLITE.open(run.folder) as backend:
        _fill_both(backend.append, floor.append, run)
        samples = interleave(
            {
                OURS: lambda _: backend.load_with_timestamps("session", last=_LAST),
                FLOOR: lambda _: floor.tail(first, last, _LAST),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    floor.close()
    return compared(samples)


def _fill_both(ours: Callable[..., None], floor: Callable[..., None], run: Run) -> None:
    for key, count in (("before", SHALLOW), ("session", run.scale.deep), ("behind", SHALLOW)):
        for number in range(count):
            ours(key, run.corpus.messages[number % len(run.corpus)])
            floor(key, run.corpus.dicts[number % len(run.corpus)])


ROWS = [
    Row(
        "sqlite.append",
        "append, index batches included : json.dumps + INSERT",
        "x",
        _mean,
        Bound(1.6),
    ),
    Row("sqlite.append.median", "the same, of the medians", "x", _median, Bound(1.3)),
    Row("sqlite.append.stall", "the longest of these appends", "ms", _stall, Bound(50)),
    Row(
        "sqlite.full.append",
        "append : json.dumps + INSERT, both with synchronous=full, of the medians",
        "x",
        _full,
        Bound(1.15),
    ),
    Row(
        "sqlite.append.older",
        "the same, both with others behind them in the table",
        "x",
        partial(_append, behind=True),
        Bound(1.6),
    ),
    Row("sqlite.append.tuned", "the same, the floor tuned as ours is", "x", partial(_append, settings=TUNED)),
    Row("sqlite.load", "load of 10,000 : rows + json.loads", "x", _load, Bound(0.9)),
    Row("sqlite.last", "last 50 of 10,000 : range query + json.loads", "x", _last, Bound(2)),
]
_recorded = recorded()
if _recorded is not None:
    ROWS.append(
        Row(
            "sqlite.append.real",
            "append of real conversations : json.dumps + INSERT",
            "x",
            partial(_append, corpus=_recorded),
            Bound(1.6),
        )
    )
