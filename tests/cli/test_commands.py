"""``list``, ``show``, ``search`` and ``delete``: they work on any URL, and print nothing that a terminal obeys."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sessionkit import ChatMessage, SessionContext, ToolCall, open_backend
from sessionkit.secret import VISIBLE

Command = Callable[..., Result]

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eright\u2066\x7f\x08\r"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(name="url", params=["sqlite:///{}/chats.db", "jsonl:///{}/chats"], ids=["sqlite", "jsonl"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with three sessions, one of them hostile."""
    url: str = request.param.format(tmp_path)
    with open_backend(url) as backend:
        backend.append("a/1", ChatMessage.user("Where is my parcel?"))
        backend.append("a/1", ChatMessage.assistant(tool_calls=[ToolCall("c1", "track", '{"id": 7}')]))
        backend.append("a/1", ChatMessage.assistant([{"type": "text", "text": "On its way."}, {"type": "image"}]))
        backend.set_session_name("a/1", "A parcel")
        backend.set_session_state("a/1", "running", "turn-1")
        backend.append(f"evil{HOSTILE}", ChatMessage(f"role{HOSTILE}", f"the parcel {HOSTILE}\ntwo", reasoning=HOSTILE))
        backend.set_session_name(f"evil{HOSTILE}", HOSTILE)
        backend.set_session_state(f"evil{HOSTILE}", HOSTILE, HOSTILE)
        backend.set_session_context(f"evil{HOSTILE}", SessionContext(HOSTILE, attributes={"x": HOSTILE}))
        backend.append("b", ChatMessage.user("Good morning"))
    return url


def test_list(command: Command, url: str) -> None:
    """``list`` has a line a session, the most recently active first, and says when there are more."""
    lines = command("list", "--url", url).output.splitlines()
    assert [line.split()[0][:4] for line in lines] == ["sess", "b", "evil", "a/1"]
    assert lines[3].split()[1] == "3"
    assert "running" in lines[3]
    assert "A parcel" in lines[3]
    output = command("list", "--url", url, "--limit", "1").output
    assert "a/1" not in output
    assert "--limit 0" in output


def test_list_json(command: Command, url: str) -> None:
    """``list --json`` has all metadata, an object a line."""
    found = [json.loads(line) for line in command("list", "--url", url, "--json", "--limit", "0").output.splitlines()]
    assert [session["key"] for session in found] == ["b", f"evil{HOSTILE}", "a/1"]
    assert found[2]["message_count"] == 3
    assert found[2]["turn_id"] == "turn-1"
    assert found[2]["last_activity"].endswith("Z")


def test_show(command: Command, url: str) -> None:
    """``show`` prints what is known of the session, texts, blocks and the tools called; ``--last`` only the end."""
    output = command("show", "a/1", "--url", url).output
    for part in ("A parcel", "key: a/1", "3 messages, 1 turn, 1 tool call", "turn-1", "Where is my parcel?"):
        assert part in output
    assert '→ track({"id": 7})' in output
    assert 'On its way.\n{"type": "image"}' in output
    assert "Where is" not in command("show", "a/1", "--url", url, "--last", "1").output


def test_show_json_is_what_import_takes(command: Command, url: str, tmp_path: Path) -> None:
    """What ``show --json`` gives, ``import`` stores again, equal to the last character."""
    for key in ("a/1", f"evil{HOSTILE}"):
        (tmp_path / "a.jsonl").write_text(command("show", "--json", "--url", url, "--", key).output)
        command("import", "a.jsonl", "--url", "sqlite:///copy.db")
        with open_backend(url) as original, open_backend("sqlite:///copy.db") as copy:
            assert copy.load(key) == original.load(key)


def test_search(command: Command, url: str) -> None:
    """``search`` finds the sessions with a message that holds all words, and shows where; none is no error."""
    output = command("search", "MY", "parcel", "--url", url).output
    assert "a/1  3 messages" in output
    assert "user: Where is my parcel?" in output
    assert "evil" not in output
    assert "No message" in command("search", "parcel", "morning", "--url", url).output
    [found] = command("search", "good", "--url", url, "--json").output.splitlines()
    assert json.loads(found)["key"] == "b"


def test_delete_asks(command: Command, url: str) -> None:
    """``delete`` deletes nothing before it is told to, by an answer or by ``--yes``."""
    for text in ("n\n", ""):
        assert "Delete b (1 message)" in command("delete", "b", "--url", url, text=text, status=1).output
    command("show", "b", "--url", url)
    assert "Deleted b" in command("delete", "b", "--url", url, text="y\n").output
    command("delete", "a/1", "--url", url, "--yes")
    assert [line[:4] for line in command("list", "--url", url).output.splitlines()[1:]] == ["evil"]


def test_delete_mends_what_can_not_be_read(command: Command, tmp_path: Path) -> None:
    """A session that is damaged from end to end can be deleted, as the error about it says."""
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats" / "a.jsonl").write_bytes(b"\xff\xfe no session\n" * 9)
    assert "delete the session" in command("show", "a", "--url", "jsonl:///chats", status=1).stderr
    assert "Deleted a (unreadable)" in command("delete", "a", "--url", "jsonl:///chats", "--yes").output
    assert list((tmp_path / "chats").glob("a*")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("show", f"evil{HOSTILE}"),
        ("show", f"evil{HOSTILE}", "--json"),
        ("search", "parcel"),
        ("search", "parcel", "--json"),
        ("show", HOSTILE),
        ("delete", f"evil{HOSTILE}"),
    ],
    ids=" ".join,
)
def test_nothing_stored_reaches_the_terminal_raw(command: Command, url: str, arguments: tuple[str, ...]) -> None:
    """Keys, names, states and texts can't move the cursor, set the title or turn the reading order round."""
    failing = arguments[0] == "delete" or arguments[1:] == (HOSTILE,)
    output = command(*arguments, "--url", url, status=1 if failing else 0).output
    assert not CONTROL.search(output)
    assert "\\x1b" in output or "\\u001b" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("list", "--url", "sqlite:///none.db"), "none.db"),
        (("list", "--url", "nosuch://host"), "known are jsonl, memory, sqlite"),
        (("list", "--url", "nosuch://me:hunter2@host"), "nosuch"),
        (("list", "--url", "sqlite:///none.db?colour=red"), "colour"),
        (("show", "k", "--url", "memory://"), "there is no session k"),
        (("show", "", "--url", "memory://"), "can't be empty"),
        (("search", '"*"', "--url", "memory://"), "no letter"),
        (("demo", "--folder", "/proc/nowhere"), "/proc/nowhere"),
        (("delete", "k", "--yes", "--url", "memory://"), "there is no session k"),
        (("delete", "k", "--yes", "--url", "sqlite:///none.db"), "none.db does not exist"),
        (("delete", "k", "--yes", "--url", "jsonl:///none"), "none does not exist"),
        (("delete", "k", "--yes", "--url", ""), "begins with a scheme"),
        (("list", "--url", "sqlite:///none.db?busy_timeout=-1"), "busy_timeout must be 0 or more"),
        (("list", "--url", "sqlite:///none\udcff.db"), "no UTF-8"),
    ],
)
def test_errors_take_one_line(command: Command, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """An error of ours is one line of stderr with what is wrong, status 1, no password, and creates nothing."""
    result = command(*arguments, status=1)
    assert result.stdout == ""
    [error] = [line for line in result.stderr.splitlines() if VISIBLE not in line]
    assert error.startswith("Error: ")
    assert says in error
    assert "hunter2" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_url_comes_from_the_environment(command: Command, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--url`` it is the store that `open_backend` opens."""
    monkeypatch.setenv("SESSIONKIT_URL", url)
    assert "a/1" in command("list").output


def test_warnings_take_one_line(command: Command, tmp_path: Path) -> None:
    """A corrupt record is one line of stderr, and the rest is shown."""
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats" / "a.jsonl").write_text(
        '{"role": "user", "content": "one"}\nbroken\n{"role": "user", "content": "two"}\n'
    )
    result = command("show", "a", "--url", "jsonl:///chats")
    assert "one" in result.stdout
    assert "two" in result.stdout
    assert re.fullmatch(r"(Warning: .*\n)+", result.stderr)
