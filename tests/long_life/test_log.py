"""SQLite's write-ahead log does not grow for ever, whoever reads: sessionkit's own readers, open or overlapping."""

import threading
from pathlib import Path

import pytest

from sessionkit import ChatMessage, open_backend
from sessionkit_sqlite import SQLiteBackend, log
from tests.long_life import work
from tests.long_life.running import Load, live

BOUND = 512 * 1024
MESSAGE = ChatMessage("user", "x" * 4_000)
WRITTEN = 8 * BOUND // 4_000


@pytest.fixture(autouse=True)
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much is written as past a real bound, but in less time."""
    monkeypatch.setattr(log, "BOUND", BOUND)


def highest_log(writer: SQLiteBackend, path: Path) -> int:
    """Write eight times the bound; the most that the log took."""
    file = Path(f"{path}-wal")
    highest = 0
    for number in range(WRITTEN):
        writer.append(f"s{number % 5}", MESSAGE)
        highest = max(highest, file.stat().st_size)
    return highest


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_reader_that_is_open_for_ever_holds_nothing_up(tmp_path: Path, mode: str) -> None:
    """Between its calls it holds no moment of the store, so the log begins anew as if nobody else were there."""
    path = tmp_path / "store.db"
    with SQLiteBackend(path) as writer:
        writer.append("s0", MESSAGE)
        with open_backend(f"sqlite:///{path}?mode={mode}") as reader:
            assert reader.list_sessions() == ["s0"]
            assert highest_log(writer, path) < 3 * BOUND + log.PAGES * 2048
            assert len(reader.list_sessions()) == 5


def test_readers_that_overlap_all_the_time_hold_nothing_up(tmp_path: Path) -> None:
    """Though at every moment one of them is in the middle of a read."""
    path = tmp_path / "store.db"
    stop = threading.Event()
    with SQLiteBackend(path) as writer:
        writer.write("s0", append=[ChatMessage("user", "parcel")] * 200)
        readers = [open_backend(f"sqlite:///{path}?mode=ro") for _ in range(3)]
        threads = [work.started(work.read_for_ever, reader, stop) for reader in readers]
        try:
            assert highest_log(writer, path) < 6 * BOUND + log.PAGES * 2048
        finally:
            stop.set()
            assert work.ended(threads, 30)
            for reader in readers:
                reader.close()


@pytest.mark.slow
def test_readers_of_other_processes_hold_nothing_up(tmp_path: Path) -> None:
    """In seconds of writing at full speed beside a process of readers, with the bound that everybody has."""
    path = tmp_path / "store.db"
    run = live(f"sqlite:///{path}", path, seconds=12, seed=3, load=Load(3, 3, 20), every=0.1)
    assert not run.errors, run.text()
    assert max(size for _, size in run.series["log"]) < 3 * 16
