"""The rows of memory, and of processes that import and open."""

import json
import subprocess
import sys
from functools import partial
from typing import Any

from benchmarks.alone import environment
from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, interleave, ratio
from benchmarks.stores import SQLITE
from sessionkit import ChatMessage
from sessionkit_memory import MemoryBackend


def _append(run: Run) -> Measured:
    message = ChatMessage.user("What is the weather like in Paris today?")
    data = message.to_dict()
    kept: list[Any] = []
    with MemoryBackend() as backend:
        samples = interleave(
            {
                OURS: lambda _: backend.append("session", message),
                FLOOR: lambda _: kept.append(json.dumps(data)),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
        )
    return Measured(samples[OURS].median / 1e3, samples, compare=ratio(samples))


def _opened(run: Run, *, new: bool) -> Measured:
    """Whatever else the machine does only ever adds to the time of a process: the fastest of each."""
    with SQLITE.open(run.folder) as backend:
        backend.append("session", run.corpus.messages[0])
    # As an installed package is: compiled, whatever this process may write. The runs that are not counted do that.
    known = environment() | {"PYTHONPYCACHEPREFIX": str(run.folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}

    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, env=known)  # noqa: S603 -- this very Python

    def open_store(number: int) -> None:
        folder = run.folder / str(number) if new else run.folder
        start(f"import sessionkit\nwith sessionkit.open_backend({SQLITE.url(folder)!r}): pass")

    samples = interleave(
        {OURS: open_store, FLOOR: lambda _: start("pass"), "import": lambda _: start("import sessionkit")},
        rounds=run.scale.starts,
    )
    opened, imported = ((samples[name].fastest - samples[FLOOR].fastest) / 1e6 for name in (OURS, "import"))
    against = samples[OURS].fastest / samples[FLOOR].fastest
    return Measured(opened, samples, f"the import alone {imported:.1f} ms", {"import_ms": imported}, against)


ROWS = [
    Row("memory.append", "append of a plain message", "us", _append, Bound(5)),
    Row(
        "import",
        "a process that opens a SQLite store, more than a bare one",
        "ms",
        partial(_opened, new=False),
        Bound(60),
    ),
    Row(
        "import.new",
        "a process that makes a SQLite store, more than a bare one",
        "ms",
        partial(_opened, new=True),
        Bound(60),
    ),
]
