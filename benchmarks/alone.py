"""What only a process of its own shows: how much memory something takes, and which calls of the operating system.

``python -m benchmarks.alone TASK ARGUMENTS`` runs one task, with arguments and an answer in JSON.
"""

import gc
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.corpus import generated
from benchmarks.floors import BareTable, append_line, append_line_synced, read_lines
from benchmarks.measure import FLOOR, OURS
from sessionkit import open_backend

KEY = "session"

TABLE, FILE, SYNCED_FILE = "table", "file", "synced file"
"""Floors of appending; a table's name goes on with what its ``synchronous`` is."""

_SYNCS = ("fsync", "fdatasync")
_MARK = "rmdir"  # of a folder that isn't there: a call that leaves no trace but that of strace
_STRACE = ("-f", "--seccomp-bpf", "-qq", "-e", f"trace={','.join((*_SYNCS, _MARK))}")


class CannotTraceError(Exception):
    """There is no strace, or it may not trace."""


def environment() -> dict[str, str]:
    """That of this process, so that another Python finds the same modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run_alone(task: Callable[..., int], *arguments: str | int, tracer: Sequence[str] = ()) -> int:
    """What the task, one of `TASKS`, finds in a process of its own, which the tracer starts where there is one."""
    command = [*tracer, sys.executable, "-m", "benchmarks.alone", task.__name__, json.dumps(arguments)]
    done = subprocess.run(command, check=True, env=environment(), stdout=subprocess.PIPE)  # noqa: S603 -- this very Python
    return int(json.loads(done.stdout))


def memory_of_load(path: str, url: str = "", first: int = 0, last: int = 0) -> int:
    """By how many bytes loading a session raises the peak: with a URL ours, else the floor's at that path.

    A floor is a bare table of which a range is loaded, or a file of lines.
    """
    if url:
        with open_backend(url) as backend:
            backend.get_session_metadata(KEY)  # whatever is opened for reading is open
            return _raised(lambda: backend.load(KEY))
    if not last:
        return _raised(lambda: read_lines(Path(path)))
    with closing(BareTable(Path(path))) as table:
        return _raised(lambda: table.load(first, last))


def memory_of_append(count: int, path: str, floor: str, url: str = "") -> int:
    """By how many bytes appending so many messages raises the peak: with a URL ours, else that floor's."""
    corpus = generated(count)
    if url:
        with open_backend(url) as backend:
            return _raised(lambda: _repeat(lambda number: backend.append(KEY, corpus.messages[number]), count))
    append, close = _floor(floor, path, count)
    found = _raised(lambda: _repeat(append, count))
    close()
    return found


def syncs(count: int, path: str, floor: str, url: str) -> int:
    """Append so many messages to ours, then to the floor; what that calls stands between marks in the trace."""
    corpus = generated(count)
    append, close = _floor(floor, path, count)
    with open_backend(url) as backend:
        backend.append(KEY, corpus.messages[0])
        append(0)
        _mark(OURS)
        _repeat(lambda number: backend.append(KEY, corpus.messages[number]), count)
        _mark(FLOOR)
        _repeat(append, count)
        _mark("end")
    close()
    return count


TASKS: Mapping[str, Callable[..., int]] = {task.__name__: task for task in (memory_of_load, memory_of_append, syncs)}


def count_syncs(folder: Path, *arguments: str | int) -> Mapping[str, int]:
    """How often ours and the floor had the disk catch up in `syncs` with those arguments.

    Raises:
        CannotTraceError: there is no strace, or it may not trace.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise CannotTraceError("strace not found")
    trace = folder / "trace"
    try:
        run_alone(syncs, *arguments, tracer=(strace, *_STRACE, "-o", str(trace)))
    except subprocess.CalledProcessError as error:
        raise CannotTraceError(f"strace ended with {error.returncode}") from error
    return counted(trace.read_text(encoding="utf-8", errors="replace"))


def counted(trace: str) -> dict[str, int]:
    """The calls between the marks of a trace; those that end in an error are calls as well."""
    counts = {OURS: 0, FLOOR: 0, "end": 0}
    part = ""
    for name, argument in re.findall(rf"\b({'|'.join((*_SYNCS, _MARK))})\(([^),\n]*)", trace):
        if name == _MARK:
            part = argument.strip('"').removeprefix("mark of ")
        elif part in counts:
            counts[part] += 1
    return counts


def _mark(part: str) -> None:
    with suppress(FileNotFoundError):
        os.rmdir(f"mark of {part}")  # noqa: PTH106 -- just this call


def _floor(name: str, path: str, count: int) -> tuple[Callable[[int], object], Callable[[], None]]:
    """What appends the message of a number, and what closes."""
    corpus = generated(count)
    if name.startswith(TABLE):
        table = BareTable(Path(path), name.removeprefix(TABLE).strip())
        return lambda number: table.append(KEY, corpus.dicts[number]), table.close
    lines = [line + b"\n" for line in corpus.lines]
    write = append_line_synced if name == SYNCED_FILE else append_line
    return lambda number: write(path, lines[number]), lambda: None


def _repeat(operation: Callable[[int], object], count: int) -> None:
    for number in range(count):
        operation(number)


def _raised(operation: Callable[[], object]) -> int:
    """By how many bytes the most memory that the process ever held is above what it holds now."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew, where that can be
    before = _peak()
    kept = operation()
    after = _peak()
    del kept
    return after - before


def _peak() -> int:
    """The most memory that this program ever held, in bytes: Linux counts what started it into `ru_maxrss`."""
    with suppress(FileNotFoundError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*json.loads(sys.argv[2]))))
