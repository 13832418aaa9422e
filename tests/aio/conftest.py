"""Every asynchronous test runs on asyncio and on Trio; what several of them need."""

from collections.abc import Iterator

import pytest

from sessionkit.aio import AsyncSessionHistory
from sessionkit_memory import MemoryBackend
from tests.aio.gates import Gate


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """For the plugin that anyio brings."""
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def _no_scheme_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is known to no other one."""
    monkeypatch.setattr("sessionkit.registry._registered", {})


@pytest.fixture
def backend() -> MemoryBackend:
    """An empty store; what it can do is asked of every store elsewhere."""
    return MemoryBackend()


@pytest.fixture
def history(backend: MemoryBackend) -> AsyncSessionHistory:
    """A history in it."""
    return AsyncSessionHistory(backend)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open when the test has ended, whatever has become of it."""
    gate = Gate()
    yield gate
    gate.open()
