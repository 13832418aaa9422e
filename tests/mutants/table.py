"""README.md: every mutant, its bug, and the promises that catch it."""

import importlib
import pkgutil
from itertools import groupby
from pathlib import Path

import tests.mutants
from tests.mutants.declared import MUTANTS, Mutant

README = Path(__file__).with_name("README.md")

_INTRODUCTION = """\
# Mutants

Each class here is a backend with one deliberate bug of the kind that real stores have. `test_mutants.py` runs the
conformance suite on every one of them: each promise named beside a mutant must find it broken, by a failed assertion
or by the error that is the bug itself; and what the mutants are made of must break none of those promises. Every
promise of the suite catches at least one mutant, so no test of the suite is idle.

Those of *tortured* and *tortured_answers* are caught by `sessionkit.testing.torture`, by one of the violations named;
`tests/testing/test_torture_mutants.py` runs it.

To add one, write the class in the module of its area, say its bug in the first paragraph of its docstring, and name
what catches it: `@caught_by("promise.id")`. A mutant that nothing catches shows a test that the suite lacks.

`python -m tests.mutants` writes this table anew.

| mutant | bug | caught by |
| --- | --- | --- |
"""


def all_mutants() -> list[Mutant]:
    """Every mutant, by area."""
    for module in pkgutil.iter_modules(tests.mutants.__path__):
        if not module.name.startswith(("test_", "__")):
            importlib.import_module(f"tests.mutants.{module.name}")
    return sorted(MUTANTS.values(), key=lambda mutant: mutant.area)


def text() -> str:
    """What README.md must be."""
    lines: list[str] = []
    for area, mutants in groupby(all_mutants(), key=lambda mutant: mutant.area):
        lines.append(f"| **{area}** | | |")
        for mutant in mutants:
            bug = mutant.bug.replace("|", "\\|")
            caught_by = [f"`{promise}`" for promise in mutant.promises]
            caught_by += [f"torture: {violation}" for violation in mutant.violations]
            lines.append(f"| {mutant.name} | {bug} | {', '.join(caught_by)} |")
    return _INTRODUCTION + "\n".join(lines) + "\n"
