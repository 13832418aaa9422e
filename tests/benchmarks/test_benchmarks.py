"""The benchmarks run and report what they measured; how long anything took is never asserted."""

import gc
import math
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.corpus import ABSENT, RARE, common_word, generated
from benchmarks.measure import (
    FLOOR,
    FULL,
    OURS,
    QUICK,
    SMOKE,
    Bound,
    Operation,
    Row,
    Run,
    Samples,
    interleave,
    ratio,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What rows of one run share."""
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("row", command.ROWS, ids=lambda row: row.name)
def test_row_gives_a_figure(row: Row, tmp_path: Path, shared: Path) -> None:
    """Every row runs on a fresh folder and finds a number, or says what it cannot do without; nothing is lost."""
    measured = row.measure(Run(tmp_path, SMOKE, shared))
    assert math.isfinite(measured.value) or measured.note.startswith("cannot: ")
    assert row.unit != "lost" or measured.value == 0
    for samples in measured.samples.values():
        assert min(samples.times) > 0


def test_row_names_are_unique_and_explained() -> None:
    """Each row has a name of its own, under which the README says what it means."""
    names = [row.name for row in command.ROWS]
    assert len(set(names)) == len(names)
    text = command.README.read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_messages_are_of_the_kinds_that_were_promised() -> None:
    """60 % short texts, 25 % tool calls, 15 % tool results of 2 to 6 KB; a rare, a common and an absent word."""
    messages = generated(4_000).messages
    results = [message for message in messages if message.role == "tool"]
    calls = [message for message in messages if message.tool_calls]
    assert abs(len(results) / len(messages) - 0.15) < 0.02
    assert abs(len(calls) / len(messages) - 0.25) < 0.02
    assert all(1_900 <= len(message.text) <= 6_000 for message in results)
    assert all(len(message.text) < 400 for message in messages if message.role != "tool")
    assert sum(RARE in message.text for message in messages) == 2
    assert sum(common_word() in message.text.split() for message in messages) > len(messages) / 4
    assert not any(ABSENT in message.text for message in messages)


def test_messages_are_always_the_same() -> None:
    """Two runs measure the same messages, and a shorter run a part of them."""
    assert generated(50).lines == generated(100).lines[:50]


def test_contenders_take_turns() -> None:
    """Chunks alternate, and who goes first alternates too; the chunk that warms up is not counted."""
    calls: list[tuple[str, int]] = []
    samples = interleave(
        {
            "ours": lambda number: calls.append(("ours", number)),
            "floor": lambda number: calls.append(("floor", number)),
        },
        rounds=1,
        per_round=4,
        chunk=2,
    )
    names = [name for name, _ in calls]
    assert names == [name for name in ("ours", "floor", "floor", "ours", "ours", "floor") for _ in range(2)]
    assert [number for name, number in calls if name == "ours"] == list(range(6))
    assert [len(found.times) for found in samples.values()] == [4, 4]


def test_figure_is_the_median_of_the_rounds_ratios() -> None:
    """Each round gives a ratio of means; one disturbed round moves nothing."""
    ours = Samples([[2, 4], [4, 4], [1_000, 1_000]])
    floor = Samples([[1, 1], [1, 1], [1, 1]])
    assert ratio({"ours": ours, "floor": floor}) == 4
    assert (ours.median, ours.worst, ours.p99, ours.typical_mean) == (4, 1_000, 1_000, 4)


def test_bounds_hold_at_their_limit() -> None:
    """At most the limit, or at least; the limit itself will do."""
    assert [Bound(2).reached_by(value) for value in (1.9, 2, 2.1)] == [True, True, False]
    assert [Bound(2, at_least=True).reached_by(value) for value in (1.9, 2, 2.1)] == [False, True, True]


def test_what_comes_before_is_not_timed() -> None:
    """It is called with each operation's number, right before it; the collector works again even where it raises."""
    calls: list[tuple[str, int]] = []
    contenders: dict[str, Operation] = {
        OURS: lambda number: calls.append(("ours", number)),
        FLOOR: lambda number: calls.append(("floor", number)),
    }
    samples = interleave(contenders, rounds=1, chunk=1, before={OURS: lambda number: calls.append(("before", number))})
    turns = (("before", "ours", "floor"), ("floor", "before", "ours"))
    assert calls == [(name, number) for number, names in enumerate(turns) for name in names]
    assert [len(found.times) for found in samples.values()] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        interleave({OURS: lambda number: 1 // number}, rounds=1)
    assert gc.get_freeze_count() == 0


def test_round_holds_a_batch_of_the_index() -> None:
    """Also in a quick run: else the median round would hold none, and an append would seem cheaper than it is."""
    assert min(FULL.per_round, QUICK.per_round) >= 2_048
