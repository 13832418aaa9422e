"""The disk is full in the middle of a call: at every size that a file may come to, and with every page that is left.

Two ways. A limit on the size of files (RLIMIT_FSIZE) cuts a write at any byte, everywhere. A small file system of its
own (tmpfs) says ENOSPC, as a disk does, wherever a page is allocated; it needs the right to mount one.
"""

import ctypes
import os
import random
import resource
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sessionkit import SessionKitError
from tests.faults.judging import Bench, Expected, Trial, trials, under
from tests.faults.model import CALLS, INDEXING, Call, delete, new_session
from tests.faults.report import Report
from tests.faults.stores import Store

FULL = Expected(r"free some|may be that large|is full, or may not be written", retryable=False, reads=True)

_DELETE_BIG = Call(lambda s: s.delete_session("big"), delete("big"))
_PAGE = 4096
_ROOM = 512 * _PAGE
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_PRIVATE, _RECURSIVE, _DETACH = 0x40000, 0x4000, 2


def small_files(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """No file may grow beyond a limit: each call, `times` limits, or all that matter."""
    report = Report("disk-full", store.name)
    if not store.on_disk:
        report.skipped.append("it keeps no files")
        return report
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    bench = Bench(store, folder, report)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    calls = bench.calls | ({} if bench.store.calls or (times is not None and times < 3) else {"index": INDEXING})
    for name in calls:
        limits = _limits(bench, calls[name], stride=None if name == "index" else 64)
        chosen = limits if times is None else chance.sample(limits, min(times, len(limits)))
        for limit, (trial, call) in zip(chosen, trials(bench, calls, iter([name] * len(chosen))), strict=True):
            trial.name = f"{name}, no file beyond {limit} bytes"
            under(trial, call, partial(_no_file_beyond, limit), FULL, *([_DELETE_BIG] if limit % 2 else []))
    _open_under(bench, chance, times, _no_file_beyond, [*range(0, 40_000, 512), *range(0, 4200, 7)])
    return report


def small_disk(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """A file system with so many pages left: each call, `times` numbers of pages, or all that matter."""
    report = Report("disk-full", store.name)
    if not store.on_disk:
        return report
    refused = _mount_small(folder)
    if refused:
        report.skipped.append(f"a small file system: {refused}")
        return report
    bench = Bench(store, folder, report)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    for name in bench.calls:
        limits = list(range(_pages(bench, CALLS[name]) + 1))
        chosen = limits if times is None else chance.sample(limits, min(times, len(limits)))
        for left, (trial, call) in zip(chosen, trials(bench, CALLS, iter([name] * len(chosen))), strict=True):
            trial.name = f"{name}, {left} pages left on the disk"
            under(trial, call, partial(_pages_left, folder, left), FULL, *([_DELETE_BIG] if left % 2 else []))
    _open_under(bench, chance, times, partial(_pages_left, folder), range(40))
    return report


def _open_under(
    bench: Bench,
    chance: random.Random,
    times: int | None,
    fault: Callable[[int], Any],
    limits: Iterable[int],
) -> None:
    """Opening a place where nothing is, and a store of an older layout, which is brought along or left as it is."""
    every = sorted(set(limits))
    chosen = every if times is None else chance.sample(every, min(4 * times, len(every)))
    for limit in chosen:
        for older in (None, bench.store.older) if bench.store.older else (None,):
            folder = bench.folder / f"opened{limit}{older is None}"
            folder.mkdir()
            if older:
                older(folder / "store")
            wanted = [{"a": new_session(messages=[{"role": "user", "content": "a1"}], name="name")}] if older else [{}]
            trial = Trial(bench, f"opening, up to {limit}", folder / "store", None, wanted)
            _open(trial, fault, limit)
            bench.discard(trial.place)


def _open(trial: Trial, fault: Callable[[int], Any], limit: int) -> None:
    trial.report.done["openings"] += 1
    with fault(limit):
        try:
            trial.backend = trial.bench.store.open(trial.place)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
            trial.judge(error, FULL)
    try:
        trial.backend = trial.backend or trial.bench.store.open(trial.place)
    except SessionKitError as error:
        trial.broke(f"it can't be opened afterwards: {error}")
    else:
        trial.goes_on()
        trial.backend.close()


def _limits(bench: Bench, call: Call, *, stride: int | None) -> list[int]:
    """The sizes that matter: around those that the files have before and after the call, and many between."""
    place, backend = bench.fresh()
    before = bench.sizes(place)
    call.run(backend)
    after = bench.sizes(place)
    backend.close()
    bench.discard(place)
    found = {0, 1}
    for file, size in after.items():
        old = before.get(file, 0)
        found |= {max(0, edge + by) for edge in (old, size, (old + size) // 2) for by in (-1, 0, 1)}
    if stride:
        found |= set(range(0, max(after.values()) + stride, stride))
    return sorted(found)


def _pages(bench: Bench, call: Call) -> int:
    """How many pages the call takes, at most."""
    place, backend = bench.fresh()
    before = sum(bench.sizes(place).values())
    call.run(backend)
    grown = sum(bench.sizes(place).values()) - before
    backend.close()
    bench.discard(place)
    return max(grown, 0) // _PAGE + 6


@contextmanager
def _no_file_beyond(limit: int) -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _pages_left(folder: Path, pages: int) -> Generator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(_PAGE))
    os.truncate(filler, max(0, filler.stat().st_size - pages * _PAGE))
    try:
        yield
    finally:
        filler.unlink()


def _mount_small(folder: Path) -> str:
    """Mount a small file system there, which nobody else sees and goes with this process; why that can't be."""
    try:
        enter_own_mounts()
        mount("tmpfs", folder, "tmpfs", 0, f"size={_ROOM}")
    except OSError as error:
        return f"this process may not mount one ({error.strerror})"
    return ""


def enter_own_mounts() -> None:
    """Have mounts that nobody else sees.

    Raises:
        OSError: this process may not, be it as root or as root of a name space of its own.
    """
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_MOUNTS | (_NEW_USER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    mount("none", Path("/"), None, _PRIVATE | _RECURSIVE, None)


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None) -> None:
    """``mount(2)``.

    Raises:
        OSError: it was refused.
    """
    texts = [None if text is None else text.encode() for text in (source, os.fspath(target), kind, data)]
    _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def unmount(target: Path) -> None:
    """``umount2(2)``, at once, whatever is open there still.

    Raises:
        OSError: it was refused.
    """
    _call("umount2", os.fsencode(target), _DETACH)


def _call(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
