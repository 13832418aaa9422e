"""Every example of the README runs, in its order, in one fresh folder."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(name="blocks", scope="module")
def _blocks(root: Path) -> list[tuple[str, str]]:
    """The fenced blocks: their language and their text."""
    return _BLOCK.findall((root / "README.md").read_text())


def test_every_block_is_tested(blocks: list[tuple[str, str]]) -> None:
    """There is no block in a language that the tests below know nothing of."""
    assert {language for language, _ in blocks} == {"python", "sh", "toml"}


@pytest.mark.timeout(300)
def test_examples_run(
    root: Path, blocks: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    """Python examples build on each other, or are the file that they name; shell examples run beside these files.

    The set-up commands make an environment and run these very tests, so that CI runs them instead.
    """
    paths = [str(root), str(root / "backends"), str(root / "tests" / "third_party")]
    for path in paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.chdir(tmp_path)
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in (("sessionkit", "-m sessionkit.cli"), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (commands / name).chmod(0o755)
    search_path = {"PATH": f"{commands}:/usr/bin:/bin", "PYTHONPATH": ":".join(paths)}
    names: dict[str, Any] = {"__name__": "readme"}
    for language, text in blocks:
        if named := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text)
        elif language == "python":
            exec(compile(text, "README.md", "exec"), names)  # noqa: S102 -- it is our own text
        elif language == "sh" and "venv" not in text:
            run("bash", "-euo", "pipefail", "-c", text, cwd=tmp_path, **search_path)
    assert (tmp_path / "chats").is_dir()


def test_an_agent_that_survives_is_short(blocks: list[tuple[str, str]]) -> None:
    """The agent that survives its own crash takes at most 25 lines."""
    [agent] = [text for _, text in blocks if text.startswith("# agent.py\n")]
    assert len(agent.splitlines()) <= 25


def test_setup_is_two_lines(blocks: list[tuple[str, str]]) -> None:
    """The two commands do all the set-up, a line each; `.ci/run` finds them by how they begin and end."""
    [setup] = [text for language, text in blocks if language == "sh" and "venv" in text]
    demo, tests = setup.splitlines()
    assert demo.startswith("python3 -m venv ")
    assert demo.endswith(" demo")
    assert tests.startswith("python3 -m venv ")
    assert tests.endswith(" pytest")


def test_writing_a_backend_is_what_the_third_party_does(root: Path, blocks: list[tuple[str, str]]) -> None:
    """The README's backend, entry point and test file are those of the distribution that the tests install."""
    theirs = root / "tests" / "third_party"
    texts = [text for _, text in blocks]
    assert (theirs / "dictsessions.py").read_text() in texts
    assert (theirs / "test_dictsessions.py").read_text() in texts
    [entry_point] = [text for language, text in blocks if language == "toml"]
    assert entry_point in (theirs / "pyproject.toml").read_text()
