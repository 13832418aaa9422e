"""Calls that a test can hold and let go, and where they are made."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED, REQUIRED

T = TypeVar("T")

_PATIENCE = 10


class Gate:
    """Its calls block until it is opened.

    Attributes:
        log: "begun" and "ended" of each call, and whatever a test adds, in order.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self._begun = threading.Semaphore(0)
        self._open = threading.Event()

    def pass_through(self, value: str = "") -> str:
        """Block, and give the value back."""
        self.log.append("begun")
        self._begun.release()
        assert self._open.wait(_PATIENCE)
        self.log.append("ended")
        return value

    def after(self, method: Callable[..., T]) -> Callable[..., T]:
        """The method, which once it is done blocks before it gives what it has."""

        def call(*args: Any, **options: Any) -> T:
            given = method(*args, **options)
            self.pass_through()
            return given

        return call

    def open(self) -> None:
        """Let every call through, now and later."""
        self._open.set()

    async def begun(self, calls: int = 1) -> None:
        """Wait until as many more calls block; in a thread that is no other's."""
        for _ in range(calls):
            assert await to_thread.run_sync(lambda: self._begun.acquire(timeout=_PATIENCE), limiter=CapacityLimiter(1))


def watch(backend: Any) -> set[int]:
    """The threads in which the backend's methods are called from now on."""
    threads = set[int]()

    def watched(method: Callable[..., T]) -> Callable[..., T]:
        def call(*args: Any, **options: Any) -> T:
            threads.add(threading.get_ident())
            return method(*args, **options)

        return call

    for name in (*REQUIRED, *PROVIDED, *OPTIONAL_PROTOCOLS.values(), "close"):
        if hasattr(backend, name):
            setattr(backend, name, watched(getattr(backend, name)))
    return threads
