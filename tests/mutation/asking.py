"""Asking tests about a mutant: which ones come by it, and whether one of them fails."""

import gc
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import attrs
import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant, codes

SURVIVED = "survived"
UNSWAPPABLE = "unswappable"
Functions = dict[tuple[str, str], list[FunctionType]]


@attrs.frozen
class Came:
    """What a test did before anything was changed: how long it took, and which lines of which module it came by."""

    seconds: float
    lines: dict[str, set[int]]


class _Collected:
    """A plugin for pytest that runs nothing itself, but hands over the session where the tests would be run."""

    def __init__(self, loop: Callable[[pytest.Session], None]) -> None:
        self._loop = loop

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own."""
        self._loop(session)
        return True


def collect(root: Path, arguments: list[str], loop: Callable[[pytest.Session], None]) -> int:
    """Collect the tests, and hand them over; gives pytest's exit status. Examples are the same in every child."""
    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("mutation", derandomize=True, database=None, phases=phases, deadline=None)
    settings.load_profile("mutation")
    random.seed(0)
    os.chdir(root)
    # Hypothesis was imported before, which pytest would warn of.
    options = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "--timeout", "60"]
    return int(pytest.main([*options, *arguments], plugins=[_Collected(loop)]))


def run(session: pytest.Session, items: list[pytest.Item], budget: float, came: dict[str, Came]) -> str:
    """Which test is the first that fails, if any; what would take longer than the budget is not run."""
    before = session.testsfailed
    for item, following in zip(items, [*items[1:], None], strict=True):
        budget -= came[item.nodeid].seconds
        if budget < 0:
            break
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed > before:
            return f"killed by {item.nodeid}"
    return SURVIVED


def watch(session: pytest.Session, paths: Iterable[Path], root: Path) -> dict[str, Came]:
    """Run each test once, and see which lines of the modules it comes by; those that fail are left out."""
    names = {str(path): str(path.relative_to(root)) for path in paths}
    hits: dict[str, set[int]] = {}

    def on_line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            hits[names[frame.f_code.co_filename]].add(frame.f_lineno)
        return on_line

    def on_call(frame: FrameType, _event: str, _: object) -> Any:
        return on_line if frame.f_code.co_filename in names else None

    came: dict[str, Came] = {}
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        hits = {name: set() for name in names.values()}
        failed, since = session.testsfailed, time.perf_counter()
        threading.settrace(on_call)
        sys.settrace(on_call)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        sys.settrace(None)
        if session.testsfailed == failed:
            came[item.nodeid] = Came(time.perf_counter() - since, hits)
        else:
            print(f"fails as it is: {item.nodeid}", file=sys.__stderr__)
    return came


def choose(
    items: Iterable[pytest.Item], came: dict[str, Came], mutant: Mutant, first: Iterable[str] = ()
) -> list[pytest.Item]:
    """The tests that come by the mutant's statement: those named first, then the quickest first.

    All tests come by what is run on import.
    """
    order = {name: number for number, name in enumerate(first)}
    passing = [item for item in items if item.nodeid in came]
    chosen = passing
    if mutant.functions is not None:
        for lines in (set(range(mutant.lines[0], mutant.lines[1] + 1)), mutant.around):
            chosen = [item for item in passing if lines & came[item.nodeid].lines[mutant.path]]
            if chosen:
                break
    return sorted(chosen, key=lambda item: (order.get(item.nodeid, len(order)), came[item.nodeid].seconds))


def functions_of(paths: Iterable[Path]) -> Functions:
    """Every function that there is of these modules, by file and qualified name."""
    names = set(map(str, paths))
    found: Functions = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename in names:
            found.setdefault((thing.__code__.co_filename, thing.__code__.co_qualname), []).append(thing)
    return found


def swap(mutant: Mutant, root: Path, found: Functions) -> bool:
    """Give every function that there is in this interpreter the mutant's code; whether that can be done."""
    path = root / mutant.path
    new = codes(mutant.source, path)
    for name in mutant.functions or ():
        functions = found.get((str(path), name), [])
        if not functions or name not in new:
            return False
        for function in functions:
            if function.__code__.co_freevars != new[name].co_freevars:
                return False
            function.__code__ = new[name]
    return True


def import_mutant(mutant: Mutant, root: Path) -> None:
    """Have the module, which is not imported yet, be the mutant."""
    path = str(root / mutant.path)
    plain = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.get_filename(fullname) == path:
            return compile(mutant.source, path, "exec", dont_inherit=True)
        return plain(self, fullname)

    setattr(SourceFileLoader, "get_code", get_code)  # noqa: B010 -- types can't say that it is replaced


def save(came: dict[str, Came], path: Path) -> None:
    """For another process."""
    data = {name: [one.seconds, {at: sorted(lines) for at, lines in one.lines.items()}] for name, one in came.items()}
    path.write_text(json.dumps(data))


def saved(path: Path) -> dict[str, Came]:
    """What `save` wrote."""
    data = json.loads(path.read_text())
    return {name: Came(seconds, {at: set(hit) for at, hit in lines.items()}) for name, (seconds, lines) in data.items()}
