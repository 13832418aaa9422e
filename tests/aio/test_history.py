"""A history that is awaited: its methods, and how it is opened and closed."""

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from anyio import CancelScope

from sessionkit import (
    BackendClosedError,
    BackendURL,
    ChatMessage,
    ConfigurationError,
    ConflictError,
    open_backend,
    register_backend,
)
from sessionkit.aio import AsyncBackend, AsyncSessionHistory, open_history
from sessionkit.history import HistoryConfig, Session, SessionHistory
from sessionkit_memory import MemoryBackend
from tests.aio.gates import Gate

pytestmark = pytest.mark.anyio

HI = ChatMessage("user", "hi")
YO = ChatMessage("assistant", "yo")


def methods_of(kind: type) -> dict[str, Any]:
    """Its public methods."""
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}


def test_it_has_every_method_of_a_history() -> None:
    """Each is awaited, and but for the agent's kind declared as the synchronous one."""
    synchronous, awaited = methods_of(SessionHistory), methods_of(AsyncSessionHistory)
    assert awaited.keys() == synchronous.keys()
    for name, method in awaited.items():
        assert inspect.iscoroutinefunction(method)
        ours, theirs = inspect.signature(method), inspect.signature(synchronous[name])
        assert ours.return_annotation == theirs.return_annotation
        assert list(ours.parameters) == list(theirs.parameters)
        for one, other in zip(ours.parameters.values(), theirs.parameters.values(), strict=True):
            assert (one.kind, one.default) == (other.kind, other.default)
            assert one.annotation == other.annotation or one.name == "respond"


async def test_sessions_are_kept(history: AsyncSessionHistory, backend: MemoryBackend) -> None:
    """As the synchronous one keeps them."""
    session = Session("s", agent_name="a", messages=[HI])
    await history.create_session(session)
    session.messages.append(YO)
    await history.save_session(session)
    await history.append_messages("s", [HI])
    assert (await history.load_session("s")) == SessionHistory(backend).load_session("s")
    assert [found.session_id for found in await history.list_sessions()] == ["s"]
    assert [found.session_id for found in await history.list_agent_sessions("a")] == ["s"]
    session.messages.append(YO)
    with pytest.raises(ConflictError):
        await history.save_session(session)
    assert await history.session_count() == 1
    assert await history.enforce_max_sessions(1) == 0
    assert await history.delete_session("s")
    assert await history.load_session("s") is None


async def test_a_history_stands_on_what_is_there() -> None:
    """A backend, awaited or not, or a history; none of which it closes, but for what the history has opened."""
    with open_backend("memory://") as inner:
        for given in (inner, AsyncBackend(inner), SessionHistory(inner)):
            async with AsyncSessionHistory(given) as history:
                assert history.is_enabled
                assert history.sync.backend is inner
        assert inner.list_sessions() == []
    config: Any = HistoryConfig()
    with pytest.raises(TypeError, match=r"open_history\(\)"):
        AsyncSessionHistory(config)
    assert repr(AsyncSessionHistory(SessionHistory())) == "AsyncSessionHistory(disabled)"


async def test_a_history_is_opened_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a configuration names, in a thread; disabled, it is harmless."""
    config = HistoryConfig(enabled=True, url=f"sqlite:///{tmp_path}/h.db")
    async with open_history(config) as history:
        await history.run("hi", respond=lambda _heard: "yo", session=Session("s"))
    with pytest.raises(BackendClosedError):
        await history.load_session("s")
    history = await open_history(config)
    assert await history.session_count() == 1
    await history.close()
    async with open_history() as disabled:
        assert not disabled.is_enabled
        assert await disabled.list_sessions() == []
        assert (await disabled.run("hi", respond=lambda _heard: "yo")).final_response == "yo"
    monkeypatch.setenv("SESSIONKIT_HISTORY_ENABLED", "perhaps")
    with pytest.raises(ConfigurationError, match="SESSIONKIT_HISTORY_ENABLED"):
        await open_history(config)


class Closing(MemoryBackend):
    """Says when it is closed."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def close(self) -> None:
        """Say so."""
        self._gate.log.append("closed")
        super().close()


async def test_what_was_opened_is_closed_though_cancelled(gate: Gate, anyio_backend: str) -> None:
    """Within the body, by its scope."""
    register_backend(f"closing-history-{anyio_backend}", lambda _: Closing(gate))
    with CancelScope() as scope:
        async with open_history(HistoryConfig(enabled=True, url=f"closing-history-{anyio_backend}://")):
            scope.cancel()
    assert gate.log == ["closed"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_opened_for_nobody_is_closed(gate: Gate) -> None:
    """Where asyncio itself cancels whoever awaits it."""

    def factory(_: BackendURL) -> Closing:
        gate.pass_through()
        return Closing(gate)

    register_backend("slow-history", factory)
    task = asyncio.ensure_future(open_history(HistoryConfig(enabled=True, url="slow-history://")))
    await gate.begun()
    task.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.log == ["begun", "ended", "closed"]
