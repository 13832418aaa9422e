"""Strands: `FileSessionManager`, a file a message."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from benchmarks.peers.peer import EXTEND, LIST, PAGE, REMOVE, SEARCH, Peer
from sessionkit import ChatMessage

_AGENT = "agent"
_NO_LIST = "no call lists sessions"


class Files(Peer):
    """Its repository calls, which its own manager makes for each message: a temporary file, renamed."""

    name = "strands"
    packages = ("strands-agents",)
    modules = ("strands.session.file_session_manager",)
    syncs = False
    cannot: ClassVar[Mapping[str, str]] = {
        EXTEND: "no call takes several messages",
        LIST: _NO_LIST,
        PAGE: _NO_LIST,
        SEARCH: _NO_LIST,
    }
    remarks: ClassVar[Mapping[str, str]] = {REMOVE: "deletes the session and writes all others anew"}
    loses = "roles (a tool's answer is the user's); the arguments of a tool call as the model wrote them"

    def __init__(self) -> None:
        self._managers: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def convert(self, message: ChatMessage) -> Any:
        """A message as Bedrock spells it."""
        role = "assistant" if message.role == "assistant" else "user"
        content: list[dict[str, Any]]
        if message.tool_calls:
            content = [
                {"toolUse": {"toolUseId": call.id, "name": call.name, "input": json.loads(call.arguments)}}
                for call in message.tool_calls
            ]
        elif message.tool_call_id is not None:
            result = {"toolUseId": message.tool_call_id, "status": "success", "content": [{"text": message.content}]}
            content = [{"toolResult": result}]
        else:
            content = [{"text": message.content}]
        return {"role": role, "content": content}

    def text(self, stored: Any) -> str:
        """Of its blocks."""
        texts: list[str] = []
        for block in stored.message["content"]:
            if "text" in block:
                texts.append(block["text"])
            elif "toolUse" in block:
                texts.append(f"{block['toolUse']['name']}\n{json.dumps(block['toolUse']['input'])}")
            else:
                texts += [part["text"] for part in block["toolResult"]["content"]]
        return "\n".join(texts)

    async def open(self, folder: Path) -> None:
        """Each session gets its manager when it is taken up."""
        self._class = import_module("strands.session.file_session_manager").FileSessionManager
        self._types = import_module("strands.types.session")
        self._folder = str(folder)

    async def attach(self, key: str) -> None:
        """Make the session's manager, and its agent; count what is there."""
        name = quote(key, safe="")
        manager = self._class(name, storage_dir=self._folder)
        if manager.read_agent(name, _AGENT) is None:
            manager.create_agent(name, self._types.SessionAgent(_AGENT, {}, {}))
        self._managers[key] = manager
        self._counts[key] = len(manager.list_messages(name, _AGENT))

    async def append(self, key: str, message: Any) -> None:
        """`create_message`."""
        if key not in self._managers:
            await self.attach(key)
        stored = self._types.SessionMessage.from_message(message, self._counts[key])
        manager = self._managers[key]
        manager.create_message(manager.session_id, _AGENT, stored)
        self._counts[key] += 1

    async def load(self, key: str) -> Sequence[Any]:
        """`list_messages`."""
        manager = self._managers[key]
        messages: Sequence[Any] = manager.list_messages(manager.session_id, _AGENT)
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """`list_messages` from an offset, which a program knows that has counted."""
        manager = self._managers[key]
        offset = max(0, self._counts[key] - count)
        messages: Sequence[Any] = manager.list_messages(manager.session_id, _AGENT, offset=offset)
        return messages

    async def replace_last(self, key: str, message: Any) -> None:
        """`update_message`."""
        stored = self._types.SessionMessage.from_message(message, self._counts[key] - 1)
        manager = self._managers[key]
        manager.update_message(manager.session_id, _AGENT, stored)

    async def remove_last(self, key: str) -> None:
        """`delete_session`, and all others anew: no call removes a message."""
        kept = (await self.load(key))[:-1]
        manager = self._managers.pop(key)
        manager.delete_session(manager.session_id)
        await self.attach(key)
        manager = self._managers[key]
        for stored in kept:
            manager.create_message(manager.session_id, _AGENT, stored)
        self._counts[key] = len(kept)

    async def close(self) -> None:
        """It keeps no file open."""


PEERS = (Files,)
