"""Waiting for a file's lock, but not for a call of this very thread, which can't go on before this one has returned.

A signal handler, or a finalizer, may call a store while its own thread is in the middle of a call on it.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol
from weakref import WeakSet

from sessionkit.errors import BackendUnavailableError
from sessionkit.locks import acquire, interrupts_itself


class Using(Protocol):
    """**Protocol:** who knows which calls of this process are in the middle of something."""

    @abstractmethod
    def used_here(self) -> Iterator[tuple[str, object]]:
        """The paths that calls of this thread are using, and the very log of each."""


_all: "WeakSet[Using]" = WeakSet()


def tell(using: Using) -> None:
    """Have it asked from now on, for as long as it lives."""
    _all.add(using)


def acquire_file(
    descriptor: int, path: str, *, timeout: float, since: float | None = None, shared: bool = False, log: object = None
) -> None:
    """`sessionkit.locks.acquire`, but for a file that an interrupted call of this thread, with another log, is using.

    Raises:
        BackendUnavailableError: retryable; that call, or somebody else all the while.
    """
    try:
        acquire(descriptor, shared=shared, timeout=0, path=path)
    except BackendUnavailableError:
        if any(used == path and own is not log for each in list(_all) for used, own in each.used_here()):
            raise interrupts_itself(path) from None
        acquire(descriptor, shared=shared, timeout=timeout, since=since, path=path)


def acquire_common(
    descriptor: int, path: str, *, timeout: float, since: float | None = None, shared: bool = False
) -> None:
    """The same for a file that all calls on a folder may be using, this one too."""
    try:
        acquire(descriptor, shared=shared, timeout=0, path=path)
    except BackendUnavailableError:
        folder = path.rpartition("/")[0]
        calls = [used for each in list(_all) for used, _ in each.used_here() if used.rpartition("/")[0] == folder]
        if len(calls) > 1:
            raise interrupts_itself(path) from None
        acquire(descriptor, shared=shared, timeout=timeout, since=since, path=path)
