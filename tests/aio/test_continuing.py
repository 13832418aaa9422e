"""What `SessionHistory.run` and `continue_session` promise, the asynchronous ones do: by the very same tests."""

from functools import partial
from inspect import iscoroutinefunction
from typing import Any

import anyio
import pytest

from sessionkit import OpenBackend
from sessionkit.aio import AsyncSessionHistory
from sessionkit.history import SessionHistory
from tests.history import conftest, test_continuing, test_refusing

for _module in (test_continuing, test_refusing):
    globals().update({name: value for name, value in vars(_module).items() if name.startswith("test_")})
globals()["backend"] = conftest.backend


class Blocking:
    """An asynchronous history, each of whose calls is waited for; its agents are synchronous."""

    def __init__(self, history: SessionHistory, anyio_backend: str) -> None:
        self._history = AsyncSessionHistory(history)
        self._anyio_backend = anyio_backend

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._history, name)
        assert iscoroutinefunction(method)
        return lambda *args, **options: anyio.run(partial(method, *args, **options), backend=self._anyio_backend)


@pytest.fixture
def history(backend: OpenBackend, anyio_backend: str) -> Blocking:
    """One that stores what it hears at once."""
    return Blocking(SessionHistory(backend), anyio_backend)


@pytest.fixture
def saving_once(backend: OpenBackend, anyio_backend: str) -> Blocking:
    """One that stores nothing before the exchange has ended."""
    return Blocking(SessionHistory(backend, auto_save=False), anyio_backend)


def test_there_are_tests() -> None:
    """The others were found, or nothing would be asked here."""
    assert len([name for name in globals() if name.startswith("test_")]) > 20
