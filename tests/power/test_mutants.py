"""Every mutant loses something to a power cut, and the proof says which promise that breaks."""

import pytest

from tests.power.jsonl import prove
from tests.power.mutants import MUTANTS, Mutant
from tests.power.truth import PROMISES, BrokenPromiseError

RUNS = 40
"""How many short runs are tried before a mutant counts as not caught; nearly all are in the first few."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    """By name: a proof that finds something else would find it in a store that is whole, too."""
    assert mutant.promises <= set(PROMISES)
    with mutant.patch():
        found = next(filter(None, (broken(mutant, seed) for seed in range(mutant.seed, mutant.seed + RUNS))), None)
    assert found is not None, "it was not caught"
    assert found.promise in mutant.promises, str(found)


def broken(mutant: Mutant, seed: int) -> BrokenPromiseError | None:
    """What one run finds."""
    try:
        prove(seed, 16, syncing=mutant.syncing, most=8)
    except BrokenPromiseError as error:
        return error
    return None
