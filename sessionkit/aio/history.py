"""The history of an agent that is awaited."""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from anyio import to_thread

from sessionkit.aio.backend import AsyncBackend, Opening, synchronous
from sessionkit.aio.threads import awaited, run, run_anyway
from sessionkit.aio.turns import turn
from sessionkit.history.answering import Exchange, OnText, Piece, Said, pieces_of
from sessionkit.history.config import HistoryConfig
from sessionkit.history.continuing import Continuation
from sessionkit.history.history import SessionHistory
from sessionkit.history.options import ExchangeOptions
from sessionkit.history.session import Session
from sessionkit.history.turns import Turn
from sessionkit.messages import ChatMessage
from sessionkit.protocol import CoreBackend

T = TypeVar("T")

Answer = Piece | Iterable[Piece] | AsyncIterable[Piece]
"""What an agent gives: a message or several, or text in pieces, or an iterator of these, asynchronous or not."""

AsyncRespond = Callable[[list[ChatMessage]], Answer | Awaitable[Answer]]
"""What answers a conversation: a coroutine function, an asynchronous generator, or a synchronous function.

A synchronous one, and each piece of its iterator, is waited for in a thread, one of everybody's and not one of those
that the stores are used by. What it gives is what `sessionkit.history.Respond` says.
"""

_END: Any = object()


class AsyncSessionHistory:
    """Keeps sessions: `sessionkit.history.SessionHistory`, awaited. Use it in ``async with``, or `close` it.

    Args:
        history: a history; or a backend, awaited or not, to keep one in, which is never closed here. What a
            `HistoryConfig` names is opened by `open_history`.

    Attributes:
        sync: the history.

    Raises:
        TypeError: it is none of these.
        UnsupportedOperationError: the backend can't write atomically or keep attributes; the message names it.
    """

    def __init__(self, history: SessionHistory | AsyncBackend | CoreBackend) -> None:
        if isinstance(history, HistoryConfig):
            raise TypeError("what a HistoryConfig names is opened by open_history()")
        self.sync = history if isinstance(history, SessionHistory) else SessionHistory(synchronous(history))

    def __repr__(self) -> str:
        return f"Async{self.sync!r}"

    @property
    def is_enabled(self) -> bool:
        """Whether sessions are kept."""
        return self.sync.is_enabled

    create_session = awaited(SessionHistory.create_session)
    load_session = awaited(SessionHistory.load_session)
    save_session = awaited(SessionHistory.save_session)
    append_messages = awaited(SessionHistory.append_messages)
    list_sessions = awaited(SessionHistory.list_sessions)
    list_agent_sessions = awaited(SessionHistory.list_agent_sessions)
    delete_session = awaited(SessionHistory.delete_session)
    session_count = awaited(SessionHistory.session_count)
    enforce_max_sessions = awaited(SessionHistory.enforce_max_sessions)

    async def run(
        self,
        said: Said,
        /,
        *,
        respond: AsyncRespond,
        session: Session | None = None,
        on_text: OnText | None = None,
        **options: Unpack[ExchangeOptions],
    ) -> Session:
        """`sessionkit.history.SessionHistory.run`, with an agent, and an `on_text`, that may be awaited."""
        session = Session() if session is None else session
        going_on = Continuation.of(self.sync, session, said, respond, options)
        going_on.begins = True
        await self.create_session(session)
        return await _answered(going_on, respond, on_text)

    async def continue_session(
        self,
        session_id: str,
        said: Said = None,
        /,
        *,
        respond: AsyncRespond,
        on_text: OnText | None = None,
        **options: Unpack[ExchangeOptions],
    ) -> Session:
        """`sessionkit.history.SessionHistory.continue_session`, with an agent, and an `on_text`, that may be awaited.

        While they are, no thread waits with them but the turn's own. Cancelled, the answer is stored as far as it has
        come, ``incomplete``, and the session's state is ``error``.
        """
        return await _answered(
            Continuation.of(self.sync, Session(session_id), said, respond, options), respond, on_text
        )

    async def close(self) -> None:
        """Close what was opened for the history, if anything, even where this task is being cancelled. Idempotent."""
        await run_anyway(self.sync.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def open_history(config: HistoryConfig | None = None) -> Opening[AsyncSessionHistory]:
    """Open what the configuration names, as `sessionkit.history.SessionHistory` does.

    Await it, or use it in ``async with``.
    """

    async def opened() -> AsyncSessionHistory:
        history = await run(SessionHistory, config, undo=SessionHistory.close)
        return AsyncSessionHistory(history)

    return Opening(opened())


async def _answered(going_on: Continuation, respond: AsyncRespond, on_text: OnText | None) -> Session:
    async with _turn(going_on) as running:
        exchange = await run(going_on.begin, running)
        await _answer(exchange, respond, on_text)
    return await run(going_on.end, running, exchange)


@asynccontextmanager
async def _turn(going_on: Continuation) -> AsyncGenerator[Turn | None]:
    """`Continuation.turn`."""
    if going_on.history.backend is None:
        yield None
        return
    await run(going_on.check)
    async with turn(going_on.history.backend, going_on.session.session_id, **going_on.options.turn) as running:
        yield running.sync


async def _answer(exchange: Exchange, respond: AsyncRespond, on_text: OnText | None) -> None:
    """Have the agent answer, and store its answer as it comes."""
    if exchange.is_answered:
        return
    try:
        async with aclosing(_pieces(respond, exchange.heard)) as pieces:
            async for piece in pieces:
                if exchange.add(piece):
                    await run(exchange.store)
                if on_text is not None and isinstance(piece, str):
                    given = on_text(piece)
                    if isawaitable(given):
                        await given
        await run(exchange.close)
    except BaseException as error:
        await run_anyway(exchange.fail, error)
        raise


async def _pieces(respond: AsyncRespond, heard: list[ChatMessage]) -> AsyncGenerator[Piece]:
    """The pieces of an agent's answer, whatever kind of agent it is."""
    given = respond(heard) if _is_asynchronous(respond) else await _blocking(respond, heard)
    answer = await given if isawaitable(given) else given
    if isinstance(answer, AsyncIterable):
        async with aclosing(answer) if isinstance(answer, AsyncGenerator) else nullcontext():
            async for piece in answer:
                yield piece
    elif isinstance(answer, str | ChatMessage | Sequence):
        for piece in pieces_of(answer):
            yield piece
    else:
        pieces = pieces_of(answer)
        try:
            while (piece := await _blocking(lambda: next(pieces, _END))) is not _END:
                yield piece
        finally:
            await run_anyway(pieces.close, limiter=to_thread.current_default_thread_limiter())


def _is_asynchronous(respond: AsyncRespond) -> bool:
    """Whether calling it surely does not block; others may give what is to be awaited, too."""
    calls = (respond, type(respond).__call__)
    return any(map(iscoroutinefunction, calls)) or any(map(isasyncgenfunction, calls))


async def _blocking(call: Callable[..., T], *args: Any) -> T:
    """Make a call of the agent's own, which may take long, and which may itself wait for calls to the store."""
    return await run(call, *args, limiter=to_thread.current_default_thread_limiter())
