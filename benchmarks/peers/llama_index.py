"""LlamaIndex: `SQLiteChatStore`, through its synchronous calls."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.peer import LAST, PAGE, REPLACE, SEARCH, Peer, within
from sessionkit import ChatMessage


class ChatStore(Peer):
    """SQLAlchemy with a rollback journal, `synchronous` at FULL."""

    name = "llama-index"
    packages = ("llama-index-core", "llama-index-storage-chat-store-sqlite")
    modules = ("llama_index.storage.chat_store.sqlite",)
    syncs = True
    cannot: ClassVar[Mapping[str, str]] = {PAGE: "the store keeps no times"}
    remarks: ClassVar[Mapping[str, str]] = {
        LAST: "reads all messages",
        REPLACE: "delete_last_message and add_message: two transactions",
        SEARCH: "reads all messages of all sessions",
    }
    loses = "timestamps"

    def convert(self, message: ChatMessage) -> Any:
        """A message of llama-index-core, with tool calls where its OpenAI classes put them."""
        llms = import_module("llama_index.core.llms")
        extra: dict[str, Any] = {}
        if message.tool_calls:
            extra["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.tool_calls
            ]
        if message.tool_call_id is not None:
            extra["tool_call_id"] = message.tool_call_id
        return llms.ChatMessage(role=message.role, content=message.content, additional_kwargs=extra)

    def text(self, stored: Any) -> str:
        """Its content, and its tool calls."""
        calls = [call["function"] for call in stored.additional_kwargs.get("tool_calls", [])]
        return "\n".join([stored.content or "", *(f"{call['name']}\n{call['arguments']}" for call in calls)])

    def holds(self, stored: Any, word: str) -> bool:
        """Look into its content and its tool calls."""
        return word in (stored.content or "") or within(word, stored.additional_kwargs)

    async def open(self, folder: Path) -> None:
        """`from_params`."""
        store = import_module("llama_index.storage.chat_store.sqlite").SQLiteChatStore
        self._store = store.from_params(database=str(folder / "chats.db"))

    async def append(self, key: str, message: Any) -> None:
        """`add_message`."""
        self._store.add_message(key, message)

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`set_messages`, which adds to those that are there."""
        self._store.set_messages(key, list(messages))

    async def load(self, key: str) -> Sequence[Any]:
        """`get_messages`."""
        messages: Sequence[Any] = self._store.get_messages(key)
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """The end of `get_messages`: no call reads less."""
        return (await self.load(key))[-count:]

    async def replace_last(self, key: str, message: Any) -> None:
        """`delete_last_message` and `add_message`: no call replaces."""
        self._store.delete_last_message(key)
        self._store.add_message(key, message)

    async def remove_last(self, key: str) -> None:
        """`delete_last_message`."""
        self._store.delete_last_message(key)

    async def list_sessions(self) -> Sequence[str]:
        """`get_keys`."""
        keys: Sequence[str] = self._store.get_keys()
        return keys

    async def search(self, word: str) -> Sequence[str]:
        """Look into every session."""
        return await self.scan(await self.list_sessions(), word)

    async def close(self) -> None:
        """It has no call for that; its pools close with it."""
        del self._store


PEERS = (ChatStore,)
