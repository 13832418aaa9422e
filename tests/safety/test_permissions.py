"""Every file of a store is its owner's only, under every umask and in every moment."""

import os
import sqlite3
import stat
import tempfile
import warnings
from pathlib import Path

import pytest

from sessionkit import ChatMessage, open_backend
from sessionkit.private import make_folders
from sessionkit.registry import BUILT_IN, default_url
from sessionkit_jsonl import JSONLBackend
from tests.places import url_of
from tests.safety.places import use_everything
from tests.safety.watching import umask, watched

ON_DISK = sorted(set(BUILT_IN) - {"memory"})
MASKS = (0, 0o022, 0o077)


def use_a_new_store(scheme: str, folder: Path) -> None:
    """In folders that are made for it; with something set aside, read by a reader, and opened again."""
    place = folder / "not" / "there"
    url = url_of(scheme, place)
    with open_backend(url) as backend:
        use_everything(backend)
    for path in place.rglob("s.jsonl"):
        path.write_bytes(path.read_bytes() + b"damaged{]\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_backend(url) as backend, open_backend(url, mode="ro") as reader:
            use_everything(backend)
            reader.load("s")
            reader.list_sessions()


def all_is_the_owners_only(scheme: str, mask: int, folder: Path) -> None:
    """In every moment, and at the end."""
    with umask(mask), watched(folder) as wide:
        use_a_new_store(scheme, folder)
    assert wide == set()
    made = [path for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_dir()} == {0o700}
    assert len(made) >= 2


@pytest.mark.parametrize("mask", MASKS, ids=oct)
@pytest.mark.parametrize("scheme", ON_DISK)
def test_every_file_is_the_owners_only_in_every_moment(scheme: str, mask: int, tmp_path: Path) -> None:
    """Folders too, also those that lead to the store: made with their modes, not narrowed afterwards."""
    all_is_the_owners_only(scheme, mask, tmp_path)


@pytest.mark.parametrize("mask", MASKS, ids=oct)
def test_the_default_store_is_the_owners_only(mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As are its folder and those that lead to it, where they were missing."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "share"))
    monkeypatch.delenv("SESSIONKIT_URL", raising=False)
    with umask(mask), watched(tmp_path) as wide, open_backend() as backend:
        assert default_url().startswith("sqlite:///")
        use_everything(backend)
    assert wide == set()
    assert (tmp_path / "home" / "share" / "sessionkit").is_dir()


def a_copy_is_the_owners_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a reader makes who may not write, of a database whose log lost its index."""
    place = tmp_path / "store"
    with open_backend(f"sqlite:///{place}") as backend:
        backend.append("s", ChatMessage("user", "one"))
        left = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith("-shm")}
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with umask(0), watched(tmp_path) as wide, open_backend(f"sqlite:///{place}?mode=ro") as reader:
        assert [message.content for message in reader.load("s")] == ["one"]
        assert list(temporary.rglob("copy.db"))
    assert wide == set()


def test_a_copy_to_read_from_is_the_owners_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a database whose log lost its index, which a reader that may not write copies, with its log."""
    a_copy_is_the_owners_only(tmp_path, monkeypatch)


def test_a_store_that_others_may_read_stays_so(tmp_path: Path) -> None:
    """Whoever opened a session's file to a group finds it so after `compact`, and not wider."""
    with JSONLBackend(tmp_path / "store") as backend:
        use_everything(backend)
        path = tmp_path / "store" / "s.jsonl"
        path.chmod(0o640)
        with umask(0), watched(tmp_path / "elsewhere"):
            backend.append("s", ChatMessage("user", "two"))
            backend.remove_last("s")
            backend.compact("s")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    """Be they open to others, or a link to a folder; what is no folder is an error."""
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    assert [path.name for path in make_folders(tmp_path / "link" / "a" / "b")] == ["b", "a"]
    assert make_folders(tmp_path / "link" / "a" / "b") == []
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "open" / "a").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        make_folders(tmp_path / "file")


def test_the_watch_sees_a_file_that_is_narrowed_too_late(tmp_path: Path) -> None:
    """So that what it does not see was never there."""
    with umask(0o022), watched(tmp_path) as wide:
        descriptor = os.open(tmp_path / "late", os.O_WRONLY | os.O_CREAT, 0o644)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        connection = sqlite3.connect(tmp_path / "db")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        (tmp_path / "db").chmod(0o600)
    assert {Path(each.split()[1]).name for each in wide} >= {"late", "db"}
