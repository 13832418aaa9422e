"""agno: `SqliteDb`, an agent's session whose runs hold the messages."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from benchmarks.peers.peer import EXTEND, LOAD, PAGE, SEARCH, Peer, within
from sessionkit import ChatMessage


class Db(Peer):
    """SQLAlchemy, WAL, `synchronous` at FULL.

    A message is a run with that one message: what `upsert_run` writes at once; several at once are one run. The run's
    place is given with it, which saves the store a query; the session's own row is written once, when the session is
    new.
    """

    name = "agno"
    packages = ("agno", "sqlalchemy")
    modules = ("agno.db.sqlite",)
    syncs = True
    remarks: ClassVar[Mapping[str, str]] = {
        "append": "a run of one message",
        EXTEND: "a run of all of them",
        LOAD: "the store keeps the runs of its last read as objects, and rebuilds none that has not changed",
        PAGE: "get_sessions, without runs",
        SEARCH: "reads all messages of all sessions",
    }
    loses = "times finer than a second"

    def __init__(self) -> None:
        self._runs: dict[str, list[tuple[str, list[Any]]]] = {}  # their names and messages

    def convert(self, message: ChatMessage) -> Any:
        """A message of agno."""
        made = import_module("agno.models.message").Message
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        return made(
            role=message.role, content=message.content, tool_call_id=message.tool_call_id, tool_calls=calls or None
        )

    def text(self, stored: Any) -> str:
        """Its content, and its tool calls."""
        calls = [call["function"] for call in stored.tool_calls or []]
        return "\n".join([stored.content or "", *(f"{call['name']}\n{call['arguments']}" for call in calls)])

    def holds(self, stored: Any, word: str) -> bool:
        """Look into its content and its tool calls."""
        return word in (stored.content or "") or within(word, stored.tool_calls)

    async def open(self, folder: Path) -> None:
        """`SqliteDb` with a file."""
        self._db = import_module("agno.db.sqlite").SqliteDb(db_file=str(folder / "agno.db"))
        base = import_module("agno.db.base")
        self._agents = base.SessionType.AGENT
        self._session = import_module("agno.session.agent").AgentSession
        self._run = import_module("agno.run.agent").RunOutput
        self._completed = import_module("agno.run.base").RunStatus.completed

    async def attach(self, key: str) -> None:
        """Look which runs are there; create the session where it is not."""
        found = self._db.get_session(key, self._agents)
        if found is None:
            self._db.upsert_session(self._session(session_id=key, agent_id="agent"))
        self._runs[key] = [(run.run_id, list(run.messages)) for run in found.runs or []] if found else []

    async def append(self, key: str, message: Any) -> None:
        """`upsert_run` of a new run."""
        await self.extend(key, [message])

    async def extend(self, key: str, messages: Sequence[Any]) -> None:
        """`upsert_run` of a new run."""
        if key not in self._runs:
            await self.attach(key)
        self._runs[key].append((uuid4().hex, list(messages)))
        self._upsert_last(key)

    async def prepare(self, key: str, messages: Sequence[Any]) -> None:
        """One by one: a session of few runs would be another one."""
        for message in messages:
            await self.append(key, message)

    def _upsert_last(self, key: str) -> None:
        name, messages = self._runs[key][-1]
        run = self._run(run_id=name, agent_id="agent", session_id=key, messages=messages, status=self._completed)
        self._db.upsert_run(run, session_id=key, run_index=len(self._runs[key]) - 1)

    async def load(self, key: str) -> Sequence[Any]:
        """`get_session` and its `get_messages`."""
        messages: Sequence[Any] = self._db.get_session(key, self._agents).get_messages()
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """`get_session` with a limit of runs: each has a message at least."""
        messages: Sequence[Any] = self._db.get_session(key, self._agents, runs_limit=count).get_messages()
        return messages[-count:]

    async def replace_last(self, key: str, message: Any) -> None:
        """`upsert_run` of the run that is there."""
        self._runs[key][-1][1][-1] = message
        self._upsert_last(key)

    async def remove_last(self, key: str) -> None:
        """`delete_run`, or `upsert_run` where that has other messages."""
        name, messages = self._runs[key][-1]
        messages.pop()
        if messages:
            self._upsert_last(key)
            return
        self._runs[key].pop()
        self._db.delete_run(name)

    async def list_sessions(self) -> Sequence[Any]:
        """`get_sessions`, without runs."""
        sessions: Sequence[Any] = self._db.get_sessions(self._agents, include_runs=False)
        return sessions

    async def page(self, count: int) -> Sequence[Any]:
        """`get_sessions` with a limit, by the time of the last change."""
        sessions: Sequence[Any] = self._db.get_sessions(
            self._agents, limit=count, page=1, sort_by="updated_at", sort_order="desc", include_runs=False
        )
        return sessions

    async def search(self, word: str) -> Sequence[str]:
        """Look into every session."""
        return await self.scan([session.session_id for session in await self.list_sessions()], word)

    async def close(self) -> None:
        """Close the pool."""
        self._db.close()


PEERS = (Db,)
