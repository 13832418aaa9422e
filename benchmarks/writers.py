"""Writers that append as fast as they can, all at once: how many appends they make, how long each waits, what is lost.

Each writer is a thread. Some share a process, and with it a backend, as the threads of a program do; the floor's have a
connection each. Ours and the floor take turns within the same processes, and both are given the same messages. A
message says in its `id` whose it is and which of his, so that what was stored can be held against what was
acknowledged.
"""

import gc
import math
import statistics
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import attrs

from benchmarks.contenders import POOL, Contender, FileWriters, OurWriters, TableWriters, Writer
from benchmarks.measure import FLOOR, OURS, Operation, Samples
from benchmarks.processes import attending, meet, results_of, team
from benchmarks.stores import SQLITE, Store

_WARM_UP = 0.1  # of a round's time, before the first, which is not counted


@attrs.frozen
class Setting:
    """Who writes where: so many processes with so many threads each, all to one session or each thread to its own."""

    store: Store
    many: bool
    processes: int = 1
    threads: int = 1

    @property
    def count(self) -> int:
        """How many write."""
        return self.processes * self.threads

    def at_most(self, count: int) -> "Setting":
        """The same with no more processes, and no more threads each, than that."""
        return attrs.evolve(self, processes=min(self.processes, count), threads=min(self.threads, count))

    @property
    def writers(self) -> list[list[Writer]]:
        """Those of each process."""
        names = [[f"{process}.{thread}" for thread in range(self.threads)] for process in range(self.processes)]
        return [[Writer(name, name if self.many else "session") for name in these] for these in names]

    @property
    def contenders(self) -> dict[str, Contender]:
        """Ours and its floor."""
        return {OURS: OurWriters(self.store), FLOOR: TableWriters() if self.store is SQLITE else FileWriters()}


@attrs.frozen
class Length:
    """How often, and for how many nanoseconds each time, each contender's writers write."""

    rounds: int
    nanoseconds: int


@attrs.frozen
class Round:
    """What a writer did to one contender in one round: when all began, when he did, and when each append was done."""

    began: int
    stamps: Sequence[int]


@attrs.frozen
class Written:
    """What a writer did to one contender: the rounds that count, and how many appends were acknowledged in all."""

    writer: Writer
    rounds: Sequence[Round]
    acknowledged: int


@attrs.frozen
class Faults:
    """What is not stored as it was acknowledged.

    Attributes:
        lost: messages that are not there.
        doubled: messages that are there once more than they were appended.
        disordered: messages, none of the above, that don't follow the one after which their writer appended them.
    """

    lost: int = 0
    doubled: int = 0
    disordered: int = 0

    def __add__(self, other: "Faults") -> "Faults":
        return Faults(self.lost + other.lost, self.doubled + other.doubled, self.disordered + other.disordered)

    @property
    def total(self) -> int:
        """All of them."""
        return self.lost + self.doubled + self.disordered


@attrs.frozen
class Outcome:
    """What came of many writers.

    Attributes:
        rates: how many appends a second each contender took, round by round.
        waits: how long each append took, as its writer saw it.
        acknowledged: how many appends to ours were.
        faults: what is wrong with them.
    """

    rates: Mapping[str, Sequence[float]]
    waits: Mapping[str, Samples]
    acknowledged: int
    faults: Faults

    def per_second(self, contender: str) -> float:
        """How many appends a second, in the median round."""
        return statistics.median(self.rates[contender])

    def p999(self, contender: str) -> float:
        """How many nanoseconds one append in a thousand exceeds."""
        return percentile(self.waits[contender].times, 0.999)

    @property
    def throughput(self) -> float:
        """How many times the floor's is ours: the median over the rounds."""
        return statistics.median(ours / floor for ours, floor in zip(self.rates[OURS], self.rates[FLOOR], strict=True))


def percentile(ascending: Sequence[int], share: float) -> int:
    """What no more than the rest exceeds."""
    return ascending[math.ceil(len(ascending) * share) - 1]


def write_together(setting: Setting, length: Length, folder: Path) -> Outcome:
    """Have them write, and read back what they wrote; nothing is left in the folder.

    Raises:
        RuntimeError: the floor lost something, so it is none.
    """
    contenders, writers = setting.contenders, setting.writers
    keys = list(dict.fromkeys(writer.key for these in writers for writer in these))
    with TemporaryDirectory(dir=folder) as own:
        store = Path(own)
        for contender in contenders.values():
            contender.prepare(store, ["before", *keys])
        arguments = [(contenders, these, length, store) for these in writers]
        with team(_work, arguments, parties=setting.count) as started:
            results = started.results()
        written = {name: [one for process in results for one in process[name]] for name in contenders}
        faults = {name: _faults(contender, store, written[name]) for name, contender in contenders.items()}
    if faults[FLOOR].total:
        msg = f"the floor of {setting} is none: {faults[FLOOR]}"
        raise RuntimeError(msg)
    return Outcome(
        {name: _rates(of_one, length.nanoseconds) for name, of_one in written.items()},
        {name: _waits(of_one) for name, of_one in written.items()},
        sum(one.acknowledged for one in written[OURS]),
        faults[OURS],
    )


def _work(
    contenders: Mapping[str, Contender], writers: Sequence[Writer], length: Length, folder: Path
) -> dict[str, list[Written]]:
    """What one process does: a thread for each writer."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(one.connected(folder, writers)) for name, one in contenders.items()}
        gc.collect()
        gc.freeze()
        with ThreadPoolExecutor(len(writers)) as threads:
            operations = [{name: opened[name][number] for name in opened} for number in range(len(writers))]
            each = results_of(
                [
                    threads.submit(attending, _take_turns, length, writer, these)
                    for writer, these in zip(writers, operations, strict=True)
                ]
            )
        return {name: [written[name] for written in each] for name in contenders}


def _take_turns(length: Length, writer: Writer, operations: Mapping[str, Operation]) -> dict[str, Written]:
    """What one thread does: it writes to each contender in turn, always together with all the others."""
    order = list(operations)
    counts = dict.fromkeys(order, 0)
    rounds: dict[str, list[Round]] = {name: [] for name in order}
    for number in range(-1, length.rounds):
        nanoseconds = int(length.nanoseconds * (_WARM_UP if number < 0 else 1))
        for name in order:
            began = meet()
            stamps = _append_until(operations[name], counts[name], began + nanoseconds)
            counts[name] += len(stamps) - 1
            if number >= 0:
                rounds[name].append(Round(began, stamps))
        order.reverse()
    return {name: Written(writer, rounds[name], counts[name]) for name in order}


def _append_until(append: Operation, number: int, end: int) -> Sequence[int]:
    """Append until then, and once at least; when it began, and when each was done."""
    stamps = array("q", [perf_counter_ns()])
    while True:
        append(number)
        number += 1
        now = perf_counter_ns()
        stamps.append(now)
        if now >= end:
            return stamps


def _rates(written: Sequence[Written], nanoseconds: int) -> list[float]:
    """Of each round, what was done by the moment at which it was to end; no later, for who is alone then is fast."""
    return [rate(of_round, nanoseconds) for of_round in zip(*(one.rounds for one in written), strict=True)]


def rate(of_round: Sequence[Round], nanoseconds: int) -> float:
    """How many appends a second the writers of a round took together; one is awaited, however short the time."""
    first = min(one.stamps[1] for one in of_round)
    end = max(of_round[0].began + nanoseconds, first)
    return sum(bisect_right(one.stamps, end) - 1 for one in of_round) * 1e9 / (end - of_round[0].began)


def _waits(written: Sequence[Written]) -> Samples:
    return Samples(
        [
            array("q", (end - start for one in of_round for start, end in pairwise(one.stamps)))
            for of_round in zip(*(one.rounds for one in written), strict=True)
        ]
    )


def _faults(contender: Contender, folder: Path, written: Sequence[Written]) -> Faults:
    acknowledged: dict[str, dict[str, int]] = {}
    for one in written:
        acknowledged.setdefault(one.writer.key, {})[one.writer.name] = one.acknowledged
    return sum(
        (faults_of(contender.stored(folder, key), counts) for key, counts in acknowledged.items()),
        Faults(),
    )


def faults_of(stored: Sequence[str], acknowledged: Mapping[str, int]) -> Faults:
    """What is wrong with a session, given each message's `id` and how many each writer appended."""
    found: dict[str, list[int]] = {writer: [] for writer in acknowledged}
    for name in stored:
        writer, number = name.split()
        found.setdefault(writer, []).append(int(number))
    return sum((_faults_of_one(numbers, acknowledged.get(writer, 0)) for writer, numbers in found.items()), Faults())


def _faults_of_one(found: Sequence[int], count: int) -> Faults:
    """Numbers start anew after the last of the writer's messages, so each says which of several appends it may be."""
    expected = Counter(_numbers(count))
    there = Counter(found)
    lost, doubled = (expected - there).total(), (there - expected).total()
    disordered = 0
    if not lost and not doubled:
        disordered = sum(one != other for one, other in zip(found, _numbers(count), strict=True))
    return Faults(lost, doubled, disordered)


def _numbers(count: int) -> Iterator[int]:
    return (number % POOL for number in range(count))
