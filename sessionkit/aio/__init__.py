"""The same for asynchronous callers, on asyncio and on Trio: any backend, in threads, so that no event loop ever waits.

Open a backend by URL, and await its methods::

    from sessionkit import ChatMessage, aio

    async with aio.open_backend("sqlite:///chats.db") as backend:
        await backend.append("user/1", ChatMessage.user("Hello"))
        print(await backend.load("user/1"))

        history = aio.AsyncSessionHistory(backend)
        session = await history.run("Where is my parcel?", respond=agent)  # a coroutine function, for one

Each call is made in a thread, whole. Cancelling whoever awaits it, by a cancel scope of anyio's or Trio's or by asyncio
itself, leaves nothing half done: a call that has begun is waited for before the cancellation goes on, and one that has
not begun is never made. Errors are those of the synchronous call. What each call promises stands in
`sessionkit.protocol`.

`turn`, `AsyncSessionHistory` and `AsyncConversationSession` are those of `sessionkit.history`, awaited; whatever else
blocks, such as `sessionkit.history.fork`, `run` makes in a thread: ``await aio.run(fork, backend.sync, "a", "b")``.
"""

try:
    import anyio  # noqa: F401  # pyright: ignore[reportUnusedImport] -- so that it is missed here
except ModuleNotFoundError as error:
    msg = f"the asynchronous layer needs {error.name}; install it with: pip install 'sessionkit[aio]'"
    raise ImportError(msg, name=__name__) from None

from sessionkit.aio.backend import AsyncBackend, Opening, open_backend
from sessionkit.aio.conversation import AsyncConversationSession
from sessionkit.aio.history import AsyncRespond, AsyncSessionHistory, open_history
from sessionkit.aio.threads import run, thread_limiter
from sessionkit.aio.turns import AsyncAnswerStream, AsyncTurn, turn

__all__ = [
    "AsyncAnswerStream",
    "AsyncBackend",
    "AsyncConversationSession",
    "AsyncRespond",
    "AsyncSessionHistory",
    "AsyncTurn",
    "Opening",
    "open_backend",
    "open_history",
    "run",
    "thread_limiter",
    "turn",
]
