"""Starts the processes, kills them when their time has come, and holds what they said against what they found.

It runs as a process of its own that imports the backend and never opens the store, so that a fork of it is a cheap and
clean start. It is given the job by its standard input, says how it goes by its standard output, and ends when its input
does: nobody is left behind when its parent dies.
"""

import heapq
import json
import os
import selectors
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import attrs

from sessionkit import BackendURL, SessionKitError
from sessionkit.codec import converter
from sessionkit.registry import factory_of
from sessionkit.testing.torture.asking import Job, UsageError, ask
from sessionkit.testing.torture.history import Log, NoLogError, read_log, without_secret
from sessionkit.testing.torture.judge import Judge
from sessionkit.testing.torture.plan import LIVES, Fate, Life, Powers, crowd_sessions, fate, own_sessions
from sessionkit.testing.torture.report import Report
from sessionkit.testing.torture.writer import KILL_ME, NO_LOG, discard, in_child, inspect, live

_KEPT = 4
"""Of so many rounds the sessions of one are kept to the end; those of the others are deleted."""

_REPORTED = 0.25
"""How many seconds pass between two words of how it goes."""

_NOBODY = -1
"""The slot of who looks while nobody writes."""


@attrs.define
class _Running:
    """A process that runs."""

    pid: int
    slot: int
    name: str
    log: Path
    fate: Fate | None
    ears: int
    size: int = 0
    moved: float = attrs.field(factory=time.monotonic)
    killed: bool = False
    stuck: bool = False
    asked_to_end: bool = False
    status: int = 0


class Conductor:
    """One run."""

    def __init__(self, job: Job, powers: Powers, folder: Path, tell: Callable[[Report], None]) -> None:
        self._job = job
        self._powers = powers
        self._folder = folder
        self._tell = tell
        self._told = 0.0
        self._report = Report(job.shown, powers.backend, job.seed, job.processes)
        self._judge = Judge(powers.fields)
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = count()
        self._begun = time.monotonic()
        self._ending = False
        self._kept: list[str] = []

    def run(self) -> Report:
        """Rounds, until the time is up, something is found broken, or somebody asks it to end."""
        self._at(self._begun + self._job.seconds, self._end)
        while not self._ending and not self._report.violations:
            self._round(self._report.rounds)
        if not self._report.violations:
            self._inspect(self._kept, [])
        self._report.seconds = time.monotonic() - self._begun
        return self._report

    def _round(self, number: int) -> None:
        slots, job = range(self._job.processes), self._job
        next_life = dict.fromkeys(slots, 0)
        for slot in slots:
            self._start(Life(job.seed, number, slot, 0))
        while self._running:
            for ended in self._wait():
                self._digest(ended)
                next_life[ended.slot] += 1
                life = Life(job.seed, number, ended.slot, next_life[ended.slot])
                if life.number < LIVES and not self._ending and not self._report.violations:
                    self._report.restarts += 1
                    self._start(life)
        if not self._report.violations:
            own = [key for slot in slots for key in own_sessions(number, slot)]
            crowds = list(crowd_sessions(number, self._powers))
            self._inspect(own, crowds)
            self._found(self._judge.settle(crowds))
            self._report.rounds += 1
            if number % _KEPT == 0 or not self._powers.deletes:
                self._kept += [*own, *crowds]
            elif not self._report.violations:
                self._discard([*own, *crowds])

    def _inspect(self, own: list[str], crowds: list[str]) -> None:
        removed = {key: self._judge.alone.removed(key) for key in own}
        looks = [*own, *crowds]
        job = partial(inspect, self._job.url, looks, removed, self._powers)
        self._alone(job, "look around")

    def _discard(self, keys: list[str]) -> None:
        self._alone(partial(discard, self._job.url, keys, self._powers), "delete")
        self._judge.forget(keys)

    def _alone(self, job: Callable[[Log], None], name: str) -> None:
        """Have a process of its own do that, while no other runs."""
        self._fork(job, _NOBODY, name, None)
        while self._running:
            for ended in self._wait():
                self._digest(ended)

    def _start(self, life: Life) -> None:
        ending = fate(life)

        def job(mouth: int, log: Log) -> None:
            live(self._job.url, life, ending, self._powers, log, tell=lambda word: _say(mouth, word))

        started = self._fork(job, life.slot, str(life), ending)
        if ending.ending == "opening":
            self._at(time.monotonic() + ending.delay, partial(self._kill, started))

    def _fork(self, job: Callable[..., None], slot: int, name: str, ending: Fate | None) -> _Running:
        path = self._folder / f"{name}.log"
        ears, mouth = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ears)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            log = Log(path, self._job.url)
            in_child(partial(job, log) if ending is None else partial(job, mouth, log), log)
        os.close(mouth)
        started = _Running(pid, slot, name, path, ending, ears)
        self._running[pid] = started
        self._selector.register(ears, selectors.EVENT_READ, started)
        return started

    def _wait(self) -> list[_Running]:
        """Wait for the next thing to happen; those that have ended."""
        timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else _REPORTED
        ended: list[_Running] = []
        for key, _ in self._selector.select(min(timeout, _REPORTED)):
            if key.data is None:
                self._interrupt()
            elif self._hear(key.data):
                ended.append(key.data)
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        if now - self._told > _REPORTED:
            self._told = now
            self._report.seconds = now - self._begun
            self._tell(self._report)
            self._look_after(now)
        return ended

    def _hear(self, running: _Running) -> bool:
        """What a process says; True where it has ended."""
        word = os.read(running.ears, 1)
        if not word:
            self._selector.unregister(running.ears)
            os.close(running.ears)
            running.status = os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1])
            del self._running[running.pid]
            return True
        assert running.fate is not None
        if word == KILL_ME:
            time.sleep(running.fate.delay)  # it goes on meanwhile, so that the kill meets it at any moment
            self._kill(running)
        elif running.fate.pause:
            self._report.pauses += 1
            self._signal(running, signal.SIGSTOP)
            self._at(time.monotonic() + running.fate.pause[1], partial(self._signal, running, signal.SIGCONT))
        return False

    def _look_after(self, now: float) -> None:
        """Whether each goes on; one that does not is killed, and told of."""
        for running in self._running.values():
            size = running.log.stat().st_size if running.log.exists() else 0
            if size != running.size:
                running.size, running.moved = size, now
            elif now - running.moved > self._job.patience:
                running.stuck = True
                self._kill(running)

    def _digest(self, ended: _Running) -> None:
        done = read_log(ended.log, slot=ended.slot, life=ended.name)
        if ended.status == NO_LOG:
            raise NoLogError(f"no space is left in {self._folder}")
        self._report.count(done)
        if ended.fate is not None:
            self._report.kills += ended.killed
            self._report.clean += not ended.killed
            self._report.opening += ended.killed and not any(did.step.operation != "open" for did in done)
            self._report.closing += ended.killed and done != [] and done[-1].step.operation == "close"
        died = _death(ended)
        self._found(self._judge.hear(done, quiet=ended.slot == _NOBODY, died=died))
        ended.log.unlink(missing_ok=True)

    def _found(self, violations: Iterable[Any]) -> None:
        self._report.violations += violations
        if self._report.violations:
            self._ask_all_to_end()

    def _kill(self, running: _Running) -> None:
        if running.pid in self._running:
            running.killed = True
            self._signal(running, signal.SIGKILL)

    def _signal(self, running: _Running, number: int) -> None:
        if running.pid in self._running:
            os.kill(running.pid, number)

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._tie), action))

    def _end(self) -> None:
        """Start nobody any more, and have those that run come to their ends."""
        self._ending = True
        self._ask_all_to_end()

    def _ask_all_to_end(self) -> None:
        for running in self._running.values():
            if running.fate is not None:
                running.asked_to_end = True
                self._signal(running, signal.SIGTERM)

    def _interrupt(self) -> None:
        self._selector.unregister(sys.stdin)
        self._report.ended_early = True
        self._end()

    def stop(self) -> None:
        """Leave nobody behind."""
        for running in list(self._running.values()):
            self._signal(running, signal.SIGKILL)
            os.waitpid(running.pid, 0)


def _death(ended: _Running) -> str | None:
    """What a process has died of, where nobody meant it to."""
    if ended.stuck:
        return "the last call did not return, and the process was killed"
    if ended.killed or ended.status == 0 or (ended.asked_to_end and ended.status == -signal.SIGTERM):
        return None
    return f"it died: signal {-ended.status}" if ended.status < 0 else f"it died: exit status {ended.status}"


def _say(descriptor: int, word: bytes) -> None:
    os.write(descriptor, word)


def _torture(job: Job, folder: Path, tell: Callable[[str, str], None]) -> None:
    factory_of(BackendURL.parse(job.url).scheme)  # imported once, for all
    powers = ask(job, folder)
    conductor = Conductor(job, powers, folder, lambda report: tell("going", report.to_json()))
    try:
        tell("report", conductor.run().to_json())
    finally:
        conductor.stop()


def main() -> None:
    """Do the job that is given by the standard input, as a line of JSON; every answer is one, too."""
    job = converter().structure(json.loads(sys.stdin.readline()), Job)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to hear
    answers = os.dup(1)
    os.dup2(2, 1)  # a backend may print

    def tell(kind: str, value: str) -> None:
        line = json.dumps({kind: value}).encode() + b"\n"
        while line:
            line = line[os.write(answers, line) :]

    with suppress(BrokenPipeError):  # the parent has died
        try:
            with tempfile.TemporaryDirectory(prefix="sessionkit-torture-") as folder:
                _torture(job, Path(folder), tell)
        except BrokenPipeError:
            raise
        except (SessionKitError, UsageError) as error:
            tell("refused", str(error))
        except (NoLogError, OSError) as error:
            tell("refused", f"what was done could not be written down: {without_secret(str(error), job.url)}")


if __name__ == "__main__":
    main()
