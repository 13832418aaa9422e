"""What a run did to a store, and what it found."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable

import attrs

from sessionkit.codec import converter
from sessionkit.testing.torture.checker import Violation
from sessionkit.testing.torture.history import Did

NAMED = ("lost", "invented", "out of order", "torn", "twice", "back again")
"""The kinds of violations that are counted where there is none of them, too."""

_TOLD = 20
"""How many violations are told to read; as JSON all are."""


@attrs.define
class Report:
    """What was done, and every promise that was found broken.

    Attributes:
        url: what was opened, without secrets, as it can be opened again for a look.
        backend: the name of its class.
        seed: what each process did, and after how many steps it was killed, follows from it; how the processes met
            does not.
        processes: how many wrote side by side.
        seconds: how long it took.
        rounds: how often all was looked at while nobody wrote.
        steps: how many there were of each kind, reads and all.
        acknowledged: how many writes had returned.
        kills: how many processes were killed, all in all.
        opening: how many of them while they opened the store.
        closing: how many of them while they closed it.
        restarts: how often a process was started in the place of one that had ended.
        pauses: how often one was stopped for a moment.
        clean: how many ended by themselves.
        in_flight: how many writes were cut off by a kill; each may have happened, whole, or not.
        looks: how often what a session held was held against what was acknowledged.
        errors: how often which error reached a caller.
        slowest_opening: of a store after a kill, in seconds.
        violations: what was broken, first found first.
        ended_early: whether it was interrupted.
    """

    url: str
    backend: str
    seed: int
    processes: int
    seconds: float = 0
    rounds: int = 0
    steps: dict[str, int] = attrs.field(factory=dict)
    acknowledged: int = 0
    kills: int = 0
    opening: int = 0
    closing: int = 0
    restarts: int = 0
    pauses: int = 0
    clean: int = 0
    in_flight: int = 0
    looks: int = 0
    errors: dict[str, int] = attrs.field(factory=dict)
    slowest_opening: float = 0
    violations: list[Violation] = attrs.field(factory=list)
    ended_early: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found broken."""
        return not self.violations

    @property
    def kinds(self) -> dict[str, int]:
        """How often each kind of violation was found: those of `NAMED` always, others where there are any."""
        return {**dict.fromkeys(NAMED, 0), **Counter(each.kind for each in self.violations)}

    def count(self, done: Iterable[Did]) -> None:
        """Add those steps."""
        steps, errors = Counter(self.steps), Counter(self.errors)
        for did in done:
            operation = did.step.operation
            steps[operation] += 1
            self.looks += operation == "look" and did.succeeded
            self.acknowledged += did.succeeded and not did.is_read
            self.in_flight += did.ended is None and not did.is_read
            if did.failure:
                outcome = f" ({did.failure.outcome})" if did.failure.outcome else ""
                errors[f"{did.failure.kind}{outcome}"] += 1
            if operation == "open" and did.ended is not None:
                self.slowest_opening = max(self.slowest_opening, did.ended - did.begun)
        self.steps, self.errors = dict(sorted(steps.items())), dict(sorted(errors.items()))

    def to_json(self) -> str:
        """The report as JSON: its attributes, `kinds` and `is_clean`."""
        told = {"kinds": self.kinds, "is_clean": self.is_clean}
        return json.dumps({**converter().unstructure(self), **told}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """What `to_json` gave."""
        return converter().structure(json.loads(text), cls)  # which leaves out what follows from the rest

    def to_text(self) -> str:
        """The report to read."""
        rate = self.acknowledged / self.seconds if self.seconds else 0
        where = f"{self.opening} of them in opening, {self.closing} in closing"
        lines = [
            f"{self.backend}, opened as {self.url}",
            f"seed {self.seed}, {self.processes} processes, {self.seconds:.0f} seconds, {self.rounds} rounds",
            "ended early" if self.ended_early else "",
            f"processes killed         {self.kills:,} ({where})",
            f"started in their place   {self.restarts:,}",
            f"ended by themselves      {self.clean:,}",
            f"stopped for a moment     {self.pauses:,}",
            f"acknowledged writes      {self.acknowledged:,} ({rate:,.0f} a second)",
            f"cut off by a kill        {self.in_flight:,}",
            f"looks at sessions        {self.looks:,}",
            f"slowest opening          {self.slowest_opening * 1000:.0f} ms",
            f"errors of callers        {_listed(self.errors) or 'none'}",
            *textwrap.wrap(f"steps: {_listed(self.steps)}", 110, subsequent_indent="    "),
            "",
            f"{'found' if self.is_clean else 'BROKEN'}: {_listed(self.kinds)}",
        ]
        if not self.is_clean:
            for violation in self.violations[:_TOLD]:
                lines += [
                    f"  {violation.kind}, in {violation.session or 'the store'}",
                    f"    expected: {violation.expected}",
                    f"    found:    {violation.found}",
                    *[f"      {line}" for line in violation.about],
                ]
            lines += [f"  and {len(self.violations) - _TOLD} more"] * (len(self.violations) > _TOLD)
            lines.append("The store was left as it is.")
        again = f"--seed {self.seed} --processes {self.processes}"
        lines.append(f"{again}: each process does the same, and is killed at the same step; how they meet is new.")
        return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {times:,}" for name, times in counts.items())
