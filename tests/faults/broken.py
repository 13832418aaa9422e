"""Stores that are broken on purpose, as real authors break them; each is caught by a proof, in its own words."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from sessionkit import BackendUnavailableError, os_errors
from sessionkit.clock import now
from sessionkit.locks import acquire
from sessionkit.models import RUNNING
from sessionkit.record import SessionRecord
from sessionkit_jsonl import files
from sessionkit_jsonl.backend import JSONLBackend
from sessionkit_jsonl.log import SessionLog
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import connected, failures
from tests.faults import forking
from tests.faults.stores import STORES, Store


@attrs.frozen
class Broken:
    """A store with one bug.

    Attributes:
        bug: what is wrong with it.
        base: the store that it is made of.
        fault: the name of the fault whose proof catches it.
        caught: matches what the proof says of it.
        make: breaks the store, in the process of the proof.
        times: how often each is tried, where more often than in every run.
        deadline: seconds that the proof may take, or it hangs.
        part: the name of the part of the proof that catches it; without one, any.
    """

    bug: str
    base: str
    fault: str
    caught: str
    make: Callable[[], None]
    times: int | None = None
    deadline: float = 60.0
    part: str = ""

    def store(self) -> Store:
        """The store, broken once it is asked."""
        return attrs.evolve(STORES[self.base], prepare=self.make, calls=("append", "write"))


BROKEN: dict[str, Broken] = {}
"""Every broken store, by name."""


def _bug(
    base: str, fault: str, caught: str, times: int | None = None, *, deadline: float = 60, part: str = ""
) -> Callable[[Callable[[], None]], None]:
    def declare(make: Callable[[], None]) -> None:
        name = make.__name__.strip("_").replace("_", "-")
        BROKEN[name] = Broken(" ".join((make.__doc__ or "").split()), base, fault, caught, make, times, deadline, part)

    return declare


def _nothing(*_: object) -> None:
    """Instead of something."""


@_bug("jsonl", "disk-full", r"afterwards, it holds|read meanwhile, it holds", 3, part="files")
def _swallows_disk_full() -> None:
    """A full disk is logged, somewhere, and the call returns."""
    real = files.append

    def append(*arguments: Any, **options: Any) -> None:
        with suppress(BackendUnavailableError):
            real(*arguments, **options)

    files.append = append


@_bug("jsonl", "disk-full", r"it can't be read|it holds", 3, part="files")
def _truncates_too_much() -> None:
    """After a write that came to no end, the file is cut back to the page before, and not to where it ended."""
    real = os.ftruncate
    os.ftruncate = lambda descriptor, size: real(descriptor, size // 512 * 512)


@_bug("jsonl", "system-calls", r"only a part.*it holds|only a part.*can't be read", 12)
def _takes_a_part_for_the_whole() -> None:
    """Nobody looks at how much was written."""

    def write(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data)

    files._write = write


@_bug("jsonl", "system-calls", r"it holds", 12)
def _says_not_applied_once_it_is() -> None:
    """Once the line is written, its file is looked at again; where that fails, the error says that nothing was done."""
    real = files.append

    def append(descriptor: int, path: str, data: bytes, **options: Any) -> None:
        real(descriptor, path, data, **options)
        with files.OSErrors(path):
            os.stat(path)  # noqa: PTH116 -- as the proofs count it

    files.append = append


@_bug("sqlite", "disk-full", r"what was raised is 'OperationalError", 3, part="files")
def _lets_the_driver_speak() -> None:
    """What the driver raises comes out as it is."""
    setattr(connected, "raise_mapped", _nothing)  # noqa: B010 -- the module does not export it


@_bug("sqlite", "disk-full", r"it does not say what to do", 3, part="files")
def _says_no_more_than_the_driver() -> None:
    """The error repeats the driver's words, and leaves it to the reader to find out what to do."""
    failures._HINTS.clear()


@_bug("jsonl", "handles", r"retryable is False", 2)
def _gives_up_for_ever() -> None:
    """That no file can be opened for the moment is told as if it were so for ever."""
    os_errors._PASSING.clear()


@_bug("jsonl", "read-only", r"does not say what to do", 2)
def _shrugs() -> None:
    """The error says that it is not allowed, and not what to do."""
    os_errors._HINTS.clear()


@_bug("jsonl", "disk-full", r"what could be read before can't be read now|reading meanwhile", 1, part="files")
def _reads_by_writing() -> None:
    """A list leaves a file beside, for the next one to be quicker."""
    real = JSONLBackend.list_sessions

    def list_sessions(self: JSONLBackend) -> list[str]:
        found = real(self)
        with files.OSErrors(self._folder.path):
            Path(self._folder.path, "index").write_text("\n".join(found) * 4000, encoding="utf-8")
        return found

    JSONLBackend.list_sessions = list_sessions  # type: ignore[method-assign]


@_bug("jsonl", "replaced", r"was acknowledged, and", None)
def _trusts_its_descriptor() -> None:
    """A file that is open is written to, whether or not it is still the one at its path."""

    def lock(self: SessionLog, timeout: float, since: float) -> bool:
        if self._descriptor < 0:
            return False
        self._since = since
        acquire(self._descriptor, timeout=timeout, since=since)
        status = os.fstat(self._descriptor)
        self._size, self._modified = status.st_size, status.st_mtime_ns
        return True

    SessionLog.lock = lock  # type: ignore[method-assign]


@_bug("memory", "clock", r"times of '\w+' run backwards|activity of '\w+'", 3)
def _orders_by_the_wall_clock() -> None:
    """What happens now is now, whatever the clock said before."""

    def touch(self: SessionRecord) -> int:
        self.last_activity = now()
        return self.last_activity

    SessionRecord.touch = touch  # type: ignore[method-assign]


@_bug("sqlite", "clock", r"can't be taken over at all", 1)
def _waits_for_the_clock() -> None:
    """The last sign of life is in the future, so the turn is younger than anything."""

    def begin_turn(self: SessionRecord, turn_id: str, stuck_after: float | None) -> None:
        others = self.state == RUNNING and self.turn_id != turn_id
        if others and (stuck_after is None or now() - (self.heartbeat_at or 0) < stuck_after * 1_000_000):
            return
        self.enter_state(RUNNING, turn_id)

    SessionRecord.begin_turn = begin_turn  # type: ignore[method-assign]


@_bug("memory", "fork", r"hangs", 40)
def _keeps_its_locks_in_the_child() -> None:
    """Nobody prepares for a fork, so the child has locks that threads hold which it has not."""
    forking._PATIENCE = 1.5
    real = MemoryBackend._append

    def append(self: MemoryBackend, *arguments: Any) -> None:
        real(self, *arguments)
        time.sleep(0.001)  # so that a fork surely finds somebody in the middle of it

    MemoryBackend._append = append  # type: ignore[method-assign,assignment]
    for name in ("_before_fork", "_after_fork_in_parent", "_after_fork_in_child"):
        setattr(MemoryBackend, name, _nothing)


@_bug("memory", "fork", r"a thread of the parent hangs", 2)
def _forgets_to_let_go_in_the_parent() -> None:
    """The child gets new locks, and the parent keeps those that it took for the fork."""
    forking._PATIENCE = 1.5
    MemoryBackend._after_fork_in_parent = _nothing  # type: ignore[method-assign,assignment]


def _plain_lock(self: MemoryBackend) -> threading.Lock:
    lock: threading.Lock = self.__dict__.setdefault("_plain", threading.Lock())
    return lock


@_bug("memory", "signals", r"hung, or died", 400, deadline=8, part="calling")
def _waits_for_itself() -> None:
    """A lock that a thread can't take twice, and a handler of that thread that takes it."""

    def alone(self: MemoryBackend, action: Callable[[], Any]) -> Any:
        with _plain_lock(self):
            return action()

    MemoryBackend._alone = alone  # type: ignore[method-assign]


@_bug("memory", "signals", r"it does not go on|afterwards", 400, part="raising")
def _keeps_the_lock_after_an_interrupt() -> None:
    """The lock is let go of where all went well, and where something of the store's own is raised."""

    def alone(self: MemoryBackend, action: Callable[[], Any]) -> Any:
        lock = _plain_lock(self)
        if not lock.acquire(timeout=0.2):
            raise BackendUnavailableError("in use; try again", retryable=True)
        try:
            result = action()
        except Exception:
            lock.release()
            raise
        lock.release()
        return result

    MemoryBackend._alone = alone  # type: ignore[method-assign]


@_bug("memory", "signals", r"and it holds|the counts of", 400, part="raising")
def _leaves_half_a_change() -> None:
    """A change is made step by step, and nobody takes the first ones back."""
    MemoryBackend._undo = lambda self: setattr(self, "_note", None)  # type: ignore[method-assign]


@_bug("memory", "memory", r"it gives 0", 1)
def _takes_no_memory_for_nothing() -> None:
    """Where something goes wrong in loading, there is nothing."""
    real = MemoryBackend.load

    def load(self: MemoryBackend, session_key: str, /) -> list[Any]:
        try:
            return real(self, session_key)
        except MemoryError:
            return []

    MemoryBackend.load = load  # type: ignore[method-assign]
