"""One trial: a store, a fault, a call; and what must hold then."""

import itertools
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any

import attrs

from sessionkit import BackendUnavailableError, ChatMessage, CorruptRecordWarning, SessionKitError
from tests.faults.model import CALLS, Call, State, difference, look, new_session, prepare
from tests.faults.report import Report
from tests.faults.stores import Store

_NAMES = re.compile(r"'[^']*'|\b0x[0-9a-f]+|\b\d[\d.]*|(?<=\S)/\S*")


@attrs.frozen
class Expected:
    """What a fault may do to a call.

    Attributes:
        says: matches what the refusal says: why, and what to do.
        retryable: whether the refusal says that it may pass by itself; None where both are right.
        reads: whether everything can be read meanwhile, or reading may be refused as well.
        kinds: of which class the refusal is.
    """

    says: str
    retryable: bool | None = None
    reads: bool = False
    kinds: tuple[type[Exception], ...] = (BackendUnavailableError,)


class Bench:
    """Stores that are all made alike, one for each trial."""

    def __init__(self, store: Store, folder: Path, report: Report) -> None:
        self.store = store
        self.report = report
        self.folder = folder
        self._numbers = itertools.count()
        self._made = folder / "made"
        self.state: State = {}
        self.used = False
        self.options: dict[str, Any] = {}
        if store.on_disk:
            self._made.mkdir()
            with store.open(self._made / "store") as backend:
                self.state = prepare(backend)

    def fresh(self) -> tuple[Path, Any]:
        """A store of its own, and its place."""
        folder = self.folder / f"{next(self._numbers)}"
        place = folder / "store"
        if self.store.on_disk:
            shutil.copytree(self._made, folder)
            return place, self.store.open(place, **self.options)
        folder.mkdir()
        backend = self.store.open(place)
        self.state = prepare(backend)
        return place, backend

    @property
    def calls(self) -> dict[str, Call]:
        """The calls that are asked, by name."""
        return {name: CALLS[name] for name in self.store.calls or CALLS}

    def discard(self, place: Path) -> None:
        """Remove a store that has stood its trial."""
        shutil.rmtree(place.parent)

    def sizes(self, place: Path) -> dict[Path, int]:
        """How large its files are."""
        return {file: file.stat().st_size for file in place.parent.rglob("*") if file.is_file()}


@attrs.define
class Trial:
    """What happens to one store, and what it must hold by then; `name` says how to have it again."""

    bench: Bench
    name: str
    place: Path
    backend: Any
    wanted: list[State]

    @property
    def report(self) -> Report:
        """Where it is written down."""
        return self.bench.report

    def broke(self, what: str) -> None:
        """Write down a broken promise."""
        self.report.broken.append(f"{self.name}: {what}")

    def make(self, call: Call, expected: Expected) -> bool:
        """Make the call where the fault is; whether it was done. What must be there afterwards is known then."""
        after = [call.states(state) for state in self.wanted]
        try:
            call.run(self.backend)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
            if self.judge(error, expected) != "not_applied":
                self.wanted = [state for _, states in after for state in states]
            return False
        self.report.done["calls done all the same"] += 1
        self.wanted = [done for done, _ in after]
        return True

    def judge(self, error: Exception, expected: Expected) -> str:
        """Hold a refusal against what it must be; gives its outcome."""
        words = f"{type(error).__name__}: {error}"
        if not isinstance(error, expected.kinds):
            self.broke(f"what was raised is {words!r}")
            return "unknown"
        if not re.search(expected.says, str(error)):
            self.broke(f"it does not say what to do: {words}")
        retryable = getattr(error, "retryable", None)
        if expected.retryable is not None and retryable is not expected.retryable:
            self.broke(f"retryable is {retryable}: {words}")
        outcome = getattr(error, "outcome", "not_applied")
        said = _NAMES.sub("N", str(error).replace(str(self.place.parent), "STORE"))
        kind = f"retryable={retryable}, outcome={outcome}" if retryable is not None else type(error).__name__
        self.report.refused[f"{said} ({kind})"] += 1
        return str(outcome)

    def read_meanwhile(self, expected: Expected) -> None:
        """Everything is read, or refused, while the fault is there."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", CorruptRecordWarning)
                found = look(self.backend)
        except SessionKitError as error:
            if expected.reads:
                self.broke(f"what could be read before can't be read now: {error}")
            else:
                self.judge(error, expected)
        except Exception as error:  # noqa: BLE001 -- likewise
            self.broke(f"reading meanwhile: {type(error).__name__}: {error}")
        else:
            if found not in self.wanted:
                self.broke(f"read meanwhile, {difference(found, self.wanted)}")

    def check(self, backend: Any, when: str) -> bool:
        """That the store holds what it must, read by that object; whether it does."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", CorruptRecordWarning)
                found = look(backend)
        except Exception as error:  # noqa: BLE001 -- likewise
            self.broke(f"{when}, it can't be read: {type(error).__name__}: {error}")
            return False
        if found not in self.wanted:
            self.broke(f"{when}, {difference(found, self.wanted)}")
            return False
        self.wanted = [found]
        return True

    def goes_on(self) -> None:
        """Once the fault is over: all is there, the same object works on, and so does the store opened anew."""
        if not self.check(self.backend, "afterwards"):
            return
        try:
            self.wanted = [carry_on(self.backend, self.wanted[0])]
        except Exception as error:  # noqa: BLE001 -- likewise
            self.broke(f"afterwards it does not go on: {type(error).__name__}: {error}")
            return
        if not self.check(self.backend, "once it has gone on"):
            return
        self.backend.close()
        if self.bench.store.on_disk:
            try:
                anew = self.bench.store.open(self.place)
            except Exception as error:  # noqa: BLE001 -- likewise
                self.broke(f"it can't be opened anew: {type(error).__name__}: {error}")
                return
            with anew:
                self.check(anew, "opened anew")


def carry_on(backend: Any, state: State) -> State:
    """Write to every session, and to a new one; what the store holds then."""
    state = deepcopy(state)
    for key in sorted({*state, "after"}):
        backend.append(key, ChatMessage("user", f"after {key}"))
        state.setdefault(key, new_session())["messages"].append({"role": "user", "content": f"after {key}"})
    backend.update_last("after", ChatMessage("user", "after all"))
    state["after"]["messages"][-1]["content"] = "after all"
    return state


def trials(bench: Bench, calls: dict[str, Call], names: Iterator[str]) -> Iterator[tuple[Trial, Call]]:
    """A trial for each name of a call that comes, on a store of its own, which is discarded afterwards."""
    for name in names:
        place, backend = bench.fresh()
        trial = Trial(bench, name, place, backend, [bench.state])
        bench.used = not bench.used
        if bench.used:  # on one that is in use already, or on one that was just opened
            look(backend)
            backend.set_session_agent_alias("a", "")
        yield trial, calls[name]
        backend.close()
        bench.discard(place)


def under(
    trial: Trial,
    call: Call,
    fault: Callable[[], AbstractContextManager[object]],
    expected: Expected,
    *more: Call,
) -> None:
    """The call, a look, and other calls, while the fault is there; then the work goes on."""
    with fault():
        trial.make(call, expected)
        trial.read_meanwhile(expected)
        for other in more:
            trial.make(other, expected)
    trial.goes_on()
    trial.report.done["calls"] += 1
