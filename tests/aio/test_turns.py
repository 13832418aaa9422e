"""Turns and growing answers, awaited: one at a time, ended whatever happens, and no thread is held by waiting."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from anyio import CancelScope, create_task_group, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from sessionkit import ChatMessage, ConflictError, TurnTakenError, UnsupportedOperationError
from sessionkit.aio import AsyncBackend, run, thread_limiter, turn
from sessionkit.aio.threads import THREADS
from sessionkit.history import turns
from sessionkit_memory import MemoryBackend
from tests.aio.cancelling import Cancel, ways
from tests.aio.gates import Gate, watch
from tests.toys import DictBackend

pytestmark = pytest.mark.anyio

HI = ChatMessage("user", "hi")
YO = ChatMessage("assistant", "yo")


def state_of(backend: MemoryBackend) -> tuple[str, str | None] | None:
    """What the session is doing, and in which turn."""
    state = backend.get_session_state("s")
    return None if state is None else (state.state, state.turn_id)


# -- turns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [AsyncBackend, lambda backend: backend], ids=["awaited", "synchronous"])
async def test_a_turn_is_running_then_idle(backend: MemoryBackend, made: Callable[[MemoryBackend], Any]) -> None:
    """In a backend that is awaited or not; all that a turn does is awaited."""
    async with turn(made(backend), "s") as mine:
        assert mine.key == "s"
        assert state_of(backend) == ("running", mine.id)
        revision = await mine.append(HI, HI)
        assert await mine.update_last(YO) == revision + 1
        assert await mine.write(drop_last=1, append=[YO, HI], attributes={"a": 1}, if_revision=revision + 1)
        assert await mine.load() == backend.load("s") == [HI, YO, HI]
        assert await mine.load(last=1) == [HI]
        await mine.heartbeat()
        assert mine.started_at is not None
        assert mine.revision is None
        assert mine.id in repr(mine)
    assert state_of(backend) == ("idle", mine.id)
    metadata = backend.get_session_metadata("s")
    assert metadata is not None
    assert mine.revision == metadata.revision
    with pytest.raises(ConflictError):
        await mine.append(HI)


async def test_the_store_is_never_used_in_the_event_loop(backend: MemoryBackend) -> None:
    """By a turn that begins and ends, by what it writes, by an answer that grows, and by one that is cut off."""
    threads = watch(backend)

    async def body() -> None:
        async with turn(backend, "s") as mine:
            await mine.append(HI)
            await mine.update_last(YO)
            await mine.load()
            async with mine.stream(interval=0) as answer:
                await answer.write("a")
                await answer.tool_call("c1", "look")
            async with mine.stream(interval=3600) as answer:
                await answer.write("a")
                await answer.write("b")
                raise LookupError

    with pytest.raises(LookupError):
        await body()
    assert threads
    assert threading.get_ident() not in threads
    async with turn(backend, "s"):
        threads.clear()
    assert threads
    assert threading.get_ident() not in threads


async def test_a_body_that_raises_leaves_an_error(backend: MemoryBackend) -> None:
    """What it has written stays; the error goes on as it was."""
    error = RuntimeError("x")

    async def raise_in_the_body() -> None:
        async with turn(backend, "s") as mine:
            await mine.append(HI)
            raise error

    with pytest.raises(RuntimeError) as caught:
        await raise_in_the_body()
    assert caught.value is error
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "error"
    assert backend.load("s") == [HI]


async def test_one_turn_at_a_time(backend: MemoryBackend) -> None:
    """A second one is refused, and changes nothing; or it takes over, and the first one changes nothing any more."""
    first = turn(backend, "s")
    running = await first.__aenter__()
    with pytest.raises(TurnTakenError) as caught:
        await turn(backend, "s").__aenter__()
    assert caught.value.turn_id == running.id
    assert state_of(backend) == ("running", running.id)
    async with turn(backend, "s", stuck_after=0) as second:
        with pytest.raises(ConflictError):
            await running.append(HI)
        with pytest.raises(ConflictError):
            await first.__aexit__(None, None, None)
        await second.append(YO)
    assert state_of(backend) == ("idle", second.id)
    assert backend.load("s") == [YO]


async def test_waiting_for_turns_holds_no_thread(backend: MemoryBackend) -> None:
    """However many wait, and were there one thread only, whoever holds the turn can end it; each has its turn."""
    thread_limiter().total_tokens = 1
    ended: list[str] = []

    async def take_a_turn() -> None:
        async with turn(backend, "s", wait=60) as mine:
            await mine.append(HI)
            ended.append(mine.id)

    async with create_task_group() as group:
        for _ in range(3 * THREADS):
            group.start_soon(take_a_turn)
    assert len(set(ended)) == len(backend.load("s")) == 3 * THREADS
    assert state_of(backend) == ("idle", ended[-1])


async def test_between_two_attempts_no_thread_is_held(
    backend: MemoryBackend, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pause between them."""
    monkeypatch.setattr(turns, "_SHORTEST_PAUSE", 3600)
    monkeypatch.setattr(turns, "_LONGEST_PAUSE", 3600)
    backend.begin_turn("s", "theirs")
    monkeypatch.setattr(backend, "begin_turn", gate.after(backend.begin_turn))

    async def wait() -> None:
        async with turn(backend, "s", wait=7200):
            pytest.fail("it is theirs")

    async with create_task_group() as group:
        group.start_soon(wait)
        await gate.begun()
        assert thread_limiter().borrowed_tokens == 1
        gate.open()
        while thread_limiter().borrowed_tokens:
            await checkpoint()
        for _ in range(20):
            await checkpoint()
        assert not thread_limiter().borrowed_tokens
        group.cancel_scope.cancel()


async def test_what_a_turn_needs_is_named() -> None:
    """Where the backend does not offer it; and bad options are refused."""
    with pytest.raises(UnsupportedOperationError, match="SupportsWrite"):
        async with turn(DictBackend(), "s"):
            pass
    with pytest.raises(ValueError, match="wait"):
        async with turn(MemoryBackend(), "s", wait=-1):
            pass


# -- cancelled -----------------------------------------------------------------------------------------------------


@ways
async def test_cancelled_while_it_waits_it_leaves_the_other_turn_alone(backend: MemoryBackend, way: Cancel) -> None:
    """And begins none of its own, then or later."""
    backend.begin_turn("s", "theirs")

    async def body() -> None:
        async with turn(backend, "s", wait=60):
            pytest.fail("it is theirs")

    async with create_task_group() as group:
        cancel = way(group, body)
        await wait_all_tasks_blocked()
        cancel()
    assert state_of(backend) == ("running", "theirs")


@ways
async def test_cancelled_just_as_it_begins_it_leaves_no_turn(
    backend: MemoryBackend, gate: Gate, monkeypatch: pytest.MonkeyPatch, way: Cancel
) -> None:
    """The store has begun it, and whoever asked for it is not there any more."""
    monkeypatch.setattr(backend, "begin_turn", gate.after(backend.begin_turn))

    async def body() -> None:
        async with turn(backend, "s"):
            await checkpoint()
            pytest.fail("it is cancelled")

    async with create_task_group() as group:
        cancel = way(group, body)
        await gate.begun()
        assert backend.list_running_sessions()
        cancel()
        gate.open()
    assert backend.list_running_sessions() == []
    state = state_of(backend)
    assert state is not None
    assert state[0] == "error"


@ways
async def test_cancelled_in_its_body_it_ends_in_an_error(backend: MemoryBackend, gate: Gate, way: Cancel) -> None:
    """After the write that was under way; while it ends, all threads are in use, and it is cancelled again."""
    others = Gate()
    seen: list[Any] = []

    async def body() -> None:
        async with turn(backend, "s") as mine:
            await mine.append(HI)
            seen.append(mine.id)
            await run(gate.pass_through)
            await checkpoint()

    async with create_task_group() as group:
        cancel = way(group, body)
        await gate.begun()
        for _ in range(THREADS):
            group.start_soon(run, others.pass_through)
        await others.begun(THREADS - 1)
        cancel()
        gate.open()
        while "ended" not in gate.log:
            await checkpoint()
        await wait_all_tasks_blocked()
        cancel()
        await wait_all_tasks_blocked()
        others.open()
    assert state_of(backend) == ("error", seen[0])
    assert backend.load("s") == [HI]


async def test_a_body_that_has_ended_ends_the_turn_though_cancelled(backend: MemoryBackend) -> None:
    """It is idle then: nothing went wrong in it."""
    with CancelScope() as scope:
        async with turn(backend, "s"):
            scope.cancel()
        await checkpoint()
    assert scope.cancelled_caught
    state = state_of(backend)
    assert state is not None
    assert state[0] == "idle"


# -- growing answers -----------------------------------------------------------------------------------------------


async def test_an_answer_grows_in_the_store(backend: MemoryBackend) -> None:
    """It is there with its first piece, incomplete, and completed at the end, with all that was told of it."""
    async with turn(backend, "s") as mine:
        async with mine.stream(interval=0, model="m") as answer:
            await answer.write("It ")
            assert backend.load("s") == [answer.message]
            assert answer.message.status == "incomplete"
            await answer.write("comes.")
            await answer.tool_call("c1", "look", "{")
            await answer.tool_call("c1", arguments="}")
            assert backend.load("s") == [answer.message]
            answer.set(provider_response_id="r1")
        [stored] = backend.load("s")
        assert (stored.content, stored.status, stored.model) == ("It comes.", "completed", "m")
        assert [call.arguments for call in stored.tool_calls] == ["{}"]
        assert stored.provider_response_id == "r1"
        async with mine.stream() as answer:
            await answer.write("y")
            answer.finish(YO)
        assert backend.load("s") == [stored, YO]


async def test_a_piece_that_is_not_due_waits_for_nothing(backend: MemoryBackend, gate: Gate) -> None:
    """It takes no thread, which others may all be using; a piece that is no text is refused at once."""
    async with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
        await answer.write("a")
        async with create_task_group() as group:
            for _ in range(THREADS):
                group.start_soon(run, gate.pass_through)
            await gate.begun(THREADS)
            for _ in range(1_000):
                await answer.write("b")
            nothing: Any = None
            with pytest.raises(TypeError):
                await answer.write(nothing)
            assert gate.log == ["begun"] * THREADS
            gate.open()
        assert [message.content for message in backend.load("s")] == ["a"]
    assert [(message.content, message.status) for message in backend.load("s")] == [("a" + "b" * 1_000, "completed")]


@ways
async def test_a_cancelled_answer_stays(backend: MemoryBackend, way: Cancel) -> None:
    """As far as it has come, incomplete, however long the interval."""

    async def body() -> None:
        async with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            await answer.write("It ")
            await answer.write("co")
            reached.append(True)
            while True:
                await checkpoint()

    reached: list[bool] = []
    async with create_task_group() as group:
        cancel = way(group, body)
        while not reached:
            await checkpoint()
        cancel()
    assert [(message.content, message.status) for message in backend.load("s")] == [("It co", "incomplete")]
    assert backend.list_running_sessions() == []


async def test_an_answer_that_has_ended_is_stored_though_cancelled(backend: MemoryBackend) -> None:
    """Whole, and completed."""
    with CancelScope() as scope:
        async with turn(backend, "s") as mine, mine.stream(interval=3600) as answer:
            await answer.write("y")
            await answer.write("o")
            scope.cancel()
    assert [(message.content, message.status) for message in backend.load("s")] == [("yo", "completed")]


async def test_an_answer_of_a_lost_turn_is_refused(backend: MemoryBackend) -> None:
    """By whatever stores it."""

    async def lose_it() -> None:
        async with turn(backend, "s") as mine, mine.stream(interval=0) as answer:
            await answer.write("a")
            async with turn(backend, "s", stuck_after=0):
                pass
            with pytest.raises(ConflictError):
                await answer.write("b")

    with pytest.raises(ConflictError):
        await lose_it()
    assert [message.content for message in backend.load("s")] == ["a"]
