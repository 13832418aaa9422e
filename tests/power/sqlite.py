"""Power cuts for sessions in a SQLite file: after any write, with any part of what was not synced missing or torn.

A run is several openings of one store, each closed in the end, with random calls of every writing method; checkpoints
come often, of every kind. Everything that SQLite does to its files is recorded in SQLite itself. Then the power goes:
after any of these events, with many combinations of what may have reached the disk by then: frames of the log missing,
in another order or cut in the middle, pages of a checkpoint torn, names of files lost. What is left is opened, and must
be the store as it was at some moment; not before the last that was sure.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest.mock import patch

import attrs

from sessionkit import SessionKitError, SessionQuery
from sessionkit_sqlite import SQLiteBackend, log, opening, store
from tests.power.disk import Disk, Tree
from tests.power.operations import KEYS, Operations
from tests.power.sqlite_recorder import Recorder
from tests.power.truth import PROBE, BrokenPromiseError, State, state_of

Synchronous = Literal["normal", "full"]
FILE = "a.db"
PROMISES = ("opens", "acknowledged", "true-state", "sound", "writes-on", "revision")
"""What is asked of each store after a cut, by the name under which `BrokenPromiseError` says what does not hold."""

_MEMORY = Path("/dev/shm")  # noqa: S108 -- where waiting for a disk takes no time: what is on the disk is ours to say

Open = Callable[[Path, Synchronous], SQLiteBackend]


def honest(path: Path, synchronous: Synchronous) -> SQLiteBackend:
    """As users open it."""
    return SQLiteBackend(path, synchronous=synchronous)


@attrs.frozen
class Moment:
    """All that anybody sees of the store, and after how many events a call had ended that left it so."""

    sessions: dict[str, State]
    listed: list[str]
    done: int


@attrs.define
class Run:
    """What was done, what was true, and what came of it."""

    recorder: Recorder
    synchronous: Synchronous
    moments: list[Moment] = attrs.Factory(list)
    calls: int = 0
    openings: int = 0
    cuts: int = 0
    states: Counter[str] = attrs.Factory(Counter)

    def possible(self, cut: int) -> list[Moment]:
        """What may be found where the power goes after so many events: from the last that is sure, to that begun."""
        sure_at = cut if self.synchronous == "full" else self.recorder.last_sync(cut)
        sure = max(i for i, moment in enumerate(self.moments) if moment.done <= sure_at)
        begun = sum(moment.done <= cut for moment in self.moments)
        return self.moments[sure : begun + 1]


def moment_of(backend: SQLiteBackend, done: int) -> Moment:
    """What is true now."""
    return Moment({key: state_of(backend, key) for key in KEYS}, backend.list_sessions(), done)


@contextmanager
def often() -> Generator[None]:
    """Logs that are copied after a few pages, and begun anew by force soon after."""
    with (
        patch.object(opening, "PAGES", 24),
        patch.object(opening, "BOUND", 100_000),
        patch.object(log, "BOUND", 60_000),
        patch.object(store, "LOOK_EVERY", 5),
    ):
        yield


def record(
    folder: Path, random: Random, calls: int, synchronous: Synchronous, *, open_store: Open, longest: int
) -> Run:
    """Make that many random calls, in openings of `longest` at most, and write down everything."""
    folder.mkdir()
    run = Run(Recorder(folder), synchronous, [Moment({key: State() for key in KEYS}, [], 0)])
    source = Operations(random)
    with often(), run.recorder.recording():
        while run.calls < calls:
            run.openings += 1
            with open_store(folder / FILE, synchronous) as backend:
                for _ in range(min(random.randrange(5, longest), calls - run.calls)):
                    key, call = source.next()
                    call(backend)
                    run.calls += 1
                    moment = moment_of(backend, len(run.recorder.events))
                    plain = source.sessions.get(key)
                    found = moment.sessions[key]
                    assert found.metadata is None if plain is None else _is(plain, found)
                    run.moments.append(moment)
    return run


def _is(plain: Any, found: State) -> bool:
    return bool(plain.check(found.metadata, [each.message for each in found.messages]))


def cut(run: Run, scratch: Path, random: Random, *, every: int, most: int) -> None:
    """Cut the power after every so many events, with up to `most` combinations of what may be on the disk."""
    disk = Disk()
    for count, event in enumerate(run.recorder.events, 1):
        disk.pass_event(event)
        if random.randrange(every) and count != len(run.recorder.events):
            continue
        for number, tree in enumerate(disk.after_cuts(most, random)):
            _look(run, tree, scratch / f"{count}-{number}", count, random)


def _look(run: Run, tree: Tree, folder: Path, count: int, random: Random) -> None:
    """Ask all `PROMISES` of what one cut left."""
    run.cuts += 1
    folder.mkdir(parents=True)
    for name, content in tree.items():
        assert isinstance(content, bytes)
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    if random.random() < 0.3 and f"{FILE}-wal" in tree:  # nobody syncs it: anything may be in it
        (folder / f"{FILE}-shm").write_bytes(random.choice((b"", random.randbytes(32768))))
        (folder / f"{FILE}-shm").chmod(0o600)
    where = f"{run.synchronous}, after {count} events"
    try:
        with SQLiteBackend(folder / FILE) as backend:
            found = moment_of(backend, count)
            _judge(run, found, count, where)
            _ask(run, backend, found, count, where)
    except SessionKitError as error:
        raise BrokenPromiseError("opens", f"{where} the store can't be used: {error}") from error
    for file in folder.iterdir():
        file.unlink()


def _judge(run: Run, found: Moment, count: int, where: str) -> None:
    possible = run.possible(count)
    for age, moment in enumerate(reversed(possible)):
        if (found.sessions, found.listed) == (moment.sessions, moment.listed):
            run.states["the newest" if age == 0 else "an older one"] += 1
            return
    earlier = [(moment.sessions, moment.listed) for moment in run.moments]
    was = (found.sessions, found.listed) in earlier
    shown = {key: str(state) for key, state in found.sessions.items()}
    raise BrokenPromiseError(
        "acknowledged" if was else "true-state",
        f"{where} there is {shown}, {'an older state' if was else 'which was never so'}",
    )


def _ask(run: Run, backend: SQLiteBackend, found: Moment, count: int, where: str) -> None:
    problems = [each.what for each in backend.check() if each.severity == "problem"]
    if problems:
        raise BrokenPromiseError("sound", f"{where} a check finds: {problems[0]}")
    for key, state in found.sessions.items():
        for each in state.messages[-1:]:
            serial = each.message.text.split()[-1 if each.message.text.split()[-1].isdigit() else 1]
            if key not in {met.key for met in backend.search(SessionQuery(serial))}:
                raise BrokenPromiseError("sound", f"{where} a search for {serial} does not find {key!r}")
        highest = max(moment.sessions[key].revision for moment in run.moments if moment.done <= count)
        backend.append(key, PROBE)
        after = state_of(backend, key)
        if [each.message for each in after.messages] != [*(each.message for each in state.messages), PROBE]:
            raise BrokenPromiseError("writes-on", f"{where} {key!r} has {after} after one more than {state}")
        if run.synchronous == "full" and after.revision <= highest:
            raise BrokenPromiseError("revision", f"{where} {key!r} comes to {after.revision} again, of {highest}")


def prove(
    seed: int,
    calls: int,
    *,
    synchronous: Synchronous,
    every: int,
    most: int,
    open_store: Open = honest,
    longest: int = 60,
) -> Run:
    """One run, and the power cut in it.

    Raises:
        BrokenPromiseError: something was lost, or is not what it was.
    """
    random = Random(f"{seed} {synchronous}")  # noqa: S311 -- to be repeated, not to be secret
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        run = record(Path(folder, "live"), random, calls, synchronous, open_store=open_store, longest=longest)
        cut(run, Path(folder, "cut"), random, every=every, most=most)
    return run


def main(arguments: list[str]) -> int:
    """The long proof, by hand; prints what was done and found. 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.power sqlite")
    parser.add_argument("--operations", type=int, default=2000, help="how many calls in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=100, help="how many calls a run has, on a store of its own")
    parser.add_argument("--every", type=int, default=10, help="after how many events the power goes, on the average")
    parser.add_argument("--most", type=int, default=8, help="how many states of the disk at most after each")
    options = parser.parse_args(arguments)
    began, total, broken = time.monotonic(), Counter[str](), list[str]()
    settings: list[Synchronous] = ["full", "normal"]
    for number in range(max(1, options.operations // options.each)):
        seed, synchronous = options.seed * 1_000_000 + number, settings[number % 2]
        try:
            run = prove(seed, options.each, synchronous=synchronous, every=options.every, most=options.most)
        except BrokenPromiseError as error:
            broken.append(f"  run {seed}, synchronous={synchronous}: {error}")
            continue
        total.update(calls=run.calls, openings=run.openings, events=len(run.recorder.events), cuts=run.cuts, runs=1)
        total.update(run.states)
    print(  # noqa: T201 -- the report of a command
        f"power cuts, SQLite, seed {options.seed}: "
        f"{total['runs']} runs of {options.each} calls on {len(KEYS)} sessions",
        f"{total['openings']} openings, {total['events']} writes, truncations, syncs and changes of names by SQLite",
        f"{total['cuts']} states of the disk: {total['the newest']} held the newest state that could be, "
        f"{total['an older one']} an older one that the setting allows",
        f"{len(broken)} broken promises; {time.monotonic() - began:.0f} s",
        *broken,
        sep="\n",
    )
    return 1 if broken else 0
