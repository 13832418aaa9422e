"""The rows of what keeps a store in order: cleanup of sessions that nobody uses, and compaction of one session."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter_ns

from benchmarks import big
from benchmarks.floors import BareTable, read_ends
from benchmarks.floors_many import BareSessions
from benchmarks.measure import FLOOR, OURS, Measured, Row, Run, Samples, compared
from benchmarks.rows.sessions import folder_of_files
from benchmarks.rows.shared import SHALLOW, fill
from benchmarks.stores import JSONL, ON_DISK, SQLITE, Store

STALE = {SQLITE: (5_000, 100_000), JSONL: (500,)}
"""How many sessions are deleted of a store with as many that are not."""

REPLACED = 500
"""How often a message is replaced before each compaction."""

_ROUNDS = 3
_FLOORS = {
    SQLITE: "one DELETE of the rows, one of their messages",
    JSONL: "reading the end of each file, unlink of half",
}


def _cleanup(store: Store, size: int, run: Run) -> Measured:
    """Each round deletes from fresh copies of a store and of its floor.

    The floor of SQLite holds no text index, and deletes all in one transaction, for which others would wait.
    """
    many = big.sessions(run, store, 2 * size)
    stale = many.count // 2
    before = many.since(stale)
    taken: dict[str, list[list[int]]] = {OURS: [], FLOOR: []}
    for number in range(min(_ROUNDS, run.scale.rounds)):
        folder = run.folder / str(number)
        shutil.copytree(many.folder, folder)
        if store is JSONL:
            shutil.copytree(folder_of_files(folder / JSONL.name), folder / "floor")
        with store.open(folder) as backend, closing(BareSessions(folder / big.FLOOR)) as floor:
            ours = partial(backend.cleanup_stale, (datetime.now(UTC) - before).total_seconds() / 3_600)
            bare = (
                partial(floor.delete_inactive, before) if store is SQLITE else partial(_unlink, folder / "floor", stale)
            )
            for name, delete in ((OURS, ours), (FLOOR, bare)):
                taken[name].append([_timed(delete, stale)])
        shutil.rmtree(folder)
    samples = {name: Samples(rounds) for name, rounds in taken.items()}
    each = {f"{name}_us_each": samples[name].median / stale / 1e3 for name in samples}
    measured = compared(samples, f"{each['ours_us_each']:.1f} us each")
    return Measured(measured.value, samples, measured.note, each)


def _timed(delete: Callable[[], int], expected: int) -> int:
    started = perf_counter_ns()
    deleted = delete()
    took = perf_counter_ns() - started
    if deleted != expected:
        msg = f"{deleted} sessions were deleted, not {expected}"
        raise RuntimeError(msg)
    return took


def _unlink(folder: Path, count: int) -> int:
    """Whichever: which are stale can't be told from their names."""
    read_ends(folder)
    for path, _ in zip(list(folder.iterdir()), range(count), strict=False):
        path.unlink()
    return count


def _compact(store: Store, run: Run) -> Measured:
    """What is replaced before is indexed, or superseded in the file; that is not measured."""
    messages = run.corpus.messages
    last = SHALLOW + run.scale.deep
    taken: dict[str, list[list[int]]] = {OURS: [], FLOOR: []}
    with store.open(run.folder) as backend, closing(BareTable(run.folder / "floor.db")) as table:
        for key, count in (("before", SHALLOW), ("session", run.scale.deep), ("behind", SHALLOW)):
            fill(backend, run, key, 0, count)
            for number in range(count if store is SQLITE else 0):
                table.append(key, run.corpus.dicts[number % len(messages)])
        backend.compact("session")
        for _ in range(run.scale.repeats):
            for number in range(min(REPLACED, run.scale.deep)):
                backend.update_last("session", messages[number])
            taken[FLOOR].append([_floor_of_compact(store, run, table, last)])
            started = perf_counter_ns()
            backend.compact("session")
            taken[OURS].append([perf_counter_ns() - started])
    return compared({name: Samples(rounds) for name, rounds in taken.items()})


def _floor_of_compact(store: Store, run: Run, table: BareTable, last: int) -> int:
    """Looks at each message; of a file, writes anew as many as are live."""
    if store is SQLITE:
        started = perf_counter_ns()
        table.load(SHALLOW + 1, last)
        return perf_counter_ns() - started
    file = max((path for path in (run.folder / JSONL.name).rglob("*")), key=lambda path: path.stat().st_size)
    started = perf_counter_ns()
    lines = file.read_bytes().splitlines(keepends=True)
    for line in lines:
        json.loads(line)
    new = run.folder / "new"
    new.write_bytes(b"".join(lines[: run.scale.deep]))
    new.replace(run.folder / "compacted")
    return perf_counter_ns() - started


ROWS = [
    *(
        Row(
            f"{store.name}.cleanup.{size}",
            f"cleanup_stale of {size:,} of {2 * size:,} sessions : {_FLOORS[store]}",
            "x",
            partial(_cleanup, store, size),
            size=2 * size,
        )
        for store, sizes in STALE.items()
        for size in sizes
    ),
    *(
        Row(
            f"{store.name}.compact",
            f"compact of 10,000 after {REPLACED} replacements : json.loads of each" + (", write" * (store is JSONL)),
            "x",
            partial(_compact, store),
        )
        for store in ON_DISK
    ),
]
