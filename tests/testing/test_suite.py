"""The suite class: what its tests say of themselves, and what a subclass may do."""

import inspect

import pytest

from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED
from sessionkit.testing import SessionBackendSuite, promise, promise_of, promises_of
from sessionkit_memory import MemoryBackend

TESTS = [name for name in dir(SessionBackendSuite) if name.startswith("test_")]
KEPT = promises_of(SessionBackendSuite)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_keeps_a_promise(name: str) -> None:
    """Every test of the suite has an id of its own, a requirement, and says what to look at where it fails."""
    test = getattr(SessionBackendSuite, name)
    kept = promise_of(test)
    assert kept is not None
    assert KEPT[kept.id].test == name
    assert kept.requirement.endswith(".")
    assert "If this fails: " in (inspect.getdoc(test) or "")
    assert list(inspect.signature(test).parameters) == ["self", "backend"]


def test_no_part_hides_a_test_of_another() -> None:
    """The parts of the suite have no test of the same name."""
    parts = [vars(part) for part in SessionBackendSuite.__mro__]
    names = [name for part in parts for name in part if name.startswith("test_")]
    assert sorted(names) == sorted(TESTS)


def test_every_method_is_promised() -> None:
    """Every provided method and every optional protocol is what some promise is about."""
    needed = {need for kept in KEPT.values() for need in (*kept.needs, *kept.native)}
    assert needed >= {*PROVIDED, *OPTIONAL_PROTOCOLS}


def test_an_id_belongs_to_one_test() -> None:
    """A promise id that is taken is refused."""
    with pytest.raises(ValueError, match=r"append\.keeps-order.*belongs to"):

        @promise("append.keeps-order")
        def test_other() -> None:  # pyright: ignore[reportUnusedFunction] -- it is refused
            """Something else."""


def test_a_promise_needs_a_sentence() -> None:
    """A test without a docstring, or that needs what nothing is, is refused."""
    with pytest.raises(ValueError, match="needs a docstring"):
        promise("made-up.one")(_without_docstring)
    with pytest.raises(ValueError, match="serach"):
        promise("made-up.two", needs=("serach",))(test_a_promise_needs_a_sentence)


def test_replacing_a_test_is_refused() -> None:
    """A subclass can't replace a test of the suite, nor take it away, nor mark it without a reason."""
    for mark in (_with_docstring, None, pytest.mark.xfail(_without_docstring), pytest.mark.skip(_with_docstring)):
        with pytest.raises(TypeError, match=r"append\.keeps-order.*xfail\(reason"):
            type("Replacing", (SessionBackendSuite,), {"test_append_keeps_order": mark})


def test_replacing_with_a_reason() -> None:
    """A test marked xfail with a reason stands for the promise of the one that it replaces."""
    reason = pytest.mark.xfail(reason="issue 7")(_with_docstring)
    suite = type("Replacing", (SessionBackendSuite,), {"test_append_keeps_order": reason})
    assert promises_of(suite)["append.keeps-order"] == KEPT["append.keeps-order"]
    with pytest.raises(TypeError, match=r"append\.keeps-order"):
        type("Again", (suite,), {"test_append_keeps_order": _without_docstring})


def test_make_backend_is_asked_for() -> None:
    """A suite without `make_backend` says what to write."""
    with pytest.raises(NotImplementedError, match=r"Bare needs make_backend\(self\)"):
        type("Bare", (SessionBackendSuite,), {})().make_backend()


def test_dispose_closes() -> None:
    """What `make_backend` gave is closed after use, failed or not."""
    made: list[MemoryBackend] = []

    class Suite(SessionBackendSuite):
        def make_backend(self) -> MemoryBackend:
            made.append(MemoryBackend())
            return made[-1]

    with pytest.raises(ZeroDivisionError), Suite().fresh():
        raise ZeroDivisionError
    assert made[0]._closed


def _with_docstring() -> None:
    """Stand for another test."""


def _without_docstring() -> None:
    return
