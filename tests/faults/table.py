"""The table of faults: what is proved, how often by hand and in every run."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs

from tests.faults import clocks, disk, forking, handles, injecting, isolated, replaced, rights, signalling
from tests.faults.report import Report
from tests.faults.stores import Store


class Proof(Protocol):
    """**Protocol:** asks a store about a fault, in a process of its own."""

    def __call__(self, store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
        """What was found, `times` times or everywhere."""
        ...


@attrs.frozen
class Fault:
    """A fault.

    Attributes:
        proofs: what asks about it, and how often in every run; 0 for those that take too long.
        often: how often each of them asks by hand; None for everywhere.
    """

    proofs: dict[str, tuple[Proof, int]]
    often: dict[str, int | None]


def _proofs(**proofs: tuple[Proof, int, int | None]) -> Fault:
    return Fault(
        {name: (proof, times) for name, (proof, times, _) in proofs.items()},
        {name: often for name, (_, _, often) in proofs.items()},
    )


FAULTS: dict[str, Fault] = {
    "disk-full": _proofs(files=(disk.small_files, 1, None), disk=(disk.small_disk, 1, None)),
    "read-only": _proofs(rights=(rights.read_only, 1, None)),
    "replaced": _proofs(files=(replaced.replaced, 2, None)),
    "handles": _proofs(limits=(handles.used_up, 1, None)),
    "clock": _proofs(jumps=(clocks.jumping, 2, 200)),
    "fork": _proofs(forks=(forking.forking, 12, 1000)),
    "signals": _proofs(calling=(signalling.calling, 150, 20_000), raising=(signalling.raising, 60, 10_000)),
    "system-calls": _proofs(injected=(injecting.injected, 1, None)),
    "memory": _proofs(loads=(injecting.no_memory, 1, None)),
}
"""Every fault, by name."""

LONG = 3_600.0
"""Seconds that a proof by hand may take."""


def prove(
    fault: str,
    store: Store,
    *,
    times: Callable[[str], int | None],
    seed: int,
    deadline: float = LONG,
    part: str = "",
) -> Report:
    """All that is asked of the store about the fault, or one part of it; each in a process of its own."""
    report = Report(fault, store.name)
    for name, (proof, _) in FAULTS[fault].proofs.items():
        if part not in {"", name}:
            continue
        with tempfile.TemporaryDirectory() as folder:
            asking = partial(_ask, proof, store, Path(folder), times(name), seed)
            try:
                report.add(isolated.run(asking, deadline=deadline))
            except isolated.DiedError as error:
                report.broken.append(f"{name} did not come to its end: {error}")
    return report


def in_every_run(fault: str, store: Store, *, seed: int = 0, deadline: float = 60) -> Report:
    """The short version."""
    proofs = FAULTS[fault].proofs
    return prove(fault, store, times=lambda name: proofs[name][1], seed=seed, deadline=deadline)


def _ask(proof: Proof, store: Store, folder: Path, times: int | None, seed: int) -> Report:
    store.prepare()
    return proof(store, folder, times=times, seed=seed)
