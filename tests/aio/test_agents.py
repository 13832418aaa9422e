"""Agents that answer in a history that is awaited, and what becomes of them when cancelled."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from anyio import Event, create_task_group, from_thread, sleep_forever, to_thread, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from sessionkit import (
    ChatMessage,
    ConflictError,
)
from sessionkit.aio import AsyncSessionHistory, run, thread_limiter
from sessionkit.history import Session
from sessionkit_memory import MemoryBackend
from tests.aio.cancelling import Cancel, ways
from tests.aio.gates import Gate, watch

pytestmark = pytest.mark.anyio

HI = ChatMessage("user", "hi")
YO = ChatMessage("assistant", "yo")


def say(heard: list[ChatMessage]) -> str:
    """A function."""
    assert heard == [HI]
    return "yo"


def say_in_pieces(heard: list[ChatMessage]) -> Iterator[str]:
    """A generator."""
    assert heard == [HI]
    yield from "yo"


async def asay(heard: list[ChatMessage]) -> str:
    """A coroutine function."""
    await checkpoint()
    return say(heard)


async def asay_in_pieces(heard: list[ChatMessage]) -> AsyncIterator[str]:
    """An asynchronous generator."""
    for piece in say_in_pieces(heard):
        await checkpoint()
        yield piece


async def asay_a_generator(heard: list[ChatMessage]) -> Iterator[str]:
    """A coroutine function that gives a generator."""
    await checkpoint()
    return say_in_pieces(heard)


async def asay_an_asynchronous_generator(heard: list[ChatMessage]) -> AsyncIterator[str]:
    """A coroutine function that gives an asynchronous one, as clients of models do."""
    await checkpoint()
    return asay_in_pieces(heard)


class Pieces:
    """An asynchronous iterator that is no generator."""

    def __init__(self, heard: list[ChatMessage]) -> None:
        self._pieces = say_in_pieces(heard)

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> str:
        await checkpoint()
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None


class Agent:
    """An object that is called."""

    async def __call__(self, heard: list[ChatMessage]) -> ChatMessage:
        """A coroutine."""
        await checkpoint()
        return ChatMessage("assistant", say(heard))


AGENTS: list[Callable[..., Any]] = [
    say,
    say_in_pieces,
    asay,
    asay_in_pieces,
    asay_a_generator,
    asay_an_asynchronous_generator,
    Pieces,
    Agent(),
    partial(asay),
    lambda heard: asay(heard[:]),
    lambda heard: asay_in_pieces(heard[:]),
    lambda heard: [*say_in_pieces(heard)],
]


@pytest.mark.parametrize("agent", AGENTS, ids=range(len(AGENTS)))
async def test_any_kind_of_agent_answers(history: AsyncSessionHistory, agent: Callable[..., Any]) -> None:
    """Synchronous or not, at once or in pieces: what it gives is stored."""
    session = await history.run(HI, respond=agent)
    assert [message.content for message in session.messages] == ["hi", "yo"]
    assert await history.load_session(session.session_id) == session


NEED_NO_THREAD = [asay, asay_in_pieces, asay_an_asynchronous_generator, Agent(), partial(asay)]


@pytest.mark.parametrize("agent", NEED_NO_THREAD, ids=range(len(NEED_NO_THREAD)))
async def test_an_asynchronous_agent_needs_no_thread(
    history: AsyncSessionHistory, gate: Gate, agent: Callable[..., Any]
) -> None:
    """Neither where it is called nor for what it gives, while all threads but the stores' are in use."""
    everybodys = to_thread.current_default_thread_limiter()
    everybodys.total_tokens = 1
    async with create_task_group() as group:
        group.start_soon(partial(run, gate.pass_through, limiter=everybodys))
        await gate.begun()
        assert (await history.run(HI, respond=agent)).final_response == "yo"
        gate.open()


async def test_the_store_is_never_used_in_the_event_loop(history: AsyncSessionHistory, backend: MemoryBackend) -> None:
    """By agents that answer at once, in pieces, or not to the end."""
    threads = watch(backend)

    async def fail(_heard: list[ChatMessage]) -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise LookupError

    await history.run(HI, respond=asay_in_pieces, session=Session("s"), interval=0)
    await history.continue_session("s", HI, respond=lambda _heard: [YO, HI, YO])
    with pytest.raises(LookupError):
        await history.continue_session("s", HI, respond=fail)
    assert threads
    assert threading.get_ident() not in threads


async def test_a_function_is_called_in_a_thread(history: AsyncSessionHistory) -> None:
    """For it may take long, before it gives anything."""
    threads: list[int] = []

    def agent(_heard: list[ChatMessage]) -> str:
        threads.append(threading.get_ident())
        return "yo"

    await history.run(HI, respond=agent)
    assert threading.get_ident() not in threads


async def test_a_synchronous_agent_is_waited_for_in_threads(history: AsyncSessionHistory) -> None:
    """Each of its pieces, and its end; it may itself wait for the store, were there one thread for that only."""
    thread_limiter().total_tokens = 1
    threads: list[int] = []

    def agent(_heard: list[ChatMessage]) -> Iterator[str]:
        try:
            for piece in "abc":
                threads.append(threading.get_ident())
                from_thread.run(history.load_session, "s")
                yield piece
        finally:
            threads.append(threading.get_ident())

    def fail(_piece: str) -> None:
        raise BrokenPipeError

    session = await history.run(HI, respond=agent, session=Session("s"), interval=0)
    assert session.final_response == "abc"
    with pytest.raises(BrokenPipeError):
        await history.continue_session("s", HI, respond=agent, on_text=fail)
    assert len(threads) == 4 + 2
    assert threading.get_ident() not in threads


async def test_while_an_agent_is_awaited_no_thread_is(history: AsyncSessionHistory) -> None:
    """Many may answer at the same time, each in its session; threads are only for what each stores."""
    everybody: list[str] = []
    together = Event()

    async def agent(heard: list[ChatMessage]) -> AsyncIterator[str]:
        yield "yo "
        everybody.append(heard[-1].text)
        if len(everybody) == 50:
            assert thread_limiter().borrowed_tokens == 0
            assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
            together.set()
        await together.wait()
        yield heard[-1].text

    async def converse(number: int) -> None:
        session = await history.run(f"{number}", respond=agent)
        assert session.final_response == f"yo {number}"

    async with create_task_group() as group:
        for number in range(50):
            group.start_soon(converse, number)
    assert await history.session_count() == 50


async def test_pieces_are_given_on_as_they_come(history: AsyncSessionHistory, backend: MemoryBackend) -> None:
    """To a function or to a coroutine function, in the event loop; where it raises, the agent is stopped."""
    shown: list[str] = []
    closed: list[bool] = []

    async def agent(_heard: list[ChatMessage]) -> AsyncIterator[str | ChatMessage]:
        try:
            for piece in ("y", "o", YO):
                yield piece
        finally:
            closed.append(True)

    async def show(piece: str) -> None:
        await checkpoint()
        shown.append(f"{piece} {threading.get_ident()}")

    def show_at_once(piece: str) -> None:
        shown.append(f"{piece} {threading.get_ident()}")

    for on_text in (show, show_at_once):
        await history.run(HI, respond=agent, on_text=on_text)
    assert shown == [f"{piece} {threading.get_ident()}" for piece in "yoyo"]

    async def fail(_piece: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await history.run(HI, respond=agent, on_text=fail, session=Session("s"))
    assert len(closed) == 3
    assert [message.content for message in backend.load("s")] == ["hi", "y"]


async def test_an_agent_that_fails_loses_nothing(history: AsyncSessionHistory, backend: MemoryBackend) -> None:
    """What had come of its answer is stored, incomplete; its error comes through as it was."""
    error = RuntimeError("x")

    async def agent(_heard: list[ChatMessage]) -> AsyncIterator[str]:
        for piece in ("It ", "is ", "se"):
            await checkpoint()
            yield piece
        raise error

    with pytest.raises(RuntimeError) as caught:
        await history.run(HI, respond=agent, session=Session("s"), interval=3600)
    assert caught.value is error
    check_cut_off(backend, "It is se")


def check_cut_off(backend: MemoryBackend, answer: str) -> None:
    """The answer is there, as far as it came, and no turn runs."""
    partial_answer = backend.load("s")[-1]
    assert (partial_answer.content, partial_answer.status) == (answer, "incomplete")
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "error"


@ways
async def test_a_cancelled_agent_leaves_what_it_said(
    history: AsyncSessionHistory, backend: MemoryBackend, way: Cancel
) -> None:
    """However long the interval; the agent is stopped, too, and no turn is left running."""
    stopped: list[bool] = []
    waits = Event()

    async def agent(_heard: list[ChatMessage]) -> AsyncIterator[str]:
        try:
            yield "It "
            yield "co"
            waits.set()
            await sleep_forever()
        finally:
            stopped.append(True)

    async with create_task_group() as group:
        cancel = way(group, partial(history.run, HI, respond=agent, session=Session("s"), interval=3600))
        await waits.wait()
        assert backend.list_running_sessions()
        cancel()
    assert stopped
    check_cut_off(backend, "It co")
    assert (await history.continue_session("s", respond=lambda _heard: "It comes.")).final_response == "It comes."


@ways
async def test_a_cancelled_synchronous_agent_comes_to_its_next_piece(
    history: AsyncSessionHistory, backend: MemoryBackend, gate: Gate, way: Cancel
) -> None:
    """It can't be stopped before, so it is waited for; then it is closed, and its answer is as far as it had come."""

    def agent(_heard: list[ChatMessage]) -> Iterator[str]:
        try:
            yield "a"
            gate.pass_through()
            yield "b"
            gate.log.append("never")
        finally:
            gate.log.append("closed")

    async def converse() -> None:
        try:
            await history.run(HI, respond=agent, session=Session("s"))
        finally:
            gate.log.append("cancelled")

    async with create_task_group() as group:
        cancel = way(group, converse)
        await gate.begun()
        cancel()
        await wait_all_tasks_blocked()
        assert gate.log == ["begun"]
        gate.open()
    assert gate.log == ["begun", "ended", "closed", "cancelled"]
    check_cut_off(backend, backend.load("s")[-1].text)
    assert backend.load("s")[-1].text in {"a", "ab"}


async def test_whoever_is_taken_over_changes_nothing_more(history: AsyncSessionHistory, backend: MemoryBackend) -> None:
    """The agent is stopped at its next piece."""
    stopped: list[bool] = []

    async def agent(_heard: list[ChatMessage]) -> AsyncIterator[str]:
        try:
            yield "a"
            await history.continue_session("s", "quick", respond=lambda _heard: "b", stuck_after=0)
            yield "c"
        finally:
            stopped.append(True)

    with pytest.raises(ConflictError):
        await history.run(HI, respond=agent, session=Session("s"), interval=0)
    assert stopped
    assert [message.content for message in backend.load("s")] == ["hi", "a", "quick", "b"]
