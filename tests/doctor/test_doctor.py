"""The doctor finds what is wrong, and nothing else; and doctors that are broken on purpose are found out."""

from collections.abc import Callable

import pytest

from tests.doctor.broken import BROKEN, SECRET, fill
from tests.doctor.promises import PROMISES, problems
from tests.doctor.quacks import QUACKS


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_doctor_keeps_its_promises(promise: Callable[[], None]) -> None:
    """Each of them."""
    promise()


@pytest.mark.parametrize("name", QUACKS)
def test_a_broken_doctor_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the promise that it breaks."""
    breaking, promise = QUACKS[name]
    breaking(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ArithmeticError, KeyError)):
        promise()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_backend_is_found_out(name: str) -> None:
    """By the kind of its fault, and no finding repeats what a message says."""
    kind, expected = BROKEN[name]
    with kind() as backend:
        fill(backend)
        found = problems(backend)
        assert expected in {one.kind for one in found}
        assert SECRET not in str(found)
