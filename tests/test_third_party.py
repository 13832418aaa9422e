"""A third party's distribution, installed beside ours in a clean environment: found by URL, and proven by our suite."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)  # an environment's packages may have to be downloaded first

Run = Callable[..., Any]


@pytest.fixture(name="their_folder", scope="module")
def _their_folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their sources, away from ours."""
    folder = tmp_path_factory.mktemp("theirs") / "dictsessions"
    return shutil.copytree(root / "tests" / "third_party", folder, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(name="python", scope="module")
def _python(new_environment: Callable[..., Path], wheel: Path, their_folder: Path) -> Path:
    """The interpreter of an environment with our wheel and theirs."""
    return new_environment(f"{wheel}[testing]", str(their_folder)) / "python"


def test_it_is_small(their_folder: Path) -> None:
    """A backend is four methods: its module has at most 40 lines."""
    assert len((their_folder / "dictsessions.py").read_text().splitlines()) <= 40


def test_opened_by_its_url(python: Path, run: Run, tmp_path: Path) -> None:
    """The entry point of an installed distribution makes its scheme known."""
    program = "import sessionkit; print(type(sessionkit.open_backend('dict://').__wrapped__).__module__)"
    assert run(python, "-c", program, cwd=tmp_path).stdout == "dictsessions\n"


def test_its_own_tests_pass(python: Path, run: Run, their_folder: Path) -> None:
    """Its test file, which writes one method, runs the whole suite; nothing fails."""
    last_line = run(python, "-m", "pytest", "-q", their_folder, cwd=their_folder).stdout.splitlines()[-1]
    assert " passed" in last_line
    assert " skipped" in last_line


def test_the_report_is_honest(python: Path, run: Run, tmp_path: Path) -> None:
    """By URL, nothing is broken; what four methods can't do is not offered, and what defaults do is told apart."""
    report = json.loads(run(python, "-m", "sessionkit.testing", "dict://", "--json", cwd=tmp_path).stdout)
    assert report["backend"] == "DictBackend"
    assert report["summary"]["broken"] == 0
    assert report["protocols"] == []
    methods: dict[str, str] = report["methods"]
    assert set(methods.values()) == {"default", "unsupported"}
    assert (methods["search"], methods["set_session_name"]) == ("default", "unsupported")
    grades = {verdict["promise"]: verdict["grade"] for verdict in report["verdicts"]}
    assert grades["name.set-and-get"] == "not offered"
    for verdict in report["verdicts"]:
        if verdict["grade"] == "not offered":
            assert verdict["detail"]
            assert methods.get(verdict["detail"].split()[-1]) != "native"
    assert {grade: report["summary"][grade] > 0 for grade in ("kept", "default", "not offered")} == {
        "kept": True,
        "default": True,
        "not offered": True,
    }
