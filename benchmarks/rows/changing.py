"""The rows of changing the newest message: replacing it as an answer streams in, and removing it."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import attrs

from benchmarks.floors import BareTable, append_line, cut_off
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, Samples, compared, interleave
from benchmarks.stores import JSONL, ON_DISK, SHALLOW, SQLITE, Store, fill
from sessionkit import ChatMessage, OpenBackend

KEY = "session"
VERSIONS, LONGEST = 500, 4_096
"""How often an answer is replaced, and the number of characters that it grows to."""

_SPARE = 64
"""More messages than are removed before as many are added again."""


@attrs.frozen
class _Floor:
    """What stands against ours, on the same sessions; the numbers count up as those of operations do."""

    replace: Callable[[int], object]
    append: Callable[[int], object]
    remove: Callable[[int], object]
    close: Callable[[], object]


_MakeFloor = Callable[[Run, Sequence[ChatMessage]], _Floor]
"""The floor with the same sessions as ours, and the versions that replace each other."""


def answers(run: Run) -> list[ChatMessage]:
    """An answer as it grows, as often as a round replaces it."""
    words = " ".join(message.text for message in run.corpus.messages)
    count = min(VERSIONS, run.scale.per_round)
    return [ChatMessage.assistant(words[: LONGEST * (number + 1) // count]) for number in range(count)]


def _table(run: Run, versions: Sequence[ChatMessage]) -> _Floor:
    """UPDATE and DELETE of the row whose number is known, with others behind it."""
    table = BareTable(run.folder / "floor.db")
    dicts, changed = run.corpus.dicts, [message.to_dict() for message in versions]
    for start in (0, 1 << 32):
        table.extend(KEY, (dicts[number % len(dicts)] for number in range(SHALLOW)), start)
    last = SHALLOW - 1

    def append(number: int) -> None:
        nonlocal last
        last += 1
        table.append(KEY, dicts[number % len(dicts)], last)

    def remove(_: int) -> None:
        nonlocal last
        table.remove(last)
        last -= 1

    return _Floor(lambda number: table.replace(last, changed[number % len(changed)]), append, remove, table.close)


def _file(run: Run, versions: Sequence[ChatMessage]) -> _Floor:
    """A line more for what replaces, which leaves the old one whole until the new one is; a line less for a removal."""
    path = str(run.folder / "floor.jsonl")
    lines = [line + b"\n" for line in run.corpus.lines]
    changed = [json.dumps(message.to_dict()).encode() + b"\n" for message in versions]
    starts = [0]
    for number in range(SHALLOW):
        starts.append(starts[-1] + len(lines[number % len(lines)]))
    Path(path).write_bytes(b"".join(lines[number % len(lines)] for number in range(SHALLOW)))

    def append(number: int) -> None:
        append_line(path, lines[number % len(lines)])
        starts.append(starts[-1] + len(lines[number % len(lines)]))

    def remove(_: int) -> None:
        starts.pop()
        cut_off(path, starts[-1])

    return _Floor(lambda number: append_line(path, changed[number % len(changed)]), append, remove, lambda: None)


_FLOORS: dict[Store, _MakeFloor] = {SQLITE: _table, JSONL: _file}


def _update_last(store: Store, run: Run) -> Measured:
    """The message is one that waits to be indexed, as the newest ones do."""
    versions = answers(run)
    floor = _FLOORS[store](run, versions)
    with store.open(run.folder) as backend:
        _fill(backend, run)
        samples = interleave(
            {
                OURS: lambda number: backend.update_last(KEY, versions[number % len(versions)]),
                FLOOR: floor.replace,
            },
            rounds=run.scale.rounds,
            per_round=len(versions),
        )
    floor.close()
    return compared(samples)


def _remove_last(store: Store, run: Run) -> Measured:
    """Both add as many messages as they remove, in turns that don't count."""
    messages = run.corpus.messages
    floor = _FLOORS[store](run, messages[:1])
    with store.open(run.folder) as backend:
        _fill(backend, run)
        samples = interleave(
            {
                "added": lambda number: backend.append(KEY, messages[number % len(messages)]),
                "floor added": floor.append,
                OURS: lambda _: backend.remove_last(KEY),
                FLOOR: floor.remove,
            },
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
        )
    floor.close()
    return _of_both(samples)


def _remove_indexed(run: Run) -> Measured:
    """Everything is indexed before, and so each message is taken out of the index too, which the floor has not."""
    messages = run.corpus.messages
    floor = _FLOORS[SQLITE](run, messages[:1])
    per_round = run.scale.repeats * 8
    count = per_round * run.scale.rounds + _SPARE
    with SQLITE.open(run.folder) as backend:
        fill(backend, run, KEY, 0, count)
        fill(backend, run, "behind", 0, SHALLOW)
        backend.compact(KEY)
        for number in range(count):
            floor.append(number)
        samples = interleave(
            {OURS: lambda _: backend.remove_last(KEY), FLOOR: floor.remove},
            rounds=run.scale.rounds,
            per_round=per_round,
        )
    floor.close()
    return compared(samples)


def _fill(backend: OpenBackend, run: Run) -> None:
    fill(backend, run, KEY, 0, SHALLOW)
    fill(backend, run, "behind", 0, SHALLOW)


def _of_both(samples: dict[str, Samples]) -> Measured:
    return compared({name: samples[name] for name in (OURS, FLOOR)})


def _rows_of(store: Store) -> list[Row]:
    replaced = "UPDATE" if store is SQLITE else "adding a line of the same bytes"
    removed = "DELETE" if store is SQLITE else "open + flock + truncate + close"
    bound = Bound(1.5) if store is SQLITE else None
    return [
        Row(
            f"{store.name}.update_last",
            f"{VERSIONS} update_last as a message grows to 4 KB : {replaced}",
            "x",
            partial(_update_last, store),
            bound,
        ),
        Row(
            f"{store.name}.remove_last",
            f"remove_last : {removed}",
            "x",
            partial(_remove_last, store),
        ),
    ]


ROWS = [
    *(row for store in ON_DISK for row in _rows_of(store)),
    Row("sqlite.remove_last.indexed", "remove_last of messages that are indexed : DELETE", "x", _remove_indexed),
]
