"""LangChain: `SQLChatMessageHistory` and `FileChatMessageHistory`, and what turns messages into its own.

Both are objects of one session each, made before the clock starts, and read with once.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from benchmarks.peers.peer import EXTEND, LAST, LIST, PAGE, REMOVE, REPLACE, SEARCH, Peer, within
from sessionkit import ChatMessage

_NO_LIST = "a history object knows no other session"
_REWRITES = "clears the session and writes all of it again, not in one transaction"


def to_langchain(message: ChatMessage) -> Any:
    """A message of langchain-core."""
    messages = import_module("langchain_core.messages")
    content = message.content or ""
    if message.tool_call_id is not None:
        return messages.ToolMessage(content=content, tool_call_id=message.tool_call_id)
    if message.role == "assistant":
        calls = [
            {"id": call.id, "name": call.name, "args": json.loads(call.arguments), "type": "tool_call"}
            for call in message.tool_calls
        ]
        return messages.AIMessage(content=content, tool_calls=calls)
    return messages.HumanMessage(content=content)


def text_of(stored: Any) -> str:
    """The searchable text of such a message."""
    calls = getattr(stored, "tool_calls", [])
    return "\n".join([stored.content, *(f"{call['name']}\n{json.dumps(call['args'])}" for call in calls)])


def has_word(stored: Any, word: str) -> bool:
    """Whether such a message holds the word."""
    return word in stored.content or any(within(word, call) for call in getattr(stored, "tool_calls", ()))


class _Histories(Peer):
    """What both have: `BaseChatMessageHistory`."""

    loses = "timestamps; the arguments of a tool call as the model wrote them"
    cannot: ClassVar[Mapping[str, str]] = {LIST: _NO_LIST, PAGE: _NO_LIST, SEARCH: _NO_LIST}
    remarks: ClassVar[Mapping[str, str]] = {LAST: "reads all messages", REPLACE: _REWRITES, REMOVE: _REWRITES}

    def __init__(self) -> None:
        self._histories: dict[str, Any] = {}

    @abstractmethod
    def _made(self, key: str) -> Any:
        """A history object of that session."""

    def _history(self, key: str) -> Any:
        if key not in self._histories:
            self._histories[key] = self._made(key)
        return self._histories[key]

    def convert(self, message: ChatMessage) -> Any:
        """A message of langchain-core."""
        return to_langchain(message)

    def text(self, stored: Any) -> str:
        """Of a message of langchain-core."""
        return text_of(stored)

    async def attach(self, key: str) -> None:
        """Make the session's object, and read once with it."""
        if key not in self._histories:
            _ = self._history(key).messages

    async def append(self, key: str, message: Any) -> None:
        """`add_message`."""
        self._history(key).add_message(message)

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`add_messages`."""
        self._history(key).add_messages(messages)

    async def load(self, key: str) -> Sequence[Any]:
        """`messages`."""
        messages: Sequence[Any] = self._history(key).messages
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """The end of `messages`: no call reads less."""
        messages: Sequence[Any] = self._history(key).messages
        return messages[-count:]

    async def replace_last(self, key: str, message: Any) -> None:
        """`clear` and `add_messages`: no call replaces."""
        history = self._history(key)
        kept = history.messages[:-1]
        history.clear()
        history.add_messages([*kept, message])

    async def remove_last(self, key: str) -> None:
        """`clear` and `add_messages`: no call removes."""
        history = self._history(key)
        kept = history.messages[:-1]
        history.clear()
        history.add_messages(kept)


class SQLHistory(_Histories):
    """`SQLChatMessageHistory`: SQLAlchemy with a rollback journal, `synchronous` at FULL."""

    name = "langchain-sql"
    packages = ("langchain-community", "sqlalchemy")
    modules = ("langchain_community.chat_message_histories.sql",)
    syncs = True

    async def open(self, folder: Path) -> None:
        """All histories share an engine."""
        self._class = import_module("langchain_community.chat_message_histories").SQLChatMessageHistory
        self._engine = import_module("sqlalchemy").create_engine(f"sqlite:///{folder / 'histories.db'}")

    def _made(self, key: str) -> Any:
        return self._class(key, connection=self._engine)

    async def close(self) -> None:
        """Close the engine's connections."""
        self._engine.dispose()


class FileHistory(_Histories):
    """`FileChatMessageHistory`: a file a session, written anew at each append."""

    name = "langchain-file"
    packages = ("langchain-community",)
    modules = ("langchain_community.chat_message_histories.file",)
    syncs = False
    remarks: ClassVar[Mapping[str, str]] = {
        LAST: "reads all messages",
        EXTEND: "add_messages writes the session anew for each message",
        REPLACE: _REWRITES,
        REMOVE: _REWRITES,
    }

    async def open(self, folder: Path) -> None:
        """A file a session in that folder."""
        self._class = import_module("langchain_community.chat_message_histories").FileChatMessageHistory
        self._to_dicts = import_module("langchain_core.messages").messages_to_dict
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / f"{quote(key, safe='')}.json"

    def _made(self, key: str) -> Any:
        return self._class(str(self._path(key)))

    async def prepare(self, key: str, messages: Sequence[Any]) -> None:
        """Write the file itself, as `add_message` of each would leave it: that takes the square of their number.

        The one thing that goes past a peer's API: without it, no session of 10,000 would be there in time. A test
        holds that the file has the very bytes.
        """
        path = self._path(key)
        kept = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps(kept + self._to_dicts(messages)))

    async def close(self) -> None:
        """It keeps no file open."""


PEERS = (SQLHistory, FileHistory)
