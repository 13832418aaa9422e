"""Keeping a backend whole through a fork."""

import gc
import os
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable

import pytest

from sessionkit import ChatMessage
from sessionkit.forks import survive_forks
from sessionkit_memory import MemoryBackend

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(check: Callable[[], bool]) -> bool:
    """Whether the check holds in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of forking beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if check() else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


class Witness:
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _before_fork(self) -> None:
        self.calls.append("before")

    def _after_fork_in_parent(self) -> None:
        self.calls.append("parent")

    def _after_fork_in_child(self) -> None:
        self.calls.append("child")


def test_each_side_is_told() -> None:
    """Before the fork, and after it on the side where one is."""
    witness = Witness()
    survive_forks(witness)
    assert in_child(lambda: witness.calls == ["before", "child"])
    assert witness.calls == ["before", "parent"]


def test_a_backend_is_not_kept_alive() -> None:
    """Whoever drops a backend need not say so."""
    witness = Witness()
    survive_forks(witness)
    reference = weakref.ref(witness)
    del witness
    gc.collect()
    assert reference() is None


def test_a_lock_that_another_thread_holds_does_not_hang_the_child() -> None:
    """A fork in the middle of an append gives a child that can append."""
    backend = MemoryBackend()
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            backend.append("a", ChatMessage("user", "Hello"))

    def works() -> bool:
        backend.append("b", ChatMessage("user", "Hello"))
        return len(backend.load("b")) == 1

    thread = threading.Thread(target=append)
    thread.start()
    try:
        assert all(in_child(works) for _ in range(10))
    finally:
        stop.set()
        thread.join()
    assert backend.load("b") == []


INTERRUPTED = """
import os, signal, time
from sessionkit.forks import survive_forks

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have had us ignore

class Backend:
    calls = []
    def _before_fork(self):
        self.calls.append("before")
        if len(self.calls) == 1:
            raise KeyboardInterrupt  # as Ctrl-C would, in the middle of it
    def _after_fork_in_parent(self):
        self.calls.append("parent")
    def _after_fork_in_child(self):
        self.calls.append("child")

backend = Backend()
survive_forks(backend)
try:
    if os.fork() == 0:
        time.sleep(0.1)
        os._exit(0 if backend.calls == ["before", "before", "child"] else 3)
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted after", *backend.calls)
print(os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]))
time.sleep(0.5)
if os.fork() == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]))
"""


def test_an_interrupt_leaves_no_fork_half_prepared() -> None:
    """Ctrl-C in the preparations waits until the process has forked; the parent then has it, and may fork again."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", INTERRUPTED]  # of forking beside threads
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("interrupted after before before parent\n0\n0\n", "")


INTERRUPTED_ANYWHERE = """
import os, sys, threading, time
from sessionkit import forks

class Backend:
    calls = []
    def _before_fork(self):
        self.calls.append("before")
    def _after_fork_in_parent(self):
        self.calls.append("parent")
    def _after_fork_in_child(self):
        self.calls.append("child")

class CtrlC:
    def __init__(self, after):
        self.left = after
    def trace(self, frame, event, argument):
        if frame.f_code.co_filename != forks.__file__:
            return None
        if event in ("call", "line"):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return self.trace

sys.unraisablehook = lambda ignored: None
backend = Backend()
forks.survive_forks(backend)
for after in range(1000):
    backend.calls.clear()
    control = CtrlC(after)
    sys.settrace(control.trace)
    child = os.fork()
    sys.settrace(None)
    if child == 0:
        os._exit(0 if backend.calls[0] == "before" and backend.calls[-1] == "child" else 3)
    try:
        time.sleep(0.03)
    except KeyboardInterrupt:
        pass
    assert backend.calls[0] == "before" and backend.calls[-1] == "parent", (after, backend.calls)
    assert os.waitpid(child, 0)[1] == 0, after
    another = threading.Thread(target=forks.survive_forks, args=(Backend(),), daemon=True)
    another.start()
    another.join(10)
    assert not another.is_alive(), after
    if control.left >= 0:
        break
assert after > 20, after
"""


def test_an_interrupt_anywhere_in_a_fork_leaves_nothing_locked() -> None:
    """Ctrl-C on any line: both sides are told all the same, and other threads can open and fork."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", INTERRUPTED_ANYWHERE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


OPENED_MEANWHILE = """
import os
from sessionkit import forks

class Backend:
    def __init__(self):
        self.calls = []
    def _before_fork(self):
        self.calls.append("before")
    def _after_fork_in_parent(self):
        self.calls.append("parent")
    def _after_fork_in_child(self):
        self.calls.append("child")

class Opening(Backend):
    def _before_fork(self):
        super()._before_fork()
        if not opened:  # as a signal handler may, in this moment
            opened.append(Backend())
            forks.survive_forks(opened[0])

opened = []
opening = Opening()
forks.survive_forks(opening)
child = os.fork()
os.write(1, f"{' '.join(opening.calls + opened[0].calls)}\\n".encode())
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""


def test_what_is_opened_while_a_fork_is_prepared_is_told_too() -> None:
    """By a signal handler, say: it is prepared with the others, and none of them is let go of before the fork."""
    done = subprocess.run(
        [sys.executable, "-c", OPENED_MEANWHILE], capture_output=True, text=True, timeout=60, check=False
    )
    lines = sorted(done.stdout.splitlines())
    assert (lines, done.stderr) == (["before child before child", "before parent before parent"], "")
