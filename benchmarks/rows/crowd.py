"""The rows with many processes at one session: nothing is lost, and nobody starves."""

import time
from functools import partial
from threading import Thread

from benchmarks.measure import Bound, Measured, Row, Run
from benchmarks.processes import meet, team
from benchmarks.stores import ON_DISK, Store
from sessionkit import ChatMessage, open_backend

PROCESSES, THREADS = 2, 8
HAMMERS = 4
PAUSE = 0.02
KEY = "crowd"


def _append_all(url: str, process: int, appends: int) -> None:
    with open_backend(url) as backend:

        def work(thread: int) -> None:
            for number in range(appends):
                backend.append(KEY, ChatMessage("user", f"{process}.{thread} {number}"))

        threads = [Thread(target=work, args=(number,)) for number in range(THREADS)]
        meet()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _hammer(url: str, seconds: float) -> None:
    with open_backend(url) as backend:
        meet()
        message = ChatMessage("user", "Is anybody there?")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            backend.append(KEY, message)


def _crowd(store: Store, run: Run) -> Measured:
    """How many appends were lost, out of order or there twice."""
    appends = run.scale.appends
    with store.open(run.folder) as backend:
        arguments = [(store.url(run.folder), number, appends) for number in range(PROCESSES)]
        with team(_append_all, arguments, parties=PROCESSES + 1) as writers:
            began = writers.meet()
            writers.results()
            took = (time.perf_counter_ns() - began) / 1e9
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
        with team(_hammer, [(store.url(run.folder), seconds)] * HAMMERS, parties=HAMMERS + 1) as hammers:
            hammers.meet()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                before = time.perf_counter()
                backend.append(KEY, ChatMessage("user", "Excuse me!"))
                waits.append(time.perf_counter() - before)
                time.sleep(PAUSE)
            hammers.results()
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
