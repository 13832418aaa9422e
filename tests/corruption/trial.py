"""One damaged store: everything is tried on it, and what became of each promise is written down."""

import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs

from sessionkit import (
    ChatMessage,
    CorruptRecordWarning,
    OpenBackend,
    SessionKitError,
    SessionQuery,
    doctor,
    open_backend,
)
from tests.corruption import damages
from tests.corruption.stores import KEYS, WORD, length, make, mark_of, said, standing

T = TypeVar("T")

FAST = Path("/dev/shm")  # noqa: S108 -- a folder in memory, where there is one

Readable = dict[str, list[ChatMessage]]


@attrs.define
class Outcome:
    """What became of one damaged store.

    Attributes:
        damage: what was done to it.
        opens: whether it could be opened.
        lost: how many messages could not be read any more.
        changed: how many were another text than they were.
        said: whether a warning or an error said so.
        older: whether what is left is what there was at an earlier moment.
        found: the kinds of what the doctor found.
        readable: how many messages could be read before the repair.
        hopeless: whether the repair refused it, and no message is left where one can be found.
        saved: how many messages could be read after the repair, those of sessions that it had to name itself as well.
        moved: how many of them are in such sessions.
        broken: which promises were broken, in words.
    """

    damage: damages.Damage
    opens: bool = True
    lost: int = 0
    changed: int = 0
    said: bool = False
    older: bool = False
    found: list[str] = attrs.Factory(list)
    readable: int = 0
    hopeless: bool = False
    saved: int = 0
    moved: int = 0
    broken: list[str] = attrs.Factory(list)


@attrs.define
class _Ear:
    """Calls, and whether they complained; what none of ours is a broken promise."""

    outcome: Outcome
    complaints: int = 0
    errors: int = 0

    def does(self, call: Callable[..., object], *args: Any) -> bool:
        """Make a call that gives nothing; whether it came to its end."""
        before = self.errors
        self.call(call, *args)
        return self.errors == before

    def call(self, call: Callable[..., T], *args: Any, **options: Any) -> T | None:
        """Make a call; None where it raises."""
        what = getattr(call, "__name__", "a call")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return call(*args, **options)
            except SessionKitError:
                self.complaints += 1
                self.errors += 1
            except Exception as error:  # noqa: BLE001 -- it is what is looked for
                self.errors += 1
                self.outcome.broken.append(f"{what} raised {type(error).__name__}: {error}"[:300])
            finally:
                self.complaints += sum(issubclass(one.category, CorruptRecordWarning) for one in caught)
        return None


def run(store: str, seed: int, templates: Path) -> Outcome:
    """Damage a copy of the store, as the seed says, and try everything."""
    template = templates / store
    if not template.exists():
        make(store, template)
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        hurt = Path(folder) / "hurt"
        shutil.copytree(template, hurt)
        outcome = Outcome(damages.damage(hurt, random.Random(f"{store} {seed}")))  # noqa: S311 -- no secret
        scheme = store.partition("-")[0]
        with _copied(hurt) as place:
            readable = _read(f"{scheme}:///{place}/made", outcome)
        with _copied(hurt) as place:
            _use(f"{scheme}:///{place}/made", outcome)
        with _copied(hurt) as place:
            _doctor(f"{scheme}:///{place}/made", outcome, readable, standing(place / "made", template / "made"))
    return outcome


@contextmanager
def _copied(hurt: Path) -> Generator[Path]:
    place = hurt.with_name("copy")
    shutil.copytree(hurt, place)
    yield place
    shutil.rmtree(place)


def _read(url: str, outcome: Outcome) -> Readable:
    """What can still be read, where nothing is written; and whether what can't is told."""
    ear = _Ear(outcome)
    backend = ear.call(open_backend, url, mode="ro")
    outcome.opens = backend is not None
    readable: Readable = {}
    if backend is not None:
        with backend:
            listed = ear.call(backend.list_sessions)
            for key in KEYS:
                found = ear.call(backend.load, key)
                if found:
                    readable[key] = found
            for key in listed or ():
                if key not in KEYS:
                    _check_own(key, ear.call(backend.load, key) or [], outcome)
    outcome.said = ear.complaints > 0
    outcome.readable = sum(map(len, readable.values()))
    _compare(readable, outcome)
    if outcome.lost and not (outcome.said or outcome.older) and url.startswith("jsonl"):
        outcome.broken.append(f"{outcome.lost} messages are missing, and nothing says so")
    return readable


def _compare(readable: Readable, outcome: Outcome) -> None:
    """What was lost, what was changed, and whether it is an earlier moment that is seen."""
    # Where nothing at all is left, no moment is seen; but the first of a log is that before everything.
    older = bool(readable) or outcome.damage.file.endswith("-wal")
    for key in KEYS:
        found = readable.get(key, [])
        _check_own(key, found, outcome)
        wanted = [said(key, number) for number in range(length(key))]
        same = sum(message in wanted for message in found)
        outcome.changed += len(found) - same
        outcome.lost += max(0, len(wanted) - len(found))
        # The newest may have been replaced, or taken back, at that moment.
        older = older and found[:-1] == wanted[: max(0, len(found) - 1)]
    outcome.older = bool(older and outcome.opens and (outcome.lost or outcome.changed))


def _check_own(key: str, found: list[ChatMessage], outcome: Outcome) -> None:
    """No message of a session may come from another."""
    others = {mark[0] for mark in map(mark_of, found) if mark is not None} - {key}
    if key in KEYS and others:
        outcome.broken.append(f"load({key!r}) gives messages of another session")


def _use(url: str, outcome: Outcome) -> None:
    """Everything that programs do; each call works, or raises an error of ours."""
    ear = _Ear(outcome)
    backend: Any = ear.call(open_backend, url)
    if backend is None:
        return
    with backend:
        _look_around(backend, ear)
        for key in KEYS:
            new = ChatMessage("user", f"{said(key, 9000).text}")
            before = ear.call(backend.load, key)
            added = ear.does(backend.append, key, new)
            after = ear.call(backend.load, key)
            if added and after is not None and after[-1:] != [new]:
                outcome.broken.append("load() does not give what append() has stored")
            if added and before and after is not None and [one for one in before if one not in after]:
                outcome.broken.append("append() has taken what could be read before")
            _check_own(key, after or [], outcome)
            ear.call(backend.update_last, key, new)
            ear.call(backend.write, key, drop_last=1, append=[new, new])
            ear.call(backend.set_session_state, key, "running", "t")
            kept = ear.call(backend.load, key)
            compacted = ear.does(backend.compact, key)
            left = ear.call(backend.load, key)
            if compacted and kept is not None and left is not None and kept != left:
                outcome.broken.append("compact() changes what load() gives")
            ear.call(backend.remove_last, key)
        _look_around(backend, ear)
        ear.call(backend.cleanup_stale, 1000)
        ear.call(backend.delete_session, KEYS[0])


def _look_around(backend: Any, ear: _Ear) -> None:
    ear.call(backend.list_sessions_with_metadata)
    ear.call(backend.list_running_sessions)
    ear.call(backend.list_stuck_sessions, 0)
    for query in (SessionQuery(WORD), SessionQuery("words", limit=1), SessionQuery(channel_id="channel")):
        ear.call(backend.search, query)
    for key in KEYS:
        ear.call(backend.load_with_timestamps, key, last=3)
        ear.call(backend.load_first, key, 3)
        ear.call(backend.get_session_metadata, key)


def _doctor(url: str, outcome: Outcome, readable: Readable, standing: int) -> None:
    """The doctor must find it, mend it, and lose nothing that could be read."""
    ear = _Ear(outcome)
    seen: doctor.Diagnosis | None = ear.call(doctor.diagnose, url, stuck_after=None)
    outcome.found = sorted({one.kind for one in seen.problems}) if seen is not None else []
    if seen is None:
        outcome.broken.append("the doctor fails")
    differs = outcome.lost > 0 or outcome.changed > 0
    letters = outcome.changed > 0 and outcome.lost == 0  # every message is there; what a text was nobody knows
    if seen is not None and seen.is_healthy and differs and not (outcome.older or letters):
        outcome.broken.append(f"the doctor misses that {outcome.lost} messages are lost")
    mended: doctor.Diagnosis | None = ear.call(doctor.diagnose, url, repair=True, stuck_after=None)
    if mended is None:
        outcome.broken.append("the doctor fails to repair")
        return
    refused = [one.what for one in mended.findings if one.what.startswith("rescue() fails")]
    outcome.hopeless = bool(refused) and not mended.is_healthy and not readable
    if not mended.is_healthy and not outcome.hopeless:
        left = "; ".join(f"{one.kind}: {one.what}" for one in mended.problems)[:400]
        outcome.broken.append(f"after a repair there is left: {left}")
    again: doctor.Diagnosis | None = ear.call(doctor.diagnose, url, stuck_after=None)
    if again is not None and mended.is_healthy and not again.is_healthy:
        outcome.broken.append("a second doctor finds more")
    _compare_mended({} if outcome.hopeless else ear.call(_loaded, url), outcome, readable, standing)


def _compare_mended(after: Readable | None, outcome: Outcome, readable: Readable, standing: int) -> None:
    """What the repair has left; a session whose key was lost has a new one, and its messages are not lost."""
    if after is None:
        outcome.broken.append("what was repaired can't be opened")
        return
    outcome.saved = sum(map(len, after.values()))
    renamed = [messages for key, messages in after.items() if key not in KEYS]
    outcome.moved = sum(map(len, renamed))
    if standing and not outcome.saved:
        outcome.broken.append(f"the repair left nothing, and {standing} messages stood on pages in their place")
    for key, messages in readable.items():
        # A page that stands there twice is read twice.
        once = [message for number, message in enumerate(messages) if message not in messages[:number]]
        if not any(_holds(kept, once) for kept in (after.get(key, []), *renamed)):
            outcome.broken.append(f"the repair lost messages of {key!r} that could be read")
        _check_own(key, after.get(key, []), outcome)


def _holds(kept: list[ChatMessage], messages: list[ChatMessage]) -> bool:
    """Whether all of them are there, in their order."""
    left = iter(kept)
    return all(message in left for message in messages)


def _loaded(url: str) -> Readable:
    with open_backend(url) as backend:
        loaded = {key: backend.load(key) for key in {*KEYS, *backend.list_sessions()}}
        _append_once(backend)
    return loaded


def _append_once(backend: OpenBackend) -> None:
    for key in KEYS:
        backend.append(key, said(key, 9001))
