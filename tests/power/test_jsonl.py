"""The power is cut at every moment of short random runs: nothing acknowledged is lost, and every session opens."""

import pytest

from tests.power.jsonl import Syncing, prove


@pytest.mark.parametrize("syncing", ["always", "mixed", "never"])
def test_what_a_power_cut_leaves_was_true_at_some_moment(syncing: Syncing) -> None:
    """Of each session: with every write that waited for the disk, and where others left a gap, it is told."""
    run = prove(1, 24, syncing=syncing, most=12)
    assert run.cuts > 200


@pytest.mark.parametrize("syncing", ["always", "never"])
def test_death_after_any_byte_leaves_what_was_true(syncing: Syncing) -> None:
    """Within each write, after each of its bytes: the call is done or not."""
    run = prove(2, 5, syncing=syncing, most=1, every_byte=True)
    assert run.bytes > 300
