"""LangGraph: `SqliteSaver`, with what graphs save: with the whole list in each checkpoint, or as deltas."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from benchmarks.peers.langchain import has_word, text_of, to_langchain
from benchmarks.peers.peer import LAST, LIST, PAGE, REMOVE, REPLACE, SEARCH, Peer
from sessionkit import ChatMessage

_READS = "reads every checkpoint of every session"
_WHOLE = "writes a checkpoint with all messages"
_SNAPSHOT = 100  # what DeltaChannel has as snapshot_frequency


class Saver(Peer):
    """A thread is a session. What a graph with `add_messages` saves: a checkpoint that holds the list as it now is.

    Only `put` is timed: the list is at hand, as in a graph that runs, and no pending writes are saved beside it.
    """

    name = "langgraph"
    packages = ("langgraph-checkpoint-sqlite", "langchain-core")
    modules = ("langgraph.checkpoint.sqlite",)
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

    def holds(self, stored: Any, word: str) -> bool:
        """Look into its content and its tool calls."""
        return has_word(stored, word)

    async def open(self, folder: Path) -> None:
        """The saver with a connection of its own."""
        saver = import_module("langgraph.checkpoint.sqlite").SqliteSaver
        self._empty = import_module("langgraph.checkpoint.base").empty_checkpoint
        self._context = saver.from_conn_string(str(folder / "checkpoints.db"))
        self._saver = self._context.__enter__()

    async def attach(self, key: str) -> None:
        """Take up the newest checkpoint of a session that is there."""
        found = self._saver.get_tuple(_thread(key))
        self._lists[key] = list(self._messages(found)) if found else []
        self._configs[key] = found.config if found else _thread(key)

    def _messages(self, found: Any) -> Sequence[Any]:
        """Of a checkpoint."""
        messages: Sequence[Any] = found.checkpoint["channel_values"]["messages"]
        return messages

    async def _put(self, key: str, *, whole: bool = True) -> None:
        """A checkpoint, with the whole list or without any."""
        count = len(self._lists[key])
        checkpoint = self._empty()
        checkpoint["channel_values"] = {"messages": self._lists[key]} if whole else {}
        checkpoint["channel_versions"] = {"messages": count}
        metadata = {"source": "loop", "step": count, "parents": {}}
        self._configs[key] = self._saver.put(self._configs[key], checkpoint, metadata, {"messages": count})

    async def append(self, key: str, message: Any) -> None:
        """`put` of a checkpoint."""
        await self.extend(key, [message])

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`put` of a checkpoint."""
        if key not in self._lists:
            await self.attach(key)
        self._lists[key].extend(messages)
        await self._put(key)

    async def load(self, key: str) -> Sequence[Any]:
        """`get_tuple`."""
        return self._messages(self._saver.get_tuple(_thread(key)))

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """The end of the list: no call reads less."""
        return (await self.load(key))[-count:]

    async def replace_last(self, key: str, message: Any) -> None:
        """`put` of a checkpoint with another list."""
        self._lists[key][-1] = message
        await self._put(key)

    async def remove_last(self, key: str) -> None:
        """`put` of a checkpoint with a shorter list."""
        self._lists[key].pop()
        await self._put(key)

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


class DeltaSaver(Saver):
    """What a graph with `DeltaChannel`, which is in beta, saves: the new messages as writes, and a checkpoint behind.

    The checkpoint has no messages, but every hundredth of a session, as the channel has it from the start, has all.
    Only `put_writes` and `put` are timed.
    """

    name = "langgraph-delta"
    remarks: ClassVar[Mapping[str, str]] = {
        "append": "put_writes and put: two transactions",
        "extend": "put_writes and put: two transactions",
        LAST: "reads all messages",
        REPLACE: _WHOLE,
        REMOVE: _WHOLE,
        LIST: _READS,
        PAGE: Saver.remarks[PAGE],
        SEARCH: Saver.remarks[SEARCH],
    }

    def __init__(self) -> None:
        super().__init__()
        self._since: dict[str, int] = {}  # the last checkpoint of each session that has all messages

    def _messages(self, found: Any) -> Sequence[Any]:
        """Those of the last checkpoint that has any, and what was written since."""
        values = found.checkpoint["channel_values"]
        if "messages" in values:
            messages: Sequence[Any] = values["messages"]
            return messages
        history = self._saver.get_delta_channel_history(config=found.config, channels=["messages"])["messages"]
        return [*history.get("seed", ()), *(message for _, _, written in history["writes"] for message in written)]

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`put_writes` to the checkpoint that is there, and `put` of one behind it."""
        if key not in self._lists:
            await self.attach(key)
        if "checkpoint_id" not in self._configs[key]["configurable"]:
            await self._put(key)  # a graph begins with a checkpoint of its input
        self._saver.put_writes(self._configs[key], [("messages", list(messages))], uuid4().hex)
        self._lists[key].extend(messages)
        self._since[key] = self._since.get(key, 0) + 1
        whole = self._since[key] == _SNAPSHOT
        if whole:
            self._since[key] = 0
        await self._put(key, whole=whole)


PEERS = (Saver, DeltaSaver)
