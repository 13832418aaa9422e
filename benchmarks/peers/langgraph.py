"""LangGraph: `SqliteSaver`, a checkpoint with the whole list of messages at each append."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.langchain import text_of, to_langchain
from benchmarks.peers.peer import LAST, LIST, PAGE, REMOVE, REPLACE, SEARCH, Peer
from sessionkit import ChatMessage

_READS = "reads every checkpoint of every session"
_WHOLE = "writes a checkpoint with all messages"


class Saver(Peer):
    """A thread is a session. What a graph with `add_messages` saves: a checkpoint that holds the list as it now is.

    Only `put` is timed: the list is at hand, as in a graph that runs, and no pending writes are saved beside it.
    """

    name = "langgraph"
    packages = ("langgraph-checkpoint-sqlite", "langchain-core")
    syncs = True
    remarks: ClassVar[Mapping[str, str]] = {
        "append": _WHOLE,
        "extend": _WHOLE,
        LAST: "reads all messages",
        REPLACE: _WHOLE,
        REMOVE: _WHOLE,
        LIST: _READS,
        PAGE: "reads the newest checkpoints until there are 50 sessions",
        SEARCH: "reads all messages of all sessions",
    }
    loses = "timestamps; the arguments of a tool call as the model wrote them"

    def __init__(self) -> None:
        self._configs: dict[str, Any] = {}
        self._lists: dict[str, list[Any]] = {}

    def convert(self, message: ChatMessage) -> Any:
        """A message of langchain-core."""
        return to_langchain(message)

    def text(self, stored: Any) -> str:
        """Of a message of langchain-core."""
        return text_of(stored)

    async def open(self, folder: Path) -> None:
        """The saver with a connection of its own."""
        saver = import_module("langgraph.checkpoint.sqlite").SqliteSaver
        self._empty = import_module("langgraph.checkpoint.base").empty_checkpoint
        self._context = saver.from_conn_string(str(folder / "checkpoints.db"))
        self._saver = self._context.__enter__()

    async def attach(self, key: str) -> None:
        """Take up the newest checkpoint of a session that is there."""
        found = self._saver.get_tuple(_thread(key))
        self._lists[key] = list(found.checkpoint["channel_values"]["messages"]) if found else []
        self._configs[key] = found.config if found else _thread(key)

    async def _put(self, key: str, messages: list[Any]) -> None:
        checkpoint = self._empty()
        checkpoint["channel_values"] = {"messages": messages}
        checkpoint["channel_versions"] = {"messages": len(messages)}
        metadata = {"source": "loop", "step": len(messages), "parents": {}}
        self._configs[key] = self._saver.put(self._configs[key], checkpoint, metadata, {"messages": len(messages)})

    async def append(self, key: str, message: Any) -> None:
        """`put` of a checkpoint."""
        await self.extend(key, [message])

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`put` of a checkpoint."""
        if key not in self._lists:
            await self.attach(key)
        self._lists[key].extend(messages)
        await self._put(key, self._lists[key])

    async def load(self, key: str) -> Sequence[Any]:
        """`get_tuple`."""
        messages: Sequence[Any] = self._saver.get_tuple(_thread(key)).checkpoint["channel_values"]["messages"]
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """The end of the list: no call reads less."""
        return (await self.load(key))[-count:]

    async def replace_last(self, key: str, message: Any) -> None:
        """`put` of a checkpoint with another list."""
        self._lists[key][-1] = message
        await self._put(key, self._lists[key])

    async def remove_last(self, key: str) -> None:
        """`put` of a checkpoint with a shorter list."""
        self._lists[key].pop()
        await self._put(key, self._lists[key])

    async def list_sessions(self) -> Sequence[str]:
        """The threads of `list`, which gives every checkpoint."""
        return list(dict.fromkeys(found.config["configurable"]["thread_id"] for found in self._saver.list(None)))

    async def page(self, count: int) -> Sequence[str]:
        """`list` is newest first, and is left when there are enough threads."""
        threads: dict[str, None] = {}
        for found in self._saver.list(None):
            threads[found.config["configurable"]["thread_id"]] = None
            if len(threads) == count:
                break
        return list(threads)

    async def search(self, word: str) -> Sequence[str]:
        """Look into every session."""
        return await self.scan(await self.list_sessions(), word)

    async def close(self) -> None:
        """Close the connection."""
        self._context.__exit__(None, None, None)


def _thread(key: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": key, "checkpoint_ns": ""}}


PEERS = (Saver,)
