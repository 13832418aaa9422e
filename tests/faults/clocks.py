"""A clock that jumps: an hour back, a year forth and back again, between calls, openings and processes."""

import itertools
import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sessionkit import ChatMessage, SessionMetadata
from tests.faults.isolated import run
from tests.faults.judging import Bench, Trial
from tests.faults.model import look
from tests.faults.report import Report
from tests.faults.stores import Store

HOUR, YEAR = 3600.0, 365 * 86_400.0
JUMPS = (-HOUR, YEAR, -YEAR, HOUR, -2 * HOUR, 2 * HOUR)
"""By how many seconds it jumps, again and again; all together by none."""

_real = time.time_ns


class Clock:
    """The process's clock, as wrong as one likes; its files' times are as wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.off = 0.0

    @contextmanager
    def set(self) -> Generator[None]:
        """Have everybody ask this one."""
        time.time_ns = lambda: _real() + int(self.off * 1e9)
        try:
            yield
        finally:
            time.time_ns = _real

    def stamp(self) -> None:
        """Give files that were written just now the time that they would have."""
        for file in self.folder.rglob("*"):
            if file.is_file() and abs(file.stat().st_mtime - time.time()) < 60:
                wrong = file.stat().st_mtime_ns + int(self.off * 1e9)
                os.utime(file, ns=(wrong, wrong))

    def now(self) -> datetime:
        """What it says."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time.time_ns() // 1000)


def jumping(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """So many rounds of jumps: a session's times and revisions never run backwards, order is that of the activity."""
    report = Report("clock", store.name)
    bench = Bench(store, folder, report)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    for number in range(times or 40):
        place, backend = bench.fresh()
        trial = Trial(bench, f"round {number} of seed {seed}", place, backend, [bench.state])
        clock = Clock(place.parent)
        with clock.set():
            _jump(trial, clock, chance)
            _turns(trial, clock)
            _stale(trial, clock)
            trial.backend.close()
        bench.discard(place)
        if store.on_disk:
            _two_processes(bench, chance)
    return report


def _jump(trial: Trial, clock: Clock, chance: random.Random) -> None:
    """Change sessions between jumps, by the open store and opened anew, and hold their times against each other."""
    before: dict[str, SessionMetadata] = {}
    for number, jump in enumerate(chance.sample(JUMPS, len(JUMPS))):
        clock.off += jump
        for key in chance.sample(["a", "b", "big"], 2):
            _change(trial.backend, key, f"{number}", chance)
            clock.stamp()
        if trial.bench.store.on_disk and chance.random() < 0.4:  # else the open one
            trial.backend.close()
            trial.backend = trial.bench.store.open(trial.place)
        before = _sane(trial, before)
        trial.report.done["jumps"] += 1
    clock.off = 0.0


def _change(backend: Any, key: str, text: str, chance: random.Random) -> None:
    message = ChatMessage("user", f"clock{text}")
    changes: list[Callable[[], object]] = [
        lambda: backend.append(key, message),
        lambda: backend.update_last(key, message),
        lambda: backend.write(key, append=[message, message]),
        lambda: backend.set_session_state(key, f"state {text}"),
    ]
    chance.choice(changes)()


def _sane(trial: Trial, before: dict[str, SessionMetadata]) -> dict[str, SessionMetadata]:
    """Every session as it is, once no promise about times is found broken."""
    try:
        look(trial.backend)  # which holds times against each other
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
        trial.broke(f"{type(error).__name__}: {error}")
        return before
    listed = trial.backend.list_sessions_with_metadata()
    order = [(-metadata.last_activity.timestamp(), metadata.key) for metadata in listed]
    if order != sorted(order):
        trial.broke(f"the list is not in the order of its own activity: {[key for _, key in order]}")
    for metadata in listed:
        old = before.get(metadata.key)
        if old is None:
            continue
        if metadata.created_at != old.created_at:
            trial.broke(f"{metadata.key!r} was created at {old.created_at}, and later at {metadata.created_at}")
        if metadata.last_activity < old.last_activity:
            trial.broke(f"the activity of {metadata.key!r} ran back from {old.last_activity}")
        if metadata.revision < old.revision:
            trial.broke(f"the revision of {metadata.key!r} ran back from {old.revision}")
    return {metadata.key: metadata for metadata in listed}


def _turns(trial: Trial, clock: Clock) -> None:
    """A turn that lives is not stuck because the clock went back, and one that is dead can be taken over."""
    store = trial.backend
    store.begin_turn("turn", "one")
    clock.off -= HOUR
    store.set_session_state("turn", "running", "one")
    if store.list_stuck_sessions(60):
        keys = [metadata.key for metadata in store.list_stuck_sessions(60)]
        if "turn" in keys:
            trial.broke("a turn that has just shown a sign of life is stuck, an hour back")
    if store.begin_turn("turn", "two", stuck_after=60).turn_id != "one":
        trial.broke("a turn that has just shown a sign of life was taken over, an hour back")
    if store.begin_turn("turn", "two", stuck_after=0).turn_id != "two":
        trial.broke("a turn can't be taken over at all (stuck_after=0), an hour back")
    clock.off += 2 * HOUR
    if "turn" not in [metadata.key for metadata in store.list_stuck_sessions(60)]:
        trial.broke("a turn without a sign of life for an hour is not stuck")
    if store.begin_turn("turn", "three", stuck_after=60).turn_id != "three":
        trial.broke("a turn without a sign of life for an hour is not taken over")
    state = store.get_session_state("turn")
    if not state.turn_started_at <= state.heartbeat_at:
        trial.broke("a turn's sign of life is older than its beginning")
    store.delete_session("turn")
    clock.off = 0.0
    trial.report.done["turns"] += 4


def _stale(trial: Trial, clock: Clock) -> None:
    """An hour back, nothing is stale that was used today; what was last used years ago is."""
    store = trial.backend
    store.append("kept", ChatMessage("user", "kept"))
    clock.off -= HOUR
    if store.cleanup_stale(24) != 2:  # the two of 2020
        trial.broke("not just the two sessions of years ago were stale, an hour back")
    if store.cleanup_stale(0.5) or store.load("kept") == []:
        trial.broke("a session was stale that was used half an hour in the future")
    clock.off = 0.0
    trial.report.done["clean-ups"] += 2


def _two_processes(bench: Bench, chance: random.Random) -> None:
    """Two whose clocks differ write in turns: each finds the other's messages before its own, and later times."""
    place, backend = bench.fresh()
    trial = Trial(bench, "two processes", place, backend, [bench.state])
    offs = itertools.cycle(chance.sample([0.0, -HOUR, YEAR, -YEAR], 2))
    wanted = [message["content"] for message in bench.state["b"]["messages"]]
    before: dict[str, SessionMetadata] = {}
    for number in range(6):
        text = f"turn{number}"
        if number % 2:
            off = next(offs)
            run(lambda off=off, text=text: _append_at(bench.store, place, off, text), deadline=30)  # type: ignore[misc]
        else:
            clock = Clock(place.parent)
            clock.off = next(offs)
            with clock.set():
                backend.append("b", ChatMessage("user", text))
        wanted.append(text)
        found = [message.content for message in backend.load("b")]
        if found != wanted:
            trial.broke(f"{found[-4:]} is read, not {wanted[-4:]}")
        before = _sane(trial, before)
        trial.report.done["appends of two processes"] += 1
    backend.close()
    bench.discard(place)


def _append_at(store: Store, place: Path, off: float, text: str) -> None:
    clock = Clock(place.parent)
    clock.off = off
    with clock.set(), store.open(place) as backend:
        backend.append("b", ChatMessage("user", text))
