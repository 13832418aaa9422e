"""Ours and the floors hold the same sessions, and grow by the same messages."""

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.deep import BATCH, FileSessions, OurSessions, TableSessions, count_of, key_of, stored_lines
from benchmarks.floors import BareTable
from benchmarks.measure import SMOKE, Run
from benchmarks.rows import depth, sqlite
from benchmarks.stores import ON_DISK, SHALLOW, Store

_DEPTH = 100


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that shares nothing."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "shared").mkdir()
    return Run(tmp_path / "folder", SMOKE, tmp_path / "shared")


@pytest.mark.parametrize("store", ON_DISK, ids=lambda store: store.name)
def test_sessions_are_as_deep_as_named(store: Store, run: Run) -> None:
    """Every session has its depth, and grows by what is appended; another one stands behind them all."""
    count = count_of(run, _DEPTH)
    assert count == 2
    with closing(OurSessions(store, run.folder / "ours", run, _DEPTH)) as ours:
        ours.append(0, 7)
        ours.extend(1, 1)
        ours.touch(1)
    messages = run.corpus.messages
    with store.open(run.folder / "ours") as backend:
        assert backend.load(key_of(0)) == [*messages[:_DEPTH], messages[7]]
        assert backend.load(key_of(1)) == [*messages[_DEPTH:], *messages[BATCH:]]
        assert len(backend.load(key_of(count))) == SHALLOW


def test_floor_of_sqlite_has_the_same_rows(run: Run) -> None:
    """A bare table holds the sessions one behind the other, and grows in the middle."""
    with closing(TableSessions(run.folder / "floor", run, _DEPTH)) as floor:
        floor.append(0, 7)
        floor.extend(0, 1)
    dicts = run.corpus.dicts
    with closing(BareTable(run.folder / "floor" / "floor.db")) as table:
        assert table.load(0, (1 << 32) - 1) == [*dicts[:_DEPTH], dicts[7], *dicts[BATCH:]]
        assert len(table.load(1 << 32, (2 << 32) - 1)) == _DEPTH
        assert len(table.load(2 << 32, (3 << 32) - 1)) == SHALLOW


def test_floor_of_jsonl_has_the_same_lines(run: Run) -> None:
    """A bare file holds lines that ours wrote, and no other ones are added."""
    with closing(FileSessions(run.folder / "floor", run, _DEPTH)) as floor:
        floor.append(0, 7)
        floor.extend(0, 1)
    written = (run.folder / "floor" / "0.jsonl").read_bytes().splitlines(keepends=True)
    assert len(written) == _DEPTH + 1 + BATCH
    assert written[_DEPTH] == written[7]
    assert all(line.endswith(b"\n") for line in written)


def test_lines_are_those_of_a_store(run: Run) -> None:
    """There is a line for each message, with all that the message holds."""
    lines = stored_lines(run)
    assert len(lines) == len(run.corpus)
    for line, data in zip(lines, run.corpus.dicts, strict=True):
        assert len(line) > len(data["timestamp"])
        assert data["role"].encode() in line


def test_session_is_touched_before_its_turn() -> None:
    """Once a turn, not once an append."""
    touched: list[int] = []

    class Watched(OurSessions):
        """Only remembers what is touched."""

        def __init__(self) -> None:
            """Without a store."""

        def touch(self, session: int) -> None:
            touched.append(session)

    touch = depth.touch_before(Watched(), count=3, chunk=2)
    for number in range(6):
        touch(number)
    assert touched == [0, 1, 2]


def test_several_rows_share_one_measurement(run: Run) -> None:
    """The mean, the median and the longest append are those of the same appends, and nothing of them stays on disk."""
    rows = {row.name: row for row in sqlite.ROWS}
    together = ("sqlite.append", "sqlite.append.median", "sqlite.append.stall")
    measured = [rows[name].measure(run) for name in together]
    assert len({id(found.samples["ours"]) for found in measured}) == 1
    assert measured[2].value == measured[0].samples["ours"].worst / 1e6
    assert list(run.shared.iterdir()) == []
