"""`sessionkit.aio` used as programs use it: mypy and pyright check it, nothing runs it; see `tests.typing.api`."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from anyio import CapacityLimiter

from sessionkit import (
    Capabilities,
    ChatMessage,
    CoreBackend,
    OpenBackend,
    SessionMetadata,
    SessionQuery,
    SessionState,
    TimestampedMessage,
    aio,
    tokenize,
)
from sessionkit.history import HistoryConfig, Session, SessionHistory, fork

HI = ChatMessage.user("hi")


async def opening(core: CoreBackend) -> None:
    """By URL, by what is open already; awaited, or in a block."""
    async with aio.open_backend("sqlite:///chats.db", synchronous="full") as backend:
        assert_type(backend, aio.AsyncBackend)
        assert_type(backend.sync, OpenBackend)
        assert_type(backend.capabilities, Capabilities)
    backend = await aio.open_backend()
    await backend.close()
    async with aio.AsyncBackend(core) as backend:
        assert_type(backend, aio.AsyncBackend)
    aio.AsyncBackend(backend)  # type: ignore[arg-type]
    async with aio.open_history(HistoryConfig(enabled=True)) as history:
        assert_type(history, aio.AsyncSessionHistory)
    assert_type(aio.thread_limiter(), CapacityLimiter)
    await aio.run(fork, core, "k", "l")
    assert_type(await aio.run(tokenize, "text"), frozenset[str])


async def using(backend: aio.AsyncBackend) -> None:
    """Parameters and types are those of the synchronous methods."""
    await backend.append("k", HI)
    assert_type(await backend.load("k"), list[ChatMessage])
    assert_type(await backend.load_with_timestamps("k", last=2), list[TimestampedMessage])
    assert_type(await backend.search(SessionQuery("hi")), list[SessionMetadata])
    assert_type(await backend.get_session_state("k"), SessionState | None)
    await backend.set_session_state("k", "running", turn_id="t")
    assert_type(await backend.load_first("k", 2), list[TimestampedMessage])
    assert_type(await backend.write("k", drop_last=1, append=[HI], attributes={"a": 1}, if_turn="t"), int)
    assert_type(await backend.begin_turn("k", "t", stuck_after=30), SessionState)
    assert_type(await backend.set_turn_state("k", "t", "idle"), int)
    await backend.restore("k", [TimestampedMessage(HI)], SessionMetadata("k"))
    await backend.append("k")  # type: ignore[call-arg]
    await backend.append(session_key="k", message=HI)  # type: ignore[call-arg]
    await backend.load_with_timestamps("k", 2)  # type: ignore[call-arg]
    await backend.load(5)  # type: ignore[arg-type]


async def turns(backend: aio.AsyncBackend, core: CoreBackend) -> None:
    """Turns and growing answers."""
    async with aio.turn(core, "k") as turn:
        assert_type(turn, aio.AsyncTurn)
    async with aio.turn(backend, "k", wait=1, stuck_after=60, heartbeat=5) as turn:
        assert_type(turn.id, str)
        assert_type(await turn.append(HI, HI), int)
        assert_type(await turn.load(last=2), list[ChatMessage])
        async with turn.stream(interval=1, model="m") as answer:
            await answer.write("text")
            await answer.tool_call("c1", "find", arguments="{}")
            answer.finish(answer.message)


def say(messages: list[ChatMessage]) -> str:
    """An agent of each kind."""
    return messages[-1].text


def say_in_pieces(messages: list[ChatMessage]) -> Iterator[str]:
    """An agent of each kind."""
    yield messages[-1].text


async def asay(messages: list[ChatMessage]) -> ChatMessage:
    """An agent of each kind."""
    return messages[-1]


async def asay_in_pieces(messages: list[ChatMessage]) -> AsyncIterator[str | ChatMessage]:
    """An agent of each kind."""
    yield messages[-1].text
    yield messages[-1]


async def asay_several(messages: list[ChatMessage]) -> list[ChatMessage]:
    """An agent of each kind."""
    return messages[-1:]


async def astream(messages: list[ChatMessage]) -> AsyncIterator[str]:
    """An agent of each kind."""

    async def pieces() -> AsyncIterator[str]:
        yield messages[-1].text

    return pieces()


async def asay_nothing_that_counts(messages: list[ChatMessage]) -> int:
    """No agent."""
    return len(messages)


async def show(text: str) -> None:
    """What shows the text."""
    print(text)  # noqa: T201 -- it shows it


async def histories(backend: aio.AsyncBackend, core: CoreBackend, synchronous: SessionHistory) -> None:
    """What is kept, and who may answer."""
    aio.AsyncSessionHistory(core)
    aio.AsyncSessionHistory(synchronous)
    history = aio.AsyncSessionHistory(backend)
    assert_type(await history.load_session("k"), Session | None)
    await history.append_messages("k", [HI])
    assert_type(await history.run("hi", respond=asay, on_text=print), Session)
    for respond in (say, asay, asay_several):
        await history.continue_session("k", "hi", respond=respond)
    await history.continue_session("k", "hi", respond=say_in_pieces)
    await history.continue_session("k", respond=asay_in_pieces, on_text=show, wait=1, max_messages=50, interval=1)
    await history.continue_session("k", HI, respond=astream)
    await history.continue_session("k", respond=asay_nothing_that_counts)  # type: ignore[arg-type]
    await history.continue_session("k", respond=asay, max_message=50)  # type: ignore[call-arg]
    unknown: Any = None
    await history.continue_session("k", unknown, respond=unknown)
