"""The lock of a connection knows whether its holder is still there: Ctrl-C locks nobody out."""

import dis
import gc
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, exclusive
from sessionkit_sqlite import SQLiteBackend, backend, connected, log, place, rows, store

X = ChatMessage.user("x")
OURS = {
    module.__file__
    for module in (backend, connected, exclusive, log, place, rows, store, sys.modules["sessionkit.locks"])
}

USES: dict[str, Callable[[SQLiteBackend], object]] = {
    "append": lambda opened: opened.append("k", X),
    "write": lambda opened: opened.write("k", append=[X, X]),
    "remove_last": lambda opened: opened.remove_last("k"),
    "load": lambda opened: opened.load("k"),
}


# After these the interpreter looks for signals, and when a function is entered.
CHECKED = {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"}


class CtrlC:
    """Raises KeyboardInterrupt at the nth place in our code where the interpreter looks for signals."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.checks: set[FrameType] = set()

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        """For `sys.settrace`."""
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes = True
        if event == "call" or (event == "opcode" and frame in self.checks):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        if event == "opcode":
            checks = dis.opname[frame.f_code.co_code[frame.f_lasti]] in CHECKED
            (self.checks.add if checks else self.checks.discard)(frame)
        return self.trace


def interrupted(use: Callable[[], object], after: int) -> bool:
    """Whether the call was interrupted; it was over before, otherwise."""
    earlier = sys.gettrace()
    gc.disable()  # what is collected meanwhile is not what is interrupted
    sys.settrace(CtrlC(after).trace)
    try:
        use()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(earlier)
        gc.enable()
    return False


def in_another_thread(use: Callable[[], object]) -> None:
    """Raises what the call does."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            use()
        except BaseException as error:  # noqa: BLE001 -- raised again below
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for error in raised:
        raise error


@pytest.mark.parametrize("next_user", ["the same thread", "another thread"])
@pytest.mark.parametrize("use", sorted(USES))
def test_an_interrupt_at_any_step_locks_nobody_out(path: Path, use: str, next_user: str) -> None:
    """Wherever Ctrl-C strikes, the next call of any thread goes on at once, and afterwards other openings do."""
    with SQLiteBackend(path, busy_timeout=0) as opened, SQLiteBackend(path, busy_timeout=0) as other:
        opened.append("k", X)
        opened.load("k")
        after = 0
        for after in count():
            if not interrupted(lambda: USES[use](opened), after):
                break
            if next_user == "another thread":
                in_another_thread(lambda: opened.clear_messages("k"))
                assert opened.load("k") == []
                other.append("k", X)
        opened.append("k", X)
        other.append("k", X)
        assert len(other.load("k")) == len(opened.load("k"))
    assert after > 10


def test_closing_after_an_interrupt_at_any_step(path: Path) -> None:
    """It ends at once, and others can write."""
    with SQLiteBackend(path, busy_timeout=0) as other:
        started = time.monotonic()
        for after in count():
            opened = SQLiteBackend(path)
            opened.append("k", X)
            struck = interrupted(lambda: opened.append("k", X), after)  # noqa: B023 -- called at once
            opened.close()
            other.append("k", X)
            if not struck:
                break
        assert time.monotonic() - started < 60


def test_a_transaction_that_was_left_open_is_rolled_back(path: Path) -> None:
    """What an interrupted call had half done is not there, whoever comes next."""
    with SQLiteBackend(path) as opened:
        opened.append("k", X)

        def begin_and_vanish() -> None:
            opened._store.writing.__enter__().execute("BEGIN").execute("DELETE FROM messages")

        begin_and_vanish()
        in_another_thread(lambda: opened.append("k", X))
        assert len(opened.load("k")) == 2


def test_a_use_within_a_use_inherits_nothing(path: Path) -> None:
    """A call within the use of a call is refused, not let in: the outer one is not over."""
    with SQLiteBackend(path) as opened:
        with opened._store.writing as connection:
            connection.execute("BEGIN")
            with pytest.raises(BackendUnavailableError, match="signal handler"):
                opened.append("k", X)
            assert connection.in_transaction
            connection.execute("COMMIT")
        opened.append("k", X)


def test_waiting_threads_are_woken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By who lets go of the store: they need not look again by themselves."""
    monkeypatch.setattr(exclusive, "_LOOK", 60)
    with SQLiteBackend(path) as opened:
        writing = opened._store.writing
        for _ in range(20):
            writing.take(path)
            thread = threading.Thread(target=opened.append, args=("k", X))
            thread.start()
            while not writing.waiting:
                time.sleep(0.0001)
            writing.let_go(path)
            thread.join(30)
            assert not thread.is_alive()


def test_who_has_gone_is_given_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a thread takes to hand the store over, and whatever the one that waited has done meanwhile."""
    with SQLiteBackend(path) as opened:
        writing = opened._store.writing
        holder, other = object(), object()

        def use() -> None:
            writing.take(other)
            writing.let_go(other)

        class Slow:
            """A clock that takes its time where the store is handed over."""

            def monotonic(self) -> float:
                if sys._getframe(1).f_code.co_name == "pass_on" and sys._getframe(2).f_locals["user"] is holder:
                    time.sleep(exclusive._LOOK * 3)
                return time.monotonic()

        writing.take(holder)
        thread = threading.Thread(target=use)
        thread.start()
        while not writing.waiting:
            time.sleep(0.0001)
        monkeypatch.setattr(exclusive, "time", Slow())
        writing.let_go(holder)
        thread.join(30)
        assert writing.holder == {}


def test_threads_take_turns(path: Path) -> None:
    """No thread that writes without a pause keeps the others from it."""
    with SQLiteBackend(path) as opened:
        written = [0] * 4
        until = time.monotonic() + 1

        def write(number: int) -> None:
            while time.monotonic() < until:
                opened.append("k", X)
                written[number] += 1

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert min(written) >= 10, written


def test_close_gives_up_on_a_use_that_does_not_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing ends all the same."""
    monkeypatch.setattr(connected, "_PATIENCE", 1)
    opened = SQLiteBackend(path)
    opened._store.writing.take(path)
    opened.close()
    opened._store.writing.let_go(path)
    opened._store.writing.disconnect()
