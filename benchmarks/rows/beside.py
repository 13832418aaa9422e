"""The rows of who writes now and then beside many that never pause: nobody starves."""

import time
from functools import partial

from benchmarks.measure import Bound, Measured, Row, Run
from benchmarks.processes import meet, team
from benchmarks.stores import ON_DISK, Store
from sessionkit import ChatMessage, open_backend

HAMMERS = 4
PAUSE = 0.02
KEY = "session"


def _hammer(url: str, seconds: float) -> None:
    with open_backend(url) as backend:
        meet()
        message = ChatMessage("user", "Is anybody there?")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            backend.append(KEY, message)


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


ROWS = [
    Row(
        f"{store.name}.beside",
        f"appends in 5 s, one every 20 ms, beside {HAMMERS} processes that hammer",
        "appends",
        partial(_beside, store),
        Bound(100, at_least=True),
    )
    for store in ON_DISK
]
