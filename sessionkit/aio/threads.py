"""The one way from an event loop into a thread and back."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial, wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

from anyio import CancelScope, CapacityLimiter, get_cancelled_exc_class, sleep, to_thread
from anyio.lowlevel import RunVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""How many calls of one event loop are under way at a time, at first.

Few: Python runs one thread at a time, and the event loop must wait its turn among them. Four that decode long sessions
hold it for some 0.1 seconds, forty for one or two, and get no more done.
"""

_POLL = 0.001

_limiter: RunVar[CapacityLimiter] = RunVar("sessionkit.aio")


def thread_limiter() -> CapacityLimiter:
    """What limits how many calls of this event loop are under way at a time; the others wait in line.

    It starts at 4. Where the store is far away, so that calls wait for the network rather than for Python, raise its
    ``total_tokens``. It is not the one that ``anyio.to_thread`` has for everybody else, so that neither can starve the
    other.
    """
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(THREADS)
        _limiter.set(limiter)
        return limiter


async def run(
    call: Callable[..., T],
    /,
    *args: Any,
    undo: Callable[[T], object] | None = None,
    limiter: CapacityLimiter | None = None,
) -> T:
    """Make the call in a thread: it runs to its end, or it never begins.

    Cancellation waits for a call that has begun. Where a cancel scope did it, this returns what the call gave, and the
    cancellation goes on at the next checkpoint; where asyncio itself did, it goes on at once, and what the call gave or
    raised is lost.

    Args:
        call: blocking. It must end by itself, and not wait for others that are made by this.
        args: its arguments.
        undo: called, in a thread too, with what would be lost, such as a file that was opened.
        limiter: what the call waits in line for; `thread_limiter` where none is given.
    """
    running = Lock()
    given: list[T] = []

    def work() -> None:
        if running.acquire(blocking=False):  # else it was called off
            try:
                given.append(call(*args))
            finally:
                running.release()

    try:
        await to_thread.run_sync(work, limiter=limiter or thread_limiter())
    except get_cancelled_exc_class() as cancelled:
        # Either it has not begun and, with the lock taken, never will; or asyncio itself has cancelled this task, which
        # no scope of anyio's can shield, once or again.
        with CancelScope(shield=True):
            while not running.acquire(blocking=False):
                with suppress(type(cancelled)):
                    await sleep(_POLL)
        if undo is not None and given:
            await run_anyway(undo, given[0])
        raise
    return given[0]


async def run_anyway(call: Callable[..., object], /, *args: Any, limiter: CapacityLimiter | None = None) -> None:
    """Make the call in a thread; cancellation, whenever it comes and however often, goes on only after it."""
    begun: list[bool] = []
    cancellation: BaseException | None = None

    def work() -> None:
        begun.append(True)
        call(*args)

    with CancelScope(shield=True):
        while not begun:
            try:
                await run(work, limiter=limiter)
            except get_cancelled_exc_class() as cancelled:  # by asyncio itself
                cancellation = cancelled
    if cancellation is not None:
        raise cancellation


def awaited(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method of a class whose ``sync`` has it, made in a thread; parameters, types and docstring are its own."""
    name = method.__name__

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **options: P.kwargs) -> T:
        return await run(partial(getattr(self.sync, name), *args, **options))

    call.__qualname__ = f"Async{method.__qualname__}"
    return call
