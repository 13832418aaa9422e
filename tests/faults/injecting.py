"""The n-th thing that is asked of the operating system fails, for every n of every call; or writes only a part.

As far as Python asks itself: what a database engine does, `tests.faults.disk` reaches. And a load that finds no memory.
"""

import ctypes
import errno
import fcntl
import os
import random
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sessionkit import BackendUnavailableError, ChatMessage, SessionQuery
from tests.faults.judging import Bench, Expected, Trial, trials
from tests.faults.model import CALLS, look
from tests.faults.report import Report
from tests.faults.stores import Store

CODES = (errno.ENOSPC, errno.EIO, errno.EDQUOT)

FAILING = Expected(r"free some|what the system's log says|the disk is full", retryable=False)

_ASKED = {
    os: (
        *("open", "write", "pwrite", "read", "pread", "ftruncate", "truncate", "fsync", "fdatasync"),
        *("stat", "lstat", "fstat", "lseek", "unlink", "remove", "rename", "replace", "link", "mkdir", "rmdir"),
        *("fchmod", "chmod", "scandir", "mknod", "utime"),
    ),
    fcntl: ("flock", "lockf"),
}
_PARTLY = ("write", "pwrite")


class Injector:
    """Counts what is asked of the system, and has the n-th of it fail; `asked` says what that was."""

    def __init__(self, failing: int | None, code: int | None) -> None:
        self.left = failing
        self.code = code
        self.asked = ""
        self.seen = self.writes = 0

    @contextmanager
    def set(self) -> Generator[None]:
        """Have everything be asked by way of this."""
        kept: list[tuple[Any, str, Any]] = []
        for module, names in _ASKED.items():
            for name in names:
                real = getattr(module, name)
                kept.append((module, name, real))
                setattr(module, name, partial(self.ask, name, real))
        try:
            yield
        finally:
            for module, name, real in kept:
                setattr(module, name, real)

    def ask(self, name: str, real: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Instead of the real one."""
        self.seen += 1
        self.writes += name in _PARTLY
        if self.left is None or (self.code is None and name not in _PARTLY):
            return real(*arguments, **options)
        self.left -= 1
        if self.left != 0:
            return real(*arguments, **options)
        self.asked = name
        if self.code is not None:
            raise OSError(self.code, os.strerror(self.code))
        descriptor, data, *others = arguments
        return real(descriptor, bytes(data)[: max(1, len(data) // 2)], *others, **options)


def injected(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """Each call, with each thing that it asks for failing once, in each way; or `times` of these."""
    report = Report("system-calls", store.name)
    if not store.on_disk:
        report.skipped.append("it asks nothing of the system")
        return report
    chance = random.Random(seed)  # noqa: S311 -- no secret
    for durable, options in enumerate(({}, store.durable)):
        place = folder / f"durable{durable}"
        place.mkdir()
        bench = Bench(store, place, report)
        bench.options = options
        for number, name in enumerate(bench.calls):
            if times == 1 and (number + seed) % 2 == durable:
                continue  # in every run, half of the calls each way
            everything, writes = _how_many(bench, name)
            asked: list[tuple[int, int | None]] = [(n, code) for code in CODES for n in range(1, everything + 1)]
            asked += [(n, None) for n in range(1, writes + 1)]
            chosen = asked if times is None else chance.sample(asked, min(times, len(asked)))
            for (n, code), (trial, call) in zip(chosen, trials(bench, CALLS, iter([name] * len(chosen))), strict=True):
                injector = Injector(n, code)
                what = errno.errorcode[code] if code else "only a part"
                trial.name = f"{name}, number {n} gives {what}{', durable' if durable else ''}"
                with injector.set():
                    trial.make(call, FAILING)
                trial.name += f" ({injector.asked or 'nothing'})"
                trial.goes_on()
                report.done["failures injected"] += bool(injector.asked)
    return report


def _how_many(bench: Bench, name: str) -> tuple[int, int]:
    """How many things the call asks for, at most; and how many of them are writes."""
    everything = writes = 0
    for trial, call in trials(bench, CALLS, iter([name, name])):  # of a store just opened, and one in use
        injector = Injector(None, None)
        with injector.set():
            call.run(trial.backend)
        everything, writes = max(everything, injector.seen), max(writes, injector.writes)
    return everything, writes


_PIECE = 100_000

_LARGE = 200
"""How many messages of a hundred kilobytes a large session has."""


def no_memory(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """A large session is read with less memory than that takes; then all is there, and the work goes on.

    Writing is not asked: what encodes JSON for us ends the process where it finds no memory for a message.
    """
    del seed
    report = Report("memory", store.name)
    bench = Bench(store, folder, report)
    place, backend = bench.fresh()
    text = "x" * 100_000 + " "
    for number in range(_LARGE // (4 if times is not None else 1)):
        backend.append("b", ChatMessage("user", f"{text}{number}"))
    trial = Trial(bench, "", place, backend, [look(backend)])
    calls: dict[str, Callable[[], Any]] = {
        "load": lambda: len(backend.load("b")),
        "load_with_timestamps": lambda: len(backend.load_with_timestamps("b")),
        "search": lambda: len(backend.search(SessionQuery("x" * 100_000))),
    }
    whole = {name: call() for name, call in calls.items()}
    for megabytes in [1, 8] if times is not None else [0.25, 0.5, *range(1, 64, 3)]:
        for name, call in calls.items():
            trial.name = f"{name} with {megabytes} MB"
            outcome = _starved(call, megabytes, whole[name])
            report.done[f"calls with too little memory: {outcome}"] += 1
            if outcome.startswith("BROKEN"):
                trial.broke(outcome)
    trial.name = "after too little memory"
    trial.goes_on()
    return report


def _starved(call: Callable[[], int], megabytes: float, wanted: int) -> str:
    """What comes of a call that should find so many, with only so much memory that is not used."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(megabytes * 2**20), hard))
    taken: list[bytearray] = []
    try:
        with suppress(MemoryError):  # what was freed before, and not given back, would be enough, and nothing be asked
            while True:
                taken.append(bytearray(_PIECE))
        del taken[-max(1, int(megabytes * 2**20) // _PIECE) :]
        found = call()
    except MemoryError:
        return "MemoryError"
    except BackendUnavailableError as error:
        return f"refused ({error.outcome})"
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
        return f"BROKEN: {type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return "done all the same" if found == wanted else f"BROKEN: it gives {found}, and there are {wanted}"
