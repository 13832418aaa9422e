"""Measuring contenders in turn, and what a row of the table is.

A figure is a ratio of two contenders that took turns within one run, in small chunks, so that whatever else the
machine does meets them alike. One round gives one ratio of means; the figure is the median over all rounds, which a few
rounds that were disturbed can't move. A round is as long as whatever happens only now and then, such as indexing a
batch, so that the mean of a round holds all of it.
"""

import gc
import math
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

import attrs

from benchmarks.corpus import Corpus, generated

Operation = Callable[[int], object]
"""One operation; the argument counts up from 0 with each call."""

OURS, FLOOR = "ours", "floor"


@attrs.frozen
class Samples:
    """How long each operation of one contender took, in nanoseconds, round by round."""

    rounds: Sequence[Sequence[int]]

    @property
    def times(self) -> list[int]:
        """All of them, the shortest first."""
        return sorted(time for times in self.rounds for time in times)

    @property
    def median(self) -> float:
        """The median operation."""
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        """The mean operation."""
        return statistics.fmean(self.times)

    @property
    def p99(self) -> float:
        """What one operation in a hundred exceeds."""
        times = self.times
        return times[math.ceil(len(times) * 0.99) - 1]

    @property
    def fastest(self) -> float:
        """The shortest operation."""
        return self.times[0]

    @property
    def worst(self) -> float:
        """The longest operation."""
        return self.times[-1]

    @property
    def typical_mean(self) -> float:
        """The mean operation of the median round."""
        return statistics.median(map(statistics.fmean, self.rounds))


@attrs.frozen
class Scale:
    """How much is measured.

    Attributes:
        name: what the figures are filed under; those of different scales can't be compared.
        most: how large anything may be; rows of a larger size are left out, see `Row.size`.
        deep: how many messages the long session has, and how many sessions the long list.
        rounds: how often a round of many operations is repeated.
        per_round: how many operations such a round has: what one batch of an index takes, so that each round holds one.
        repeats: how often a single long operation is.
        seconds: how long processes hammer.
        appends: twenty times what each process of a crowd makes, among peers.
        starts: how many processes are started to see how long that takes.
    """

    name: str
    most: int
    deep: int
    rounds: int
    per_round: int
    repeats: int
    seconds: float
    appends: int
    starts: int


FULL = Scale(
    "full",
    most=1_000_000,
    deep=10_000,
    rounds=9,
    per_round=2_048,
    repeats=15,
    seconds=5,
    appends=1_000,
    starts=15,
)
QUICK = Scale(
    "quick",
    most=10_000,
    deep=2_000,
    rounds=5,
    per_round=2_048,
    repeats=5,
    seconds=0.5,
    appends=100,
    starts=5,
)
SMOKE = Scale("smoke", most=200, deep=200, rounds=2, per_round=32, repeats=2, seconds=0.2, appends=10, starts=1)
"""To see that everything runs; its figures mean nothing."""


@attrs.frozen
class Run:
    """What a row is given.

    Attributes:
        folder: fresh, and its own.
        scale: how much to measure.
        shared: kept until the last row, for what several of them measure and takes long to make.
    """

    folder: Path
    scale: Scale
    shared: Path

    @property
    def corpus(self) -> Corpus:
        """As many messages as a long session has."""
        return generated(self.scale.deep)

    def size(self, nominal: int) -> int:
        """The size that a row is named for, or what the scale allows of it."""
        return min(nominal, self.scale.most)


@attrs.frozen
class Measured:
    """What a row found: its figure, and the samples, numbers and remarks behind it.

    Attributes:
        value: the figure.
        samples: how long each operation of each contender took.
        note: a remark, for people.
        numbers: what else was counted, for plots and for the JSON.
        compare: the ratio that a later run is held against, where the figure itself is in another unit than ``x``.
    """

    value: float
    samples: Mapping[str, Samples] = attrs.Factory(dict)
    note: str = ""
    numbers: Mapping[str, float] = attrs.Factory(dict)
    compare: float | None = None


@attrs.frozen
class Bound:
    """What a figure must reach: at most the limit, or at least."""

    limit: float
    at_least: bool = False

    def reached_by(self, value: float) -> bool:
        """Whether the figure reaches it."""
        return value >= self.limit if self.at_least else value <= self.limit


@attrs.frozen
class Row:
    """A row of the table.

    Attributes:
        name: by which ``--only`` picks it, with all rows whose names it begins.
        what: what is compared with what.
        unit: of the figure; ``x`` is a ratio.
        measure: finds it.
        bound: what it must reach, where anything is demanded.
        size: how large what it measures is (messages, sessions); a scale that allows less leaves the row out.
    """

    name: str
    what: str
    unit: str
    measure: Callable[[Run], Measured]
    bound: Bound | None = None
    size: int = 0


@contextmanager
def undisturbed() -> Generator[None]:
    """What the benchmark keeps is no work for the collector meanwhile."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@undisturbed()
def interleave(
    contenders: Mapping[str, Operation],
    *,
    rounds: int,
    per_round: int = 1,
    chunk: int = 32,
    before: Mapping[str, Operation] | None = None,
) -> dict[str, Samples]:
    """Time each operation of each contender, `chunk` by `chunk` in turn, after one chunk that is not counted.

    What `before` has of a contender is done before each of its operations, with the same number, and not timed.
    """
    before = before or {}
    counters = dict.fromkeys(contenders, 0)
    taken: dict[str, list[list[int]]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(-1, rounds):
        these: dict[str, list[int]] = {name: [] for name in contenders}
        left = per_round if number >= 0 else min(chunk, per_round)
        while left > 0:
            for name in order:
                these[name] += _timed(contenders[name], counters[name], min(chunk, left), before.get(name))
                counters[name] += min(chunk, left)
            left -= chunk
            order.reverse()
        if number >= 0:
            for name in contenders:
                taken[name].append(these[name])
    return {name: Samples(rounds) for name, rounds in taken.items()}


def _timed(operation: Operation, start: int, count: int, prepare: Operation | None) -> list[int]:
    times: list[int] = []
    for number in range(start, start + count):
        if prepare is not None:
            prepare(number)
        before = perf_counter_ns()
        operation(number)
        times.append(perf_counter_ns() - before)
    return times


def ratio(samples: Mapping[str, Samples], ours: str = OURS, floor: str = FLOOR) -> float:
    """How many times as long ours takes: of each round the ratio of the means, of these the median."""
    return statistics.median(
        statistics.fmean(one) / statistics.fmean(other)
        for one, other in zip(samples[ours].rounds, samples[floor].rounds, strict=True)
    )


def ratio_of_medians(samples: Mapping[str, Samples]) -> float:
    """Of each round the ratio of the medians, of these the median: what a slow disk now and then doesn't move."""
    rounds = zip(samples[OURS].rounds, samples[FLOOR].rounds, strict=True)
    return statistics.median(statistics.median(ours) / statistics.median(floor) for ours, floor in rounds)


def compared(samples: Mapping[str, Samples], note: str = "") -> Measured:
    """The ratio of ours to the floor as a row's figure."""
    return Measured(ratio(samples), samples, note)
