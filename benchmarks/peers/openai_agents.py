"""openai-agents: `SQLiteSession` and `SQLAlchemySession`.

Both are objects of one session each. A program that goes on with a session keeps its object, so it is made before the
clock starts, and reads once: the first call of each object connects.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.peer import LIST, PAGE, REPLACE, SEARCH, Peer
from sessionkit import ChatMessage

_NO_LIST = "a session object knows no other session"


class _Sessions(Peer):
    """What both have: the `Session` protocol."""

    cannot: ClassVar[Mapping[str, str]] = {LIST: _NO_LIST, PAGE: _NO_LIST, SEARCH: _NO_LIST}
    remarks: ClassVar[Mapping[str, str]] = {REPLACE: "pop_item and add_items: two transactions"}
    loses = "timestamps"

    def __init__(self) -> None:
        self._sessions: dict[str, Any] = {}

    @abstractmethod
    def _made(self, key: str) -> Any:
        """A session object of that session."""

    def _session(self, key: str) -> Any:
        if key not in self._sessions:
            self._sessions[key] = self._made(key)
        return self._sessions[key]

    def convert(self, message: ChatMessage) -> dict[str, Any]:
        """The items of the Responses API that its runner stores."""
        if message.tool_calls:
            call = message.tool_calls[0]
            return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        if message.tool_call_id is not None:
            return {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content}
        return {"role": message.role, "content": message.content}

    def text(self, stored: dict[str, Any]) -> str:
        """Of an item of whatever kind."""
        names = ("content", "output", "name", "arguments")
        return "\n".join(stored[name] for name in names if isinstance(stored.get(name), str))

    async def attach(self, key: str) -> None:
        """Make the session's object, and read once with it: that connects."""
        if key not in self._sessions:
            await self._session(key).get_items(limit=1)

    async def append(self, key: str, message: Any) -> None:
        """`add_items` of one."""
        await self._session(key).add_items([message])

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`add_items`."""
        await self._session(key).add_items(list(messages))

    async def load(self, key: str) -> Sequence[Any]:
        """`get_items`."""
        items: Sequence[Any] = await self._session(key).get_items()
        return items

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """`get_items` with a limit."""
        items: Sequence[Any] = await self._session(key).get_items(limit=count)
        return items

    async def replace_last(self, key: str, message: Any) -> None:
        """`pop_item` and `add_items`: no call replaces."""
        await self._session(key).pop_item()
        await self._session(key).add_items([message])

    async def remove_last(self, key: str) -> None:
        """`pop_item`."""
        await self._session(key).pop_item()


class SQLiteSession(_Sessions):
    """`sqlite3` in threads, WAL; `synchronous` stays at FULL."""

    name = "openai-agents"
    packages = ("openai-agents",)
    modules = ("agents",)
    syncs = True

    async def open(self, folder: Path) -> None:
        """All sessions share a file."""
        self._class = import_module("agents").SQLiteSession
        self._path = folder / "sessions.db"

    def _made(self, key: str) -> Any:
        return self._class(key, self._path)

    async def close(self) -> None:
        """Close every session."""
        for session in self._sessions.values():
            session.close()


class SQLAlchemySession(_Sessions):
    """aiosqlite through SQLAlchemy, WAL; `synchronous` stays at FULL."""

    name = "openai-agents-sqlalchemy"
    packages = ("openai-agents", "sqlalchemy", "aiosqlite", "greenlet")
    modules = ("agents.extensions.memory.sqlalchemy_session",)
    syncs = True

    async def open(self, folder: Path) -> None:
        """All sessions share an engine."""
        self._class = import_module("agents.extensions.memory").SQLAlchemySession
        make = import_module("sqlalchemy.ext.asyncio").create_async_engine
        self._engine = make(f"sqlite+aiosqlite:///{folder / 'sessions.db'}")
        await self._class("", engine=self._engine, create_tables=True).get_items(limit=1)  # which creates them

    def _made(self, key: str) -> Any:
        return self._class(key, engine=self._engine)

    async def close(self) -> None:
        """Close the engine's connections."""
        await self._engine.dispose()


PEERS = (SQLiteSession, SQLAlchemySession)
