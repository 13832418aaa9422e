"""The examination of a whole store, finding by finding."""

from collections.abc import Callable, Iterator
from typing import Self, cast

from sessionkit.doctor.asking import Patient, ask
from sessionkit.doctor.lists import look_at_lists, look_at_turns
from sessionkit.doctor.searches import look_at_search, look_everywhere
from sessionkit.doctor.sessions import compact, look_at, mark_of
from sessionkit.doctor.stuck import look_for_stuck
from sessionkit.keys import check_not_negative
from sessionkit.messages import TimestampedMessage
from sessionkit.models import RUNNING, STUCK_AFTER, Finding
from sessionkit.protocol import CoreBackend, SupportsCheck

SEARCHES = 60
"""How many messages of a store are searched for, at most twice as many."""

_PER_SESSION = 3

_EVERYWHERE = 5
"""How many of these searches are of the whole store."""

Progress = Callable[[int, int], object]
"""Told how many sessions have been looked at, and how many there are."""


class Examination(Iterator[Finding]):
    """What `examine` gives: the findings as they are made, and what was looked at so far.

    Attributes:
        sessions: how many sessions were looked at.
        messages: how many messages they hold.
        searched: how many of the sessions were searched for.
        in_depth: whether the backend's own `SupportsCheck` was asked too.
        busy: the keys of sessions that others wrote to for as long as they were looked at; of these only what can't be
            read is told.
    """

    def __init__(self, backend: CoreBackend, *, repair: bool, stuck_after: float | None, progress: Progress) -> None:
        self.sessions = self.messages = self.searched = 0
        self._patient = Patient(backend)
        self.in_depth = self._patient.offers("SupportsCheck")
        self.busy = self._patient.busy
        self._repair = repair
        self._stuck_after = stuck_after
        self._progress = progress
        self._told: set[tuple[str, str | None]] = set()
        self._findings = self._all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Finding:
        return next(self._findings)

    def _all(self) -> Iterator[Finding]:
        if self.in_depth:
            yield from self._deep()
        lists = look_at_lists(self._patient)
        yield from self._new(lists.findings)
        amount = len(lists.keys)
        every = max(1, amount // SEARCHES) if self._patient.is_native("search") else 0
        running: set[str] = set()
        for number, key in enumerate(lists.keys):
            self._progress(number, amount)
            is_searched = every > 0 and number % every == 0
            asked = max(1, min(_PER_SESSION, SEARCHES // amount)) if is_searched else 0
            yield from self._new(self._session(key, running, asked, everywhere=number % -(-amount // _EVERYWHERE) == 0))
        self._progress(amount, amount)
        if every:
            yield from self._new(look_everywhere(self._patient))
        yield from self._new(look_at_turns(self._patient, running))
        if self._stuck_after is not None:
            yield from look_for_stuck(self._patient, self._stuck_after, repair=self._repair)

    def _deep(self) -> Iterator[Finding]:
        """The backend's own findings, one by one, so that what was mended is told whatever comes after it."""
        findings = iter(cast("SupportsCheck", self._patient.backend).check(repair=self._repair))
        while True:
            step = ask(lambda: next(findings, None), "check()", damage="corrupt-session")
            for one in (*step.findings, *(() if step.value is None else (step.value,))):
                self._told.add((one.kind, one.session_key))
                yield one
            if step.value is None:
                return

    def _session(self, key: str, running: set[str], asked: int, *, everywhere: bool) -> list[Finding]:
        stored: list[TimestampedMessage] = []
        patient = self._patient

        def look() -> list[Finding]:
            found = look_at(patient, key, stored)
            if asked:
                messages = [kept.message for kept in stored]
                found += look_at_search(patient, key, messages, asked, everywhere=everywhere)
            return found

        found = patient.agreed(key, mark_of(patient, key), look)
        self.sessions += 1
        self.messages += len(stored)
        self.searched += bool(asked)
        metadata = patient.ask("get_session_metadata", key).value if patient.is_native("get_session_metadata") else None
        if metadata is not None and metadata.state == RUNNING:
            running.add(key)
        return list(compact(patient, key, found)) if found and self._repair else found

    def _new(self, found: "list[Finding] | Iterator[Finding]") -> Iterator[Finding]:
        """Those of which the backend's own check has not told already."""
        for one in found:
            if (one.kind, one.session_key) not in self._told:
                yield one


def examine(
    backend: CoreBackend,
    *,
    repair: bool = False,
    stuck_after: float | None = STUCK_AFTER,
    progress: Progress = lambda _done, _all: None,
) -> Examination:
    """Look at every session of a store, and tell what is wrong, as it is found; nothing where all is well.

    It works on every backend through the contract, and asks one that has `SupportsCheck` first. Looked at are: whether
    every session that is listed loads; whether all ways to list, look up and read a session agree; its counts against
    its messages; the order of times and of lists; turns that are stuck; and search, both ways, for a sample: up to
    three messages of a session, of some 60 in the store, by their longest words. What an index still holds of
    messages that are gone is for `SupportsCheck` to find.

    Others may use the store meanwhile: nothing is told of a session that changed between two looks. One session is held
    in memory at a time. Costs several times what loading everything does.

    Args:
        backend: any; it stays open.
        repair: mend what can be mended. Nothing that can be read is lost, what can't is set aside: the backend's own
            check mends first, then sessions with damaged records are compacted, and turns that are stuck are ended.
            Each finding says in ``repaired`` what was done. Look again afterwards: only a second examination knows
            whether all is well.
        stuck_after: how many seconds a running turn may give no sign of life; None: for ever.
        progress: told after each session how many were looked at, and how many there are.

    Raises:
        TypeError: it is no backend, or `stuck_after` no number.
        ValueError: `stuck_after` is negative.
        BackendUnavailableError: the store can't be read at present; or with `repair`, not be written.
        BackendClosedError: the backend is closed.
    """
    if stuck_after is not None:
        check_not_negative(stuck_after, "stuck_after")
    return Examination(backend, repair=repair, stuck_after=stuck_after, progress=progress)
