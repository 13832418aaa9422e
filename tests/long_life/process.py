"""One process of a run: ``python -m tests.long_life.process JSON``, of an `Assignment`; it ends with its stdin.

Each second it writes to stdout what it has done so far, as a line of JSON; last, what went wrong, if anything did.
"""

import importlib
import json
import sys
import threading
import time
import traceback
from typing import Any

import attrs

from sessionkit import open_backend
from tests.long_life.work import Worker, counted, ended, read_for_ever, started, wait_for_ever


@attrs.frozen
class Assignment:
    """What a process is to do.

    Attributes:
        role: ``writer`` or ``reader``.
        threads: how many work.
        sessions: how many live ones a thread has at most.
        messages: how many a session has, roughly, at most.
        mutant: the name of a function of `tests.long_life.mutants` that breaks something first.
    """

    url: str
    role: str
    name: str
    seed: int
    threads: int
    sessions: int
    messages: int
    mutant: str = ""


def main(given: Assignment) -> int:
    """The exit status: 1 where a call raised."""
    if given.mutant:
        getattr(importlib.import_module("tests.long_life.mutants"), given.mutant)()
    stop = threading.Event()
    errors: list[str] = []

    def guarded(run: Any, *arguments: Any) -> None:
        try:
            run(*arguments)
        except BaseException:  # noqa: BLE001 -- whatever it is, it is reported
            errors.append(traceback.format_exc())
            stop.set()

    with open_backend(given.url) as backend:
        limits = given.sessions, given.messages
        workers = [
            Worker(backend, f"{given.name}.{number}", given.seed + number, limits) for number in range(given.threads)
        ]
        if given.role == "writer":
            for worker in workers:
                worker.fill()
            running = [started(guarded, worker.run, stop) for worker in workers]
        else:
            own = [open_backend(f"{given.url}?mode=ro") for _ in range(given.threads)]
            running = [started(guarded, read_for_ever, reader, stop) for reader in own[:-1]]
            running.append(started(guarded, wait_for_ever, own[-1], stop))
        started(_stop_with_stdin, stop)
        while not stop.wait(0.5):
            line: dict[str, Any] = {"time": time.time(), "operations": sum(worker.operations for worker in workers)}
            if given.role == "reader":
                line["sessions"], line["messages"] = counted(backend)
            print(json.dumps(line), flush=True)  # noqa: T201 -- to the process that started this one
        if not ended(running, 60):
            errors.append("a thread did not end")
    if errors:
        print(json.dumps({"time": time.time(), "error": errors[0]}), flush=True)  # noqa: T201 -- as above
    return 1 if errors else 0


def _stop_with_stdin(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    sys.exit(main(Assignment(**json.loads(sys.argv[1]))))
