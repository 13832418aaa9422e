"""What a test of the suite promises: a stable id, the sentence of the contract, and what a backend must offer."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED

Test = TypeVar("Test", bound=Callable[..., None])

NOT_COVERED: Mapping[str, str] = MappingProxyType(
    {
        "costs": "What a call costs, at any length of a session and any number of sessions. There is nothing to count "
        "that every store has, and a time proves nothing on a busy machine: measure it.",
        "power-cut": "What survives the death of the machine, not only that of the process. No test cuts the power.",
        "reading-touches-nothing": "That reading touches no file. The suite sees only that a store opened read-only is "
        "read in full, and that writing to it is refused.",
    },
)
"""What the contract says and no test of the suite asks, by a name that is no promise id, and why."""

_known: dict[str, str] = {}
_ATTRIBUTE = "sessionkit_promise"
_NEEDS = frozenset((*PROVIDED, *OPTIONAL_PROTOCOLS, "close", "times"))


@attrs.frozen
class Promise:
    """One sentence of the contract, as one test.

    Attributes:
        id: stable across versions; reports and issue trackers may refer to it.
        test: the name of the test that checks it.
        requirement: the sentence.
        needs: methods and optional protocols it is about; ``close`` for a backend that can be closed, ``times`` for
            one that keeps times. Where one is not offered, neither is the promise.
        native: methods that must be the backend's own, because their defaults do not promise this.
    """

    id: str
    test: str
    requirement: str
    needs: tuple[str, ...] = ()
    native: tuple[str, ...] = ()


def promise(promise_id: str, *, needs: tuple[str, ...] = (), native: tuple[str, ...] = ()) -> Callable[[Test], Test]:
    """Make a test of a suite class check one promise; its docstring begins with the sentence.

    Raises:
        ValueError: the id is taken by another test, the docstring is missing, or `needs` names nothing known.
    """

    def mark(test: Test) -> Test:
        place = f"{test.__module__}.{test.__qualname__}"
        if _known.setdefault(promise_id, place) != place:
            msg = f"the promise id {promise_id!r} belongs to {_known[promise_id]}"
            raise ValueError(msg)
        unknown = {*needs, *native} - _NEEDS
        requirement = (inspect.getdoc(test) or "").partition("\n\n")[0].replace("\n", " ")
        if unknown or not requirement:
            msg = (
                f"{place} needs a docstring"
                if not requirement
                else f"{place} needs {sorted(unknown)}, which nothing is"
            )
            raise ValueError(msg)
        setattr(test, _ATTRIBUTE, Promise(promise_id, test.__name__, requirement, needs, native))
        return test

    return mark


def promise_of(test: Any) -> Promise | None:
    """The promise that a test checks, or None."""
    return getattr(test, _ATTRIBUTE, None)


def keep_promise(test: Any, kept: Promise) -> None:
    """Let a test stand for a promise that another one checked before."""
    setattr(test, _ATTRIBUTE, kept)


def promises_of(suite: type) -> dict[str, Promise]:
    """Every promise that a suite class checks, by id, in the order of their ids."""
    found = [promise_of(getattr(suite, name)) for name in dir(suite) if name.startswith("test_")]
    return {kept.id: kept for kept in sorted(filter(None, found), key=lambda kept: kept.id)}
