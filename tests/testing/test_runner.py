"""`python -m sessionkit.testing`: its report, its exit status, what it refuses, and what it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from sessionkit import open_backend
from sessionkit.protocol import OPTIONAL_PROTOCOLS
from sessionkit.testing import SessionBackendSuite, promises_of

BROKEN = '''
"""A backend that gives its messages in the wrong order, and keeps its password in its URL."""

from sessionkit_memory import MemoryBackend


class BackwardsBackend(MemoryBackend):
    def load(self, session_key, /):
        return super().load(session_key)[::-1]


def open_url(url, *, place: str = ""):
    return BackwardsBackend()


def open_later(url):
    raise NotImplementedError("later")
'''


class Prove(Protocol):
    """Run the command in an empty folder."""

    def __call__(self, *arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        """Give what it said; fails where the exit status is another."""
        ...


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Run the command in an empty folder, with a broken backend installed, and see that it leaves nothing there."""
    installed = tmp_path / "installed"
    information = installed / "backwards-1.dist-info"
    information.mkdir(parents=True)
    (installed / "backwards.py").write_text(BROKEN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: backwards\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[sessionkit.backends]\nbackwards = backwards:open_url\nlater = backwards:open_later\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    path = os.pathsep.join(filter(None, [str(installed), *sys.path]))

    def prove(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-m", "sessionkit.testing", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "--nor-this"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        assert [left.name for left in folder.iterdir()] == ["pytest.ini"]
        return done

    return prove


def test_the_whole_suite_on_memory(prove: Prove) -> None:
    """Every promise gets a verdict: memory breaks none, and is not asked for what outlives a process."""
    report = json.loads(prove("memory://", "--json").stdout)
    verdicts = {verdict["promise"]: verdict for verdict in report["verdicts"]}
    assert list(verdicts) == list(promises_of(SessionBackendSuite))
    assert report["backend"] == "MemoryBackend"
    assert report["protocols"] == sorted(set(OPTIONAL_PROTOCOLS) - {"SupportsCheck"})
    assert report["methods"]["search"] == "native"
    assert report["summary"]["broken"] == report["summary"]["default"] == 0
    assert report["summary"]["kept"] + report["summary"]["not offered"] == len(verdicts)
    assert verdicts["append.keeps-order"]["grade"] == "kept"
    assert verdicts["append.keeps-order"]["requirement"].startswith("`append` adds one message at the end")
    assert verdicts["reopen.messages"] == {
        "promise": "reopen.messages",
        "grade": "not offered",
        "requirement": verdicts["reopen.messages"]["requirement"],
        "detail": "reopen() of the suite",
    }


def test_the_report_to_read(prove: Prove) -> None:
    """The report counts each grade, and names what is not offered, and why."""
    done = prove("memory://", "-k", "append.keeps-order or reopen.messages")
    assert done.stdout.splitlines()[2:] == [
        "Broken: 0",
        "Not offered: 1",
        "  reopen() of the suite: reopen.messages",
        "Kept by a default that works: 0",
        "Kept: 1",
        "Not covered, whatever the backend: costs, power-cut, reading-touches-nothing",
    ]


def test_a_broken_promise(prove: Prove) -> None:
    """A broken promise is reported with its sentence and what was seen, and the exit status is 1."""
    done = prove("backwards://", "-k", "append.keeps-order or append.creates-session", status=1)
    assert "BackwardsBackend, opened as backwards:" in done.stdout
    assert "Broken: 1\n  append.keeps-order\n    `append` adds one message at the end" in done.stdout
    assert "At index 0 diff: '1' != '0'" in done.stdout
    assert "Kept: 1" in done.stdout


def test_a_store_by_url(prove: Prove, tmp_path: Path) -> None:
    """`{store}` becomes a fresh name for each store, and other processes open it by it."""
    url = f"sqlite:///{tmp_path}/stores/{{store}}.db"
    report: dict[str, Any] = json.loads(prove(url, "--json", "-k", "processes.see-writes or reopen.search").stdout)
    assert report["summary"]["kept"] == 2
    assert report["url"] == url
    names = {path.name.partition(".")[0] for path in (tmp_path / "stores").iterdir()}
    assert len(names) == 3
    assert all(name.startswith("sessionkit_") for name in names)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///chats.db", "put {store} into the URL"),
        ("postgresql://user:secret@host/db", "put {store} into the URL"),
        ("backwards://?place=here", "put {store} into the URL"),
        ("nowhere://{store}", "no backend knows the scheme 'nowhere'"),
        ("chats.db", "begins with a scheme"),
        ("memory://{store}", "names no place"),
        ("later://", "error: NotImplementedError: later"),
    ],
)
def test_refused_urls(prove: Prove, url: str, said: str) -> None:
    """A URL that could reach sessions that exist, or can't be opened, is an error that says so, without a secret."""
    done = prove(url, status=2)
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_a_store_that_holds_sessions(prove: Prove, tmp_path: Path) -> None:
    """A store that holds sessions, whatever its URL says, ends the run before anything is written."""
    with open_backend(f"jsonl:///{tmp_path}/store") as backend:
        backend.set_session_name("a", "precious")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").iterdir())
    for options in ((), ("--json",)):
        done = prove(f"jsonl:///{tmp_path}/store/../{{store}}/../store", *options, status=2)
        assert "holds sessions" in done.stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").iterdir()) == before


def test_no_promise_matches(prove: Prove) -> None:
    """An expression that selects nothing proves nothing: it is an error."""
    assert "no promise matches 'made_up'" in prove("memory://", "-k", "made_up", status=2).stderr
