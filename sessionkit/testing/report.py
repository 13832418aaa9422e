"""What the suite found: of each promise, whether it is kept."""

import json
from collections.abc import Iterable

import attrs

from sessionkit import OpenBackend, capabilities
from sessionkit.codec import converter
from sessionkit.testing.suite import Grade
from sessionkit.testing.suite.promises import NOT_COVERED

_HEADINGS = {
    Grade.BROKEN: "Broken",
    Grade.NOT_OFFERED: "Not offered",
    Grade.DEFAULT: "Kept by a default that works",
    Grade.KEPT: "Kept",
}


@attrs.frozen
class Verdict:
    """One promise, and how it is kept.

    Attributes:
        promise: its id.
        grade: kept, broken, kept by a default, or not offered.
        requirement: the sentence of the contract.
        detail: where it is broken, how; where it is not offered, what is missing.
    """

    promise: str
    grade: Grade
    requirement: str
    detail: str = ""


@attrs.frozen
class Report:
    """All promises that were checked.

    Attributes:
        url: what was opened, without secrets.
        backend: the name of its class.
        methods: for each of the 18 provided methods, how it declares to answer it.
        protocols: the optional protocols that it declares.
        verdicts: in the order of their ids.
        not_covered: what the contract says and the suite asks of no backend, and why.
    """

    url: str
    backend: str
    methods: dict[str, str]
    protocols: list[str]
    verdicts: list[Verdict]
    not_covered: dict[str, str] = attrs.field(factory=lambda: dict(NOT_COVERED))

    @classmethod
    def of(cls, url: str, backend: OpenBackend, verdicts: Iterable[Verdict]) -> "Report":
        """The report on an open backend."""
        declared = capabilities(backend)
        return cls(
            url,
            type(getattr(backend, "__wrapped__", backend)).__name__,
            {name: support.value for name, support in declared.methods.items()},
            sorted(declared.protocols),
            sorted(verdicts, key=lambda verdict: verdict.promise),
        )

    def graded(self, grade: Grade) -> list[Verdict]:
        """The verdicts of that grade."""
        return [verdict for verdict in self.verdicts if verdict.grade is grade]

    def to_json(self) -> str:
        """The report as JSON, with a summary."""
        summary = {grade.value: len(self.graded(grade)) for grade in Grade}
        return json.dumps({**converter().unstructure(self), "summary": summary}, indent=2)

    def to_text(self, *, verbose: bool = False) -> str:
        """The report to read: what is broken first and in full; what is kept as a number, or if `verbose`, in full."""
        lines = [f"{self.backend}, opened as {self.url}", ""]
        for grade, heading in _HEADINGS.items():
            found = self.graded(grade)
            lines.append(f"{heading}: {len(found)}")
            if grade is Grade.BROKEN or verbose:
                lines += [line for verdict in found for line in _in_full(verdict)]
            elif grade is Grade.NOT_OFFERED:
                lines += _by_reason(found)
            elif grade is Grade.DEFAULT:
                lines += [f"  {verdict.promise}" for verdict in found]
        lines.append(f"Not covered, whatever the backend: {', '.join(self.not_covered)}")
        if verbose:
            lines += [f"  {name}: {why}" for name, why in self.not_covered.items()]
        return "\n".join(lines)


def _in_full(verdict: Verdict) -> list[str]:
    detail = [f"      {line}" for line in verdict.detail.splitlines()]
    return [f"  {verdict.promise}", f"    {verdict.requirement}", *detail]


def _by_reason(verdicts: list[Verdict]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for verdict in verdicts:
        reasons.setdefault(verdict.detail, []).append(verdict.promise)
    return [f"  {reason}: {', '.join(promises)}" for reason, promises in sorted(reasons.items())]
