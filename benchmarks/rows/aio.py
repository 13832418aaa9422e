"""The rows of asynchronous callers: what awaiting costs, and how long it ever holds the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns

from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, Samples, compared, undisturbed
from benchmarks.stores import ON_DISK
from sessionkit import ChatMessage, open_backend
from sessionkit.aio import AsyncBackend

APPENDS, TASKS = 1_000, 8
TICK = 0.001
CHUNK, CHUNKS = 32, 16
KEY = "session"

_URLS: Mapping[str, Callable[[Path], str]] = {store.name: store.url for store in ON_DISK} | {
    "memory": lambda _: "memory://"
}

Append = Callable[[str, ChatMessage], Awaitable[None]]


def _append(name: str, run: Run) -> Measured:
    with open_backend(_URLS[name](run.folder)) as backend:

        async def floor(session_key: str, message: ChatMessage) -> None:
            await asyncio.to_thread(backend.append, session_key, message)

        contenders: dict[str, Append] = {OURS: AsyncBackend(backend).append, FLOOR: floor}
        samples = asyncio.run(_in_turn(contenders, run))
    calls = " against ".join(f"{1e9 / samples[contender].typical_mean:,.0f}" for contender in contenders)
    return compared(samples, f"{calls} a second")


async def _in_turn(contenders: Mapping[str, Append], run: Run) -> dict[str, Samples]:
    """As `benchmarks.measure.interleave`, within one event loop; the round that is not counted is a whole one."""
    taken: dict[str, list[list[int]]] = {name: [] for name in contenders}
    order = list(contenders)
    with undisturbed():
        for _ in range(-1, run.scale.rounds):
            for name in contenders:
                taken[name].append([])
            for _ in range(CHUNKS):
                for name in order:
                    for message in run.corpus.messages[:CHUNK]:
                        before = perf_counter_ns()
                        await contenders[name](KEY, message)
                        taken[name][-1].append(perf_counter_ns() - before)
                order.reverse()
    return {name: Samples(rounds[1:]) for name, rounds in taken.items()}


def _loop(name: str, run: Run) -> Measured:
    """The worst of all gaps between two ticks, and how many there were."""
    with open_backend(_URLS[name](run.folder)) as backend:
        gaps = [gap for _ in range(run.scale.repeats) for gap in asyncio.run(_gaps(AsyncBackend(backend), run))]
    late = sum(gap > 2 * TICK for gap in gaps)
    return Measured(max(gaps) * 1e3, note=f"{late:,} of {len(gaps):,} gaps were above {2 * TICK * 1e3:g} ms")


async def _gaps(backend: AsyncBackend, run: Run) -> list[float]:
    """The gaps, in seconds, between the ticks of an event loop that several tasks append through."""
    messages = run.corpus.messages[:APPENDS]
    ticks = [perf_counter_ns()]

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK)
            ticks.append(perf_counter_ns())

    async def append(task: int) -> None:
        for message in messages[task::TASKS]:
            await backend.append(KEY, message)

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(append(task) for task in range(TASKS)))
    ticking.cancel()
    return [(after - before) / 1e9 for before, after in pairwise([*ticks, perf_counter_ns()])]


def _rows_of(name: str) -> list[Row]:
    return [
        Row(f"{name}.aio", "append, awaited : asyncio.to_thread of the same", "x", partial(_append, name)),
        Row(
            f"{name}.loop",
            f"worst gap of an event loop that ticks each ms, while {TASKS} tasks append {APPENDS:,}",
            "ms",
            partial(_loop, name),
            Bound(20),
        ),
    ]


ROWS = [row for name in _URLS for row in _rows_of(name)]
