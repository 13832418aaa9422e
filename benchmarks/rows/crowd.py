"""The rows with many processes at one session: nothing is lost, and nobody starves."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from threading import Thread
from typing import Any

from benchmarks.measure import Bound, Measured, Row, Run
from benchmarks.stores import ON_DISK, Store
from sessionkit import ChatMessage, open_backend

PROCESSES, THREADS = 2, 8
HAMMERS = 4
PAUSE = 0.02
KEY = "crowd"

# Each starts as a program of its own, as processes that share a store usually do.
_processes = get_context("spawn")


def _append_all(url: str, process: int, appends: int, ready: Barrier) -> None:
    with open_backend(url) as backend:

        def work(thread: int) -> None:
            for number in range(appends):
                backend.append(KEY, ChatMessage("user", f"{process}.{thread} {number}"))

        threads = [Thread(target=work, args=(number,)) for number in range(THREADS)]
        ready.wait()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _hammer(url: str, seconds: float, ready: Barrier) -> None:
    with open_backend(url) as backend:
        ready.wait()
        message = ChatMessage("user", "Is anybody there?")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            backend.append(KEY, message)


def _run_all(targets: Sequence[tuple[Callable[..., None], tuple[Any, ...]]], ready: Barrier) -> Callable[[], None]:
    """Start them; give back what waits for their end. All of them and the caller start working together."""
    started = [_processes.Process(target=target, args=(*arguments, ready)) for target, arguments in targets]
    for process in started:
        process.start()

    def wait() -> None:
        for process in started:
            process.join()
            if process.exitcode:
                msg = f"a process of the crowd ended with {process.exitcode}"
                raise RuntimeError(msg)

    return wait


def _crowd(store: Store, run: Run) -> Measured:
    """How many appends were lost, out of order or there twice."""
    appends = run.scale.appends
    with store.open(run.folder) as backend:
        ready = _processes.Barrier(PROCESSES + 1)
        url = store.url(run.folder)
        wait = _run_all([(_append_all, (url, number, appends)) for number in range(PROCESSES)], ready)
        ready.wait()
        before = time.perf_counter()
        wait()
        took = time.perf_counter() - before
        arrived: dict[str, list[int]] = {}
        for message in backend.load(KEY):
            writer, number = message.text.split()
            arrived.setdefault(writer, []).append(int(number))
    total = PROCESSES * THREADS * appends
    right = sum(appends for numbers in arrived.values() if numbers == list(range(appends)))
    return Measured(total - right, note=f"{total:,} appends in {took:.2f} s: {total / took:,.0f} a second")


def _beside(store: Store, run: Run) -> Measured:
    """How many appends one process makes that pauses after each, in five seconds' time."""
    seconds = run.scale.seconds
    waits: list[float] = []
    with store.open(run.folder) as backend:
        ready = _processes.Barrier(HAMMERS + 1)
        wait = _run_all([(_hammer, (store.url(run.folder), seconds))] * HAMMERS, ready)
        ready.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = time.perf_counter()
            backend.append(KEY, ChatMessage("user", "Excuse me!"))
            waits.append(time.perf_counter() - before)
            time.sleep(PAUSE)
        wait()
        metadata = backend.get_session_metadata(KEY)
    total = metadata.message_count if metadata else 0
    note = f"worst wait {max(waits) * 1e3:.1f} ms; the others made {(total - len(waits)) / seconds:,.0f} a second"
    return Measured(len(waits) * 5 / seconds, note=note)


def _rows_of(store: Store) -> list[Row]:
    return [
        Row(
            f"{store.name}.crowd",
            f"{PROCESSES} processes with {THREADS} threads each, 1,000 appends each to one session",
            "lost",
            partial(_crowd, store),
            Bound(0),
        ),
        Row(
            f"{store.name}.beside",
            f"appends in 5 s, one every 20 ms, beside {HAMMERS} processes that hammer",
            "appends",
            partial(_beside, store),
            Bound(100, at_least=True),
        ),
    ]


ROWS = [row for store in ON_DISK for row in _rows_of(store)]
