"""Processes that begin their work in the same moment.

Each starts as a program of its own, as those that share a store usually do.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from ctypes import c_longlong
from functools import partial
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawValue
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from time import perf_counter_ns, sleep
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")

_PATIENCE = 300.0  # seconds after which somebody who has not come never will
_SOON = 0.005  # seconds after a meeting, when the last has heard of it
_processes = get_context("spawn")


@attrs.frozen
class Meeting:
    """Where threads of several processes wait for each other."""

    barrier: Barrier
    moment: c_longlong

    def meet(self) -> int:
        """Wait until as many have come as were announced, and then until a moment that they all agree on; which it was.

        A moment shortly after, because those who are woken first would else have done a good deal of work before the
        last. It is one of `time.perf_counter_ns`, which is the same clock in all processes.
        """
        self.barrier.wait(_PATIENCE)
        moment = self.moment.value
        sleep(max(0, moment - perf_counter_ns()) / 1e9)
        return moment


_meetings: list[Meeting] = []  # in a process of a team: where its threads meet


def meet() -> int:
    """In a process of a team: `Meeting.meet`."""
    return _meetings[0].meet()


@attrs.frozen
class Team(Generic[T]):
    """Processes at work."""

    meeting: Meeting
    futures: Sequence[Future[T]]

    def meet(self) -> int:
        """For the caller, where he was announced too: `Meeting.meet`."""
        try:
            return self.meeting.meet()
        except BrokenBarrierError:
            self.results()  # which says why
            raise

    def results(self) -> list[T]:
        """What each process gave back, in their order; what one of them raised, once all have ended."""
        return results_of(self.futures)


def results_of(futures: Sequence[Future[T]]) -> list[T]:
    """All results; or else, once all have ended, the error that kept somebody from meeting the others."""
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]


@contextmanager
def team(work: Callable[..., T], arguments: Sequence[tuple[Any, ...]], *, parties: int) -> Generator[Team[T]]:
    """A process for each tuple of arguments, which calls `work` with them; so many threads, in all, come to `meet`.

    As long as each comes to a meeting before it ends, no process gets the work of two.
    """
    moment = RawValue(c_longlong)
    meeting = Meeting(_processes.Barrier(parties, partial(_agree, moment)), moment)
    with ProcessPoolExecutor(len(arguments), _processes, _join, (meeting,)) as pool:
        try:
            futures = [pool.submit(attending, work, *these) for these in arguments]
            for future in futures:
                future.add_done_callback(partial(_give_up, meeting))
            yield Team(meeting, futures)
        except BaseException:
            meeting.barrier.abort()  # nobody waits for a caller who won't come
            raise


def _agree(moment: c_longlong) -> None:
    moment.value = perf_counter_ns() + int(_SOON * 1e9)


def _give_up(meeting: Meeting, future: Future[Any]) -> None:
    """Also for a process that was killed, or could not start: it can't say so itself."""
    if future.exception():
        meeting.barrier.abort()


def _join(meeting: Meeting) -> None:
    _meetings[:] = [meeting]


def attending(work: Callable[..., T], *arguments: Any) -> T:
    """In a process of a team: what a thread does that is awaited at meetings. Should it raise, nobody waits for it."""
    try:
        return work(*arguments)
    except BaseException:
        _meetings[0].barrier.abort()
        raise
