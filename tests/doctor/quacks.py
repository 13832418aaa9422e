"""Doctors with one fault each, as their authors might write them; each must fail one of the promises."""

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from sessionkit.doctor import asking, diagnosis, examination, lists, searches, sessions, stuck
from sessionkit.models import Finding
from sessionkit.registry import open_backend
from tests.doctor import promises

Break = Callable[[pytest.MonkeyPatch], None]

QUACKS: dict[str, tuple[Break, Callable[[], None]]] = {}
"""By the name of the fault: what breaks the doctor, and the promise that it must fail."""


def fails(promise: Callable[[], None]) -> Callable[[Break], Break]:
    """Declare the function to break the doctor; its docstring says how."""

    def declare(broken: Break) -> Break:
        QUACKS[broken.__name__.replace("_", "-")] = (broken, promise)
        return broken

    return declare


@fails(promises.others_may_write)
def tells_at_first_sight(patch: pytest.MonkeyPatch) -> None:
    """What two calls say differently is told, though somebody has written between them."""
    patch.setattr(asking.Patient, "agreed", lambda _self, _key, _mark, look: look())


@fails(promises.others_may_write)
def looks_twice_without_a_mark(patch: pytest.MonkeyPatch) -> None:
    """Two looks that find the same are believed, whatever happened meanwhile."""
    patch.setattr(examination, "mark_of", lambda _patient, _key: lambda: None)


@fails(promises.others_may_write)
def believes_the_first_list(patch: pytest.MonkeyPatch) -> None:
    """The lists are read once."""
    patch.setattr(lists, "_LOOKS", 1)


@fails(promises.others_may_write)
def compares_with_an_old_list(patch: pytest.MonkeyPatch) -> None:
    """A session that differs from what was listed some time ago is told."""
    patch.setattr(lists, "_difference", lambda _patient, _key: "the list tells something else of the session")


@fails(promises.what_cannot_be_read_is_told_under_writers)
def gives_up_on_the_busy(patch: pytest.MonkeyPatch) -> None:
    """Nothing at all is told of a session that never holds still."""
    real = asking.Patient.agreed

    def agreed(self: asking.Patient, key: str, *looks: Any) -> list[Finding]:
        found = real(self, key, *looks)
        return [] if key in self.busy else found

    patch.setattr(asking.Patient, "agreed", agreed)


@fails(promises.each_fault_is_found)
def is_deaf(patch: pytest.MonkeyPatch) -> None:
    """Warnings are swallowed, so that a message that was skipped was never there."""
    real = asking.ask

    def ask(*call: Any) -> asking.Answer[Any]:
        answer = real(*call)
        return asking.Answer(answer.value, [one for one in answer.findings if one.kind != "corrupt-message"])

    patch.setattr(asking, "ask", ask)


@fails(promises.each_fault_is_found)
def never_counts(patch: pytest.MonkeyPatch) -> None:
    """The counts are believed."""
    patch.setattr(sessions, "_counts", lambda *_: iter(()))


@fails(promises.each_fault_is_found)
def never_searches(patch: pytest.MonkeyPatch) -> None:
    """A search that answers is believed."""
    patch.setattr(examination, "look_at_search", lambda *_, **_options: [])


@fails(promises.each_fault_is_found)
def searches_for_what_is_there(patch: pytest.MonkeyPatch) -> None:
    """Only what is there is asked for: an index that finds too much is as good as one that does not."""
    for module in (examination, searches):
        patch.setattr(module, "look_everywhere", lambda *_: [])


@fails(promises.each_fault_is_found)
def repeats_what_it_read(patch: pytest.MonkeyPatch) -> None:
    """An error is told in its own words, which may be those of a message."""
    patch.setattr(asking, "type", lambda error: attrs.make_class(str(error), {}), raising=False)


@fails(promises.only_the_dead_are_ended)
def ends_whom_it_listed(patch: pytest.MonkeyPatch) -> None:
    """The turn of a session that was listed is ended, without another look."""

    def end(patient: asking.Patient, key: str, _after: float) -> str:
        patient.backend.set_session_state(key, "error")
        return "ended"

    patch.setattr(stuck, "_end", end)


@fails(promises.a_repair_is_looked_at)
def believes_in_its_cures(patch: pytest.MonkeyPatch) -> None:
    """What was repaired is repaired, without another look."""

    def compact(patient: asking.Patient, key: str, found: list[Finding]) -> Iterator[Finding]:
        patient.ask("compact", key)
        return (attrs.evolve(one, repaired="compacted") for one in found)

    patch.setattr(examination, "compact", compact)


@fails(promises.a_repair_is_looked_at)
def takes_the_repaired_for_healthy(patch: pytest.MonkeyPatch) -> None:
    """Whoever was repaired is sent home."""
    patch.setattr(
        diagnosis.Diagnosis, "problems", property(lambda self: [] if self.left is not None else self.findings)
    )


@fails(promises.a_repair_that_loses_is_told)
def never_compares_what_is_left(patch: pytest.MonkeyPatch) -> None:
    """What compacting has left is taken for what there was."""
    patch.setattr(sessions, "as_list", lambda _value: [])


@fails(promises.a_look_writes_nothing)
def mends_unasked(patch: pytest.MonkeyPatch) -> None:
    """A look repairs what it finds."""
    real = examination.Examination.__init__

    def begin(self: examination.Examination, backend: Any, **options: Any) -> None:
        options["repair"] = True
        real(self, backend, **options)

    patch.setattr(examination.Examination, "__init__", begin)


@fails(promises.a_look_writes_nothing)
def creates_what_is_not_there(patch: pytest.MonkeyPatch) -> None:
    """The store is opened as any other, which creates it."""
    patch.setattr(diagnosis, "open_to_look", open_backend)


@fails(promises.what_a_backend_finds_itself_is_told)
def knows_better(patch: pytest.MonkeyPatch) -> None:
    """The backend's own check is not asked."""
    patch.setattr(examination.Examination, "_deep", lambda _self: iter(()))


@fails(promises.four_methods_are_enough)
def needs_a_revision(patch: pytest.MonkeyPatch) -> None:
    """What a backend of somebody else's raises ends the examination."""

    def ask(call: Callable[[], Any], *_: Any) -> asking.Answer[Any]:
        return asking.Answer(call(), [])

    patch.setattr(asking, "ask", ask)
