"""How a store is, told by `sessionkit doctor`: in words, a paragraph for each finding, or as one JSON object.

The object has these members:

- ``url``: the store, without a password.
- ``healthy``: whether the last look found no problem; the exit status is 0 where it is true.
- ``findings``: a list of objects with the fields of `sessionkit.Finding`: ``kind``, ``what``, ``session_key``,
  ``where``, ``repaired``, ``severity``.
- ``left``: with ``--repair``, what a second look found, likewise; otherwise null.
- ``sessions``, ``messages``: how many were looked at; ``searched``: how many sessions were searched for.
- ``in_depth``: whether the backend's own check was asked too, or only what the contract lets everyone see.
- ``opened``: whether the store could be opened, the last time; where not, nothing in it was looked at.
- ``busy``: the keys of sessions that others wrote to all the while; of these only what can't be read is told.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs
import click
from rich.console import Console
from rich.text import Text

from sessionkit.cli.rendering import bars, counted
from sessionkit.cli.terminal import harmless, to_json
from sessionkit.doctor import Diagnosis, Finding, diagnose
from sessionkit.registry import BackendURL


def diagnose_and_tell(out: Console, url: BackendURL, *, repair: bool, stuck_after: float, as_json: bool) -> bool:
    """Look at the store, say how it is, and give whether it is in order."""
    with _bar(out, shown=not as_json) as progress:
        diagnosis = diagnose(url, repair=repair, stuck_after=stuck_after, progress=progress)
    if as_json:
        click.echo(to_json({"healthy": diagnosis.is_healthy, **attrs.asdict(diagnosis)}))
    else:
        _tell(out, diagnosis)
    return diagnosis.is_healthy


def _tell(out: Console, diagnosis: Diagnosis) -> None:
    for one in diagnosis.findings:
        _print_finding(out, one)
    if diagnosis.left:
        out.print("A second look, after the repair, found:\n", style="bold")
        for one in diagnosis.left:
            _print_finding(out, one)
    for line in _summary(diagnosis):
        out.print(line)


def _print_finding(out: Console, finding: Finding) -> None:
    """A paragraph: the kind and the session, and beneath what it is, where, and what was done about it."""
    heading = Text(finding.kind, style="bold red" if finding.severity == "problem" else "bold cyan")
    if finding.severity == "note":
        heading.append(" (a note)", style="not bold")
    if finding.session_key is not None:
        heading.append(f"  session {harmless(finding.session_key)}", style="not bold")
    out.print(heading)
    parts = [harmless(finding.what)]
    if finding.where and finding.where not in finding.what:
        parts.append(f"In {harmless(finding.where)}.")
    if finding.repaired is not None:
        parts.append(f"Repaired: {harmless(finding.repaired)}.")
    for part in parts:
        out.print(f"  {part}")
    out.print()


def _summary(diagnosis: Diagnosis) -> list[str]:
    how = "in depth, by the backend's own check and by the contract" if diagnosis.in_depth else "by the contract alone"
    what = f"{counted(diagnosis.sessions, 'session')} with {counted(diagnosis.messages, 'message')}"
    lines = [
        f"Looked at {what} in {harmless(diagnosis.url)}, {how}; searched for {diagnosis.searched} of the sessions."
        if diagnosis.opened
        else f"{harmless(diagnosis.url)} could not be opened, so nothing in it was looked at."
    ]
    if diagnosis.busy:
        lines.append(
            f"Others wrote to {counted(len(diagnosis.busy), 'session')} all the while; look again when they are done."
        )
    problems = [one for one in diagnosis.findings if one.severity == "problem"]
    repaired = sum(one.repaired is not None for one in diagnosis.findings)
    notes = len(diagnosis.findings) - len(problems)
    verdict = f"{counted(len(problems), 'problem')}, {counted(notes, 'note')}, {repaired} repaired."
    if diagnosis.left is not None:
        left = len(diagnosis.problems)
        verdict += f" A second look found {counted(left, 'problem') if left else 'nothing wrong'}."
    elif problems:
        verdict += " --repair mends what can be mended."
    lines.append(verdict)
    return lines


@contextmanager
def _bar(out: Console, *, shown: bool) -> Generator[Callable[[int, int], object]]:
    """What moves a bar on, where there is a terminal; it begins anew with each look."""
    if not (shown and out.is_terminal):
        yield lambda _done, _all: None
        return
    with bars(out) as progress:
        task = progress.add_task("Looking", total=None)
        yield lambda done, every: progress.update(task, completed=done, total=every)
