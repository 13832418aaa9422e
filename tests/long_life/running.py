"""A run: several processes at work on one store, sampled until the time is over, and what came of it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.long_life.sampling import process_sample, store_sample
from tests.long_life.verdict import ALLOWANCES, HEADINGS, Verdict, judge

ROLES = ("writer 1", "writer 2", "reader")
"""The processes: two that do everything, one in which some threads read all the time, and one now and then."""

_STARTING = 60
"""Seconds that a process may take until it works."""

_SERIES = dict[str, list[tuple[float, float]]]


@attrs.define
class Run:
    """What a run measured.

    Attributes:
        url: of the store.
        seconds: how long it took.
        series: by name, what was measured when, in seconds since the beginning.
        errors: what calls raised, and processes that ended early.
    """

    url: str
    seed: int
    seconds: float = 0.0
    operations: int = 0
    series: _SERIES = attrs.Factory(dict)
    errors: list[str] = attrs.Factory(list)

    def note(self, name: str, seconds: float, value: float) -> None:
        """Keep a measurement."""
        self.series.setdefault(name, []).append((seconds, value))

    def begin(self, moment: float) -> None:
        """Have the times that were noted count from that moment, and forget what was before it."""
        for name, points in self.series.items():
            self.series[name] = [(time - moment, value) for time, value in points if time >= moment]

    def verdicts(self) -> list[Verdict]:
        """Of all that must be bounded."""
        measures = [name for name in self.series if name.partition(" of ")[0] in ALLOWANCES]
        return [judge(name, self.series[name]) for name in measures if len(self.series[name]) >= 6]

    def is_bounded(self) -> bool:
        """Whether everything is, and nothing went wrong."""
        return not self.errors and bool(self.verdicts()) and all(verdict.why is None for verdict in self.verdicts())

    def text(self) -> str:
        """For a page."""
        rate = self.operations / max(1e-9, self.seconds)
        what = f"{self.operations:,} operations ({rate:,.0f} a second)"
        head = f"{self.url.partition(':')[0]}: {self.seconds / 60:,.1f} minutes, {what}, {len(ROLES)} processes"
        lines = [f"{head}, seed {self.seed}", HEADINGS, *(verdict.text() for verdict in self.verdicts())]
        lines += [f"ERROR: {error}" for error in self.errors]
        lines.append("everything is bounded" if self.is_bounded() else "NOT everything is bounded")
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """As JSON, for `load`."""
        path.write_text(json.dumps(attrs.asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Run":
        """What `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@attrs.frozen
class Load:
    """How much is done at once: by each process, by so many threads, each on so many sessions of so many messages."""

    threads: int = 3
    sessions: int = 24
    messages: int = 60


def live(url: str, store: Path, *, seconds: float, seed: int, load: Load, every: float = 1.0, mutant: str = "") -> Run:
    """Work on the store for so long, and sample all the time; a `mutant` breaks something in each process."""
    run = Run(url, seed)
    given = attrs.asdict(load) | {"url": url, "mutant": mutant}
    with _processes(given, seed) as started:
        ready = {name: threading.Event() for name in started}
        readers = [_reading(run, name, process, ready[name]) for name, process in started.items()]
        for event in ready.values():
            event.wait(_STARTING)
        began = time.time()
        until = time.monotonic() + seconds
        while (time.monotonic() < until or not _heard(run, began)) and all(
            process.poll() is None for process in started.values()
        ):
            time.sleep(every)  # the sampling is by the clock
            _sample(run, started, store, time.time())
        _end(run, started)
        for reader in readers:
            reader.join()
    run.seconds = time.time() - began
    run.begin(began)
    done = [points[-1][1] for name, points in run.series.items() if name.startswith("operations of ") and points]
    run.operations = int(sum(done))
    return run


def _heard(run: Run, began: float) -> bool:
    """Whether each process has said since then what it does, however busy the machine is."""
    said = [run.series.get(name) for name in ("messages", "operations of writer 1", "operations of writer 2")]
    return all(points and points[-1][0] > began for points in said)


@contextmanager
def _processes(given: dict[str, Any], seed: int) -> Generator[dict[str, "subprocess.Popen[str]"]]:
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for number, name in enumerate(ROLES):
            role, label = name.partition(" ")[0], name.replace(" ", "")
            assignment = json.dumps(given | {"role": role, "name": label, "seed": seed + 100 * number})
            started[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.long_life.process", assignment],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _sample(run: Run, started: "dict[str, subprocess.Popen[str]]", store: Path, now: float) -> None:
    for name, process in started.items():
        try:
            for measure, value in process_sample(process.pid).items():
                run.note(f"{measure} of {name}", now, value)
        except OSError:
            return  # it has ended, which `_end` reports
    for measure, value in store_sample(store).items():
        run.note(measure, now, value)


def _reading(run: Run, name: str, process: "subprocess.Popen[str]", ready: threading.Event) -> threading.Thread:
    """Take down what the process says of itself, in a thread."""

    def read() -> None:
        assert process.stdout is not None
        before: tuple[float, int] | None = None
        for text in process.stdout:
            line: dict[str, Any] = json.loads(text)
            seconds = line["time"]
            ready.set()
            if "error" in line:
                run.errors.append(f"{name}: {line['error']}")
                continue
            for measure in ("sessions", "messages"):
                if measure in line:
                    run.note(measure, seconds, line[measure])
            if name.startswith("writer"):
                run.note(f"operations of {name}", seconds, line["operations"])
                if before is not None and seconds > before[0]:
                    run.note(f"speed of {name}", seconds, (line["operations"] - before[1]) / (seconds - before[0]))
                before = seconds, line["operations"]
        ready.set()  # to fail

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def _end(run: Run, started: "dict[str, subprocess.Popen[str]]") -> None:
    for name, process in started.items():
        if process.poll() is not None:
            run.errors.append(f"{name} ended early, with status {process.returncode}")
    for process in started.values():
        if process.stdin is not None and process.poll() is None:
            process.stdin.close()
    for name, process in started.items():
        try:
            if process.wait(90):
                run.errors.append(f"{name} ended with status {process.returncode}")
        except subprocess.TimeoutExpired:
            run.errors.append(f"{name} does not end")
