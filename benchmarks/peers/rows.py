"""The rows of the comparison: each operation of each peer against a bare table with the same durability.

A contender that syncs at each append stands beside a floor with ``synchronous=FULL``, even where it syncs more than
that (a rollback journal takes several syncs a commit); the others, and those that write plain files, beside one with
``NORMAL``. The floor's messages go to the end of its table, which is SQLite's fast way, and so the harder floor.
"""

import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from benchmarks.corpus import Corpus, corpus_of, generated, recorded
from benchmarks.measure import FLOOR, FULL, OURS, Measured, Row, Run, Samples, compared, ratio_of_medians
from benchmarks.peers import counting, operations
from benchmarks.peers.operations import NORMAL, Limits
from benchmarks.peers.peer import APPEND, EXTEND, LAST, LIST, LOAD, PAGE, REMOVE, REPLACE, SEARCH, Peer
from benchmarks.peers.prepared import OverBudgetError
from benchmarks.peers.turns import run_awaited

DEPTHS = (100, 1_000, 10_000)
LISTED = (1_000, 10_000)
_ON_DISK = FULL.deep // 20
_WRITING = {APPEND, EXTEND, REPLACE, REMOVE}

Measure = Callable[[Peer, Run], Coroutine[Any, Any, Measured]]


@attrs.frozen
class Operation:
    """An operation that is compared.

    Attributes:
        name: of its rows, without the peer's.
        method: the method of a peer that does it.
        what: what is compared with what.
        size: how many messages a session, or sessions a store has.
        measure: finds the figure.
        unit: of the figure.
    """

    name: str
    method: str
    what: str
    size: int
    measure: Measure
    unit: str = "x"


def _timed(method: str, take: Callable[..., Coroutine[Any, Any, operations.Taken]], **size: int) -> Measure:
    """The ratio to the floor, and the peer's remark on the method."""

    async def measure(peer: Peer, run: Run) -> Measured:
        samples, wrong = await take(peer, run, **size)
        notes = [wrong, peer.remarks.get(method, "")]
        found = against(samples, waits=peer.syncs and method in _WRITING)
        if NORMAL not in samples:
            return attrs.evolve(found, note="; ".join(filter(None, notes)))
        normal = ratio_of_medians({OURS: samples[OURS], FLOOR: samples[NORMAL]})
        notes.insert(0, f"{normal:.1f} times a floor that doesn't sync")
        return attrs.evolve(
            found, note="; ".join(filter(None, notes)), numbers={**found.numbers, "times_normal": normal}
        )

    return measure


def against(samples: Mapping[str, Samples], *, waits: bool) -> Measured:
    """The ratio to the floor; where both wait for the disk, that of the medians.

    What a disk takes for a sync differs so much from one to the next that the means of few can't be compared. What one
    operation in many takes beside, such as indexing a batch, isn't in a median: the ratio of all means is the number
    `means`.
    """
    if not waits:
        return compared(samples)
    means = samples[OURS].mean / samples[FLOOR].mean
    return Measured(ratio_of_medians(samples), samples, numbers={"means": means})


async def _disk(peer: Peer, run: Run) -> Measured:
    return await counting.disk(peer, run, corpus=generated(run.scale.deep // 20), seconds=Limits.of(run).filling)


async def _disk_real(real: Corpus, peer: Peer, run: Run) -> Measured:
    corpus = corpus_of(real.messages[: run.scale.deep // 20])
    return await counting.disk(peer, run, corpus=corpus, seconds=Limits.of(run).filling)


async def _crowd(peer: Peer, run: Run) -> Measured:
    processes = counting.PROCESSES if run.scale.name == FULL.name else 2
    return await counting.crowd(peer, run, processes=processes, appends=max(1, run.scale.appends // 20))


def _operation(name: str, method: str, what: str, take: Any, nominal: int, **size: int) -> Operation:
    return Operation(name, method, what, nominal, _timed(method, take, **size))


def _operations() -> list[Operation]:
    appends = [
        _operation(
            f"append.{depth}",
            APPEND,
            f"append at {depth:,} deep : json.dumps + INSERT",
            operations.append,
            depth,
            depth=depth,
        )
        for depth in DEPTHS
    ]
    listed = [
        _operation(f"{name}.{count}", method, f"{what} : {floor}", take, count, count=count)
        for count in LISTED
        for name, method, what, floor, take in (
            ("list", LIST, f"list of {count:,} sessions", "SELECT of the keys", operations.list_sessions),
            ("page", PAGE, f"the 50 newest of {count:,} sessions", "indexed SELECT of 50 rows", operations.page),
        )
    ]
    real = recorded()
    what = f"the same of {_ON_DISK} real messages"
    on_real = [Operation("disk.real", APPEND, what, _ON_DISK, partial(_disk_real, real), "B/B")] if real else []
    one = _operation
    return [
        *appends,
        one("extend", EXTEND, "100 messages at once : json.dumps + executemany", operations.extend, 100),
        one("load", LOAD, "load of 10,000 : range query + json.loads", operations.load, 10_000),
        one("last", LAST, "the last 50 of 10,000 : the same of 50 rows", operations.last, 10_000),
        one("replace", REPLACE, "replace the last message, up to 4 KB : UPDATE", operations.replace, 100),
        one("remove", REMOVE, "remove the last message : DELETE", operations.remove, 100),
        *listed,
        one("search", SEARCH, "a rare word in 10,000 messages : FTS5 table", operations.search, 10_000),
        Operation("disk", APPEND, f"bytes on disk per byte of {_ON_DISK} messages", _ON_DISK, _disk, "B/B"),
        *on_real,
        Operation("import", APPEND, "a process that imports it, more than a bare one", 0, counting.imports, "ms"),
        Operation("crowd", APPEND, f"{counting.PROCESSES} processes append to one session", 100, _crowd, "lost"),
    ]


OPERATIONS = tuple(_operations())
"""What is compared, in the order of the table."""


def measured(peer: type[Peer], operation: Operation, run: Run) -> Measured:
    """The figure of an operation of a peer.

    Where its API has no way to do it, the figure is NaN and the note begins with ``cannot``. Where not even the store
    can be filled in time, the figure is infinite, the note begins with ``over``, and the number `over_seconds` says
    how long was waited.
    """
    if operation.method in peer.cannot:
        return Measured(math.nan, note=f"cannot: {peer.cannot[operation.method]}")
    try:
        return run_awaited(operation.measure(peer(), run))
    except OverBudgetError as error:
        limit = Limits.of(run).filling
        return Measured(math.inf, note=f"over {limit:g} s: {error}", numbers={"over_seconds": limit})


def rows_of(peers: Sequence[type[Peer]]) -> list[Row]:
    """The rows of those peers, operation by operation."""
    return [
        Row(
            f"peers.{operation.name}.{peer.name}",
            operation.what,
            operation.unit,
            partial(measured, peer, operation),
            size=operation.size,
        )
        for operation in OPERATIONS
        for peer in peers
    ]
