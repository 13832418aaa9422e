"""The rows of memory and of importing."""

import json
import subprocess
import sys
from typing import Any

from benchmarks.measure import Bound, Measured, Row, Run, interleave
from sessionkit import ChatMessage
from sessionkit_memory import MemoryBackend


def _append(run: Run) -> Measured:
    message = ChatMessage.user("What is the weather like in Paris today?")
    data = message.to_dict()
    kept: list[Any] = []
    with MemoryBackend() as backend:
        samples = interleave(
            {
                "ours": lambda _: backend.append("session", message),
                "floor": lambda _: kept.append(json.dumps(data)),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
        )
    return Measured(samples["ours"].median / 1e3, samples)


def _import(run: Run) -> Measured:
    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 -- this very Python

    samples = interleave(
        {"ours": lambda _: start("import sessionkit"), "floor": lambda _: start("pass")}, rounds=run.scale.starts
    )
    # Whatever else the machine does only ever adds to the time of a process, and no ratio is taken here to balance it.
    return Measured((samples["ours"].fastest - samples["floor"].fastest) / 1e6, samples)


ROWS = [
    Row("memory.append", "append of a plain message", "us", _append, Bound(5)),
    Row("import", "a process that imports sessionkit, more than a bare one", "ms", _import, Bound(60)),
]
