"""A signal handler in the middle of calls: one that calls the store itself, and one that raises.

The first works, or is refused at once with an error that says to try again; never does it wait for a lock that the call
holds which it has interrupted, nor does either tear what the other writes. What the second interrupts has happened or
not, no lock is left held, and the object works on.
"""

import os
import random
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from sessionkit import BackendUnavailableError, ChatMessage, SessionQuery
from tests.faults.judging import Bench, Expected, Trial
from tests.faults.model import CALLS, State, difference, look
from tests.faults.report import Report
from tests.faults.stores import Store

INTERRUPTING = Expected("interrupted by this one|try again once", retryable=True)  # not: somebody else held the lock

WAITING = Expected("interrupted by this one|try again", retryable=True)

_OFTEN = (0.00005, 0.0006)
"""Seconds until the next signal: at least, and at most."""


class _Handler:
    """Calls the store at random moments, and keeps what was acknowledged."""

    def __init__(self, trial: Trial, chance: random.Random) -> None:
        self.trial = trial
        self.chance = chance
        self.written: dict[str, list[str]] = {"own": [], "other": [], "elsewhere": []}
        self.unknown: set[str] = set()
        self.children: list[int] = []
        self.number = 0
        self.on = True
        self.kinds: dict[str, Callable[[], None]] = {
            "appends to the same session": lambda: self.append("own"),
            "appends to another session": lambda: self.append("other"),
            "appends a lot": lambda: self.append("other", 20),
            "loads": lambda: self.read(lambda: trial.backend.load("own")),
            "searches": lambda: self.read(lambda: trial.backend.search(SessionQuery("main"))),
            "lists": lambda: self.read(trial.backend.list_sessions_with_metadata),
            "forks": self.fork,
            "opens the store again": self.open,
            "closes another object": self.close_other,
        }

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As Python calls it."""
        del number, frame
        if not self.on:
            return
        kind = self.chance.choices(list(self.kinds), weights=[8, 8, 2, 6, 2, 2, 0.4, 0.4, 0.4])[0]
        try:
            self.kinds[kind]()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
            self.trial.judge(error, WAITING if "open" in kind or "close" in kind else INTERRUPTING)
            if getattr(error, "outcome", "") == "unknown":
                self.unknown.add(f"handler {self.number}")
        else:
            self.trial.report.done[f"handlers: one {kind}"] += 1
        if self.on:
            self.again()

    def again(self) -> None:
        """Have the next signal come."""
        signal.setitimer(signal.ITIMER_REAL, self.chance.uniform(*_OFTEN))

    def append(self, key: str, count: int = 1) -> None:
        """Write, and keep it once it is acknowledged."""
        for _ in range(count):
            self.number += 1
            text = f"handler {self.number}"
            self.trial.backend.append(key, ChatMessage("user", text))
            self.written[key].append(text)

    def read(self, call: Callable[[], Any]) -> None:
        """What is read is right, or refused."""
        found = call()
        if not isinstance(found, list):
            self.trial.broke(f"a handler reads {found!r}")

    def fork(self) -> None:
        """A child that writes, and ends."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
            child = os.fork()
        if child == 0:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.alarm(20)  # whose default ends the process: it hangs
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                try:
                    self.trial.backend.append("child", ChatMessage("user", "child"))
                except BackendUnavailableError as error:
                    os._exit(
                        0 if error.outcome == "not_applied" else 3
                    )  # a copy of a call that its parent goes on with
                os._exit(0)
            finally:
                os._exit(2)
        self.children.append(child)

    def open(self) -> None:
        """Another object on the same store, or another one where each is its own."""
        self.number += 1
        with self.other() as other:
            other.append("elsewhere", ChatMessage("user", f"handler {self.number}"))
        if self.trial.bench.store.on_disk:
            self.written["elsewhere"].append(f"handler {self.number}")

    def close_other(self) -> None:
        """One that nobody uses."""
        self.other().close()

    def other(self) -> Any:
        """Another object on the same store, which can't know whose call it interrupts: so it does not wait for long."""
        store = self.trial.bench.store
        return store.open(self.trial.place, **({store.patience: 0.02} if store.patience else {}))


def calling(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """Until so many handlers have run: all that either has acknowledged is there, once, and in its order."""
    report = Report("signals", store.name)
    bench = Bench(store, folder, report)
    place, backend = bench.fresh()
    if store.patience:
        backend.close()
        backend = store.open(place, **{store.patience: 2.0})
    trial = Trial(bench, f"handlers that call, seed {seed}", place, backend, [bench.state])
    handler = _Handler(trial, random.Random(seed))  # noqa: S311 -- no secret
    signal.signal(signal.SIGALRM, handler)
    wanted: dict[str, list[str]] = {"main": []}
    number = 0
    handler.again()
    while sum(report.done.values()) + sum(report.refused.values()) < (times or 3000):
        number += 1
        try:
            _main(backend, number, wanted)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
            trial.broke(f"the interrupted call raises {type(error).__name__}: {error}")
            break
    handler.on = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    for child in handler.children:
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            trial.broke("a child that a handler forked hangs, or fails")
    report.done["calls that a handler may have interrupted"] += number
    _hold(trial, backend, wanted["main"], handler)
    backend.close()
    if store.on_disk:
        with store.open(place) as anew:
            _hold(trial, anew, wanted["main"], handler)
    return report


def _main(backend: Any, number: int, wanted: dict[str, list[str]]) -> None:
    """What is interrupted."""
    text = f"main {number}"
    if number % 50 == 49:
        backend.search(SessionQuery("main"))
        backend.list_sessions_with_metadata()
    elif number % 10 == 9:
        backend.load("other")
        backend.set_session_name("other", text)
    elif number % 500 == 498:
        backend.compact("own")
    backend.append("own", ChatMessage("user", text))
    wanted["main"].append(text)


def _hold(trial: Trial, backend: Any, main: list[str], handler: _Handler) -> None:
    """What each wrote stands there in its order, once, and nothing else."""
    for key, written in (*handler.written.items(), ("own", main)):
        kind = "main" if written is main else "handler"
        found = [message.content for message in backend.load(key)]
        ours = [text for text in found if text.startswith(kind) and text not in handler.unknown]
        if ours != [text for text in written if text not in handler.unknown]:
            missing = sorted(set(written) - set(ours))[:3]
            trial.broke(f"{len(ours)} messages in {key!r}, and {len(written)} were acknowledged; missing: {missing}")
    try:
        look(backend)
    except Exception as error:  # noqa: BLE001 -- likewise
        trial.broke(f"{type(error).__name__}: {error}")


class InterruptError(KeyboardInterrupt):
    """What a handler raises, of our own; as is what it stands for, no `Exception`."""


def raising(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """So many calls, each interrupted by an exception at some moment: it has happened or not, and the work goes on."""
    report = Report("signals", store.name)
    bench = Bench(store, folder, report)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    signal.signal(signal.SIGALRM, lambda *_: _raise(chance))
    place, backend = bench.fresh()
    if store.patience:
        backend.close()
        backend = store.open(place, **{store.patience: 2.0})
    trial = Trial(bench, "handlers that raise", place, backend, [bench.state])
    longest = dict.fromkeys(CALLS, 0.0005)
    for number in range(times or 5000):
        name = chance.choice([name for name in CALLS if name not in {"restore", "cleanup_stale"} or number % 8 == 0])
        trial.name = f"{name}, number {number} of seed {seed}, interrupted"
        if not _interrupt(trial, name, chance, longest):
            break
    trial.name = f"after {times} interrupts"
    trial.goes_on()
    return report


def _raise(chance: random.Random) -> None:
    raise chance.choice([InterruptError("Ctrl-C"), TimeoutError("too late")])


def _interrupt(trial: Trial, name: str, chance: random.Random, longest: dict[str, float]) -> bool:
    """One call, interrupted at some moment; whether one may go on."""
    backend = trial.backend
    _make_ready(backend, name)
    before = look(backend)
    done = CALLS[name].states(before)[0]
    if name == "cleanup_stale":
        done = {key: value for key, value in before.items() if key != "again"}
    how, states = _call(trial, name, chance.uniform(0.00001, 1.1 * longest[name]), [before, done])
    if how == "not at all":
        longest[name] = min(0.02, max(0.00005, 0.9 * longest[name]))  # so that most are
    else:
        longest[name] *= 1.1
    trial.report.done[f"calls ended by a handler: {how}"] += 1
    try:
        found = look(backend)
    except Exception as error:  # noqa: BLE001 -- likewise
        trial.broke(f"afterwards, {type(error).__name__}: {error}")
        return False
    trial.wanted = [found]
    if found not in states:
        trial.broke(f"it was interrupted: {how}, and {difference(found, states)}")
    return True


def _make_ready(backend: Any, name: str) -> None:
    """Have the call find what it needs."""
    for key in ("a", "b", "big"):
        if not 3 <= len(backend.load(key)) <= 200:
            backend.delete_session(key)
            backend.write(key, append=[ChatMessage("user", f"{key}{i}") for i in range(4)])
    if name == "set_turn_state":
        backend.set_session_state("a", "running", "t")
    if name in {"restore", "cleanup_stale"}:
        backend.delete_session("again")
    if name == "cleanup_stale":
        for key in ("old1", "old2"):
            backend.delete_session(key)
        CALLS["restore"].run(backend)


def _call(trial: Trial, name: str, delay: float, states: list[State]) -> tuple[str, list[State]]:
    """Make the call, and have the signal come meanwhile; how that ended it, and what there may be then."""
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            CALLS[name].run(trial.backend)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (InterruptError, TimeoutError) as error:
        return type(error).__name__, states
    except BackendUnavailableError as error:
        return "refused", states[:1] if error.outcome == "not_applied" else states
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
        trial.broke(f"{type(error).__name__}: {error}")
        return "not as it should be", states
    return "not at all", states[1:]
