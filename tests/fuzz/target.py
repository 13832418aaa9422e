"""What a fuzzing target is, and what it finds."""

from collections import Counter
from collections.abc import Callable, Sequence

import attrs

Outcomes = Counter[str]
"""How often each outcome came: one input has one, or one for each of the questions that it asks."""


class BrokenPromiseError(AssertionError):
    """A target's input for which a promise does not hold."""


@attrs.frozen
class Target:
    """A parser of bytes that somebody else wrote.

    Attributes:
        name: what the command calls it.
        about: what is asked of it, in a sentence.
        run: takes any bytes; raises for a finding.
        seeds: valid inputs to begin with.
        words: what the format is made of.
        short: how many inputs the run in every test run gives it.
        largest: how many bytes an input has at most.
    """

    name: str
    about: str
    run: Callable[[bytes], Outcomes]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = ()
    short: int = 1_000
    largest: int = 4_096


def outcome(name: str) -> Outcomes:
    """The outcome of an input that asks one question."""
    return Counter((name,))


def check(holds: object, promise: str) -> None:
    """Find that the promise is broken where it does not hold."""
    if not holds:
        raise BrokenPromiseError(promise)
