"""One run over some modules: mutants are made, asked about and counted."""

import gc
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.mutation import asking
from tests.mutation.asking import Came, Functions
from tests.mutation.children import Children
from tests.mutation.mutants import Mutant

UNREACHED = "unreached"
ALIVE = (asking.SURVIVED, UNREACHED)


@attrs.define
class Run:
    """What is asked, and what came of it.

    Attributes:
        arguments: pytest's, which say the tests.
        budget: how many seconds of tests a mutant is given.
        record: where each answer goes as a line of JSON.
        watched: where it stands which test comes by which lines; made where it is not there.
        say: takes each line of the report.
        patience: how many seconds more than it needs until a mutant is taken to loop, or to wait for ever.
    """

    root: Path
    mutants: list[Mutant]
    arguments: list[str]
    workers: int
    budget: float
    record: Path
    watched: Path
    say: Callable[[str], None]
    patience: float = 15
    counts: dict[str, Counter[str]] = attrs.field(factory=dict, init=False)
    _killers: dict[Any, list[str]] = attrs.field(factory=dict, init=False)
    _kills: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)

    def go(self) -> None:
        """Ask about all: of functions first, in children of one process; then of what is run on import."""
        late = Path(tempfile.mkdtemp()) / "late"
        # In a child, so that this process never imports what is to be changed.
        child = os.fork()
        if not child:
            with suppress(SystemExit):
                asking.collect(self.root, self.arguments, partial(self._ask_swapped, late))
            os._exit(0)
        os.waitpid(child, 0)
        if not late.exists():
            sys.exit("the tests could not be collected, or asked")
        names, counts = json.loads(late.read_text())
        self.counts = {path: Counter(count) for path, count in counts.items()}
        self._ask_imported({tuple(name) for name in names}, asking.saved(self.watched))

    def _paths(self) -> list[Path]:
        return sorted({self.root / mutant.path for mutant in self.mutants})

    def _ask_swapped(self, late: Path, session: pytest.Session) -> None:
        """About those whose functions can be given other code; the names of the others are left in a file."""
        if session.testsfailed:
            return
        children = Children(self.workers)
        if not self.watched.exists():
            children.start(partial(self._watch, session), 3600, lambda _: None)
            children.finish()
        came = asking.saved(self.watched)
        self.say(f"{len(came)} tests, {sum(one.seconds for one in came.values()):.0f} seconds")
        found = asking.functions_of(self._paths())
        gc.freeze()  # what children never change, they need no copy of
        others: list[Mutant] = []
        for mutant in self.mutants:
            if mutant.functions is None:
                others.append(mutant)
                continue
            items = asking.choose(session.items, came, mutant, self._first_asked(mutant))
            done = partial(self._done, mutant, time.monotonic(), others)
            if not items:
                done(UNREACHED)
                continue
            work = partial(self._swap_and_run, session, mutant, found, items, came)
            children.start(work, self._patience(came, items), done)
        children.finish()
        late.write_text(json.dumps([[mutant.name for mutant in others], self.counts]))

    def _watch(self, session: pytest.Session) -> str:
        asking.save(asking.watch(session, self._paths(), self.root), self.watched)
        return "watched"

    def _swap_and_run(
        self,
        session: pytest.Session,
        mutant: Mutant,
        found: Functions,
        items: list[pytest.Item],
        came: dict[str, Came],
    ) -> str:
        if not asking.swap(mutant, self.root, found):
            return asking.UNSWAPPABLE
        return asking.run(session, items, self.budget, came)

    def _ask_imported(self, names: set[Any], came: dict[str, Came]) -> None:
        """About those that must be imported as mutants: each has tests collected anew."""
        children = Children(self.workers)
        for mutant in self.mutants:
            if mutant.name in names:
                work = partial(self._import_and_run, mutant, came)
                done = partial(self._done, mutant, time.monotonic(), [])
                children.start(work, self._patience(came) + 60, done)
        children.finish()

    def _import_and_run(self, mutant: Mutant, came: dict[str, Came]) -> str:
        said = "killed by an error while tests were collected"

        def loop(session: pytest.Session) -> None:
            nonlocal said
            if not session.testsfailed:
                items = asking.choose(session.items, came, mutant, self._first_asked(mutant))
                said = asking.run(session, items, self.budget, came)

        asking.import_mutant(mutant, self.root)
        asking.collect(self.root, self.arguments, loop)
        return said

    def _patience(self, came: dict[str, Came], items: Iterable[pytest.Item] | None = None) -> float:
        """After how many seconds it is over."""
        names = came if items is None else [item.nodeid for item in items]
        return self.patience + 4 * min(self.budget, sum(came[name].seconds for name in names))

    def _first_asked(self, mutant: Mutant) -> list[str]:
        """The tests that killed the function's other mutants, and then those that killed most of the module's."""
        recent = self._killers.get((mutant.path, mutant.functions), [])
        return [*recent, *(name for (path, name), _ in self._kills.most_common() if path == mutant.path)]

    def _done(self, mutant: Mutant, since: float, late: list[Mutant], said: str) -> None:
        if said == asking.UNSWAPPABLE:
            late.append(mutant)
            return
        outcome, _, killer = said.partition(" by ")
        self.counts.setdefault(mutant.path, Counter())[outcome] += 1
        if "::" in killer:
            recent = self._killers.get((mutant.path, mutant.functions), [])
            recent = [killer, *(name for name in recent if name != killer)][:6]
            self._killers[mutant.path, mutant.functions] = recent
            self._kills[mutant.path, killer] += 1
        row = {"name": mutant.name, "line": mutant.line, "operator": mutant.operator, "budget": self.budget}
        row |= {"outcome": outcome, "said": said, "seconds": round(time.monotonic() - since, 2)}
        with self.record.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if outcome in ALIVE:
            self.say(f"{outcome}: {mutant.path}:{mutant.line}, {mutant.operator}")
            self.say(f"    - {mutant.before}\n    + {mutant.after}")
