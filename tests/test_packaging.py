"""What is released: the wheel and the sdist hold what they should and nothing else, and the wheel works elsewhere."""

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from sessionkit.registry import BUILT_IN

pytestmark = pytest.mark.timeout(300)  # an environment's packages may have to be downloaded first


@pytest.fixture(name="pyproject", scope="module")
def _pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_backends_agree(root: Path, pyproject: dict[str, Any]) -> None:
    """The folders of backends, the wheel's packages, the built-in schemes and the checkers' lists name the same."""
    folders = sorted(path.name for path in (root / "backends").iterdir() if path.is_dir() and path.name[0] not in "._")
    tool = pyproject["tool"]
    assert tool["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "sessionkit",
        *(f"backends/{name}" for name in folders),
    ]
    assert sorted({target.partition(":")[0] for target in BUILT_IN.values()}) == folders
    assert tool["check-wheel-contents"]["toplevel"] == ["sessionkit", *folders]
    assert tool["importlinter"]["root_packages"] == ["sessionkit", *folders]


def test_floors_are_the_versions_that_are_tried(root: Path, pyproject: dict[str, Any]) -> None:
    """Every requirement of users and testers has a lowest version, which is the one that CI installs."""
    project = pyproject["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name != "dev"}
    floors = dict[str, str]()
    for requirement in chain(project["dependencies"], *extras.values()):
        if not requirement.startswith("sessionkit["):
            name, floor = requirement.split(">=")
            floors[name] = floor  # the last one counts: what tests need may be higher than what users do
    lines = (root / ".ci" / "lowest.txt").read_text().splitlines()
    assert dict(line.split("==") for line in lines if line[0] != "#") == floors


def test_wheel_holds_the_sources(root: Path, wheel: Path, pyproject: dict[str, Any]) -> None:
    """The wheel holds every file of the packages, typing marks and the licence, and nothing besides."""
    expected = set[str]()
    for package in pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        folder = root / package
        files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        expected |= {path.relative_to(folder.parent).as_posix() for path in files}
        assert f"{folder.name}/py.typed" in expected
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_sdist_is_enough_to_test_and_release(distributions: Path) -> None:
    """The sdist holds the sources, the tests and the documents, and no leftovers of anybody's work."""
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "tests/test_packaging.py"):
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or "/." in name]


def test_check_wheel_contents(run: Callable[..., Any], wheel: Path, root: Path) -> None:
    """check-wheel-contents finds no common mistake."""
    assert "OK" in run(sys.executable, "-m", "check_wheel_contents", wheel, cwd=root).stdout


def test_wheel_works_elsewhere(
    new_environment: Callable[..., Path], run: Callable[..., Any], wheel: Path, tmp_path: Path
) -> None:
    """Installed alone, the wheel stores and loads on the default backend; command and suite say what they need."""
    bin_folder = new_environment(str(wheel))
    program = (
        "import sessionkit\n"
        "with sessionkit.open_backend() as backend:\n"
        "    backend.append('a', sessionkit.ChatMessage.user('hello'))\n"
        "with sessionkit.open_backend() as backend:\n"
        "    print(backend.load('a')[0].content)\n"
    )
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert run(bin_folder / "python", "-c", program, cwd=tmp_path, **home).stdout == "hello\n"
    failed = run(bin_folder / "sessionkit", "list", cwd=tmp_path, status=1, **home)
    assert failed.stderr == (
        "sessionkit: the command needs click and rich; install them with: pip install 'sessionkit[cli]'\n"
    )
    failed = run(bin_folder / "python", "-m", "sessionkit.testing", "memory://", cwd=tmp_path, status=1, **home)
    assert "install it with: pip install 'sessionkit[testing]'" in failed.stderr
    assert failed.stderr.count("\n") == 1
