"""Conversations replayed through an agent that is killed in the middle of a stream, and goes on in another process."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

import sessionkit
from sessionkit import OpenBackend
from sessionkit.history import SessionHistory
from tests.conversations import conversations
from tests.history.processes import Worker

_PLAYER = """
import json, pathlib

recorded = [ChatMessage.from_dict(message) for message in json.loads(pathlib.Path(arguments[0]).read_text())]
history = SessionHistory(backend)

def respond(heard):
    for message in recorded[len(heard):]:
        if message.role in {"user", "system"}:
            return
        if message.role == "assistant" and message.content:
            for start in range(0, len(message.content), 20):
                yield message.content[start : start + 20]
        yield message

def go_on(said):
    return history.continue_session(
        "s", said, respond=respond, on_text=say, interval=0, stuck_after=0.2, wait=30, heartbeat=0.05
    )

if history.load_session("s") is None:
    history.create_session(Session("s", messages=[message for message in recorded[:1] if message.role == "system"]))
session = go_on(None)  # where another process has left off
while len(session.messages) < len(recorded):
    session = go_on(recorded[len(session.messages)])
"""

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"line": 7}'}}
INVENTED: list[dict[str, Any]] = [
    {"role": "system", "content": "You know the ferries."},
    {"role": "user", "content": "When does the last ferry leave?"},
    {"role": "assistant", "content": "Let me look that up for you, it takes only a moment.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "22:40"},
    {"role": "assistant", "content": "The last ferry leaves at 22:40, from the northern pier; be there in time."},
    {"role": "user", "content": "Thanks, and bicycles?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "allowed"},
    {"role": "assistant", "content": "Bicycles are allowed, on the lower deck, as long as there is room for them."},
]


def play(url: str, messages: list[dict[str, Any]], file: Path, kills: list[int]) -> None:
    """Replay the conversation, each of the processes but the last being killed after so many pieces of text."""
    file.write_text(json.dumps(messages))
    for pieces in kills:
        with Worker(url, _PLAYER, str(file)) as worker:
            for _ in range(pieces):
                worker.hear()
            os.kill(worker.process.pid, signal.SIGKILL)
    with Worker(url, _PLAYER, str(file)) as worker:
        worker.finish()


def assert_is_replayed(backend: OpenBackend, messages: list[dict[str, Any]]) -> None:
    """The session holds what was recorded, and nothing of what was cut off; nobody runs a turn in it any more."""
    session = SessionHistory(backend).load_session("s")
    assert session is not None
    assert [message.to_dict() for message in session.messages] == messages
    state = backend.get_session_state("s")
    assert state is not None
    assert state.state == "idle"


def test_a_conversation_survives_its_agent(url: str, tmp_path: Path) -> None:
    """An agent that is killed three times in the middle of its answers ends with the messages of one that was not."""
    play(url, INVENTED, tmp_path / "recorded.json", [1, 4, 2])
    with sessionkit.open_backend(url) as backend:
        assert_is_replayed(backend, INVENTED)


_KILLED_AT_THE_END = """
import os, signal
from sessionkit.history.turns import Turn

Turn.end = lambda self, state: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_agent_killed_after_its_answer_gives_no_other(url: str, tmp_path: Path) -> None:
    """An agent that is killed when it has answered, before its turn has ended, does not answer once more."""
    file = tmp_path / "recorded.json"
    file.write_text(json.dumps(INVENTED))
    for _ in range(2):
        with Worker(url, _KILLED_AT_THE_END + _PLAYER, str(file)) as worker:
            worker.process.wait(60)
    play(url, INVENTED, file, [])
    with sessionkit.open_backend(url) as backend:
        assert_is_replayed(backend, INVENTED)


@pytest.mark.parametrize("place", [0, 13, 26])
def test_real_conversations_survive(url: str, tmp_path: Path, place: int) -> None:
    """So do real conversations, wherever the kill strikes."""
    _replay_real(url, tmp_path, place)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(40))
def test_every_real_conversation_survives_a_kill(url: str, tmp_path: Path, place: int) -> None:
    """So does each of them."""
    _replay_real(url, tmp_path, place)


def _replay_real(url: str, tmp_path: Path, place: int) -> None:
    recorded = list(conversations().values())
    if place >= len(recorded):
        pytest.skip("there are no conversations to replay; see CONTRIBUTING.md")
    messages = recorded[place]
    chance = random.Random(place)  # noqa: S311 -- no secret
    pieces = sum(len(message.get("content") or "") // 20 for message in messages if message["role"] == "assistant")
    play(url, messages, tmp_path / "recorded.json", [chance.randint(1, max(1, pieces // 2)) for _ in range(2)])
    with sessionkit.open_backend(url) as backend:
        assert_is_replayed(backend, messages)
