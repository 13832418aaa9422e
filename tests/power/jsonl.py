"""Power cuts for sessions in files: at every byte that was written, and with any part of what was not synced missing.

A run is several lives of a process at one store. Each makes random calls; most die in the middle of one, and the next
one goes on with what is there. Then the power goes: after every event of the run, with many combinations of what may
have reached the disk by then.
"""

import argparse
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Literal

import attrs

from sessionkit import CorruptRecordWarning, CorruptSessionError
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.names import file_name
from tests.power.disk import Disk, Tree, Write
from tests.power.operations import KEYS, Operations, Plain
from tests.power.recorder import KilledError, Recorder, put_tree
from tests.power.truth import BrokenPromiseError, State, Truth, judge, state_of

Syncing = Literal["always", "never", "mixed"]
"""Whether each life opens the store with ``fsync=1``, none, or some; only the writes of those that do must survive."""

WRITTEN_BACK = 0.5
"""How often so much time passes between two lives that the operating system has everything on the disk by itself."""

STORE = "a/store"
"""Below the top: two folders that the backend has to create."""


@attrs.define
class Run:
    """What was done, what was true, and what came of it.

    Attributes:
        cuts: how many states of the disk were looked at.
        told: how many times a session told that part of it is damaged.
    """

    recorder: Recorder
    truth: Truth = attrs.Factory(Truth)
    strict: bool = True
    operations: int = 0
    deaths: int = 0
    cuts: int = 0
    bytes: int = 0
    told: int = 0


def record(top: Path, random: Random, operations: int, syncing: Syncing) -> Run:
    """Make that many random calls, in lives that end by death in the middle of one, and write down everything."""
    top.mkdir()
    run = Run(Recorder(top), strict=syncing == "always")
    source = Operations(random)
    while run.operations < operations:
        if run.operations and random.random() < WRITTEN_BACK:
            run.recorder.write_back()
            run.truth.write_back(len(run.recorder.events))
        fsync = syncing == "always" or (syncing == "mixed" and random.random() < 0.6)
        _live(run, source, min(random.randrange(5, 40), operations - run.operations), fsync=fsync)
    run.recorder.check()
    return run


def _live(run: Run, source: Operations, length: int, *, fsync: bool) -> None:
    recorder, random = run.recorder, source.random
    recorder.dies_at = len(recorder.events) + random.randrange(2, 4 * length) if random.random() < 0.8 else None
    began, key, before = len(recorder.events), "", dict[str, Plain]()
    with recorder.recording():
        try:
            with JSONLBackend(recorder.top + "/" + STORE, fsync=fsync) as backend:
                for _ in range(length):
                    before = {name: session.copy() for name, session in source.sessions.items()}
                    began = len(recorder.events)
                    key, call = source.next()
                    run.operations += 1
                    call(backend)
                    _tell(run, source, backend, key, began, fsync=fsync)
        except KilledError:
            run.deaths += 1
            _settle(run, source, key, before, began)


def _tell(run: Run, source: Operations, backend: JSONLBackend, key: str, began: int, *, fsync: bool) -> None:
    state, plain = _whole(backend, key), source.sessions.get(key)
    if plain is None:
        assert state.metadata is None
    else:
        assert plain.check(state.metadata, [each.message for each in state.messages])
    run.truth.tell(key, state, began=began, durable=len(run.recorder.events) if fsync else None)


def _whole(backend: JSONLBackend, key: str) -> State:
    """What is seen of the session by whoever lives on, to whom nothing can be damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CorruptRecordWarning)
            return state_of(backend, key)
    except (CorruptSessionError, CorruptRecordWarning) as error:
        raise BrokenPromiseError("opens", f"without a power cut, {key!r} can't be read: {error}") from error


def _settle(run: Run, source: Operations, key: str, before: dict[str, Plain], began: int) -> None:
    """See what came of the call that a death ended: all of it or nothing."""
    store = Path(run.recorder.top, STORE)
    if not store.exists() or not key:
        return
    with JSONLBackend(store, mode="ro") as backend:
        state = _whole(backend, key)
    for sessions in (source.sessions, before):
        plain = sessions.get(key)
        messages = [each.message for each in state.messages]
        if plain.check(state.metadata, messages) if plain else state.metadata is None:
            source.sessions = sessions
            run.truth.tell(key, state, began=began, durable=None)
            return
    raise BrokenPromiseError("true-state", f"a death left {key!r} with {state}, neither what was nor what was to be")


def cut_everywhere(run: Run, scratch: Path, random: Random, most: int) -> None:
    """Cut the power after each event, with up to `most` combinations of what may be on the disk."""
    disk = Disk()
    for count, event in enumerate([None, *run.recorder.events]):
        if event is not None:
            disk.pass_event(event)
        for tree in disk.after_cuts(most, random):
            _look(run, tree, scratch, count, strict=run.strict)


def cut_every_byte(run: Run, scratch: Path) -> None:
    """Stop within each write after each of its bytes, all before it being there: what a death leaves."""
    disk = Disk()
    for count, event in enumerate(run.recorder.events):
        if isinstance(event, Write):
            for length in range(1, len(event.data)):
                run.bytes += 1
                tree = disk.with_one_more(Write(event.file, event.offset, event.data[:length]))
                _look(run, tree, scratch, count + 1, strict=True)
        disk.pass_event(event)


def _look(run: Run, tree: Tree, scratch: Path, cut: int, *, strict: bool) -> None:
    put_tree(tree, scratch)
    run.cuts += 1
    with JSONLBackend(scratch / STORE) as backend:
        run.told += judge(backend, run.truth, cut, strict=strict, keys=KEYS)
        unknown = {path.name for path in (scratch / STORE).glob("*.jsonl")} - {file_name(key) for key in KEYS}
        if unknown or set(backend.list_sessions()) != set(KEYS):
            raise BrokenPromiseError("foreign", f"after {cut} events there are {backend.list_sessions()}, {unknown}")


def prove(seed: int, operations: int, *, syncing: Syncing, most: int, every_byte: bool = False) -> Run:
    """One run, and the power cut everywhere.

    Raises:
        BrokenPromiseError: something was lost, or is not what it was.
    """
    random = Random(f"{seed} {syncing}")  # noqa: S311 -- to be repeated, not to be secret
    with tempfile.TemporaryDirectory() as folder:
        run = record(Path(folder, "live"), random, operations, syncing)
        if every_byte:
            cut_every_byte(run, Path(folder, "bytes"))
        cut_everywhere(run, Path(folder, "cut"), random, most)
    return run


def main(arguments: list[str]) -> int:
    """The long proof, by hand; prints what was done and found. 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.power jsonl")
    parser.add_argument("--operations", type=int, default=2000, help="how many calls in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=40, help="how many calls a run has, on a store of its own")
    parser.add_argument("--most", type=int, default=60, help="how many states of the disk at most after each event")
    options = parser.parse_args(arguments)
    began, total, broken = time.monotonic(), Counter[str](), list[str]()
    settings: list[Syncing] = ["always", "mixed", "never"]
    for number in range(max(1, options.operations // options.each)):
        seed, syncing = options.seed * 1_000_000 + number, settings[number % 3]
        try:
            run = prove(seed, options.each, syncing=syncing, most=options.most, every_byte=number % 30 < 3)
        except BrokenPromiseError as error:
            broken.append(f"  run {seed}, fsync {syncing}: {error}")
            continue
        total.update(calls=run.operations, deaths=run.deaths, events=len(run.recorder.events), cuts=run.cuts)
        total.update(bytes=run.bytes, told=run.told, runs=1)
    print(  # noqa: T201 -- the report of a command
        f"power cuts, JSONL, seed {options.seed}: {total['runs']} runs of {options.each} calls on {len(KEYS)} sessions",
        f"{total['deaths']} deaths of the process, {total['events']} system calls that change files",
        f"{total['cuts']} states of the disk, {total['bytes']} of them after single bytes; in each, every session read "
        "whole and written to",
        f"{total['told']} times a session told that part of it is missing, or can't be read",
        f"{len(broken)} broken promises; {time.monotonic() - began:.0f} s",
        *broken,
        sep="\n",
    )
    return 1 if broken else 0
