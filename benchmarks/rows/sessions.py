"""The rows of stores with many sessions: a page of the newest, a list of all, and opening such a store."""

import shutil
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks import big
from benchmarks.floors import read_ends
from benchmarks.measure import (
    FLOOR,
    OURS,
    Bound,
    Measured,
    Operation,
    Row,
    Run,
    Samples,
    compared,
    interleave,
    ratio_of_medians,
)
from benchmarks.stores import JSONL, SQLITE, Store
from sessionkit import SessionQuery

SIZES = (1_000, 10_000, 100_000, 1_000_000)
JSONL_SIZES = SIZES[:3]

_PAGE = 50
_APPENDS = 128
_LONG = 10_000
"""A list of as many sessions as that or more is not repeated as often."""


def repeats(run: Run, size: int) -> int:
    """How often what takes a time in proportion to the size is repeated."""
    return run.scale.repeats if size < _LONG else max(2, run.scale.repeats // 5)


def folder_of_files(folder: Path) -> Path:
    """The one that holds the sessions' files."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns).parent


def _page(size: int, run: Run) -> Measured:
    """The floor gives dicts of the same columns, from an index on the activity."""
    query = SessionQuery(limit=_PAGE)
    many = big.sessions(run, SQLITE, size)
    with SQLITE.open(many.folder) as backend, closing(many.floor) as floor:
        samples = _often({OURS: lambda _: backend.search(query), FLOOR: lambda _: floor.page(_PAGE)}, run)
        _check([one.key for one in backend.search(query)], [one["key"] for one in floor.page(_PAGE)])
    return compared(samples)


def _growth(run: Run) -> Measured:
    """The same page of the largest store and of one of 10,000 sessions."""
    query = SessionQuery(limit=_PAGE)
    largest, usual = (big.sessions(run, SQLITE, size) for size in (SIZES[-1], _LONG))
    with SQLITE.open(largest.folder) as backend, SQLITE.open(usual.folder) as other:
        samples = _often({OURS: lambda _: backend.search(query), FLOOR: lambda _: other.search(query)}, run)
    return compared(samples)


def _page_after_append(run: Run) -> Measured:
    """Each page right after an append to another session; a round holds as many as a store may let anything wait for.

    The floor has nothing added.
    """
    query, message = SessionQuery(limit=_PAGE), run.corpus.messages[0]
    many = big.sessions(run, SQLITE, _LONG)
    folder = run.folder / "copy"
    shutil.copytree(many.folder, folder)
    with SQLITE.open(folder) as backend, closing(many.floor) as floor:
        samples = interleave(
            {OURS: lambda _: backend.search(query), FLOOR: lambda _: floor.page(_PAGE)},
            rounds=run.scale.rounds,
            per_round=min(_APPENDS, run.scale.per_round),
            chunk=1,
            before={OURS: lambda number: backend.append(f"agent/{number % many.count}", message)},
        )
    return compared(samples)


def _list(size: int, run: Run) -> Measured:
    """The floor reads the keys in the order of its index on the activity."""
    many = big.sessions(run, SQLITE, size)
    with SQLITE.open(many.folder) as backend, closing(many.floor) as floor:
        samples = interleave(
            {OURS: lambda _: backend.list_sessions(), FLOOR: lambda _: floor.keys()}, rounds=repeats(run, size)
        )
        _check(backend.list_sessions(), floor.keys())
    return compared(samples)


def _files(size: int, page: int | None, run: Run) -> Measured:
    """A page of JSONL's sessions, or the list of all."""
    query = SessionQuery(limit=page)
    many = big.sessions(run, JSONL, size)
    folder = folder_of_files(many.folder / JSONL.name)
    with JSONL.open(many.folder) as backend:
        samples = interleave(
            {
                OURS: lambda _: backend.search(query) if page else backend.list_sessions(),
                FLOOR: lambda _: read_ends(folder),
            },
            rounds=repeats(run, size),
        )
    return compared(samples)


def _open(size: int, run: Run) -> Measured:
    """Within a process that has done so before, and closed again: both close what they open."""
    many = big.sessions(run, SQLITE, size)
    key = f"agent/{many.count // 2}"

    def ours(_number: int) -> None:
        with SQLITE.open(many.folder) as backend:
            backend.get_session_metadata(key)

    def bare(_number: int) -> None:
        with closing(many.floor) as floor:
            floor.one(key)

    samples = interleave({OURS: ours, FLOOR: bare}, rounds=run.scale.rounds, per_round=run.scale.repeats)
    return Measured(samples[OURS].median / 1e6, samples, compare=ratio_of_medians(samples))


def _often(contenders: dict[str, Operation], run: Run) -> dict[str, Samples]:
    return interleave(contenders, rounds=run.scale.rounds, per_round=run.scale.repeats * 4, chunk=4)


def _check(ours: list[str], floor: list[str]) -> None:
    if ours != floor:
        msg = "ours and the floor gave different sessions"
        raise RuntimeError(msg)


def _rows_of(store: Store, size: int) -> list[Row]:
    def row(name: str, what: str, measure: partial[Measured], bound: float | None = None) -> Row:
        bounded = None if bound is None else Bound(bound)
        return Row(f"{store.name}.{name}.{size}", what, "x", measure, bounded, size)

    page, listed = f"page of the {_PAGE} newest of {size:,} sessions", f"list of {size:,} sessions"
    if store is JSONL:
        floor = "reading the end of each file"
        return [
            row("page", f"{page} : {floor}", partial(_files, size, _PAGE)),
            row("list", f"{listed} : {floor}", partial(_files, size, None)),
        ]
    return [
        row("page", f"{page} : an indexed query + json.loads", partial(_page, size), 3),
        row("list", f"{listed} : an indexed query", partial(_list, size)),
    ]


ROWS = [
    *(row for size in SIZES for row in _rows_of(SQLITE, size)),
    *(row for size in JSONL_SIZES for row in _rows_of(JSONL, size)),
    Row(
        "sqlite.page.growth",
        f"page of the {_PAGE} newest: of {SIZES[-1]:,} : of {_LONG:,} sessions",
        "x",
        _growth,
        Bound(1.5),
        SIZES[-1],
    ),
    Row(
        "sqlite.page.after_append",
        f"page of the {_PAGE} newest of {_LONG:,} sessions right after an append : an indexed query + json.loads",
        "x",
        _page_after_append,
        Bound(3),
        _LONG,
    ),
    *(
        Row(
            f"sqlite.open.{size}",
            f"open a store of {size:,} sessions, metadata of one, close",
            "ms",
            partial(_open, size),
            size=size,
        )
        for size in (10_000, 1_000_000)
    ),
]
