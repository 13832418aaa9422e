"""Turns and growing answers, awaited: those of `sessionkit.history`, each call to the store made in a thread."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from anyio import sleep

from sessionkit.aio.backend import AsyncBackend, synchronous
from sessionkit.aio.threads import awaited, run, run_anyway
from sessionkit.history.streams import INTERVAL, AnswerStream
from sessionkit.history.turns import HEARTBEAT, Turn
from sessionkit.messages import ChatMessage
from sessionkit.models import IDLE
from sessionkit.protocol import CoreBackend


@asynccontextmanager
async def turn(
    backend: AsyncBackend | CoreBackend,
    session_key: str,
    /,
    *,
    wait: float = 0.0,
    stuck_after: float | None = None,
    heartbeat: float = HEARTBEAT,
) -> AsyncGenerator["AsyncTurn"]:
    """`sessionkit.history.turn`, for ``async with``.

    Cancelled, whether it waits, has just begun or the body runs, it leaves no turn running: the session's state is
    ``error`` then, or what it was. No thread is held but the turn's own, which gives the signs of life.

    Args:
        backend: any, awaited or not, that offers `SupportsWrite`, `SupportsTurns` and `SupportsTurnState`.
        session_key: the session.
        wait: how many seconds to wait while another turn runs.
        stuck_after: take over a turn that has given no sign of life for as many seconds; None: never.
        heartbeat: seconds between two signs of life.

    Raises:
        TurnTakenError: another turn runs, and neither has it ended in time nor was it stuck for long enough.
        ConflictError: at the end, where the turn was taken over while the body ran, and the body did not raise.
        UnsupportedOperationError: the backend can't; the message names what it lacks.
        ValueError: `wait` or `stuck_after` is negative, or `heartbeat` not above zero.
    """
    mine = Turn(synchronous(backend), session_key, heartbeat=heartbeat)
    try:
        attempts = mine.begin(wait, stuck_after)
        while (pause := await run(lambda: next(attempts, None))) is not None:  # noqa: ASYNC110 -- the store has no events
            await sleep(pause)
        yield AsyncTurn(mine)
        await run_anyway(mine.end, IDLE)
    except BaseException as error:
        await run_anyway(mine.give_up, error)
        raise


class AsyncTurn:
    """A turn that runs in a session, awaited; made by `turn`.

    Attributes:
        sync: the turn; see `sessionkit.history.Turn` for all of it.
    """

    def __init__(self, running: Turn) -> None:
        self.sync = running

    def __repr__(self) -> str:
        return repr(self.sync)

    @property
    def key(self) -> str:
        """The session key."""
        return self.sync.key

    @property
    def id(self) -> str:
        """The turn's id, fresh for each."""
        return self.sync.id

    @property
    def started_at(self) -> datetime | None:
        """When it began, by the store's clock."""
        return self.sync.started_at

    @property
    def revision(self) -> int | None:
        """The session's after the turn has ended; None before."""
        return self.sync.revision

    load = awaited(Turn.load)
    append = awaited(Turn.append)
    update_last = awaited(Turn.update_last)
    write = awaited(Turn.write)
    heartbeat = awaited(Turn.heartbeat)

    def stream(self, *, interval: float = INTERVAL, **fields: Any) -> "AsyncAnswerStream":
        """An answer that grows, to be used in ``async with``; see `sessionkit.history.AnswerStream`.

        Args:
            interval: seconds; it is stored no more often than that.
            fields: further attributes of the message, such as ``model``.
        """
        return AsyncAnswerStream(self.sync.stream(interval=interval, **fields))


class AsyncAnswerStream:
    """An assistant's message that grows, awaited; use it in ``async with``, from one task.

    It is stored as `sessionkit.history.AnswerStream` is. A piece goes to a thread only where something is due to be
    stored, and else costs no more than adding it. Cancelled, it is stored as far as it has come, ``incomplete``.

    Attributes:
        sync: the stream.
    """

    def __init__(self, stream: AnswerStream) -> None:
        self.sync = stream

    @property
    def message(self) -> ChatMessage:
        """The answer, as far as it has come."""
        return self.sync.message

    async def write(self, text: str) -> None:
        """Add a piece of text."""
        self.sync.add(text)
        await self._store_if_due()

    async def tool_call(self, call_id: str, name: str = "", arguments: str = "") -> None:
        """Add a call of a tool; for an id that is there already, a piece of its arguments."""
        self.sync.add_tool_call(call_id, name, arguments)
        await self._store_if_due()

    def set(self, **fields: Any) -> None:
        """Set other attributes of the message, such as ``usage``; they are stored with the next piece or at the end."""
        self.sync.set(**fields)

    def finish(self, message: ChatMessage) -> None:
        """Take this message for the whole answer, as it is; it is stored with the next piece or at the end."""
        self.sync.finish(message)

    async def _store_if_due(self) -> None:
        if self.sync.is_due:
            await run(self.sync.store)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_anyway(self.sync.__exit__, kind, error, traceback)
