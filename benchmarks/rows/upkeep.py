"""The rows of what keeps a store in order: cleanup of sessions that nobody uses, and compaction of one session."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import big
from benchmarks.deep import session_file
from benchmarks.floors import BareTable, read_ends
from benchmarks.floors_many import BareSessions
from benchmarks.measure import FLOOR, OURS, Measured, Row, Run, compared, interleave
from benchmarks.rows.sessions import folder_of_files
from benchmarks.stores import JSONL, ON_DISK, SHALLOW, SQLITE, Store, fill

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
    copy = run.folder / "copy"
    with ExitStack() as opened:
        deleting: dict[str, Callable[[], int]] = {}

        def prepare_ours(_number: int) -> None:
            opened.close()
            _copy(many.folder, copy)
            backend = opened.enter_context(store.open(copy))
            deleting[OURS] = lambda: backend.cleanup_stale((datetime.now(UTC) - before).total_seconds() / 3_600)

        def prepare_floor(_number: int) -> None:
            opened.close()
            if store is JSONL:
                _copy(folder_of_files(many.folder / JSONL.name), copy)
                deleting[FLOOR] = partial(_unlink, copy, stale)
                return
            _copy(many.folder, copy)
            floor = opened.enter_context(closing(BareSessions(copy / big.FLOOR)))
            deleting[FLOOR] = partial(floor.delete_inactive, before)

        samples = interleave(
            {OURS: lambda _: _expect(stale, deleting[OURS]()), FLOOR: lambda _: _expect(stale, deleting[FLOOR]())},
            rounds=min(_ROUNDS, run.scale.rounds),
            before={OURS: prepare_ours, FLOOR: prepare_floor},
        )
    each = {f"{name}_us_each": samples[name].median / stale / 1e3 for name in samples}
    measured = compared(samples, f"{each['ours_us_each']:.1f} us each")
    return Measured(measured.value, samples, measured.note, each)


def _copy(folder: Path, to: Path) -> None:
    """Afresh; nothing may be open there."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)


def _expect(expected: int, deleted: int) -> None:
    if deleted != expected:
        msg = f"{deleted} sessions were deleted, not {expected}"
        raise RuntimeError(msg)


def _unlink(folder: Path, count: int) -> int:
    """Whichever: which are stale can't be told from their names."""
    read_ends(folder)
    for path, _ in zip(list(folder.iterdir()), range(count), strict=False):
        path.unlink()
    return count


def _compact(store: Store, run: Run) -> Measured:
    """What is replaced before is indexed, or superseded in the file; that is not measured."""
    messages = run.corpus.messages
    with store.open(run.folder) as backend, closing(BareTable(run.folder / "floor.db")) as table:
        for key, count in (("before", SHALLOW), ("session", run.scale.deep), ("behind", SHALLOW)):
            fill(backend, run, key, 0, count)
            for number in range(count if store is SQLITE else 0):
                table.append(key, run.corpus.dicts[number % len(messages)])
        backend.compact("session")

        def replace(_number: int) -> None:
            for number in range(min(REPLACED, run.scale.deep)):
                backend.update_last("session", messages[number])

        file = run.folder / "replaced"
        if store is JSONL:
            replace(0)
            shutil.copy(session_file(run.folder / store.name), file)

        def bare(_number: int) -> None:
            if store is JSONL:
                _rewrite(file, run)
            else:
                table.load(SHALLOW + 1, SHALLOW + run.scale.deep)

        samples = interleave(
            {OURS: lambda _: backend.compact("session"), FLOOR: bare},
            rounds=run.scale.repeats,
            before={OURS: replace},
        )
    return compared(samples)


def _rewrite(file: Path, run: Run) -> None:
    """Look at each line, and write anew as many as are live."""
    lines = file.read_bytes().splitlines(keepends=True)
    for line in lines:
        json.loads(line)
    new = run.folder / "new"
    new.write_bytes(b"".join(lines[: run.scale.deep]))
    new.replace(run.folder / "compacted")


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
