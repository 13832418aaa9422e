"""A file that is deleted, or replaced, under an open store: by somebody's clean-up, backup or synchronisation.

What was in the file is in nobody's hands then. But whatever is acknowledged from then on must be there, for this object
and for whoever opens the store; where nothing can be acknowledged any more, the error says so. And what the damage has
not touched is as it was.
"""

import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionkit import ChatMessage, CorruptRecordWarning, SessionKitError
from tests.faults.judging import Bench, Expected, Trial
from tests.faults.model import LONG
from tests.faults.report import Report
from tests.faults.stores import Store

REFUSED = Expected(r".", kinds=(SessionKitError,))

_ANEW = "once it is opened anew"
_KEYS = ("a", "b", "new")


def _delete(file: Path, older: Path) -> None:
    del older
    file.unlink()


def _move_away(file: Path, older: Path) -> None:
    del older
    file.rename(file.with_name(f"{file.name}.moved"))


def _empty(file: Path, older: Path) -> None:
    del older
    file.unlink()
    file.touch(0o600)


def _folder_instead(file: Path, older: Path) -> None:
    del older
    file.unlink()
    file.mkdir()


def _link_instead(file: Path, older: Path) -> None:
    del older
    file.rename(file.with_name(f"{file.name}.target"))
    file.symlink_to(f"{file.name}.target")


def _broken_link_instead(file: Path, older: Path) -> None:
    del older
    file.unlink()
    file.symlink_to("nowhere")


def _older_instead(file: Path, older: Path) -> None:
    """Put there as most programs do: written beside, and renamed."""
    if not older.exists():
        file.unlink()
        return
    beside = file.with_name(f"{file.name}.new")
    shutil.copyfile(older, beside)
    beside.rename(file)


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "deleted": _delete,
    "moved away": _move_away,
    "replaced by an empty one": _empty,
    "replaced by a folder": _folder_instead,
    "replaced by a link to itself": _link_instead,
    "replaced by a link to nowhere": _broken_link_instead,
    "replaced by an older copy": _older_instead,
}


def _folder_deleted(folder: Path, older: Path) -> None:
    del older
    shutil.rmtree(folder)


def _folder_moved(folder: Path, older: Path) -> None:
    del older
    folder.rename(folder.with_name(f"{folder.name}-moved"))


def _folder_older(folder: Path, older: Path) -> None:
    _folder_moved(folder, older)
    shutil.copytree(older, folder)


FOLDERS: dict[str, Callable[[Path, Path], None]] = {
    "deleted": _folder_deleted,
    "moved away": _folder_moved,
    "replaced by an older copy": _folder_older,
}


def replaced(store: Store, folder: Path, *, times: int | None, seed: int) -> Report:
    """Each file of the store, in each way, or `times` of these; and all of it."""
    report = Report("replaced", store.name)
    if not store.on_disk:
        report.skipped.append("it keeps no files")
        return report
    bench = Bench(store, folder, report)
    files = _files(bench)
    asked = [(file, way) for file in files for way in DAMAGES] + [("", way) for way in FOLDERS]
    chance = random.Random(seed)  # noqa: S311 -- no secret
    unpromised = [(file, way) for file, way in asked if way in store.unnoticed.get(file, ())]
    if unpromised:
        report.skipped.append(f"not promised: {_named(unpromised)}")
    asked = [each for each in asked if each not in unpromised]
    for file, way in asked if times is None else chance.sample(asked, min(len(asked), 7 * times)):
        for beside in (False, True):
            _replace(bench, file, way, beside=beside)
    return report


def _files(bench: Bench) -> list[str]:
    """The files that matter: one of those that are alike."""
    place, backend = bench.fresh()
    backend.append("a", ChatMessage("user", "x"))
    found = sorted(str(file.relative_to(place.parent)) for file in bench.sizes(place))
    backend.close()
    bench.discard(place)
    return [file for file in found if not any(f"{key}.jsonl" in file for key in ("old1", "old2", "big"))]


def _replace(bench: Bench, file: str, way: str, *, beside: bool) -> None:
    place, backend = bench.fresh()
    name = f"{file or 'all of it'} {way}{', beside another object' if beside else ''}"
    trial = Trial(bench, name, place, backend, [bench.state])
    older = bench.folder / "older"
    shutil.copytree(place.parent, older)
    other = bench.store.open(place) if beside else None
    backend.append("a", ChatMessage("user", "before"))
    if other is not None:
        other.load("a")
    (DAMAGES if file else FOLDERS)[way](place.parent / file, older / file)
    acknowledged = [("a", "before")] if "a" not in bench.store.keeps.get(file, ("a",)) else []
    acknowledged += _write(trial, backend, "one")
    _check(trial, backend, acknowledged, "by the same object")
    if other is not None:
        acknowledged += _write(trial, other, "two")
        _check(trial, other, acknowledged, "by another object")
        _check(trial, backend, acknowledged, "by the first object")
        other.close()
    backend.close()
    acknowledged += [("big", text) for text in ("x" * LONG,) if "big" not in bench.store.keeps.get(file, ("big",))]
    _check_anew(trial, acknowledged, place.parent / file)
    bench.report.done["damages"] += 1
    shutil.rmtree(older)
    for left in (place.parent, Path(f"{place.parent}-moved")):
        shutil.rmtree(left, ignore_errors=True)


def _write(trial: Trial, backend: Any, name: str) -> list[tuple[str, str]]:
    """Append to several sessions, twice; what was acknowledged."""
    acknowledged: list[tuple[str, str]] = []
    for number in range(2):
        for key in _KEYS:
            try:
                backend.append(key, ChatMessage("user", f"{name}{number}"))
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is judged
                trial.judge(error, REFUSED)
            else:
                trial.report.done["appends done all the same"] += 1
                acknowledged.append((key, f"{name}{number}"))
    return acknowledged


def _check(trial: Trial, backend: Any, acknowledged: list[tuple[str, str]], who: str) -> None:
    """That what was acknowledged can be read, or that the reading is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        for key in (*_KEYS, "big"):
            wanted = [text for of, text in acknowledged if of == key]
            try:
                found = [message.content for message in backend.load(key)]
            except Exception as error:  # noqa: BLE001 -- likewise
                trial.judge(error, REFUSED)
                if wanted and who == _ANEW:
                    trial.broke(f"{_short(wanted)} of {key!r} was acknowledged, and can't be read {who}: {error}")
                continue
            if [text for text in found if text in wanted] != wanted:
                trial.broke(f"{_short(wanted)} of {key!r} was acknowledged, and {who} {_short(found)} is read")


def _check_anew(trial: Trial, acknowledged: list[tuple[str, str]], in_the_way: Path) -> None:
    """That it is there for who opens the store; where that is refused, once what is in the way was moved away."""
    try:
        anew = trial.bench.store.open(trial.place)
    except Exception as error:  # noqa: BLE001 -- likewise
        trial.judge(error, REFUSED)
        if not acknowledged:
            return
        if in_the_way == trial.place.parent or not (in_the_way.is_dir() or in_the_way.is_symlink()):
            trial.broke(f"{len(acknowledged)} appends were acknowledged, and it can't be opened anew: {error}")
            return
        if in_the_way.is_symlink():
            in_the_way.unlink()
        else:
            shutil.rmtree(in_the_way)
        anew = trial.bench.store.open(trial.place)
    with anew:
        _check(trial, anew, acknowledged, _ANEW)


def _short(texts: list[Any]) -> list[str]:
    return [str(text)[:20] for text in texts[-4:]]


def _named(damages: list[tuple[str, str]]) -> str:
    return ", ".join(f"{file or 'all of it'} {way}" for file, way in damages)
