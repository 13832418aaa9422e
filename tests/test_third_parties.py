"""Backends of other distributions are found, and their absence is found out cheaply."""

import subprocess
import sys
import zipfile
from importlib.machinery import PathFinder
from importlib.metadata import DistributionFinder
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError
from sessionkit.third_parties import ENTRY_POINT_GROUP, entry_points

_ENTRY_POINTS = f"[{ENTRY_POINT_GROUP}]\nfar = elsewhere:open_url\n"
_METADATA = "Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n"


def _names() -> list[str]:
    return [entry.name for entry in entry_points()]


@pytest.mark.parametrize("folder", ["elsewhere-1.0.dist-info", "elsewhere.egg-info", "Elsewhere-1.0.DIST-INFO"])
def test_an_installed_distribution_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Whatever tool installed it, into whichever folder Python looks in."""
    assert "far" not in _names()
    info = tmp_path / folder
    info.mkdir()
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    (info / ("PKG-INFO" if "egg" in folder else "METADATA")).write_text(_METADATA)
    monkeypatch.syspath_prepend(tmp_path)
    assert "far" in _names()


def test_it_is_found_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever among them it stands: those without entry points are passed over one by one."""
    for number in range(20):
        (tmp_path / f"plain{number}-1.0.dist-info").mkdir()
        if number == 9:
            info = tmp_path / "elsewhere-1.0.dist-info"
            info.mkdir()
            (info / "entry_points.txt").write_text(_ENTRY_POINTS)
            (info / "METADATA").write_text(_METADATA)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "far" in _names()


def test_an_egg_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that is a folder on the path itself."""
    info = tmp_path / "elsewhere-1.0-py3.11.egg" / "EGG-INFO"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    (info / "PKG-INFO").write_text(_METADATA)
    monkeypatch.syspath_prepend(info.parent)
    assert "far" in _names()


def test_an_archive_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only `importlib.metadata` can read is left to it."""
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("elsewhere-1.0.dist-info/entry_points.txt", _ENTRY_POINTS)
        file.writestr("elsewhere-1.0.dist-info/METADATA", _METADATA)
    monkeypatch.syspath_prepend(archive)
    assert "far" in _names()


def test_a_finder_of_its_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who imports in a way of his own may know distributions that stand in no folder."""
    asked = list[object]()

    class Finder(DistributionFinder):
        def find_distributions(self, context: object = None) -> list[object]:  # type: ignore[override]
            asked.append(context)
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    entry_points()
    assert asked


def test_a_distribution_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which an empty entry of the path stands for, as in an interactive interpreter."""
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    (info / "METADATA").write_text(_METADATA)
    monkeypatch.setattr(sys, "path", [""])
    assert _names() == []
    monkeypatch.chdir(tmp_path)
    assert _names() == ["far"]


@pytest.fixture
def _not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has `importlib.metadata` read everything fails."""

    def read(**_: object) -> None:
        raise AssertionError("the metadata was read")

    finders = [finder for finder in sys.meta_path if not hasattr(finder, "find_distributions")]
    monkeypatch.setattr(sys, "meta_path", [*finders, PathFinder])
    monkeypatch.setattr("importlib.metadata.entry_points", read)


@pytest.mark.usefixtures("_not_read")
def test_metadata_that_mentions_no_backend_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is broken, or of something else, costs a look at its file; a mere folder not even that."""
    others = {
        "plain-1.0.dist-info": None,
        "other-1.0.dist-info": "[console_scripts]\nother = other:main\n",
        "old.egg-info": "",
        "docs": _ENTRY_POINTS,
    }
    for name, text in others.items():
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "entry_points.txt").write_text(text)
    (tmp_path / "file.egg-info").write_text(_METADATA)
    (tmp_path / "secret-1.0.dist-info").symlink_to("/root/no-such-folder")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.chdir(tmp_path / "docs")
    assert entry_points() == ()


def test_what_is_not_there_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the path that is missing, and a distribution without entry points, are no error."""
    (tmp_path / "plain-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.chdir(tmp_path)
    assert entry_points() == ()


def test_what_is_no_folder_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to itself, a name that is too long, a folder in the place of a file: no error, as everywhere else."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "odd-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(loop), "x" * 5_000, str(tmp_path)])
    assert entry_points() == ()


def test_what_can_not_be_read_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two claims to a scheme could hide there: it is not taken for nothing."""

    def fail(_path: str) -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("sessionkit.third_parties.os.listdir", fail)
    with pytest.raises(BackendUnavailableError, match="metadata of the installed distributions"):
        entry_points()


def test_opening_is_light_where_nobody_else_has_a_backend(tmp_path: Path) -> None:
    """What reads the metadata of distributions takes half as long to import as all of sessionkit, so it isn't."""
    program = (
        f"import sys, sessionkit; sessionkit.open_backend('sqlite:///{tmp_path}/s.db').close(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    names = set(done.stdout.split())
    assert not names & {"importlib.metadata", "email", "zipfile", "tempfile", "hashlib", "asyncio", "cattrs"}
