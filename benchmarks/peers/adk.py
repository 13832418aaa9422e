"""Google ADK: `SqliteSessionService`, which opens a connection at each call."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.peer import EXTEND, PAGE, REMOVE, REPLACE, SEARCH, Peer, within
from sessionkit import ChatMessage

_APP, _USER = "app", "user"
_REWRITES = "deletes the session and appends all others anew"


class Service(Peer):
    """aiosqlite with a rollback journal, `synchronous` at FULL."""

    name = "google-adk"
    packages = ("google-adk", "aiosqlite")
    modules = ("google.adk.sessions.sqlite_session_service",)
    syncs = True
    cannot: ClassVar[Mapping[str, str]] = {
        EXTEND: "no call takes several events",
    }
    remarks: ClassVar[Mapping[str, str]] = {
        REPLACE: _REWRITES,
        REMOVE: _REWRITES,
        PAGE: "reads all sessions, the most recently active last",
        SEARCH: "reads all messages of all sessions",
    }
    loses = "the arguments of a tool call as the model wrote them"

    def __init__(self) -> None:
        self._sessions: dict[str, Any] = {}

    def convert(self, message: ChatMessage) -> Any:
        """The content of an event."""
        types = import_module("google.genai.types")
        role = "model" if message.role == "assistant" else "user"
        if message.tool_calls:
            call = message.tool_calls[0]
            found = types.FunctionCall(id=call.id, name=call.name, args=json.loads(call.arguments))
            part = types.Part(function_call=found)
        elif message.tool_call_id is not None:
            answer = types.FunctionResponse(id=message.tool_call_id, name="tool", response={"result": message.content})
            part = types.Part(function_response=answer)
        else:
            part = types.Part(text=message.content)
        return types.Content(role=role, parts=[part])

    def text(self, stored: Any) -> str:
        """Of the content of an event."""
        texts: list[str] = []
        for part in stored.content.parts:
            if part.text is not None:
                texts.append(part.text)
            elif part.function_call is not None:
                texts.append(f"{part.function_call.name}\n{json.dumps(part.function_call.args)}")
            else:
                texts.append(part.function_response.response["result"])
        return "\n".join(texts)

    def holds(self, stored: Any, word: str) -> bool:
        """Look into the texts, the calls and the answers."""
        for part in stored.content.parts:
            call, answer = part.function_call, part.function_response
            strings = [part.text, call and [call.name, call.args], answer and answer.response]
            if within(word, strings):
                return True
        return False

    async def open(self, folder: Path) -> None:
        """The service of a file."""
        sessions = import_module("google.adk.sessions.sqlite_session_service")
        self._service = sessions.SqliteSessionService(str(folder / "adk.db"))
        self._config = import_module("google.adk.sessions.base_session_service").GetSessionConfig
        self._event = import_module("google.adk.events").Event

    async def attach(self, key: str) -> None:
        """Get the session, or create it."""
        found = await self._get(key)
        if found is None:
            found = await self._service.create_session(app_name=_APP, user_id=_USER, session_id=key)
        self._sessions[key] = found

    async def _get(self, key: str, config: Any = None) -> Any:
        return await self._service.get_session(app_name=_APP, user_id=_USER, session_id=key, config=config)

    async def append(self, key: str, message: Any) -> None:
        """`append_event`."""
        if key not in self._sessions:
            await self.attach(key)
        event = self._event(author=_USER, invocation_id="invocation", content=message)
        await self._service.append_event(self._sessions[key], event)

    async def load(self, key: str) -> Sequence[Any]:
        """`get_session`."""
        events: Sequence[Any] = (await self._get(key)).events
        return events

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """`get_session` with a number of recent events."""
        events: Sequence[Any] = (await self._get(key, self._config(num_recent_events=count))).events
        return events

    async def replace_last(self, key: str, message: Any) -> None:
        """`delete_session`, and all others anew: no call changes an event."""
        await self._rewrite(key, [message])

    async def remove_last(self, key: str) -> None:
        """`delete_session`, and all others anew: no call removes an event."""
        await self._rewrite(key, [])

    async def _rewrite(self, key: str, end: Sequence[Any]) -> None:
        """With another end in the place of the last message."""
        kept = [event.content for event in await self.load(key)][:-1]
        await self._service.delete_session(app_name=_APP, user_id=_USER, session_id=key)
        self._sessions[key] = await self._service.create_session(app_name=_APP, user_id=_USER, session_id=key)
        for content in (*kept, *end):
            await self.append(key, content)

    async def list_sessions(self) -> Sequence[Any]:
        """`list_sessions`."""
        sessions: Sequence[Any] = (await self._service.list_sessions(app_name=_APP, user_id=_USER)).sessions
        return sessions

    async def page(self, count: int) -> Sequence[Any]:
        """The end of `list_sessions`: no call lists less."""
        return (await self.list_sessions())[-count:]

    async def search(self, word: str) -> Sequence[str]:
        """Look into every session."""
        return await self.scan([session.id for session in await self.list_sessions()], word)

    async def close(self) -> None:
        """`close`."""
        await self._service.close()


PEERS = (Service,)
