"""Locks between processes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError
from sessionkit.locks import acquire, release

_HOLD = """
import os, sys
from sessionkit.locks import acquire
acquire(os.open(sys.argv[1], os.O_RDWR), timeout=5)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="descriptors")
def _descriptors(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The same file opened twice, as two processes would."""
    path = tmp_path / "lock"
    opened = [os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2)]
    yield opened[0], opened[1]
    for descriptor in opened:
        os.close(descriptor)


def test_a_lock_is_exclusive_until_released(descriptors: tuple[int, int]) -> None:
    """The other can't have it before, and has it after."""
    one, other = descriptors
    acquire(one, timeout=0)
    with pytest.raises(BackendUnavailableError):
        acquire(other, timeout=0)
    release(one)
    acquire(other, timeout=0)


def test_shared_locks_exclude_only_exclusive_ones(descriptors: tuple[int, int]) -> None:
    """Readers don't wait for readers."""
    one, other = descriptors
    acquire(one, shared=True, timeout=0)
    acquire(other, shared=True, timeout=0)
    release(other)
    with pytest.raises(BackendUnavailableError):
        acquire(other, timeout=0)


def test_waiting_ends_in_an_error_that_says_to_try_again(descriptors: tuple[int, int]) -> None:
    """After the time that was given, neither at once nor never; nothing was written."""
    one, other = descriptors
    acquire(one, timeout=0)
    start = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"held the lock for 0\.05 seconds; try again") as caught:
        acquire(other, timeout=0.05)
    assert 0.05 <= time.monotonic() - start < 5
    assert caught.value.retryable
    assert caught.value.outcome == "not_applied"


def test_a_waiter_gets_the_lock_once_it_is_free(descriptors: tuple[int, int]) -> None:
    """While it waits, not only at its first try."""
    one, other = descriptors
    acquire(one, timeout=0)
    freeing = threading.Timer(0.02, release, [one])
    freeing.start()
    acquire(other, timeout=10)
    freeing.join()
    with pytest.raises(BackendUnavailableError):
        acquire(one, timeout=0)


def test_a_dead_process_holds_no_lock(descriptors: tuple[int, int], tmp_path: Path) -> None:
    """The operating system lets go of what a killed process held."""
    _, other = descriptors
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, tmp_path / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BackendUnavailableError):
            acquire(other, timeout=0)
        holder.kill()
    acquire(other, timeout=5)


def test_what_can_not_be_locked_is_an_os_error(tmp_path: Path) -> None:
    """A descriptor that is closed is the backend's mistake, and no reason to wait."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.close(descriptor)
    with pytest.raises(OSError, match="descriptor"):
        acquire(descriptor, timeout=10)
