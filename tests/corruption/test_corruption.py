"""Damaged stores: nothing hangs, dies, mixes sessions up or raises what is not ours; the doctor finds and mends it."""

from itertools import count
from pathlib import Path

import pytest

from tests.corruption import damages
from tests.corruption.damages import KINDS, Damage
from tests.corruption.mutants import MUTANTS
from tests.corruption.pool import outcomes
from tests.corruption.stores import KEYS, STORES, length, mark_of, said
from tests.corruption.trial import Outcome, run

_SOON = 40
"""A mutant is met within so many damaged stores."""

KILLING = [name for name, mutant in MUTANTS.items() if mutant.kills]
TOLD = [name for name in MUTANTS if name not in KILLING]


@pytest.mark.parametrize("store", STORES)
def test_damaged_stores(store: str) -> None:
    """Some of each kind, in processes of their own, keep every promise."""
    seen = dict(outcomes(store, range(8)))
    assert {seed: one["broken"] for seed, one in seen.items() if one["broken"]} == {}
    assert len(seen) == 8
    assert any(one["found"] for one in seen.values())


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_many_damaged_stores(store: str) -> None:
    """More of each kind."""
    seen = dict(outcomes(store, range(1000, 1150)))
    assert {seed: one["broken"] for seed, one in seen.items() if one["broken"]} == {}
    assert {one["damage"]["kind"] for one in seen.values()} == set(KINDS)


@pytest.mark.parametrize("seed", [20005, 20091, 20291, 20853])
def test_what_once_was_broken(seed: int, tmp_path: Path) -> None:
    """A key that was lost, a root that was, a last page that is cut, and a tree that gave rows without end."""
    assert run("sqlite", seed, tmp_path).broken == []


@pytest.mark.parametrize("seed", [20438, 20488, 20520, 20830, 20935])
def test_what_once_was_broken_in_files(seed: int, tmp_path: Path) -> None:
    """Damage in a message that was superseded, a tail that hid later lines, and a time that runs backwards."""
    assert run("jsonl", seed, tmp_path).broken == []


@pytest.mark.parametrize("name", TOLD)
def test_a_mutant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the promise that it breaks, and only where something is damaged."""
    mutant = MUTANTS[name]
    mutant.breaking(monkeypatch)
    broken = (what for seed in range(_SOON) for what in run("jsonl", seed, tmp_path).broken)
    assert any(mutant.said in what for what in broken)


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLING)
def test_a_mutant_that_ends_its_process_is_caught(name: str) -> None:
    """A hang and a crash of the interpreter are seen as that; and the next store is tried by another process."""
    patience = 4 if name == "never-comes-to-an-end" else 60
    seen = dict(outcomes("jsonl", range(4), workers=1, mutant=name, patience=patience))
    died = [one["broken"][0] for one in seen.values() if one.get("died")]
    assert died
    assert all(what.startswith(MUTANTS[name].said) for what in died)
    assert len(seen) == 4


def test_an_outcome_is_repeated_by_its_seed(tmp_path: Path) -> None:
    """The same store, damage and outcome."""
    for seed in range(2):
        assert run("jsonl", seed, tmp_path).damage == run("jsonl", seed, tmp_path).damage


def test_a_store_that_is_not_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is there, nothing is said, and the doctor finds nothing."""
    untouched = Damage("none", "none", 0, 0)
    monkeypatch.setattr(damages, "damage", lambda *_: untouched)
    for store in STORES:
        saved = sum(map(length, KEYS))
        assert run(store, 0, tmp_path) == Outcome(untouched, saved=saved, readable=saved)


def test_messages_say_whose_they_are() -> None:
    """And which; a bit that is flipped makes none of them another's."""
    marks = {mark_of(said(key, number)) for key in KEYS for number in range(length(key))}
    assert marks == {(key, number) for key in KEYS for number in range(length(key))}
    text = str(said(KEYS[0], 0).content)
    for at, bit in zip(range(len(text)), count(), strict=False):
        flipped = text[:at] + chr(ord(text[at]) ^ 1 << bit % 7) + text[at + 1 :]
        found = mark_of(said(KEYS[0], 0).user(flipped))
        assert found is None or found[0] == KEYS[0]
