"""Taking turns, as `benchmarks.measure.interleave` does, with operations that are awaited in one event loop."""

import asyncio
import gc
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, perf_counter_ns
from typing import Any, TypeVar

import attrs

from benchmarks.measure import OURS, Samples

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
    """

    operation: Awaited
    before: Awaited | None = None


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
    gc.collect()
    gc.freeze()  # what the benchmark keeps is no work for the collector while others are measured
    counters = dict.fromkeys(turns, 0)
    taken: dict[str, list[list[int]]] = {name: [] for name in turns}
    order = list(turns)
    for _ in range(chosen.rounds):
        these: dict[str, list[int]] = {name: [] for name in turns}
        left = chosen.per_round
        while left > 0:
            count = min(_CHUNK, left)
            for name in order:
                these[name] += await _timed(turns[name], counters[name], count)
                counters[name] += count
            left -= count
            order.reverse()
        for name, times in these.items():
            taken[name].append(times)
    gc.unfreeze()
    return {name: Samples(rounds) for name, rounds in taken.items()}


async def _timed(turn: Turn, start: int, count: int) -> list[int]:
    operation, prepare = turn.operation, turn.before
    times: list[int] = []
    for number in range(start, start + count):
        if prepare is not None:
            await prepare(number)
        before = perf_counter_ns()
        await operation(number)
        times.append(perf_counter_ns() - before)
    return times
