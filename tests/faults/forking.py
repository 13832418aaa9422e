"""Forks in the middle of use: threads append, load and search while the main thread forks, again and again.

Both sides go on. Of the children some write, some become another program, some end without a word, some are killed.
"""

import os
import random
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionkit import ChatMessage, SessionQuery
from tests.faults.judging import Bench, Trial
from tests.faults.report import Report
from tests.faults.stores import Store

_PATIENCE = 20.0  # seconds for a child to end
_AHEAD = 12  # messages of each thread for each fork: enough that each fork finds them at it
_KINDS = ("writes", "writes", "becomes another program", "ends", "is killed")


class _Threads:
    """What the threads have done, as far as it was acknowledged."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.stop = threading.Event()
        self.written: dict[str, int] = {"t0": 0, "t1": 0}
        self.until = _AHEAD
        self.errors: list[str] = []
        jobs: list[Callable[[], None]] = [lambda: self.append("t0"), lambda: self.append("t1"), self.read]
        self.threads = [threading.Thread(target=self.watched, args=(job,)) for job in jobs]

    def watched(self, job: Callable[[], None]) -> None:
        """Do it until all is over."""
        try:
            while not self.stop.is_set():
                job()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not be
            self.errors.append(f"a thread of the parent: {type(error).__name__}: {error}")

    def append(self, key: str) -> None:
        """One more message, unless there are enough by now."""
        if self.written[key] >= self.until:
            time.sleep(0.0005)
            return
        self.backend.append(key, ChatMessage("user", f"{key} {self.written[key]}"))
        self.written[key] += 1

    def read(self) -> None:
        """A load and a search."""
        for key in self.written:
            found = [message.content for message in self.backend.load(key)]
            if found != [f"{key} {number}" for number in range(len(found))]:
                self.errors.append(f"a thread reads {found[-3:]} in {key!r}")
        self.backend.search(SessionQuery("t0"))
        time.sleep(0.001)


def forking(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """So many forks beside threads; all that was acknowledged on either side is there, once, and in order."""
    report = Report("fork", store.name)
    bench = Bench(store, folder, report)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    place, backend = bench.fresh()
    trial = Trial(bench, f"seed {seed}", place, backend, [bench.state])
    threads = _Threads(backend)
    for thread in threads.threads:
        thread.start()
    wanted: dict[str, list[str]] = {}
    try:
        for number in range(times or 200):
            kind = chance.choice(_KINDS)
            threads.until += _AHEAD
            _fork(trial, kind, number, chance, wanted)
            backend.append("main", ChatMessage("user", f"main {number}"))
            wanted.setdefault("main", []).append(f"main {number}")
            report.done[f"children: one {kind}"] += 1
    finally:
        threads.stop.set()
        for thread in threads.threads:
            thread.join(_PATIENCE)
    report.broken += [f"{trial.name}: {error}" for error in threads.errors]
    if any(thread.is_alive() for thread in threads.threads):
        trial.broke("a thread of the parent hangs")
    wanted |= {key: [f"{key} {i}" for i in range(count)] for key, count in threads.written.items()}
    report.done["appends beside them"] += sum(threads.written.values())
    _check(trial, backend, wanted, "the parent")
    backend.close()
    if store.on_disk:
        with store.open(place) as anew:
            _check(trial, anew, wanted, "opened anew, it")
    return report


def _check(trial: Trial, backend: Any, wanted: dict[str, list[str]], who: str) -> None:
    for key, texts in wanted.items():
        found = [message.content for message in backend.load(key)]
        extra = len(found) - len(texts)
        # A child that was killed may have written one more, which it could not tell any more.
        if found[: len(texts)] != texts or not 0 <= extra <= (1 if key.startswith("killed") else 0):
            trial.broke(f"{who} reads {len(found)} messages in {key!r}, the last {found[-2:]}; not {len(texts)}")
        metadata = backend.get_session_metadata(key)
        if texts and (metadata is None or metadata.message_count != len(found)):
            trial.broke(f"{who} counts {metadata and metadata.message_count} messages in {key!r}, not {len(found)}")


def _fork(trial: Trial, kind: str, number: int, chance: random.Random, wanted: dict[str, list[str]]) -> None:
    reader, writer = os.pipe()
    moment = chance.random() * 0.003
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of forking beside threads
        child = os.fork()
    if child == 0:
        os.close(reader)
        _be(trial, kind, number, writer)
    os.close(writer)
    if kind == "is killed":
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    code = _wait(child)
    said = os.read(reader, 1 << 16).decode()
    os.close(reader)
    if code is None:
        trial.broke(f"child {number}, which {kind}, hangs")
    elif code not in {0, -signal.SIGKILL} or (code and kind != "is killed"):
        trial.broke(f"child {number}, which {kind}, ended with {code}: {said}")
    elif trial.bench.store.on_disk and said:
        key = f"killed {number}" if kind == "is killed" else "children"
        wanted.setdefault(key, []).extend(said.split("\n")[:-1])


def _wait(child: int) -> int | None:
    """The exit status; None where it did not end."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _be(trial: Trial, kind: str, number: int, writer: int) -> None:
    """The child; it never returns."""
    code = 1
    try:
        if kind == "becomes another program":
            program = shutil.which("true") or "/bin/true"
            os.execv(program, [program])  # noqa: S606 -- no shell is wanted
        if kind in {"writes", "is killed"}:
            key = f"killed {number}" if kind == "is killed" else "children"
            before = [message.content for message in trial.backend.load(key)]
            texts: list[str] = []
            for i in range(3 if kind == "writes" else 1000):
                text = f"child {number} {i}"
                trial.backend.append(key, ChatMessage("user", text))
                texts.append(text)
                os.write(writer, f"{text}\n".encode())
            if [message.content for message in trial.backend.load(key)] != before + texts:
                raise AssertionError("it does not read what it wrote")
            trial.backend.search(SessionQuery("child"))
        code = 0
    except BaseException as error:  # noqa: BLE001 -- told to the parent, whatever it is
        os.write(writer, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)
