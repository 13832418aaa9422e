"""What another process does to a store while the suite looks on; run as a script, with a URL and a job.

It says ``ready`` once the store is open, waits for a line, does its job, and writes a line for each step that has
returned, so that whatever it has acknowledged can be held against the store, were it killed.
"""

import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import sessionkit
from sessionkit import ChatMessage, CoreBackend, OpenBackend, SupportsTurns, SupportsWrite

Step = tuple[str, int, list[str]]
"""An operation, how many messages it drops, and the texts that it adds."""


def steps(seed: int, operations: Sequence[str]) -> Iterator[Step]:
    """What a writer with that seed does, for ever; the process that looks on knows it too."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    length = 0
    number = 0
    while True:
        operation = chance.choice(operations) if length else "append"
        number += 1
        text = f"{seed}.{number}"
        if operation == "write":
            drop = chance.randint(0, min(2, length))
            step: Step = (operation, drop, [f"{text}.{i}" for i in range(chance.randint(1, 3))])
        elif operation == "append":
            step = (operation, 0, [text])
        elif operation == "update_last":
            step = (operation, 1, [text])
        else:
            step = (operation, int(operation == "remove_last"), [])
        length += len(step[2]) - step[1]
        yield step


def after(contents: list[str], step: Step) -> list[str]:
    """The contents of a session after a step."""
    _, drop, added = step
    return contents[: len(contents) - drop] + added


def take(backend: OpenBackend, key: str, step: Step) -> None:
    """Do a step."""
    operation, drop, added = step
    messages = [ChatMessage("user", text) for text in added]
    if operation == "append":
        backend.append(key, messages[0])
    elif operation == "update_last":
        backend.update_last(key, messages[0])
    elif operation == "remove_last":
        backend.remove_last(key)
    elif operation == "compact":
        backend.compact(key)
    else:
        cast("SupportsWrite", backend).write(key, drop_last=drop, append=messages)


def in_threads(jobs: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run all at once, each in a thread; what they raised."""
    errors: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            gate.wait()
            job()
        except BaseException as error:  # noqa: BLE001 -- a thread's error is handed over, whatever it is
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def append_all(backend: CoreBackend, key: str, writer: str, count: int) -> None:
    """What a concurrent writer does."""
    for i in range(count):
        backend.append(key, ChatMessage("user", f"{writer} {i}"))


def _say(text: object) -> None:
    os.write(1, f"{text}\n".encode())


def _hammer(backend: OpenBackend, job: dict[str, Any]) -> None:
    for step in steps(job["seed"], job["operations"]):
        take(backend, job["key"], step)
        _say("done")


def _append(backend: OpenBackend, job: dict[str, Any]) -> None:
    def writer(name: str) -> Callable[[], None]:
        return lambda: append_all(backend, job["key"], name, job["count"])

    for error in in_threads([writer(f"{job['writer']}.{i}") for i in range(job["threads"])]):
        raise error


def _fork(backend: OpenBackend, job: dict[str, Any]) -> None:
    """The parent forks while a thread of its own writes; both go on with the store they had open."""
    count = job["count"]
    children: list[int] = []

    def fork() -> None:
        for i in range(job["forks"]):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    append_all(backend, job["key"], f"child{i}", count)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)

    errors = in_threads([fork, lambda: append_all(backend, job["key"], "parent", count)])
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if errors or failed:
        msg = f"{len(failed)} children failed; {errors!r}"
        raise RuntimeError(msg)


def _begin(backend: OpenBackend, job: dict[str, Any]) -> None:
    for i in range(job["rounds"]):
        _say(cast("SupportsTurns", backend).begin_turn(f"{job['key']}{i}", job["turn"]).turn_id)


def _change(backend: OpenBackend, job: dict[str, Any]) -> None:
    """Append, or delete the session where there is nothing to append."""
    for text in job["texts"]:
        backend.append(job["key"], ChatMessage("user", text))
    if not job["texts"]:
        backend.delete_session(job["key"])


def _read(backend: OpenBackend, job: dict[str, Any]) -> None:
    _say(json.dumps([message.to_dict() for message in backend.load(job["key"])]))


JOBS: dict[str, Callable[[OpenBackend, dict[str, Any]], None]] = {
    "hammer": _hammer,
    "append": _append,
    "fork": _fork,
    "begin": _begin,
    "change": _change,
    "read": _read,
}


def main(url: str, job: str) -> None:
    """Open the store, wait for the word, and do the job."""
    asked = json.loads(job)
    with sessionkit.open_backend(url) as backend:
        _say("ready")
        sys.stdin.readline()
        JOBS[asked["do"]](backend, asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
