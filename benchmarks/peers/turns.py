"""Taking turns, as `benchmarks.measure.interleave` does, with operations that are awaited in one event loop.

A contender that is so slow that only few of its operations are timed would leave its floor few as well, and each with a
processor cache that belongs to somebody else. So a floor makes some operations a turn at least, after one that isn't
counted.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, perf_counter_ns
from typing import Any, TypeVar

import attrs

from benchmarks.measure import OURS, Samples, undisturbed

T = TypeVar("T")
Awaited = Callable[[int], Awaitable[object]]
"""One operation; the argument counts up from 0 with each call."""

_CHUNK = 32


def run_awaited(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own, and give back its result.

    With one thread, so that a peer that hands its calls to threads keeps one connection a session, not several.
    """
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        runner.get_loop().set_default_executor(pool)
        return runner.run(work)


@attrs.frozen
class Turn:
    """A contender's operation.

    Attributes:
        operation: what is timed.
        before: what is done before each operation, outside of the timed part.
        least: of a floor, how many are timed a turn at least; before these one that is not.
    """

    operation: Awaited
    before: Awaited | None = None
    least: int = 0


@attrs.frozen
class Plan:
    """How many operations are timed, in how many rounds."""

    rounds: int
    per_round: int


async def plan(turns: Mapping[str, Turn], *, seconds: float, most: int, wanted: Plan) -> Plan:
    """As many operations as fit into the seconds, by the first two of ours; at least three, if so many may be.

    Never more than `most`, with the two of each contender that are tried here, which have the numbers -2 and -1. Where
    there is no time for all rounds that are wanted, there are fewer, and only where there is none for one such round,
    shorter ones.
    """
    tried = [await _tried(turn, seconds) for turn in turns.values()]
    took = tried[list(turns).index(OURS)]
    count = max(1, min(max(3, int(seconds / took)), most - 2))
    if count >= wanted.per_round:
        return Plan(min(wanted.rounds, count // wanted.per_round), wanted.per_round)
    rounds = min(wanted.rounds, count)
    return Plan(rounds, count // rounds)


async def _tried(turn: Turn, seconds: float) -> float:
    """How long the quicker of two operations takes, or the first, where already that takes too long."""
    took = math.inf
    for number in (-2, -1):
        if turn.before is not None:
            await turn.before(number)
        before = perf_counter()
        await turn.operation(number)
        took = min(took, perf_counter() - before)
        if took > seconds:
            break
    return took


async def interleave(turns: Mapping[str, Turn], chosen: Plan) -> dict[str, Samples]:
    """Time each operation of each contender, chunk by chunk in turn; who goes first alternates too."""
    with undisturbed():
        rounds = await _rounds(turns, chosen)
    return {name: Samples([times[name] for times in rounds]) for name in turns}


async def _rounds(turns: Mapping[str, Turn], chosen: Plan) -> list[dict[str, list[int]]]:
    counters = {name: itertools.count() for name in turns}
    order = list(turns)
    rounds: list[dict[str, list[int]]] = []
    for _ in range(chosen.rounds):
        these: dict[str, list[int]] = {name: [] for name in turns}
        for start in range(0, chosen.per_round, _CHUNK):
            for name in order:
                these[name] += await _timed(turns[name], counters[name], min(_CHUNK, chosen.per_round - start))
            order.reverse()
        rounds.append(these)
    return rounds


async def _timed(turn: Turn, numbers: Iterator[int], count: int) -> list[int]:
    """A turn: so many operations, or as many as are the least."""
    if turn.least:
        await _timed(attrs.evolve(turn, least=0), numbers, 1)
    operation, prepare = turn.operation, turn.before
    times: list[int] = []
    for number in itertools.islice(numbers, max(count, turn.least)):
        if prepare is not None:
            await prepare(number)
        before = perf_counter_ns()
        await operation(number)
        times.append(perf_counter_ns() - before)
    return times
