"""`sessionkit demo`: an agent dies in the middle of an answer; every step is a real call on a real store."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Self, cast
from urllib.parse import quote

import attrs
import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sessionkit.cli import recording
from sessionkit.cli.agent import Store, open_store, play_turn
from sessionkit.cli.rendering import print_conversation, print_sessions
from sessionkit.codec import encode_message
from sessionkit.errors import ConflictError
from sessionkit.messages import ChatMessage
from sessionkit.models import SessionMetadata, SessionQuery
from sessionkit.private import make_folders

_KEY = "ferry/42"
_EARLIER_KEY = "museum/7"
_STUCK_AFTER = 0.5
_PIECES = 2  # of the answer, before the kill
_PAUSE = 0.1
_WIDTH = 44
_CALL_WIDTH = len("list_stuck_sessions")


def run_demo(out: Console, folder: str | None) -> None:
    """Play the whole story on a new SQLite store in the folder, which is kept.

    Raises:
        click.ClickException: the folder holds something already.
    """
    place = Path(folder or tempfile.mkdtemp(prefix="sessionkit-demo-")).resolve()
    make_folders(place)
    if any(place.iterdir()):
        raise click.ClickException(f"{place} is not empty; the demo wants a folder of its own")
    url = f"sqlite:///{quote(os.fsencode(place / 'sessions.db'))}"
    started = time.perf_counter()
    out.print(f"A new store: open_backend({url!r})")
    with open_store(url) as store:
        for message in recording.earlier():
            store.append(_EARLIER_KEY, message)
        story = _Story(out, url, store)
        story.answer_until_killed()
        story.find_the_stuck_turn()
        story.take_over()
        story.go_on()
        story.look_around()
    seconds = time.perf_counter() - started
    out.print(f"\nThat took {seconds:.1f} s. The store is yours to look at:\n", style="bold")
    command = _command()
    out.print(f"  {command} show {_KEY} --url {url}", soft_wrap=True)
    out.print(f"  {command} search coffee --url {url}\n", soft_wrap=True)


def _command() -> str:
    """What to type to run the command again: its path, where the shell would not find it."""
    started = Path(sys.argv[0])
    if started.name != "sessionkit":
        return "python -m sessionkit.cli"
    return started.name if shutil.which(started.name) else str(started)


@attrs.define
class _Story:
    """The steps in their order, and how they are told."""

    _out: Console
    _url: str
    _store: Store
    _step: int = 0

    def answer_until_killed(self) -> None:
        """A turn streams in, in another process, and is cut off by SIGKILL."""
        self._begin("An agent answers, in a process of its own")
        with _AgentProcess(self._url, "turn-1") as agent:
            self._tell(agent.last_call(), "the session is running turn-1: nobody else may answer now")
            for message in (*recording.question(), *islice(recording.streamed(recording.ANSWER), _PIECES)):
                self._tell_message(agent.store(message), message)
                time.sleep(_PAUSE)
            agent.kill()
        self._tell("kill -9", f"process {agent.pid} is gone, in the middle of a sentence", style="bold red")

    def find_the_stuck_turn(self) -> None:
        """What is left, and how one learns that nobody works on it any more."""
        self._begin("What it had stored is there, and its turn is known to be stuck")
        messages = self._store.load(_KEY)
        self._tell("load", f"{len(messages)} messages, the last is {messages[-1].content!r}")
        stuck = self._store.list_stuck_sessions(_STUCK_AFTER)
        while not stuck:
            time.sleep(_PAUSE)
            stuck = self._store.list_stuck_sessions(_STUCK_AFTER)
        for session in stuck:
            self._tell(
                "list_stuck_sessions", f"{session.key}: {session.turn_id} without a heartbeat for {_STUCK_AFTER} s"
            )

    def take_over(self) -> None:
        """A second process answers; a late write of the first would be refused."""
        self._begin("Started again, the agent takes the turn over and answers")
        with _AgentProcess(self._url, "turn-2") as agent:
            self._tell(agent.last_call(), f"turn-2 runs now: stuck_after={_STUCK_AFTER} lets it take over")
            self._write_late()
            for message in recording.streamed(recording.ANSWER):
                self._tell_message(agent.store(message), message)
                time.sleep(_PAUSE)

    def go_on(self) -> None:
        """The conversation goes on in this process, as if nothing had happened."""
        self._begin("The conversation goes on")
        messages = [recording.follow_up(), *recording.streamed(recording.FOLLOW_UP_ANSWER)]
        play_turn(self._store, _KEY, "turn-3", messages, self._tell_message)

    def look_around(self) -> None:
        """Search, list, show."""
        self._begin("It can be found, listed and shown")
        for words in ("bicycle pier", "museum"):
            found = self._store.search(SessionQuery(keyword=words))
            self._tell("search", f"{words!r} is in {', '.join(session.key for session in found)}")
        self._out.print("\n   sessionkit list, which is list_sessions_with_metadata:\n", style="cyan")
        print_sessions(self._out, self._store.list_sessions_with_metadata())
        self._out.print(f"\n   sessionkit show {_KEY}, which is load_with_timestamps:\n", style="cyan")
        metadata = self._store.get_session_metadata(_KEY) or SessionMetadata(_KEY)
        print_conversation(self._out, metadata, self._store.load_with_timestamps(_KEY))

    def _write_late(self) -> None:
        """What turn-1 would do if its process had not been dead but slow."""
        late = ChatMessage.assistant("The rest of what turn-1 had to say.")
        try:
            self._store.write(_KEY, append=[late], if_turn="turn-1")
        except ConflictError as error:
            self._tell("write(if_turn=...)", f"turn-1, if it were only slow, would get ConflictError: {error}")

    def _begin(self, what: str) -> None:
        self._step += 1
        self._out.print(Text(f"\n{self._step}  {what}", style="bold"))

    def _tell(self, call: str, what: str, style: str = "cyan") -> None:
        """A line: the call that was made, and what came of it."""
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(width=_CALL_WIDTH, style=style)
        line.add_row(call, Text(what))
        self._out.print(Padding(line, (0, 0, 0, 3), expand=False))

    def _tell_message(self, call: str, message: ChatMessage | None) -> None:
        if message is None:
            self._tell(call, "a new turn, in this process now")
            return
        tools = ", ".join(tool.name for tool in message.tool_calls)
        text = f"calls {tools}" if tools else message.text
        # Of an answer that grows, the end is what is new.
        shown = f"…{text[-_WIDTH:]}" if message.role == "assistant" and len(text) > _WIDTH else text
        self._tell(call, f"{message.role}: {shown}")


class _AgentProcess:
    """The agent in a process of its own, which ends with its input or by being killed."""

    def __init__(self, url: str, turn_id: str) -> None:
        command = [sys.executable, "-m", "sessionkit.cli.agent", url, _KEY, turn_id, str(_STUCK_AFTER)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")  # noqa: S603 -- our own program
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._process.communicate()

    def kill(self) -> None:
        """SIGKILL: the process can't tidy up."""
        self._process.kill()
        self._process.wait()

    def store(self, message: ChatMessage) -> str:
        """Hand the agent a message; the call that stored it, once it has returned."""
        with suppress(BrokenPipeError):  # where the agent has failed, there is no answer either
            self._input.write(f"{encode_message(message).decode()}\n")
            self._input.flush()
        return self.last_call()

    def last_call(self) -> str:
        """The call that the agent has made now; waits for it."""
        call = self._output.readline().strip()
        if not call:
            raise click.ClickException("the agent's process failed")
        return call
