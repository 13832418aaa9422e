"""What many writers did is counted right, and processes that should work together do, or say why they can't."""

import os
from collections.abc import Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

import attrs
import pytest

from benchmarks import writers as module
from benchmarks.contenders import POOL, Contender, FileWriters, OurWriters, TableWriters, Writer
from benchmarks.measure import FLOOR, OURS, QUICK, SMOKE, Operation, Run
from benchmarks.processes import meet, team
from benchmarks.rows import writers as rows
from benchmarks.stores import JSONL, SQLITE
from benchmarks.writers import Faults, Length, Round, Setting, faults_of, percentile, rate, write_together

_LENGTH = Length(rounds=2, nanoseconds=5_000_000)


def _ids(*numbers: int, writer: str = "a") -> list[str]:
    return [f"{writer} {number % POOL}" for number in numbers]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (_ids(*range(POOL + 3)), Faults()),
        (_ids(*range(POOL + 2)), Faults(lost=1)),
        (_ids(*range(3), *range(3 + POOL, POOL + 3)), Faults(lost=POOL)),
        (_ids(*range(POOL + 3), 7), Faults(doubled=1)),
        (_ids(*range(1, POOL + 3), 1), Faults(lost=1, doubled=1)),
        (_ids(0, 2, 1, *range(3, POOL + 3)), Faults(disordered=2)),
        ([], Faults(lost=POOL + 3)),
    ],
    ids=["all", "last-lost", "as-many-as-come-again", "doubled", "one-for-another", "swapped", "none"],
)
def test_faults_are_counted(stored: Sequence[str], expected: Faults) -> None:
    """What is lost, doubled or out of its writer's order is told apart, though a writer's messages come again."""
    assert faults_of(stored, {"a": POOL + 3}) == expected
    assert expected.total == sum(attrs.astuple(expected))


def test_order_is_that_of_each_writer() -> None:
    """Others' messages between a writer's are no fault; whose should not be there at all are one."""
    stored = [name for pair in zip(_ids(0, 1, 2), _ids(0, 1, 2, writer="b"), strict=True) for name in pair]
    assert faults_of(stored, {"a": 3, "b": 3}) == Faults()
    assert faults_of(stored, {"a": 4, "b": 5}) == Faults(lost=3)
    assert faults_of(stored, {"a": 3}) == Faults(doubled=3)


def test_rate_counts_what_was_done_in_time() -> None:
    """An append that ended after the round's end is not in its rate, and neither is the time it took."""
    on_time, late = Round(0, [10, 300, 600, 1_000]), Round(0, [20, 500, 5_000])
    assert rate([on_time, late], 1_000) == 4 / 1e-6


def test_rate_awaits_the_first_append() -> None:
    """A round in which nothing was done in time is as long as the first append took, so there always is a rate."""
    assert rate([Round(0, [10, 4_000]), Round(0, [10, 8_000])], 1_000) == 1 / 4e-6


def test_percentile_is_exceeded_by_the_rest() -> None:
    """One in a thousand exceeds the 99.9th percentile; of fewer, none does."""
    assert percentile(range(1, 1_001), 0.999) == 999
    assert percentile(range(1, 11), 0.999) == 10


@pytest.mark.parametrize("contender", [OurWriters(SQLITE), OurWriters(JSONL), TableWriters(), FileWriters()], ids=repr)
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_contenders_store_what_writers_append(contender: Contender, many: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a parameter
    """Each gives back every message's `id`, in order, and nothing of what stood there before."""
    these = [Writer("0.0", "0.0" if many else "s"), Writer("0.1", "0.1" if many else "s")]
    contender.prepare(tmp_path, ["before", *{writer.key for writer in these}, "behind"])
    with contender.connected(tmp_path, these) as operations:
        for number in range(POOL + 1):
            for append in operations:
                append(number)
    stored = [name for key in {writer.key: None for writer in these} for name in contender.stored(tmp_path, key)]
    assert len(stored) == 2 * (POOL + 1)
    assert faults_of(stored, {"0.0": POOL + 1, "0.1": POOL + 1}) == Faults()


@pytest.mark.parametrize("setting", [Setting(SQLITE, many=False, processes=2, threads=2), Setting(JSONL, many=True)])
def test_writers_take_turns_and_are_counted(setting: Setting, tmp_path: Path) -> None:
    """Every round has a rate of both contenders; what was acknowledged is there, and the folder is left empty."""
    outcome = write_together(setting, _LENGTH, tmp_path)
    for contender in (OURS, FLOOR):
        assert len(outcome.rates[contender]) == len(outcome.waits[contender].rounds) == _LENGTH.rounds
        assert outcome.per_second(contender) > 0
        assert 0 < outcome.waits[contender].median <= outcome.p999(contender) <= outcome.waits[contender].worst
    assert outcome.acknowledged >= len(outcome.waits[OURS].times)
    assert outcome.faults == Faults()
    assert list(tmp_path.iterdir()) == []


def test_floor_that_loses_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor is read back too: one that was fast because it lost something gives no figure."""
    monkeypatch.setattr(TableWriters, "stored", lambda *_: [])
    with pytest.raises(RuntimeError, match="is none: Faults\\(lost="):
        write_together(Setting(SQLITE, many=False), _LENGTH, tmp_path)


def test_what_ours_loses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store of ours gives back less than it acknowledged is a figure above 0, not an error."""
    monkeypatch.setattr(OurWriters, "stored", lambda *_: [])
    outcome = write_together(Setting(SQLITE, many=False), _LENGTH, tmp_path)
    assert outcome.faults == Faults(lost=outcome.acknowledged)


class _Failing(FileWriters):
    """A store that refuses one writer's second message, long after the others have begun."""

    @contextmanager
    def connected(self, folder: Path, writers: Sequence[Writer]) -> Generator[list[Operation]]:
        """As `Contender.connected`."""

        def refuse(number: int) -> None:
            if number:
                msg = "the disk is full"
                raise OSError(msg)

        with super().connected(folder, writers) as operations:
            yield [*operations[:-1], refuse]


class _FailingSetting(Setting):
    """Where ours is that store."""

    @property
    def contenders(self) -> dict[str, Contender]:
        """It, and a floor."""
        return {OURS: _Failing(), FLOOR: TableWriters()}


def test_failing_writer_ends_the_measurement(tmp_path: Path) -> None:
    """What one thread's append raises is raised, not that the others waited in vain; nobody waits for ever."""
    with pytest.raises(OSError, match="disk is full"):
        write_together(_FailingSetting(SQLITE, many=False, processes=2, threads=2), _LENGTH, tmp_path)


def test_one_measurement_serves_several_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one run tell of the same writers; a row that is measured again has them write again."""
    calls: list[Setting] = []

    def counted(setting: Setting, length: Length, folder: Path) -> module.Outcome:
        calls.append(setting)
        return write_together(setting, length, folder)

    monkeypatch.setattr(rows, "write_together", counted)
    named = {row.name: row for row in rows.ROWS}
    run = Run(tmp_path, SMOKE, tmp_path)
    for name in ("sqlite.writers.one.processes.1", "sqlite.writers.one.threads.1"):
        named[name].measure(run)
    assert len(calls) == 1
    named["sqlite.writers.one.processes.1"].measure(run)
    assert len(calls) == 2


def test_loss_is_counted_over_all_rows_of_the_scale() -> None:
    """A quick run has rows of each kind, and the lost ones are those of the rows that it measures."""
    quick = [row.name for row in rows.ROWS if row.size <= QUICK.most and row.name.startswith("sqlite")]
    assert quick == [
        "sqlite.writers.one.processes.4",
        "sqlite.writers.one.threads.4",
        "sqlite.writers.many.processes.4",
        "sqlite.writers.many.threads.4",
        "sqlite.writers.one.processes.4.p999",
        "sqlite.writers.lost",
    ]


def _arrive(_: int) -> tuple[int, int]:
    agreed = meet()
    return agreed, perf_counter_ns()


def _fail(number: int) -> None:
    if number:
        msg = "this one won't come"
        raise ValueError(msg)
    meet()


def _die(_: int) -> None:
    os._exit(1)


def test_team_does_not_wait_for_who_died() -> None:
    """A process that ends without a word, be it while it starts, is an error too, at once."""
    with team(_die, [(0,)], parties=2) as started, pytest.raises(BrokenProcessPool):
        started.meet()


def test_team_begins_together() -> None:
    """All processes, and the caller, agree on one moment, and none goes on before it; results are in order."""
    with team(_arrive, [(0,), (1,)], parties=3) as started:
        agreed = started.meet()
        results = started.results()
    assert [moment for moment, _ in results] == [agreed, agreed]
    assert all(now >= agreed for _, now in results)


@pytest.mark.parametrize("caller_comes", [False, True], ids=["results", "meet"])
def test_team_says_what_went_wrong(caller_comes: bool) -> None:  # noqa: FBT001 -- a parameter
    """Where one process fails nobody waits for it for ever, and its own error is the one that is raised."""
    arguments = [(0,), (1,)]
    with team(_fail, arguments, parties=len(arguments) + caller_comes) as started:
        ask = started.meet if caller_comes else started.results
        with pytest.raises(ValueError, match="won't come"):
            ask()


def test_team_does_not_wait_for_a_caller_who_gives_up() -> None:
    """Where the caller raises instead of coming to a meeting, the processes end, and his error is the one raised."""
    with pytest.raises(LookupError, match="gave up"), team(_arrive, [(0,)], parties=2):
        raise LookupError("gave up")
