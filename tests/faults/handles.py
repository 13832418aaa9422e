"""No file handle is left: with each number of them that may still be opened, in opening a store and in each method."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sessionkit import SessionKitError
from tests.faults.isolated import fill_gaps
from tests.faults.judging import Bench, Expected, Trial, trials, under
from tests.faults.model import CALLS
from tests.faults.report import Report
from tests.faults.stores import Store

NO_HANDLES = Expected("too many files open", retryable=True)

_MOST = 9
"""More than any call opens at once."""


def used_up(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """Each call, and opening a store that is there and one that is not, with up to so many handles left."""
    report = Report("handles", store.name)
    bench = Bench(store, folder, report)
    left = list(range(_MOST)) if times is None else [(seed + i) % 4 for i in range(times)]
    for name in bench.calls:
        for each, (trial, call) in zip(left, trials(bench, CALLS, iter([name] * len(left))), strict=True):
            trial.name = f"{name}, {each} file handles left"
            under(trial, call, partial(_handles_left, each, folder), NO_HANDLES)
    for each in range(_MOST) if times is None else range(seed % 2, _MOST, 2):
        for there in (True, False):
            _open(bench, each, there=there)
    return report


def _open(bench: Bench, left: int, *, there: bool) -> None:
    place, backend = bench.fresh()
    if not there:
        place = place.with_name("new")
    trial = Trial(bench, f"opening, {left} file handles left", place, None, [bench.state if there else {}])
    backend.close()
    if not bench.store.on_disk:
        return
    with _handles_left(left, bench.folder):
        try:
            trial.backend = bench.store.open(place)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
            trial.judge(error, NO_HANDLES)
    trial.report.done["openings"] += 1
    try:
        trial.backend = trial.backend or bench.store.open(place)
    except SessionKitError as error:
        trial.broke(f"it can't be opened afterwards: {error}")
    else:
        trial.goes_on()
        trial.backend.close()
    bench.discard(place)


@contextmanager
def _handles_left(count: int, folder: Path) -> Generator[None]:
    held = fill_gaps(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)
