"""A store that may not be written any more, while it is open: its rights are taken, or its file system is read-only."""

import os
import random
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.faults.disk import enter_own_mounts, mount, unmount
from tests.faults.judging import Bench, Expected, trials, under
from tests.faults.model import CALLS
from tests.faults.report import Report
from tests.faults.stores import Store

_WRITTEN = r"who may (?:read and )?write|read-only|mode=ro"
READ_ONLY = Expected(_WRITTEN, retryable=False, reads=True)
CLOSED = Expected(_WRITTEN, retryable=False)

_NOBODY = 65534
_BIND, _REMOUNT, _ONLY_READ = 4096, 32, 1


def read_only(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """The rights to the folder and its files go, to write or to read as well: each call, `times` of these."""
    del folder  # to which nobody else may have a way
    report = Report("read-only", store.name)
    if not store.on_disk:
        report.skipped.append("it keeps no files")
        return report
    chance = random.Random(seed)  # noqa: S311 -- no secret
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o755)
        bench = Bench(store, place, report)
        ways: list[tuple[str, Callable[[Path], AbstractContextManager[None]], Expected]] = [
            ("nothing may be written", partial(_rights, folders=0o555, files=0o444), READ_ONLY),
            ("nothing may be created", partial(_rights, folders=0o555, files=0o666), READ_ONLY),
            ("nothing may be read", partial(_rights, folders=0, files=0), CLOSED),
        ]
        try:
            enter_own_mounts()
            ways.append(("its file system is read-only", _mounted_to_read, READ_ONLY))
        except OSError as error:
            report.skipped.append(f"a read-only file system: this process may not mount one ({error.strerror})")
        for name in bench.calls:
            chosen = ways if times is None else chance.sample(ways, min(times, len(ways)))
            chosen = [*chosen, *chosen] if times is None else chosen
            for (way, fault, expected), (trial, call) in zip(
                chosen, trials(bench, CALLS, iter([name] * len(chosen))), strict=True
            ):
                trial.name = f"{name}, {way}"
                under(trial, call, partial(fault, trial.place.parent), expected)
    return report


@contextmanager
def _rights(folder: Path, *, folders: int, files: int) -> Generator[None]:
    """For a while, to others; who is root becomes somebody else."""
    everything = sorted(folder.rglob("*"), reverse=True)
    before = [(path, path.stat().st_mode) for path in (*everything, folder)]
    for path, _ in before:
        path.chmod(folders if path.is_dir() else files)
    user = os.geteuid()
    if not user:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if not user:
            os.seteuid(user)
        for path, mode in reversed(before):
            if path.exists():
                path.chmod(mode)


@contextmanager
def _mounted_to_read(folder: Path) -> Generator[None]:
    """For a while, over itself; what is open already stays so."""
    mount(os.fspath(folder), folder, None, _BIND, None)
    mount("none", folder, None, _BIND | _REMOUNT | _ONLY_READ, None)
    try:
        yield
    finally:
        unmount(folder)
