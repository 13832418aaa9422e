"""The rows of adding to sessions of a given depth, one by one and in batches, and of what depth adds to that."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

from benchmarks.deep import BATCH, OurSessions, Sessions, count_of, floor_of
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Operation, Row, Run, Samples, compared, interleave
from benchmarks.stores import ON_DISK, SHALLOW, SQLITE, Store

DEPTHS = (100, 1_000, 10_000, 100_000)

_CHUNK = 32
"""How many appends go to one session before the next has its turn."""


def _append(sessions: Sessions, count: int, chunk: int = _CHUNK) -> Operation:
    def append(number: int) -> None:
        sessions.append(number // chunk % count, number)

    return append


def _extend(sessions: Sessions, count: int) -> Operation:
    def extend(number: int) -> None:
        sessions.extend(number % count, number)

    return extend


def touch_before(ours: OurSessions, count: int, chunk: int = _CHUNK) -> Operation:
    """What touches each session before its turn."""

    def touch(number: int) -> None:
        turn, begun = divmod(number, chunk)
        if not begun:
            ours.touch(turn % count)

    return touch


def _append_at(store: Store, nominal: int, run: Run) -> Measured:
    return _against_floor(store, nominal, run, _append, per_round=run.scale.per_round, chunk=_CHUNK)


def _extend_at(store: Store, nominal: int, run: Run) -> Measured:
    """A round holds two batches of the index, as nearly as batches of both sizes fit."""
    return _against_floor(store, nominal, run, _extend, per_round=max(1, 2 * run.scale.per_round // BATCH), chunk=1)


def _against_floor(
    store: Store,
    nominal: int,
    run: Run,
    adding: Callable[[Sessions, int], Operation],
    *,
    per_round: int,
    chunk: int,
) -> Measured:
    depth = run.size(nominal)
    count = count_of(run, depth)
    with (
        closing(OurSessions(store, run.folder / "ours", run, depth)) as ours,
        closing(floor_of(store, run, depth)) as floor,
    ):
        samples = interleave(
            {OURS: adding(ours, count), FLOOR: adding(floor, count)},
            rounds=run.scale.rounds,
            per_round=per_round,
            chunk=chunk,
        )
    return _at(depth, samples)


def _at(depth: int, samples: dict[str, Samples]) -> Measured:
    measured = compared(samples)
    return Measured(measured.value, samples, numbers={"depth": depth})


def _growth(store: Store, run: Run) -> Measured:
    """Both ours: one session in which all messages are, and many short ones in a store of the same size.

    So that short ones don't pay for being many, which would flatter the long one, each is written to once before its
    turn, which is not timed.
    """
    depth = run.size(DEPTHS[-1])
    count = count_of(run, SHALLOW)
    with (
        closing(OurSessions(store, run.folder / "deep", run, depth)) as deep,
        closing(OurSessions(store, run.folder / "shallow", run, SHALLOW)) as shallow,
    ):
        samples = interleave(
            {OURS: _append(deep, 1), FLOOR: _append(shallow, count)},
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
            chunk=_CHUNK,
            before={FLOOR: touch_before(shallow, count)},
        )
    return _at(depth, samples)


def _scattered(store: Store, run: Run) -> Measured:
    """Nothing is touched before: what it costs to turn to another session is in it."""
    count = count_of(run, SHALLOW)
    with (
        closing(OurSessions(store, run.folder / "ours", run, SHALLOW)) as ours,
        closing(floor_of(store, run, SHALLOW)) as floor,
    ):
        samples = interleave(
            {OURS: _append(ours, count, 1), FLOOR: _append(floor, count, 1)},
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
        )
    return compared(samples)


def _rows_of(store: Store) -> list[Row]:
    floor = "INSERT" if store is SQLITE else "open + flock + write + close"
    rows = [
        Row(
            f"{store.name}.growth",
            "append at 100,000 deep : at 100 deep",
            "x",
            partial(_growth, store),
            Bound(1.1),
        ),
        Row(
            f"{store.name}.append.scattered",
            f"append, each time to another of 1,000 sessions : {floor}",
            "x",
            partial(_scattered, store),
        ),
    ]
    for depth in DEPTHS:
        rows += [
            Row(
                f"{store.name}.append.at.{depth}",
                f"append at {depth:,} deep : {floor} there",
                "x",
                partial(_append_at, store, depth),
                Bound(1.6 if store is SQLITE else 2),
                size=depth,
            ),
            Row(
                f"{store.name}.extend.at.{depth}",
                f"extend of {BATCH} at {depth:,} deep : {floor} of them",
                "x",
                partial(_extend_at, store, depth),
                size=depth,
            ),
        ]
    return rows


ROWS = [row for store in ON_DISK for row in _rows_of(store)]
