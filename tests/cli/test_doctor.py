"""``doctor``: a store in order is said to be so, one that is not is told in words and in JSON, and mended."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sessionkit import ChatMessage, open_backend
from tests.backends.trouble import JSONLTrouble, SQLiteTrouble

Command = Callable[..., Result]

HOSTILE = "\x1b]0;owned\x07\u202eright\r"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(name="url", params=["sqlite:///{}/store", "jsonl:///{}/store"], ids=["sqlite", "jsonl"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with two sessions, one of them with a hostile key."""
    url: str = request.param.format(tmp_path)
    with open_backend(url) as backend:
        for key in ("a", f"evil{HOSTILE}"):
            for text in ("one", "two", "three"):
                backend.append(key, ChatMessage.user(f"secret {text}"))
    return url


def damage(url: str, key: str) -> Callable[[], bool]:
    """Make a message unreadable; gives whether what it became is still there."""
    trouble = SQLiteTrouble if url.startswith("sqlite") else JSONLTrouble
    return trouble(Path(url.partition("///")[2])).corrupt(key)


def test_a_store_in_order(command: Command, url: str) -> None:
    """It says what it looked at, and that there was nothing; with ``--repair`` the same."""
    for options in ((), ("--repair",)):
        output = command("doctor", url, *options).output
        assert "2 sessions with 6 messages" in output
        assert "0 problems, 0 notes, 0 repaired." in output


def test_a_damaged_store(command: Command, url: str) -> None:
    """Status 1 until it is mended; what is told names the session, harmlessly, and no message."""
    key = f"evil{HOSTILE}"
    is_kept = damage(url, key)
    told = command("doctor", url, status=1)
    assert "corrupt-message  session evil\\x1b]0;owned\\x07" in told.output
    assert "--repair" in told.output
    mended = command("doctor", url, "--repair")
    assert "Repaired: " in mended.output
    assert "A second look found nothing wrong." in mended.output
    for result in (told, mended):
        assert not CONTROL.search(result.output)
        assert "secret" not in result.output
    assert is_kept()
    assert " 0 problems" in f" {command('doctor', url).output.splitlines()[-1]}"
    with open_backend(url) as backend:
        assert [message.content for message in backend.load(key)] == ["secret one", "secret three"]


def test_json(command: Command, url: str) -> None:
    """One object, with what is documented in it."""
    damage(url, "a")
    before = json.loads(command("doctor", url, "--json", status=1).output)
    assert before["healthy"] is False
    assert before["left"] is None
    assert {one["session_key"] for one in before["findings"]} == {"a"}
    assert set(before["findings"][0]) == {"kind", "what", "session_key", "where", "repaired", "severity"}
    after = json.loads(command("doctor", url, "--json", "--repair").output)
    assert after["healthy"] is True
    assert after["left"] == [] or {one["severity"] for one in after["left"]} == {"note"}
    assert (after["sessions"], after["messages"]) == (2, 5)
    assert set(after) == {
        *("url", "healthy", "findings", "left", "sessions", "messages", "searched", "in_depth", "opened", "busy")
    }


def test_what_is_not_there(command: Command, tmp_path: Path) -> None:
    """It is an error, on one line, and stays so."""
    for scheme in ("sqlite", "jsonl"):
        for options in ((), ("--repair",)):
            result = command("doctor", f"{scheme}:///{tmp_path}/none", *options, status=1)
            assert result.output.startswith("Error: ")
            assert len(result.output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened(command: Command, tmp_path: Path) -> None:
    """It is a finding; what is no store of ours stays as it is, with ``--repair`` too."""
    (tmp_path / "notes.txt").write_text("no database, but somebody's notes\n" * 200)
    for scheme in ("sqlite", "jsonl"):
        for options in ((), ("--repair",)):
            result = command("doctor", f"{scheme}:///{tmp_path}/notes.txt", *options, status=1)
            assert result.output.startswith("structure\n")
            assert "could not be opened, so nothing in it was looked at." in result.output
    assert (tmp_path / "notes.txt").read_text() == "no database, but somebody's notes\n" * 200


def test_what_is_empty(command: Command, tmp_path: Path) -> None:
    """A database that was cut to nothing is told of by a repair too, which makes it a store without sessions."""
    (tmp_path / "store").touch()
    assert command("doctor", f"sqlite:///{tmp_path}/store", status=1).output.startswith("structure\n")
    mended = command("doctor", f"sqlite:///{tmp_path}/store", "--repair").output
    assert mended.startswith("structure\n")
    assert "0 sessions" in mended


@pytest.mark.parametrize("seconds", ["nan", "-1", "x"])
def test_seconds_that_are_none(command: Command, url: str, seconds: str) -> None:
    """Nothing is looked at; the status is that of a wrong command."""
    assert "--stuck-after" in command("doctor", url, "--stuck-after", seconds, status=2).output


def test_stuck(command: Command, url: str) -> None:
    """A turn without a sign of life for as long as is said is told of, and ended by a repair."""
    with open_backend(url) as backend:
        backend.set_session_state("a", "running", "turn-1")
    command("doctor", url)
    assert "stuck  session a" in command("doctor", url, "--stuck-after", "0", status=1).output
    assert "the turn was ended" in command("doctor", url, "--stuck-after", "0", "--repair").output
    with open_backend(url) as backend:
        assert [metadata.state for metadata in backend.list_sessions_with_metadata()].count("error") == 1


def test_the_store_of_the_environment(command: Command, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL it is ``$SESSIONKIT_URL`` that is looked at."""
    monkeypatch.setenv("SESSIONKIT_URL", url)
    assert "2 sessions" in command("doctor").output
