"""The rows of SQLite against a bare table."""

from collections.abc import Callable
from functools import partial

from benchmarks.corpus import Corpus, recorded
from benchmarks.floors import BareSessions, BareTable
from benchmarks.measure import Bound, Measured, Row, Run, compared, interleave
from benchmarks.rows.shared import SHALLOW, fill
from benchmarks.stores import SQLITE
from sessionkit import SessionQuery

_LAST = 50
_BEHIND = 1 << 32
"""From here on stand a bare table's rows of a session behind another."""


def _append(run: Run, *, corpus: Corpus | None = None, behind: bool = False) -> Measured:
    """With others behind it, a row goes into the middle of the table, which is dearer: for the floor as for ours."""
    corpus = corpus or run.corpus
    floor = BareTable(run.folder / "floor.db")
    with SQLITE.open(run.folder) as backend:
        fill(backend, run, "session", 0, SHALLOW)
        if behind:
            fill(backend, run, "behind", 0, SHALLOW)
            for number, data in enumerate(run.corpus.dicts[:SHALLOW]):
                floor.append("behind", data, _BEHIND + number)

        def ours(number: int) -> None:
            backend.append("session", corpus.messages[number % len(corpus)])

        def bare(number: int) -> None:
            floor.append("session", corpus.dicts[number % len(corpus)], number + 1 if behind else None)

        samples = interleave({"ours": ours, "floor": bare}, rounds=run.scale.rounds, per_round=run.scale.per_round)
    floor.close()
    return compared(samples)


def _load(run: Run) -> Measured:
    """Neither is the only session of its file."""
    floor = BareTable(run.folder / "floor.db")
    first, last = SHALLOW + 1, SHALLOW + run.scale.deep
    with SQLITE.open(run.folder) as backend:
        _fill_both(backend.append, floor.append, run)
        samples = interleave(
            {"ours": lambda _: backend.load("session"), "floor": lambda _: floor.load(first, last)},
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
                "ours": lambda _: backend.load_with_timestamps("session", last=_LAST),
                "floor": lambda _: floor.tail(first, last, _LAST),
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


def _page(run: Run) -> Measured:
    floor = BareSessions(run.folder / "floor.db", run.scale.deep)
    query = SessionQuery(limit=50)
    with SQLITE.open(run.folder) as backend:
        for number in range(run.scale.deep):
            backend.append(f"session/{number}", run.corpus.messages[number])
        samples = interleave(
            {"ours": lambda _: backend.search(query), "floor": lambda _: floor.page(50)},
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    floor.close()
    return Measured(samples["ours"].median / 1e6, samples)


ROWS = [
    Row(
        "sqlite.append",
        "append, index batches included : json.dumps + INSERT",
        "x",
        _append,
        Bound(2),
    ),
    Row(
        "sqlite.append.older",
        "the same, both with others behind them in the table",
        "x",
        partial(_append, behind=True),
        Bound(2),
    ),
    Row("sqlite.load", "load of 10,000 : fetchall + json.loads", "x", _load, Bound(1.1)),
    Row("sqlite.last", "last 50 of 10,000 : range query + json.loads", "x", _last, Bound(3)),
    Row("sqlite.page", "page of the 50 newest of 10,000 sessions", "ms", _page, Bound(2)),
]
_recorded = recorded()
if _recorded is not None:
    ROWS.append(
        Row(
            "sqlite.append.real",
            "append of real conversations : json.dumps + INSERT",
            "x",
            partial(_append, corpus=_recorded),
            Bound(2),
        )
    )
