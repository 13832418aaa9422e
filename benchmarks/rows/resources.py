"""The rows of what a store takes but time: bytes on disk, memory, and waiting for the disk."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.alone import (
    FILE,
    KEY,
    SYNCED_FILE,
    TABLE,
    CannotTraceError,
    count_syncs,
    memory_of_append,
    memory_of_load,
    run_alone,
)
from benchmarks.deep import session_file
from benchmarks.floors import BareTable
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run
from benchmarks.stores import JSONL, ON_DISK, SHALLOW, SQLITE, Store, fill
from sessionkit import ChatMessage
from tests.conversations import conversations

_AT_A_TIME = 10
"""How many conversations go on at a time, so that their messages come mixed."""

_MB = 1e6
_A_THOUSAND = 1_000

Spoken = tuple[str, ChatMessage, dict[str, Any]]
"""A session's key, and a message as ours takes it and as the floor does."""


def _generated(run: Run) -> list[list[Spoken]]:
    corpus = run.corpus
    return [
        [
            (f"session/{start}", corpus.messages[number], corpus.dicts[number])
            for number in range(start, start + SHALLOW)
        ]
        for start in range(0, len(corpus), SHALLOW)
    ]


def _real(_: Run) -> list[list[Spoken]]:
    return [
        [(key, ChatMessage.from_dict(data), data) for data in messages] for key, messages in conversations().items()
    ]


def mixed(spoken: Sequence[Sequence[Spoken]]) -> Iterator[Spoken]:
    """All messages of all conversations, some of which go on at a time, each with a message in turn."""
    for start in range(0, len(spoken), _AT_A_TIME):
        for turn in zip_longest(*spoken[start : start + _AT_A_TIME]):
            yield from (each for each in turn if each is not None)


def _disk(store: Store, conversations_of: Callable[[Run], list[list[Spoken]]], run: Run) -> Measured:
    """All files of the store, closed: as it is, or with every message indexed, whichever is more."""
    spoken = list(mixed(conversations_of(run)))
    payload = sum(len(json.dumps(data)) for _, _, data in spoken)
    folder = run.folder / "ours"
    with store.open(folder) as backend:
        for key, message, _ in spoken:
            backend.append(key, message)
    as_it_is = _size(folder) / payload
    with store.open(folder) as backend:
        backend.compact(spoken[0][0])
    indexed = _size(folder) / payload
    numbers = {"as_it_is": as_it_is, "indexed": indexed, "payload_bytes": payload}
    note = f"{payload / _MB:.1f} MB; {as_it_is:.2f} as it is, {indexed:.2f} after compact"
    if store is SQLITE:
        numbers["floor"] = floor = _size_of_table(run.folder / "floor", spoken) / payload
        note += f"; a bare table {floor:.2f}"
    return Measured(max(as_it_is, indexed), note=note, numbers=numbers)


def _size_of_table(folder: Path, spoken: Iterable[Spoken]) -> int:
    """Of a bare table in which each session is a range, as in ours, and no index."""
    folder.mkdir()
    numbers: dict[str, int] = {}
    with closing(BareTable(folder / "floor.db")) as table:
        for key, _, data in spoken:
            number = numbers[key] = numbers.get(key, len(numbers) << 32) + 1
            table.append(key, data, number)
    return _size(folder)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _memory_load(store: Store, run: Run) -> Measured:
    """Neither is the only session of its file."""
    count = run.scale.deep
    with store.open(run.folder / "ours") as backend:
        fill(backend, run, "before", 0, SHALLOW)
        fill(backend, run, KEY, 0, count)
        fill(backend, run, "behind", 0, SHALLOW)
    if store is SQLITE:
        path, rows = run.folder / "floor.db", (SHALLOW, SHALLOW + count - 1)
        with closing(BareTable(path)) as table:
            table.extend(KEY, (run.corpus.dicts[number % count] for number in range(count + 2 * SHALLOW)), 0)
    else:
        path, rows = session_file(run.folder / "ours"), (0, 0)
    ours = run_alone(memory_of_load, str(path), store.url(run.folder / "ours"))
    return _of_memory(ours, run_alone(memory_of_load, str(path), "", *rows))


def _memory_append(store: Store, run: Run) -> Measured:
    """The messages are there before."""
    count, path = run.scale.deep, str(run.folder / "floor")
    floor = f"{TABLE} NORMAL" if store is SQLITE else FILE
    ours = run_alone(memory_of_append, count, path, floor, store.url(run.folder))
    return _of_memory(ours, run_alone(memory_of_append, count, path, floor))


def _of_memory(ours: int, floor: int) -> Measured:
    return Measured(ours / _MB, note=f"the floor: {floor / _MB:.1f} MB", numbers={"floor_mb": floor / _MB})


def _syncs(store: Store, options: str, floor: str, run: Run) -> Measured:
    count = run.scale.per_round
    url = store.url(run.folder) + options
    try:
        found = count_syncs(run.folder, count, str(run.folder / "floor"), floor, url)
    except CannotTraceError as error:
        return Measured(math.nan, note=f"cannot: {error}")
    ours, bare = (found[name] * _A_THOUSAND / count for name in (OURS, FLOOR))
    return Measured(ours, note=f"the floor: {bare:.1f}", numbers={"floor": bare})


def _rows_of(store: Store) -> list[Row]:
    row = partial(Row, unit="B/B")
    rows = [
        row(
            f"{store.name}.disk",
            "bytes on disk per byte of payload",
            measure=partial(_disk, store, _generated),
        ),
        Row(
            f"{store.name}.memory.load",
            "peak memory of a process: load of 10,000",
            "MB",
            partial(_memory_load, store),
        ),
        Row(
            f"{store.name}.memory.append",
            "peak memory of a process: 10,000 appends",
            "MB",
            partial(_memory_append, store),
        ),
    ]
    if conversations():
        rows.append(
            row(
                f"{store.name}.disk.real",
                "bytes on disk per byte of payload, real conversations",
                measure=partial(_disk, store, _real),
                bound=Bound(1.5) if store is SQLITE else None,
            )
        )
    return rows


def _row_of_syncs(store: Store, name: str, options: str, floor: str) -> Row:
    return Row(
        f"{name}.syncs",
        f"fsync and fdatasync in 1,000 appends{f' with {options[1:]}' if options else ''}",
        "syncs",
        partial(_syncs, store, options, floor),
    )


ROWS = [
    *(row for store in ON_DISK for row in _rows_of(store)),
    _row_of_syncs(SQLITE, "sqlite", "", f"{TABLE} NORMAL"),
    _row_of_syncs(SQLITE, "sqlite.full", "?synchronous=full", f"{TABLE} FULL"),
    _row_of_syncs(JSONL, "jsonl", "", FILE),
    _row_of_syncs(JSONL, "jsonl.sync", "?fsync=true", SYNCED_FILE),
]
