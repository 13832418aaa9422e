"""What is found out about processes of their own: calls that wait for the disk, memory, and bytes on disk."""

import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import alone
from benchmarks.measure import SMOKE, Measured, Run
from benchmarks.rows import resources
from benchmarks.rows.resources import mixed
from sessionkit import ChatMessage

_TRACE = """\
10 fsync(3) = 0
10 rmdir("mark of ours") = -1 ENOENT (No such file or directory)
10 fdatasync(5) = 0
11 fsync(3 <unfinished ...>
10 fdatasync(5) = 0
11 <... fsync resumed>) = 0
10 rmdir("mark of floor") = -1 ENOENT (No such file or directory)
10 fdatasync(6) = -1 EIO (Input/output error)
10 rmdir("mark of end") = -1 ENOENT (No such file or directory)
10 fsync(3) = 0
10 fsync(3) = 0
"""


def test_calls_are_counted_between_marks() -> None:
    """What opening does is nobody's, and a call that another thread interrupts in the trace counts once."""
    assert alone.counted(_TRACE) == {"ours": 3, "floor": 1, "end": 2}


def _syncs(tmp_path: Path) -> Measured:
    row = next(row for row in resources.ROWS if row.name == "jsonl.sync.syncs")
    return row.measure(Run(tmp_path, SMOKE, tmp_path))


def test_row_says_that_it_cannot_count_without_strace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no strace, the row has no figure, and says why."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    measured = _syncs(tmp_path)
    assert math.isnan(measured.value)
    assert measured.note == "cannot: strace not found"


def test_row_says_that_strace_may_not_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise where the system refuses to trace."""

    def refused(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/strace")
    monkeypatch.setattr(subprocess, "run", refused)
    measured = _syncs(tmp_path)
    assert math.isnan(measured.value)
    assert measured.note == "cannot: strace ended with 1"


@pytest.mark.parametrize("task", alone.TASKS.values(), ids=alone.TASKS.keys())
def test_task_is_found_by_its_name(task: Callable[..., int]) -> None:
    """A process is given a task by name, and finds the same one."""
    assert alone.TASKS[task.__name__] is task


def test_memory_of_what_is_kept_is_seen(tmp_path: Path) -> None:
    """A load that keeps many megabytes raises the peak by as many."""
    lines = tmp_path / "lines"
    lines.write_bytes(b'"' + b"x" * 20_000_000 + b'"\n')
    assert 20_000_000 <= alone.run_alone(alone.memory_of_load, str(lines)) <= 100_000_000


def test_conversations_come_mixed() -> None:
    """Ten go on at a time, each in its own order, until none has a message left; then the next ten."""
    message = ChatMessage("user", "Hi!")
    spoken: list[list[tuple[str, ChatMessage, dict[str, Any]]]] = [
        [(str(number), message, {"turn": turn}) for turn in range(1 + number % 2)] for number in range(12)
    ]
    order = [(key, data["turn"]) for key, _, data in mixed(spoken)]
    first = [(str(number), 0) for number in range(10)] + [(str(number), 1) for number in (1, 3, 5, 7, 9)]
    assert order == [*first, ("10", 0), ("11", 0), ("11", 1)]
