"""The two ways in which a task is cancelled: by a scope of anyio's or Trio's, and by asyncio itself."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from anyio import CancelScope
from anyio.abc import TaskGroup

Cancel = Callable[[TaskGroup, Callable[[], Awaitable[object]]], Callable[[], None]]


def by_scope(group: TaskGroup, body: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """Start the body in a scope of its own; what cancels it."""
    scope = CancelScope()

    async def within() -> None:
        with scope:
            await body()

    group.start_soon(within)
    return scope.cancel


def by_asyncio(group: TaskGroup, body: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """The same with a task of asyncio's own, which is cancelled twice."""
    task = asyncio.ensure_future(body())

    async def ended() -> None:
        with pytest.raises(asyncio.CancelledError):
            await task

    def cancel() -> None:
        task.cancel()
        task.cancel()

    group.start_soon(ended)
    return cancel


ways = pytest.mark.parametrize(
    ("anyio_backend", "way"), [("asyncio", by_scope), ("trio", by_scope), ("asyncio", by_asyncio)]
)
