"""The rows of JSONL against plain files."""

from functools import partial

from benchmarks.deep import session_file, stored_lines
from benchmarks.floors import append_line, append_line_synced, read_lines, read_tail
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, compared, interleave, ratio_of_medians
from benchmarks.stores import JSONL, fill
from sessionkit import open_backend

_LAST = 50
_FEWER = 8  # of the appends that wait for the disk


def _append(run: Run, *, fsync: bool) -> Measured:
    """The floor writes the very lines that ours did for the same messages before."""
    messages = run.corpus.messages
    lines = stored_lines(run)
    path = str(run.folder / "floor.jsonl")
    write = append_line_synced if fsync else append_line
    with open_backend(JSONL.url(run.folder), fsync=fsync) as backend:

        def ours(number: int) -> None:
            backend.append("session", messages[number % len(messages)])

        def bare(number: int) -> None:
            write(path, lines[number % len(lines)])

        per_round = run.scale.per_round // (_FEWER if fsync else 1)
        samples = interleave({OURS: ours, FLOOR: bare}, rounds=run.scale.rounds, per_round=per_round)
    return Measured(ratio_of_medians(samples), samples) if fsync else compared(samples)


def _load(run: Run) -> Measured:
    with JSONL.open(run.folder) as backend:
        fill(backend, run, "session", 0, run.scale.deep)
        path = session_file(run.folder)
        samples = interleave(
            {OURS: lambda _: backend.load("session"), FLOOR: lambda _: read_lines(path)}, rounds=run.scale.repeats
        )
    return compared(samples)


def _last(run: Run) -> Measured:
    with JSONL.open(run.folder) as backend:
        fill(backend, run, "session", 0, run.scale.deep)
        path = session_file(run.folder)
        lines = path.read_bytes().splitlines(keepends=True)
        start = sum(map(len, lines[:-_LAST]))
        samples = interleave(
            {
                OURS: lambda _: backend.load_with_timestamps("session", last=_LAST),
                FLOOR: lambda _: read_tail(path, start),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    return compared(samples)


ROWS = [
    Row(
        "jsonl.append",
        "append : open + flock + write + close of the same bytes",
        "x",
        partial(_append, fsync=False),
        Bound(2),
    ),
    Row(
        "jsonl.sync.append",
        "the same with fsync=true : and fsync, of the medians",
        "x",
        partial(_append, fsync=True),
    ),
    Row("jsonl.load", "load of 10,000 : reading lines + json.loads", "x", _load, Bound(1.2)),
    Row("jsonl.last", "last 50 of 10,000 : reading their bytes + json.loads", "x", _last, Bound(2)),
]
