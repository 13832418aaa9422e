"""Into a thread and back: what a call gives, that it never holds the event loop, and what cancellation does to it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio import CancelScope, create_task_group, to_thread, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from sessionkit.aio import thread_limiter
from sessionkit.aio.threads import THREADS, run, run_anyway
from tests.aio.gates import Gate

pytestmark = pytest.mark.anyio

only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

# -- what a call gives ---------------------------------------------------------------------------------------------


async def test_a_call_is_made_in_another_thread() -> None:
    """With its arguments; what it gives comes back, the very object."""
    thread, given = await run(lambda *args: (threading.get_ident(), args), 1, "two")
    assert thread != threading.get_ident()
    assert given == (1, "two")
    value = object()
    assert await run(lambda: value) is value


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, LookupError])
async def test_what_a_call_raises_comes_back(kind: type[BaseException]) -> None:
    """The very object, in no group, on no other's account."""
    error = kind("x")

    def fail() -> None:
        raise error

    for way in (run, run_anyway):
        with pytest.raises(kind) as caught:
            await way(fail)
        assert caught.value is error
        assert error.__cause__ is error.__context__ is None


async def test_a_blocked_call_holds_nobody(gate: Gate) -> None:
    """The event loop goes on for as long as it takes."""
    async with create_task_group() as group:
        group.start_soon(run, gate.pass_through)
        await gate.begun()
        for _ in range(1_000):
            await checkpoint()
        assert gate.log == ["begun"]
        gate.open()
    assert gate.log == ["begun", "ended"]


async def test_few_calls_are_made_at_a_time(gate: Gate) -> None:
    """Four, or as many as the application says; others wait in line, and everybody else's threads are left alone."""
    free = to_thread.current_default_thread_limiter().available_tokens
    async with create_task_group() as group:
        for _ in range(THREADS + 3):
            group.start_soon(run, gate.pass_through)
        await gate.begun(THREADS)
        await wait_all_tasks_blocked()
        assert to_thread.current_default_thread_limiter().available_tokens == free
        assert gate.log == ["begun"] * THREADS
        thread_limiter().total_tokens += 2
        await gate.begun(2)
        await wait_all_tasks_blocked()
        assert gate.log == ["begun"] * (THREADS + 2)
        gate.open()
    assert gate.log.count("ended") == THREADS + 3


def test_each_event_loop_has_its_own_limit(anyio_backend: str) -> None:
    """One after the other, or each in a thread of its own."""

    async def limited() -> Any:
        assert await run(lambda: 1) == 1
        assert thread_limiter() is thread_limiter()
        return thread_limiter()

    first, second = anyio.run(limited, backend=anyio_backend), anyio.run(limited, backend=anyio_backend)
    assert first is not second
    assert first.total_tokens == second.total_tokens == THREADS


# -- cancelled by a scope ------------------------------------------------------------------------------------------


async def test_a_scope_waits_for_a_call_that_has_begun(gate: Gate) -> None:
    """The cancellation goes on after it, and what it gave is not lost."""
    scope = CancelScope()

    async def caller() -> None:
        with scope:
            gate.log.append(await run(gate.pass_through, "given"))
            await checkpoint()
            gate.log.append("never")
        gate.log.append("cancelled")

    async with create_task_group() as group:
        group.start_soon(caller)
        await gate.begun()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert gate.log == ["begun"]
        gate.open()
    assert gate.log == ["begun", "ended", "given", "cancelled"]


async def test_a_call_that_has_not_begun_is_never_made(gate: Gate) -> None:
    """Neither of a task that is cancelled already, nor one that was still in line."""
    with CancelScope() as scope:
        scope.cancel()
        await run(gate.log.append, "made")
    assert scope.cancelled_caught
    in_line = CancelScope()

    async def wait_in_line() -> None:
        with in_line:
            await run(gate.log.append, "made")

    async with create_task_group() as group:
        for _ in range(THREADS):
            group.start_soon(run, gate.pass_through)
        await gate.begun(THREADS)
        group.start_soon(wait_in_line)
        await wait_all_tasks_blocked()
        in_line.cancel()
        await wait_all_tasks_blocked()
        gate.open()
    assert in_line.cancelled_caught
    assert "made" not in gate.log


async def test_what_must_be_made_is_made_though_cancelled() -> None:
    """As the closing of what a cancelled body has used."""
    made: list[int] = []
    with CancelScope() as scope:
        scope.cancel()
        await run_anyway(made.append, 1)
        assert made == [1]
        await checkpoint()
    assert scope.cancelled_caught


# -- cancelled by asyncio itself -----------------------------------------------------------------------------------


class Cancelled:
    """A call in a task that asyncio itself cancels, each way another."""

    raises: type[BaseException] = asyncio.CancelledError
    times = 3

    def __init__(self, waiting: Awaitable[Any]) -> None:
        self.task = asyncio.ensure_future(self.wait(waiting))

    async def wait(self, waiting: Awaitable[Any]) -> None:
        """Wait for it, in the task."""
        await waiting

    def cancel(self) -> None:
        """By hand."""
        self.task.cancel()


class InWaitFor(Cancelled):
    """In `asyncio.wait_for`, which in Python 3.11 waits in a task of its own, and passes on one cancellation only."""

    times = 1

    async def wait(self, waiting: Awaitable[Any]) -> None:  # noqa: D102 -- above
        await asyncio.wait_for(waiting, 60)


class ByTimeout(Cancelled):
    """By `asyncio.timeout`."""

    raises = TimeoutError
    times = 1

    async def wait(self, waiting: Awaitable[Any]) -> None:  # noqa: D102 -- above
        async with asyncio.timeout(None) as self.timeout:
            await waiting

    def cancel(self) -> None:  # noqa: D102 -- above
        self.timeout.reschedule(0)


class ByTwoTimeouts(ByTimeout):
    """One within the other: the inner one must not take the outer one's cancellation for its own."""

    async def wait(self, waiting: Awaitable[Any]) -> None:  # noqa: D102 -- above
        async with asyncio.timeout(None) as self.outer:
            with pytest.raises(asyncio.CancelledError):
                await super().wait(waiting)
            raise asyncio.CancelledError

    def cancel(self) -> None:  # noqa: D102 -- above
        super().cancel()
        self.outer.reschedule(0)


ways = pytest.mark.parametrize("way", [Cancelled, InWaitFor, ByTimeout, ByTwoTimeouts])


async def cancel_once_begun(gate: Gate, way: type[Cancelled], waiting: Awaitable[Any]) -> None:
    """Cancel it again and again while the call blocks, and let the call end only then."""
    cancelled = way(waiting)
    await gate.begun()
    for _ in range(way.times):
        cancelled.cancel()
        for _ in range(20):
            await checkpoint()
    assert cancelled.task.cancelling()
    assert not cancelled.task.done()
    assert gate.log == ["begun"]
    gate.open()
    with pytest.raises(way.raises):
        await cancelled.task


@only_asyncio
@ways
async def test_asyncio_waits_for_a_call_that_has_begun(gate: Gate, way: type[Cancelled]) -> None:
    """Whichever way the task is cancelled, and however often; then the cancellation goes on."""

    async def caller() -> None:
        try:
            await run(gate.pass_through)
        finally:
            gate.log.append("cancelled")

    await cancel_once_begun(gate, way, caller())
    assert gate.log == ["begun", "ended", "cancelled"]


@only_asyncio
async def test_a_call_on_its_way_to_a_thread_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cancellation comes before the thread has begun, the thread does nothing, however late it wakes up."""
    on_its_way: list[Callable[[], None]] = []

    async def slow(work: Callable[[], None], **_: object) -> None:
        on_its_way.append(work)
        await asyncio.sleep(60)

    monkeypatch.setattr(to_thread, "run_sync", slow)
    made: list[int] = []
    task = asyncio.ensure_future(run(made.append, 1))
    while not on_its_way:
        await checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [work] = on_its_way
    work()
    assert made == []


@only_asyncio
@ways
async def test_what_would_be_lost_is_undone(gate: Gate, way: type[Cancelled]) -> None:
    """What the call has given to nobody, such as an open file; in a thread, before the cancellation goes on."""
    threads_of: list[int] = []

    def undo(value: str) -> None:
        threads_of.append(threading.get_ident())
        gate.log.append(f"{value} undone")

    await cancel_once_begun(gate, way, run(gate.pass_through, "it", undo=undo))
    assert gate.log == ["begun", "ended", "it undone"]
    assert threading.get_ident() not in threads_of


@only_asyncio
async def test_it_is_undone_though_cancelled_again(gate: Gate) -> None:
    """While undoing it waits in line for a thread, which others hold."""
    others = Gate()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(gate.pass_through, "it", undo=lambda value: gate.log.append(f"{value} undone")))
        for _ in range(THREADS):
            group.create_task(run(others.pass_through))
        await gate.begun()
        await others.begun(THREADS - 1)
        task.cancel()
        await others.begun()
        gate.open()
        while "ended" not in gate.log:
            await checkpoint()
        for _ in range(3):
            await wait_all_tasks_blocked()
            task.cancel()
        assert gate.log == ["begun", "ended"]
        others.open()
    assert task.cancelled()
    assert gate.log == ["begun", "ended", "it undone"]


async def test_nothing_is_undone_where_nothing_is_lost(gate: Gate) -> None:
    """Neither of a call that comes to its end, nor of one that is never made, nor of one that fails."""

    def fail() -> str:
        raise LookupError

    assert await run(lambda: "it", undo=gate.log.append) == "it"
    with CancelScope() as scope:
        scope.cancel()
        await run(lambda: "it", undo=gate.log.append)
    with pytest.raises(LookupError):
        await run(fail, undo=gate.log.append)
    assert gate.log == []


@only_asyncio
async def test_what_must_be_made_is_made_once(gate: Gate) -> None:
    """Cancelled by asyncio itself while it waits in line, and again while it runs."""
    async with asyncio.TaskGroup() as group:
        for _ in range(THREADS):
            group.create_task(run(gate.pass_through))
        await gate.begun(THREADS)
        closing = group.create_task(run_anyway(gate.log.append, "closed"))
        for _ in range(3):
            await wait_all_tasks_blocked()
            closing.cancel()
        await wait_all_tasks_blocked()
        assert not closing.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert gate.log.count("closed") == 1


@only_asyncio
@ways
async def test_what_must_be_made_is_not_made_again(gate: Gate, way: type[Cancelled]) -> None:
    """Though it fails while it is cancelled; the cancellation goes on."""

    def fail() -> None:
        gate.pass_through()
        raise LookupError

    await cancel_once_begun(gate, way, run_anyway(fail))
    assert gate.log == ["begun", "ended"]
