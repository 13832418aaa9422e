"""What is asked of a doctor: each a function that fails where the doctor is broken."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, Finding, SessionMetadata, SessionState
from sessionkit.doctor import diagnose, examine
from sessionkit.registry import _registered, register_backend  # pyright: ignore[reportPrivateUsage] -- to unregister
from sessionkit_memory import MemoryBackend
from tests.doctor.broken import BROKEN, SECRET, OneIsCorrupt, fill
from tests.doctor.meddling import MEDDLERS, Meddled
from tests.toys import DictBackend

TIMES = (*range(1, 9), 20, float("inf"))


def problems(backend: Any, **options: Any) -> list[Finding]:
    """What the doctor finds, without what is stuck."""
    return [one for one in examine(backend, **options) if one.severity == "problem" and one.kind != "stuck"]


def each_fault_is_found() -> None:
    """Every broken backend is told of, by its kind; the unbroken one is not; and no finding repeats a message."""
    for name, (kind, expected) in BROKEN.items():
        with kind() as backend:
            fill(backend)
            found = problems(backend)
            assert expected in {one.kind for one in found}, name
            assert SECRET not in str(found), name
    with MemoryBackend() as backend:
        fill(backend)
        assert problems(backend) == []


def others_may_write() -> None:
    """Whatever others do between any two calls, and however long they go on: nothing is told."""
    for name, meddler in MEDDLERS.items():
        for times in TIMES:
            assert problems(Meddled(meddler, times)) == [], (name, times)


def what_cannot_be_read_is_told_under_writers() -> None:
    """A session that never holds still is told of where it has lost a message, and of nothing else."""

    class Corrupt(Meddled):
        def __init__(self) -> None:
            super().__init__(MEDDLERS["says"], float("inf"))
            self.__wrapped__ = OneIsCorrupt()
            self.__wrapped__.append("a", ChatMessage("user", "begun"))

    corrupt: Any = Corrupt()
    examination = examine(corrupt)
    assert {one.kind for one in examination} == {"corrupt-message"}
    assert examination.busy == {"a"}


def only_the_dead_are_ended() -> None:
    """With a repair a turn that is stuck is ended, unless it wakes up before the repair comes to it."""

    class WakesUp(MemoryBackend):
        """Its turn gives a sign of life as soon as somebody has been told that it is stuck."""

        told: tuple[SessionMetadata, ...] = ()

        def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
            self.told = self.told or tuple(super().list_stuck_sessions(threshold_secs))
            self.set_session_state("b", "running", "gone")
            return list(self.told)

    with MemoryBackend() as backend:
        fill(backend)
        assert [one.session_key for one in examine(backend) if one.kind == "stuck"] == ["b"]
        assert state_of(backend).state == "running"
        assert [bool(one.repaired) for one in examine(backend, repair=True) if one.kind == "stuck"] == [True]
        assert state_of(backend).state == "error"
        assert [one for one in examine(backend) if one.kind == "stuck"] == []
    with WakesUp() as backend:
        fill(backend)
        assert [one for one in examine(backend, repair=True) if one.repaired] == []
        assert (state_of(backend).state, state_of(backend).turn_id) == ("running", "gone")


def a_repair_is_looked_at() -> None:
    """What a repair has mended is said so, what it has not is not; and only a second look calls a store healthy."""
    for kind, is_mended in ((OneIsCorrupt, True), (BROKEN["compacting-changes-nothing"][0], False)):
        backend = kind()
        fill(backend)
        backend.set_session_state("b", "idle")
        with opening(backend) as url:
            diagnosis = diagnose(url, repair=True)
            assert [bool(one.repaired) for one in diagnosis.findings if one.kind == "corrupt-message"] == [is_mended]
            assert diagnosis.is_healthy is is_mended
            assert (diagnosis.left == []) is is_mended


def a_repair_that_loses_is_told() -> None:
    """Where compacting loses a message that could be read, that is said."""
    with BROKEN["compacting-drops-more"][0]() as backend:
        fill(backend)
        assert "structure" in {one.kind for one in problems(backend, repair=True)}


def a_look_writes_nothing() -> None:
    """Without a repair, a damaged store is as it was; and a path that is not there stays so, with one too."""
    with OneIsCorrupt() as backend:
        fill(backend)
        for _ in range(2):
            found = list(examine(backend))
            assert {one.kind for one in found} == {"corrupt-message", "stuck"}
            assert [one for one in found if one.repaired] == []
    with TemporaryDirectory() as folder:
        for scheme in ("sqlite", "jsonl"):
            for repair in (False, True):
                with pytest.raises(BackendUnavailableError):
                    diagnose(f"{scheme}:///{folder}/store", repair=repair)
                assert list(Path(folder).iterdir()) == [], scheme


def what_a_backend_finds_itself_is_told() -> None:
    """The findings of its own check, with what was done; and what the contract shows of the same is not told twice."""

    class Checked(OneIsCorrupt):
        def check(self, *, repair: bool = False) -> Iterator[Finding]:
            yield Finding(
                "orphan", "a file belongs to no session", where="left.tmp", repaired="gone" if repair else None
            )
            yield Finding("corrupt-message", "row 3 can't be read", "a", where="row 3")
            yield Finding("set-aside", "one record was set aside", severity="note")

    with Checked() as backend:
        fill(backend)
        examination = examine(backend, stuck_after=None)
        assert [one.kind for one in examination] == ["orphan", "corrupt-message", "set-aside"]
        assert examination.in_depth
        assert next(examine(backend, repair=True, stuck_after=None)).repaired == "gone"


def four_methods_are_enough() -> None:
    """A backend of somebody else's, which knows no times and no revisions, is looked at; what fails is told."""

    class Fails(DictBackend):
        def load(self, session_key: str, /) -> list[ChatMessage]:
            return [] if session_key == "a" else super().load(session_key)[:1] * (1 // (session_key != "b"))

    backends: list[tuple[Any, set[str]]] = [(DictBackend(), set()), (Fails(), {"structure"})]
    for backend, kinds in backends:
        for key in ("a", "b", "a"):
            backend.append(key, ChatMessage("user", f"{SECRET} {key}"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert {one.kind for one in problems(backend)} == kinds
        assert not examine(backend).in_depth


class opening:  # noqa: N801 -- a context manager
    """A URL that opens the backend, for as long as the block takes; closing leaves it open."""

    def __init__(self, backend: MemoryBackend) -> None:
        class Kept:
            __wrapped__ = backend

            def __getattr__(self, name: str) -> Any:
                if name == "close":
                    raise AttributeError(name)
                return getattr(backend, name)

        kept: Any = Kept()
        self.factory: Callable[[Any], Any] = lambda _url: kept

    def __enter__(self) -> str:
        register_backend("doctored", self.factory)
        return "doctored://"

    def __exit__(self, *_: object) -> None:
        del _registered["doctored"]


def state_of(backend: MemoryBackend) -> SessionState:
    """What the second session is doing."""
    state = backend.get_session_state("b")
    assert state
    return state


PROMISES: tuple[Callable[[], None], ...] = (
    each_fault_is_found,
    others_may_write,
    what_cannot_be_read_is_told_under_writers,
    only_the_dead_are_ended,
    a_repair_is_looked_at,
    a_repair_that_loses_is_told,
    a_look_writes_nothing,
    what_a_backend_finds_itself_is_told,
    four_methods_are_enough,
)
