"""Backends and doctors with one fault each: what goes wrong only where something is damaged."""

import json
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, CorruptSessionError, doctor, open_backend
from sessionkit_jsonl import JSONLBackend
from tests.corruption.stores import KEYS

Break = Callable[[pytest.MonkeyPatch], None]

Load = Callable[[str], list[ChatMessage]]


@attrs.frozen
class Mutant:
    """What breaks it, and what is said then; whether it takes the process with it."""

    breaking: Break
    said: str
    kills: bool = False


MUTANTS: dict[str, Mutant] = {}
"""By the name of the fault."""


def caught(said: str, *, kills: bool = False) -> Callable[[Break], Break]:
    """Declare what breaks the JSONL backend or the doctor."""

    def declare(breaking: Break) -> Break:
        MUTANTS[breaking.__name__.replace("_", "-")] = Mutant(breaking, said, kills)
        return breaking

    return declare


def _where_damaged(patch: pytest.MonkeyPatch, meet: Callable[[Load, str], list[ChatMessage]]) -> None:
    """Have `load` do something else where a record of the session can't be read; it is given what `load` was."""
    real = JSONLBackend.load

    def load(self: JSONLBackend, session_key: str, /) -> list[ChatMessage]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = real(self, session_key)
        for one in told:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return meet(lambda key: real(self, key), session_key) if told else found

    patch.setattr(JSONLBackend, "load", load)


@caught("load raised JSONDecodeError")
def raises_what_the_parser_raises(patch: pytest.MonkeyPatch) -> None:
    """Each line is parsed, and what the parser says comes out as it is."""
    _where_damaged(patch, lambda *_: json.loads("{") or [])


@caught("it hung", kills=True)
def never_comes_to_an_end(patch: pytest.MonkeyPatch) -> None:
    """The end of a record is searched for, and never found."""
    _where_damaged(patch, lambda *_: [ChatMessage("user")] * threading.Event().wait())


@caught("the interpreter died", kills=True)
def takes_the_interpreter_along(patch: pytest.MonkeyPatch) -> None:
    """Something written in C believes the lengths that it reads."""
    _where_damaged(patch, lambda *_: [ChatMessage("user")] * bool(os.abort()))


@caught("messages of another session")
def takes_another_for_it(patch: pytest.MonkeyPatch) -> None:
    """What stood where the damage is, is looked for where it would stand in another file."""
    _where_damaged(patch, lambda load, key: load(KEYS[1 if key == KEYS[0] else 0]))


@caught("nothing says so")
def skips_in_silence(patch: pytest.MonkeyPatch) -> None:
    """What can't be read is left out, and nobody is warned."""
    for name in ("load", "list_sessions"):
        real: Any = getattr(JSONLBackend, name)

        def silent(self: JSONLBackend, *args: Any, real: Any = real) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CorruptRecordWarning)
                try:
                    return real(self, *args)
                except CorruptSessionError:
                    return []

        patch.setattr(JSONLBackend, name, silent)


@caught("compact() changes what load() gives")
def compacts_what_is_well_away(patch: pytest.MonkeyPatch) -> None:
    """What stands beside a damaged record is set aside with it."""
    real = JSONLBackend.compact

    def compact(self: JSONLBackend, session_key: str, /) -> None:
        before = len(self.load(session_key))
        real(self, session_key)
        if before > 1:
            self.remove_last(session_key)

    patch.setattr(JSONLBackend, "compact", compact)


@caught("has taken what could be read before")
def begins_anew_where_it_is_damaged(patch: pytest.MonkeyPatch) -> None:
    """An append to a damaged session begins a new file."""
    real = JSONLBackend.append

    def append(self: JSONLBackend, session_key: str, message: ChatMessage, /) -> None:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.load(session_key)
        if told:
            self.clear_messages(session_key)
        real(self, session_key, message)

    patch.setattr(JSONLBackend, "append", append)


@caught("the doctor misses")
def sends_everybody_home(patch: pytest.MonkeyPatch) -> None:
    """A doctor that only looks whether the store opens."""
    patch.setattr(doctor, "diagnose", lambda url, **_: doctor.Diagnosis(url=url, findings=[], left=[]))


@caught("the repair lost messages")
def cures_by_deleting(patch: pytest.MonkeyPatch) -> None:
    """A doctor that deletes the sessions where something is wrong."""
    real = doctor.diagnose

    def diagnose(url: str, **options: Any) -> doctor.Diagnosis:
        seen = real(url, **options)
        if options.get("repair"):
            with open_backend(url) as store:
                for one in seen.findings:
                    if one.session_key is not None:
                        store.delete_session(one.session_key)
        return seen

    patch.setattr(doctor, "diagnose", diagnose)


@caught("a second doctor finds more")
def believes_in_its_cures(patch: pytest.MonkeyPatch) -> None:
    """A doctor that calls healthy whatever was repaired."""
    real = doctor.diagnose

    def diagnose(url: str, **options: Any) -> doctor.Diagnosis:
        if options.pop("repair", False):
            return attrs.evolve(real(url, **options), left=[])
        return real(url, **options)

    patch.setattr(doctor, "diagnose", diagnose)


@caught("after a repair there is left")
def tells_but_never_mends(patch: pytest.MonkeyPatch) -> None:
    """A repair that does nothing, and says so."""
    real = doctor.diagnose

    def diagnose(url: str, **options: Any) -> doctor.Diagnosis:
        found = real(url, stuck_after=options["stuck_after"])
        return attrs.evolve(found, left=found.findings) if options.get("repair") else found

    patch.setattr(doctor, "diagnose", diagnose)
