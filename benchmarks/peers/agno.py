"""agno: `SqliteDb`, an agent's session whose runs hold the messages."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from benchmarks.peers.peer import EXTEND, LOAD, PAGE, SEARCH, Peer
from sessionkit import ChatMessage


class Db(Peer):
    """SQLAlchemy, WAL, `synchronous` at FULL.

    A message is a run with that one message: what `upsert_run` writes at once. The run's place is given with it, which
    saves the store a query; the session's own row is written once, when the session is new.
    """

    name = "agno"
    packages = ("agno", "sqlalchemy")
    syncs = True
    cannot: ClassVar[Mapping[str, str]] = {EXTEND: "no call takes several runs"}
    remarks: ClassVar[Mapping[str, str]] = {
        "append": "a run of one message",
        LOAD: "the store keeps the runs of its last read as objects, and rebuilds none that has not changed",
        PAGE: "get_sessions, without runs",
        SEARCH: "reads all messages of all sessions",
    }
    loses = "times finer than a second"

    def __init__(self) -> None:
        self._runs: dict[str, list[str]] = {}

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
        self._runs[key] = [run.run_id for run in found.runs or []] if found else []

    async def append(self, key: str, message: Any) -> None:
        """`upsert_run` of a new run."""
        if key not in self._runs:
            await self.attach(key)
        name = uuid4().hex
        self._upsert(key, name, len(self._runs[key]), message)
        self._runs[key].append(name)

    def _upsert(self, key: str, name: str, index: int, message: Any) -> None:
        run = self._run(run_id=name, agent_id="agent", session_id=key, messages=[message], status=self._completed)
        self._db.upsert_run(run, session_id=key, run_index=index)

    async def load(self, key: str) -> Sequence[Any]:
        """`get_session` and its `get_messages`."""
        messages: Sequence[Any] = self._db.get_session(key, self._agents).get_messages()
        return messages

    async def last(self, key: str, count: int) -> Sequence[Any]:
        """`get_session` with a limit of runs."""
        messages: Sequence[Any] = self._db.get_session(key, self._agents, runs_limit=count).get_messages()
        return messages

    async def replace_last(self, key: str, message: Any) -> None:
        """`upsert_run` of the run that is there."""
        self._upsert(key, self._runs[key][-1], len(self._runs[key]) - 1, message)

    async def remove_last(self, key: str) -> None:
        """`delete_run`."""
        self._db.delete_run(self._runs[key].pop())

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
