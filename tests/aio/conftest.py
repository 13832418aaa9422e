"""Every asynchronous test runs on asyncio and on Trio."""

from collections.abc import Iterator

import pytest

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
def gate() -> Iterator[Gate]:
    """A gate that is open when the test has ended, whatever has become of it."""
    gate = Gate()
    yield gate
    gate.open()
