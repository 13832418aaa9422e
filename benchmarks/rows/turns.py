"""The rows that look for turns: those that run, and those that are stuck, among many sessions."""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from benchmarks import big
from benchmarks.floors import read_ends
from benchmarks.measure import FLOOR, OURS, Measured, Operation, Row, Run, compared, interleave
from benchmarks.rows.sessions import folder_of_files, repeats
from benchmarks.stores import JSONL, SQLITE
from sessionkit import OpenBackend, SessionMetadata

SIZES = (10_000, 1_000_000)
CROWD = 10_000
"""How many sessions a store has in all of which a turn runs."""


def _running(size: int, run: Run, *, all_running: bool = False) -> Measured:
    """The floor has an index of just those, in their order."""
    many = big.sessions(run, SQLITE, size, all_running=all_running)
    with SQLITE.open(many.folder) as backend, closing(many.floor) as floor:
        ours = [one.key for one in backend.list_running_sessions()]
        if ours != [one["key"] for one in floor.running()]:
            raise RuntimeError("ours and the floor found different turns")
        contenders: Mapping[str, Operation] = {
            OURS: lambda _: backend.list_running_sessions(),
            FLOOR: lambda _: floor.running(),
        }
        return _compared(contenders, run, len(ours))


def _stuck(size: int, run: Run, *, all_running: bool = False) -> Measured:
    """The floor has an index of the running ones' heartbeats."""
    many = big.sessions(run, SQLITE, size, all_running=all_running)
    before = many.since(big.STUCK)
    with SQLITE.open(many.folder) as backend, closing(many.floor) as floor:
        ours = [one.key for one in _stuck_since(backend, before)]
        if ours != [one["key"] for one in floor.stuck(before)]:
            raise RuntimeError("ours and the floor found different turns")
        contenders: Mapping[str, Operation] = {
            OURS: lambda _: _stuck_since(backend, before),
            FLOOR: lambda _: floor.stuck(before),
        }
        return _compared(contenders, run, len(ours))


def _files(size: int, run: Run, *, stuck: bool) -> Measured:
    many = big.sessions(run, JSONL, size)
    before = many.since(big.STUCK)
    folder = folder_of_files(many.folder / JSONL.name)
    with JSONL.open(many.folder) as backend:

        def ours(_number: int) -> list[SessionMetadata]:
            return _stuck_since(backend, before) if stuck else backend.list_running_sessions()

        samples = interleave({OURS: ours, FLOOR: lambda _: read_ends(folder)}, rounds=repeats(run, size))
        return compared(samples, f"{len(ours(0))} found")


def _stuck_since(backend: OpenBackend, before: datetime) -> list[SessionMetadata]:
    return backend.list_stuck_sessions((datetime.now(UTC) - before).total_seconds())


def _compared(contenders: Mapping[str, Operation], run: Run, found: int) -> Measured:
    """What gives few is asked often."""
    rounds, often = (run.scale.repeats, 1) if found > big.RUNNING else (run.scale.rounds, run.scale.repeats * 4)
    return compared(interleave(contenders, rounds=rounds, per_round=often, chunk=4), f"{found:,} found")


ROWS = [
    *(
        Row(
            f"sqlite.{name}.{size}",
            f"list_{name}_sessions of {size:,} of which {big.RUNNING} run, {big.STUCK} stuck : an indexed query",
            "x",
            partial(measure, size),
            size=size,
        )
        for size in SIZES
        for name, measure in (("running", _running), ("stuck", _stuck))
    ),
    *(
        Row(
            f"sqlite.{name}.crowded",
            f"list_{name}_sessions of {CROWD:,} that all run, {big.STUCK} stuck : an indexed query",
            "x",
            partial(measure, CROWD, all_running=True),
            size=CROWD,
        )
        for name, measure in (("running", _running), ("stuck", _stuck))
    ),
    *(
        Row(
            f"jsonl.{name}.{CROWD}",
            f"list_{name}_sessions of {CROWD:,} : reading the end of each file",
            "x",
            partial(_files, CROWD, stuck=name == "stuck"),
            size=CROWD,
        )
        for name in ("running", "stuck")
    ),
]
