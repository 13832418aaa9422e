"""Keeping a backend whole through ``os.fork``, for authors of backends that hold locks, descriptors or connections.

A fork copies the memory of the process but only the forking thread, so a lock that another thread holds stays
locked in the child for ever, and a connection is suddenly shared. So each backend is asked to hold still before,
and to let go on both sides after.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Protocol, cast
from weakref import WeakSet


class ForkAware(Protocol):
    """**Protocol:** what a backend does around a fork. Each may be called again where Ctrl-C struck in one."""

    def _before_fork(self) -> None:
        """Take every lock, so that no thread is in the middle of anything."""

    def _after_fork_in_parent(self) -> None:
        """Release the locks again."""

    def _after_fork_in_child(self) -> None:
        """Make new locks; forget descriptors and connections without using or closing them, and open anew on demand."""


_alive: "WeakSet[ForkAware]" = WeakSet()
_held: list[ForkAware] = []
# Two threads that fork at once would each wait for what the other holds. Who has it already may take it again.
_forking = threading.RLock()
_prepared: set[int] = set()  # threads
_unfinished: set[int] = set()  # likewise
_interrupted: list[KeyboardInterrupt] = []
_MOMENT = 0.01  # seconds


def survive_forks(backend: ForkAware) -> None:
    """Have the backend's three methods called around each fork, for as long as it lives.

    Call it before anything is opened, and open under a lock that `_before_fork` takes: another thread may be about to
    fork. Where one is in the middle of it, this waits until it is through.
    """
    if get_ident() in _unfinished & _prepared:  # and not in the middle of preparing, as a signal handler may be
        _after_in_parent()
    with _forking:
        _alive.add(backend)


def _before() -> None:
    _unfinished.add(get_ident())
    _surely(_forking.acquire)
    while new := _not_held():  # again, because a signal handler may open one
        for backend in new:
            _surely(backend._before_fork)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- ours to call
            _held.append(backend)  # afterwards, so that one whose turn Ctrl-C took away gets it again
    _prepared.add(get_ident())


def _not_held() -> list[ForkAware]:
    held = set(map(id, _held))
    return [backend for backend in list(_alive) if id(backend) not in held]


def _after_in_parent() -> None:
    if _forking.acquire(blocking=False):  # or it is another's fork already, and ours is through
        while _held:
            _surely(_held[-1]._after_fork_in_parent)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- likewise
            _held.pop()
        _let_go()
    if _interrupted:
        _interrupted.clear()
        # By another thread, a moment later: raised in here it would be ignored, too.
        threading.Timer(_MOMENT, _interrupt).start()


def _interrupt() -> None:
    signal.pthread_kill(cast("int", threading.main_thread().ident), signal.SIGINT)


def _after_in_child() -> None:
    while _held:
        _surely(_held[-1]._after_fork_in_child)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- likewise
        _held.pop()
    _let_go()
    for others in (_prepared, _unfinished, _interrupted):  # they were the parent's
        others.clear()


def _let_go() -> None:
    _prepared.discard(get_ident())
    with suppress(RuntimeError):  # once it is ours no more
        while True:
            _forking.release()
    _unfinished.discard(get_ident())


def _make_sure_before() -> None:
    if get_ident() not in _prepared:
        _before()


def _make_sure_in_parent() -> None:
    if get_ident() in _unfinished:
        _after_in_parent()


def _make_sure_in_child() -> None:
    if get_ident() in _unfinished:
        _after_in_child()


def _surely(action: Callable[[], object]) -> None:
    """Python ignores what is raised here and forks all the same, half prepared: so Ctrl-C is kept for afterwards."""
    while True:
        try:
            action()
        except KeyboardInterrupt as error:
            _interrupted.append(error)
        else:
            return


# Ctrl-C may also strike on the first line of any of them, and Python reports and ignores it then, as it does whatever a
# signal handler raises in there; so each is looked after by a second one.
# Those before the fork are called in the reverse order.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_make_sure_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    os.register_at_fork(before=_before, after_in_parent=_make_sure_in_parent, after_in_child=_make_sure_in_child)
