"""The rows of adding a hundred messages at once to the newest session of a store."""

import shutil
from functools import cache, partial
from pathlib import Path

from benchmarks.deep import BATCH, batches, stored_lines
from benchmarks.floors import BareTable, append_line
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Operation, Row, Run, Samples, Scale, compared, interleave
from benchmarks.stores import JSONL, SHALLOW, SQLITE, Store, fill
from sessionkit import extend

KEY = "session"
_CHUNK = 4


def _timed(run: Run, store: Store, floor: Operation) -> dict[str, Samples]:
    added = batches(run.corpus.messages)
    with store.open(run.folder) as backend:
        fill(backend, run, KEY, 0, SHALLOW)
        return interleave(
            {OURS: lambda number: extend(backend, KEY, added[number % len(added)]), FLOOR: floor},
            rounds=run.scale.rounds,
            per_round=max(1, 2 * run.scale.per_round // BATCH),
            chunk=_CHUNK,
        )


@cache
def _sqlite(scale: Scale, shared: Path) -> dict[str, Samples]:
    """Measured once a run, for two rows."""
    run = Run(shared / "extended", scale, shared)
    run.folder.mkdir()
    added = batches(run.corpus.dicts)
    table = BareTable(run.folder / "floor.db")
    table.extend(KEY, run.corpus.dicts[:SHALLOW], 0)
    samples = _timed(
        run, SQLITE, lambda number: table.extend(KEY, added[number % len(added)], SHALLOW + number * BATCH)
    )
    table.close()
    shutil.rmtree(run.folder)
    return samples


def _unindexed(run: Run) -> Measured:
    """A batch of the index takes the messages of some twenty calls, so the median call holds none."""
    samples = _sqlite(run.scale, run.shared)
    floor = samples[FLOOR].median / BATCH / 1e3
    ours = samples[OURS].median / BATCH / 1e3
    return Measured(ours, samples, f"the floor: {floor:.1f} us", {"floor_us_a_message": floor}, ours / floor)


def _indexed(run: Run) -> Measured:
    return compared(_sqlite(run.scale, run.shared))


def _jsonl(run: Run) -> Measured:
    lines = [b"".join(batch) for batch in batches(stored_lines(run))]
    path = str(run.folder / "floor.jsonl")
    return compared(_timed(run, JSONL, partial(_write, path, lines)))


def _write(path: str, lines: list[bytes], number: int) -> None:
    append_line(path, lines[number % len(lines)])


ROWS = [
    Row(
        "sqlite.extend.100",
        "a message of extend of 100, index aside: the median call",
        "us",
        _unindexed,
        Bound(6),
    ),
    Row(
        "sqlite.extend.100.indexed",
        "extend of 100, index batches included : json.dumps + executemany",
        "x",
        _indexed,
    ),
    Row("jsonl.extend.100", "extend of 100 : open + flock + write + close of 100 lines", "x", _jsonl),
]
