"""``import``: what is stored, what is refused, and what an error leaves behind."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from sessionkit import ChatMessage, open_backend, register_backend
from sessionkit_memory import MemoryBackend
from tests.conversations import FILE, conversations

Command = Callable[..., Result]

GOOD = (
    '{"session_key": "a", "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}\n'
)
OTHER = '{"session_key": "b", "messages": [{"role": "user", "content": "three"}]}\n'
URL = "sqlite:///chats.db"


def contents(url: str = URL) -> dict[str, list[Any]]:
    """Everything that the store holds."""
    with open_backend(url) as backend:
        return {key: [message.content for message in backend.load(key)] for key in backend.list_sessions()}


class Unclosed(MemoryBackend):
    """Memory that can be looked into when the command is done with it."""

    def close(self) -> None:
        """Keep all."""


@pytest.mark.parametrize("url", ["import-memory://", "jsonl:///chats", URL])
def test_real_conversations(command: Command, url: str) -> None:
    """Real conversations of an agent go into every backend and come out equal; it says how many, and how long."""
    real = conversations()
    if not real:
        pytest.skip("the real conversations are not here")
    memory = Unclosed()
    register_backend("import-memory", lambda _: memory)
    output = command("import", str(FILE), "--url", url).output
    assert output.startswith(f"Stored {len(real)} conversations, {sum(map(len, real.values())):,} messages (")
    with open_backend(url) as backend:
        assert {key: [message.to_dict() for message in backend.load(key)] for key in backend.list_sessions()} == real


def test_no_bar_without_a_terminal(command: Command, tmp_path: Path) -> None:
    """Where nobody looks there is one line, and no control character."""
    (tmp_path / "a.jsonl").write_text(GOOD + "\n" + OTHER)
    output = command("import", "a.jsonl", "--url", URL).output
    assert output.count("\n") == 1
    assert output.strip().isprintable()
    assert contents() == {"b": ["three"], "a": ["one", "two"]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no valid JSON"),
        ("[]", "this is list"),
        ("{}", "an object with nothing"),
        ('{"session_key": "x", "messages": [], "name": "n"}', "messages, name, session_key"),
        ('{"session_key": "x"}', "an object with session_key"),
        ('{"\\u001b]0;owned\\u0007": 1}', "an object with \\x1b]0;owned\\x07"),
        ('{"session_key": "", "messages": []}', "can't be empty"),
        ('{"session_key": "\\u0000", "messages": []}', "NUL"),
        ('{"session_key": "\\ud800", "messages": []}', "JSON"),
        ('{"session_key": 1, "messages": []}', "a session key is text"),
        ('{"session_key": "x", "messages": {}}', "must be a list"),
        ('{"session_key": "x", "messages": [{"role": "user"}, {"role": 1}]}', "messages[1]: "),
        ('{"session_key": "x", "messages": [{"role": "user", "content": NaN}]}', "NaN"),
        (GOOD.strip(), "--existing append"),
    ],
)
def test_a_bad_line_stores_nothing(command: Command, tmp_path: Path, line: str, says: str) -> None:
    """An error names the line and what is wrong in it, and not even the good lines before it are stored."""
    (tmp_path / "a.jsonl").write_text(f"{GOOD}{line}\n{OTHER}")
    error = command("import", "a.jsonl", "--url", URL, status=1).stderr
    assert error.startswith("Error: a.jsonl, line 2: ")
    assert says in error
    assert "othing was stored" in error
    assert error.count("\n") == 1
    assert contents() == {}


def test_existing_sessions(command: Command, tmp_path: Path) -> None:
    """A session that exists refuses the whole file, unless it is to be skipped or added to."""
    (tmp_path / "a.jsonl").write_text(GOOD)
    command("import", "a.jsonl", "--url", URL)
    (tmp_path / "a.jsonl").write_text(OTHER + GOOD)
    assert "line 2: the session 'a' exists" in command("import", "a.jsonl", "--url", URL, status=1).stderr
    assert contents() == {"a": ["one", "two"]}
    skipped = command("import", "a.jsonl", "--url", URL, "--existing", "skip").output
    assert skipped.startswith("Stored 1 conversation, 1 message ")
    assert "left 1 existing session as before" in skipped
    assert contents() == {"b": ["three"], "a": ["one", "two"]}
    command("import", "a.jsonl", "--url", URL, "--existing", "append")
    assert contents() == {"a": ["one", "two", "one", "two"], "b": ["three", "three"]}


def test_a_conversation_without_messages(command: Command, tmp_path: Path) -> None:
    """Writing no message creates nothing, and the command says so."""
    (tmp_path / "a.jsonl").write_text('{"session_key": "a", "messages": []}\n')
    assert "nothing for 1 conversation without a message" in command("import", "a.jsonl", "--url", URL).output
    assert contents() == {}


def test_a_backend_of_four_methods(command: Command, tmp_path: Path) -> None:
    """A backend that can't write several messages at once is given them one by one."""
    kept: dict[str, list[ChatMessage]] = {}

    class Four:
        def load(self, key: str, /) -> list[ChatMessage]:
            return kept.get(key, [])

        def append(self, key: str, message: ChatMessage, /) -> None:
            kept.setdefault(key, []).append(message)

        def remove_last(self, key: str, /) -> bool:
            return bool(kept[key].pop())

        def list_sessions(self) -> list[str]:
            return list(kept)

    register_backend("import-four", lambda _url: Four())
    (tmp_path / "a.jsonl").write_text(GOOD)
    command("import", "a.jsonl", "--url", "import-four://")
    assert [message.content for message in kept["a"]] == ["one", "two"]


def test_a_store_that_fails(command: Command, tmp_path: Path) -> None:
    """Where the store fails, the error names the line, and how much was stored before it."""
    url = "memory://?max_message_bytes=40"
    (tmp_path / "a.jsonl").write_text(OTHER + GOOD.replace("two", "a longer answer"))
    error = command("import", "a.jsonl", "--url", url, status=1).stderr
    assert error.startswith("Error: a.jsonl, line 2: ")
    assert "(1 conversation before it stored)" in error


def test_a_session_created_meanwhile(command: Command, tmp_path: Path) -> None:
    """A session that somebody creates between the check and the write is a conflict, never two conversations in one."""

    class Race(MemoryBackend):
        def write(self, session_key: str, /, **changes: Any) -> int:
            self.append(session_key, ChatMessage.user("first"))
            return super().write(session_key, **changes)

    register_backend("import-race", lambda _url: Race())
    (tmp_path / "a.jsonl").write_text(GOOD)
    assert "line 1: " in command("import", "a.jsonl", "--url", "import-race://", status=1).stderr


def test_a_pipe_is_refused(command: Command, tmp_path: Path) -> None:
    """The file is read twice, so what can be read once is refused before anything is read."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").open("w").close())  # opening waits for the reader
    writer.start()
    assert "save it to a file first" in command("import", "pipe", "--url", "memory://", status=1).stderr
    writer.join()
