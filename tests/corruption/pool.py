"""Workers that try damaged stores, watched: whoever hangs or dies is seen as that, and replaced."""

import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds that one damaged store may take, on a machine that does other things too."""

_ROOT = Path(__file__).parents[2]


class _Worker:
    """A process that is given a seed a line, and answers with an outcome a line."""

    def __init__(self, store: str, templates: str, mutant: str) -> None:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the worker
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.corruption.worker", store, templates, mutant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "backends")))},
        )

    def ask(self, seed: int, patience: float) -> dict[str, Any]:
        """The outcome, or that there is none."""
        process = self.process
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"%d\n" % seed)
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], patience)
        line = process.stdout.readline() if ready else b""
        if line:
            outcome: dict[str, Any] = json.loads(line)
            return outcome
        what = "the interpreter died" if ready else f"it hung for {patience:g} seconds"
        if not ready:
            process.kill()
        process.wait()
        self.said.seek(0)
        last = self.said.read().decode(errors="replace").strip()[-1500:]
        return {"died": True, "hopeless": False, "broken": [f"{what} (status {process.returncode}): {last}"]}

    def close(self) -> None:
        """End it."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.said.close()


Outcomes = queue.SimpleQueue[tuple[int, dict[str, Any]] | None]


def outcomes(
    store: str, seeds: Iterable[int], *, workers: int = 2, mutant: str = "", patience: float = PATIENCE
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The outcome of each seed, as it comes; with whatever the mutant's name stands for broken on purpose."""
    waiting = iter(list(seeds))
    taking = threading.Lock()
    done: Outcomes = queue.SimpleQueue()

    def taken() -> int | None:
        with taking:
            return next(waiting, None)

    with tempfile.TemporaryDirectory() as folder:
        threads = [
            threading.Thread(target=_work, args=((store, f"{folder}/{number}", mutant), patience, taken, done))
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                yield from iter(done.get, None)
        finally:  # whoever asks for no more, or is interrupted, waits for those that are being tried only
            while taken() is not None:
                pass
            for thread in threads:
                thread.join()


def _work(given: tuple[str, str, str], patience: float, taken: Callable[[], int | None], done: Outcomes) -> None:
    """One worker after the other, as long as there are seeds."""
    worker: _Worker | None = None
    while (seed := taken()) is not None:
        worker = worker or _Worker(*given)
        outcome = worker.ask(seed, patience)
        if outcome.get("died"):
            worker.close()
            worker = None
        done.put((seed, outcome))
    if worker is not None:
        worker.close()
    done.put(None)
