"""The rows of JSONL against plain files."""

from pathlib import Path

from benchmarks.floors import append_line, read_ends, read_lines, read_tail
from benchmarks.measure import Bound, Measured, Row, Run, compared, interleave
from benchmarks.rows.shared import fill
from benchmarks.stores import JSONL

_LAST = 50


def _file(folder: Path) -> Path:
    """The one session's file."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def _append(run: Run) -> Measured:
    """The floor writes the very lines that ours did for the same messages before."""
    messages = run.corpus.messages
    with JSONL.open(run.folder / "lines") as backend:
        fill(backend, run, "session", 0, len(messages))
    lines = _file(run.folder / "lines").read_bytes().splitlines(keepends=True)[-len(messages) :]
    path = str(run.folder / "floor.jsonl")
    with JSONL.open(run.folder) as backend:

        def ours(number: int) -> None:
            backend.append("session", messages[number % len(messages)])

        def bare(number: int) -> None:
            append_line(path, lines[number % len(lines)])

        samples = interleave({"ours": ours, "floor": bare}, rounds=run.scale.rounds, per_round=run.scale.per_round)
    return compared(samples)


def _load(run: Run) -> Measured:
    with JSONL.open(run.folder) as backend:
        fill(backend, run, "session", 0, run.scale.deep)
        path = _file(run.folder)
        samples = interleave(
            {"ours": lambda _: backend.load("session"), "floor": lambda _: read_lines(path)}, rounds=run.scale.repeats
        )
    return compared(samples)


def _last(run: Run) -> Measured:
    with JSONL.open(run.folder) as backend:
        fill(backend, run, "session", 0, run.scale.deep)
        path = _file(run.folder)
        lines = path.read_bytes().splitlines(keepends=True)
        start = sum(map(len, lines[:-_LAST]))
        samples = interleave(
            {
                "ours": lambda _: backend.load_with_timestamps("session", last=_LAST),
                "floor": lambda _: read_tail(path, start),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    return compared(samples)


def _list(run: Run) -> Measured:
    with JSONL.open(run.folder) as backend:
        for number in range(run.scale.deep):
            backend.append(f"session/{number}", run.corpus.messages[number])
        folder = max(run.folder.rglob("*"), key=lambda path: path.stat().st_mtime_ns).parent
        samples = interleave(
            {"ours": lambda _: backend.list_sessions(), "floor": lambda _: read_ends(folder)},
            rounds=run.scale.repeats,
        )
    return compared(samples)


ROWS = [
    Row("jsonl.append", "append : open + flock + write + close of the same bytes", "x", _append, Bound(4)),
    Row("jsonl.load", "load of 10,000 : reading lines + json.loads", "x", _load),
    Row("jsonl.last", "last 50 of 10,000 : reading their bytes + json.loads", "x", _last),
    Row("jsonl.list", "list of 10,000 sessions : reading the end of each file", "x", _list),
]
