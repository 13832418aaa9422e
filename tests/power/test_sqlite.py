"""The power is cut in the middle of short random runs: nothing acknowledged is lost, and every store opens."""

import pytest

from sessionkit import CorruptSessionError
from tests.power.sqlite import Synchronous, prove
from tests.power.sqlite_mutants import MUTANTS
from tests.power.sqlite_recorder import default_vfs
from tests.power.truth import BrokenPromiseError

pytestmark = pytest.mark.skipif(default_vfs() is None, reason="this Python does not let its SQLite be looked into")


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_what_a_power_cut_leaves_was_true_at_some_moment(synchronous: Synchronous) -> None:
    """In full mode with every acknowledged write, in normal mode with all up to the last sync; sound, and usable."""
    run = prove(1, 40, synchronous=synchronous, every=25, most=3)
    assert run.cuts > 30
    assert run.states["the newest"] > 0
    assert run.calls == 40


def test_a_normal_cut_does_lose_something() -> None:
    """Or the proof would not be about power cuts: what is not promised does happen on this disk."""
    run = prove(2, 40, synchronous="normal", every=25, most=3)
    assert run.states["an older one"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_backend_is_killed(mutant: str) -> None:
    """By the promise that it breaks."""
    synchronous, open_store, promises = MUTANTS[mutant]

    def look() -> None:
        for seed in (7, *range(20)):  # the first of them is what the rarest needs
            prove(seed, 40, synchronous=synchronous, every=8, most=4, open_store=open_store, longest=12)

    with pytest.raises((BrokenPromiseError, CorruptSessionError)) as caught:
        look()
    # An index that was told too late breaks at once, without a power cut.
    assert getattr(caught.value, "promise", "works") in promises
