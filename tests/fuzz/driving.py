"""Giving a target its inputs, and the report of what came of them."""

import hashlib
import textwrap
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.fuzz.mutations import Mutations
from tests.fuzz.target import Outcomes, Target, outcome

_MOST_FINDINGS = 10


@attrs.frozen
class Finding:
    """An input that breaks a promise: what was raised, and where."""

    data: bytes
    error: str
    where: str


@attrs.define
class Report:
    """What a run did.

    Attributes:
        runs: how many times the target was called. It asked more questions where an input makes several.
    """

    target: str
    driver: str
    seed: int
    runs: int = 0
    seconds: float = 0.0
    outcomes: Outcomes = attrs.Factory(Counter)
    findings: dict[str, Finding] = attrs.Factory(dict)
    files: list[Path] = attrs.Factory(list)

    @property
    def inputs(self) -> int:
        """How many inputs: each question of each call."""
        return sum(self.outcomes.values())

    def share(self, prefix: str) -> float:
        """Which part of the inputs had an outcome that begins so."""
        found = sum(count for name, count in self.outcomes.items() if name.startswith(prefix))
        return found / max(1, self.inputs)

    def text(self) -> str:
        """For a page."""
        found = f"{len(self.findings) or 'no'} finding{'' if len(self.findings) == 1 else 's'}"
        how = f"{self.runs:,} calls, {self.seconds:,.0f} s, driver {self.driver}, seed {self.seed}"
        lines = [f"{self.target}: {self.inputs:,} inputs in {how}, {found}"]
        lines += [
            f"  {count / max(1, self.inputs):7.2%}  {count:>9,}  {name}" for name, count in self.outcomes.most_common()
        ]
        for finding, file in zip(self.findings.values(), self.files, strict=False):
            said = textwrap.shorten(finding.error, 300)
            lines.append(f"  FOUND at {finding.where}: {said}\n    the input is in {file}")
        return "\n".join(lines)


class Run:
    """A target being driven, whoever makes the inputs."""

    def __init__(self, target: Target, driver: str, seed: int, findings: Path | None) -> None:
        self.target = target
        self.report = Report(target.name, driver, seed)
        self._findings = findings
        self._started = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether so much was found that more would say nothing new."""
        return len(self.report.findings) >= _MOST_FINDINGS

    def give(self, data: bytes) -> Outcomes:
        """Give the target an input; what it raises is a finding, once for each place that raises."""
        report = self.report
        report.runs += 1
        try:
            outcomes = self.target.run(data)
        except Exception as error:  # noqa: BLE001 -- whatever comes out of a target is a finding
            outcomes = outcome("FOUND")
            self._found(data, error)
        report.outcomes += outcomes
        return outcomes

    def ended(self) -> Report:
        """The report, its findings written to files."""
        report = self.report
        report.seconds = time.monotonic() - self._started
        if self._findings is not None and report.findings:
            self._findings.mkdir(parents=True, exist_ok=True)
            for finding in report.findings.values():
                digest = hashlib.sha256(finding.data).hexdigest()[:12]
                report.files.append(self._findings / f"{report.target}-{digest}")
                report.files[-1].write_bytes(finding.data)
        return report

    def _found(self, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "tests/fuzz" in frame.filename and frame.name != "check"]
        frame = (own or frames)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        self.report.findings.setdefault(
            f"{where} {type(error).__name__}", Finding(data, f"{type(error).__name__}: {error}", where)
        )


def drive(
    target: Target,
    *,
    inputs: int,
    seed: int,
    findings: Path | None = None,
    enough: Callable[[Report], bool] = lambda _: False,
) -> Report:
    """Give a target at least so many inputs by `Mutations`; stop where `enough` was found."""
    run = Run(target, "mutations", seed, findings)
    mutations = Mutations(target, seed)
    asked = 0
    while asked < inputs and not run.is_over and not enough(run.report):
        data = mutations.next()
        outcomes = run.give(data)
        mutations.learn(data, outcomes)
        asked += outcomes.total()
    return run.ended()
