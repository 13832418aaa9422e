"""``demo``: the story it tells is what happened."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

from sessionkit import open_backend

Command = Callable[..., Result]


def test_demo(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    """A turn is killed, found, taken over and fenced off; what is printed is in the store, a line a step."""
    path = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'backends'}"}
    done = run(sys.executable, "-m", "sessionkit.cli", "demo", "--folder", tmp_path / "demo", cwd=tmp_path, **path)
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) < 400, "lines are padded"
    told = [
        "begin_turn",
        "update_last",
        "kill -9",
        "list_stuck_sessions",
        "ferry/42: turn-1",
        "stuck_after=",
        "ConflictError: ",
        "search",
        "sessionkit list",
        "sessionkit show ferry/42",
    ]
    places = [done.stdout.find(part) for part in told]
    assert -1 not in places
    assert places == sorted(places)
    with open_backend(f"sqlite:///{tmp_path / 'demo' / 'sessions.db'}") as backend:
        messages = backend.load("ferry/42")
        assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
        assert {message.status for message in messages[3::2]} == {"completed"}
        for message in messages:
            assert message.content is None or str(message.content) in done.stdout


def test_demo_wants_a_folder_of_its_own(command: Command, tmp_path: Path) -> None:
    """A folder that holds something is refused, and left as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    assert "not empty" in command("demo", "--folder", str(tmp_path), status=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
