"""What somebody put in the place of a store's file is not followed, does not block, and is not written."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, SessionKitError, open_backend
from sessionkit_jsonl import JSONLBackend
from tests.places import url_of
from tests.safety.places import BESIDE, KINDS, SECRET, WORDS, nothing_outside_changes, use_everything

PLACES = [(scheme, place) for scheme, places in BESIDE.items() for place in places]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scheme", "place"), PLACES)
def test_nothing_outside_is_touched(scheme: str, place: str, kind: str, tmp_path: Path) -> None:
    """By links of both kinds, pipes and devices, in the place of each file that a store has beside it."""
    nothing_outside_changes(scheme, tmp_path, place, kind)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_database_is_an_error_of_ours(kind: str, tmp_path: Path) -> None:
    """In the place of the database itself, where a link is the user's own and is followed."""
    KINDS[kind](tmp_path / "store", tmp_path / "outside")
    for mode in ("rw", "ro"):
        with pytest.raises(SessionKitError), open_backend(f"sqlite:///{tmp_path}/store?mode={mode}") as backend:
            backend.list_sessions()


def test_a_hard_linked_session_is_written_as_a_copy(tmp_path: Path) -> None:
    """Its other name may stand anywhere, or be a backup: what it stands for stays as it is, and the session goes on."""
    with JSONLBackend(tmp_path / "store") as backend:
        backend.append("s", ChatMessage("user", "one"))
    path = tmp_path / "store" / "s.jsonl"
    os.link(path, tmp_path / "backup")
    before = path.read_bytes()
    with JSONLBackend(tmp_path / "store") as backend:
        assert len(backend.load("s")) == 1
        backend.append("s", ChatMessage("user", "two"))
        assert len(backend.load("s")) == 2
        assert (tmp_path / "backup").read_bytes() == before
        assert path.read_bytes().startswith(before)
        os.link(path, tmp_path / "another")  # while it is open
        backend.append("s", ChatMessage("user", "three"))
    assert len(path.read_bytes()) > len((tmp_path / "another").read_bytes()) > len(before)


def test_a_link_as_the_lock_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Whoever locks a database writes into the file beside it."""
    (tmp_path / "outside").write_bytes(SECRET)
    (tmp_path / "store-lock").symlink_to(tmp_path / "outside")
    with pytest.raises(BackendUnavailableError, match=r"store-lock is no regular file.*move it away"):
        use_everything(open_backend(f"sqlite:///{tmp_path}/store"))
    assert (tmp_path / "outside").read_bytes() == SECRET


@pytest.mark.parametrize("scheme", sorted(BESIDE))
def test_a_folder_that_is_a_link_of_the_users_is_followed(scheme: str, tmp_path: Path) -> None:
    """Whoever names a store says where it is; only what stands in its folder is not believed."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with open_backend(url_of(scheme, tmp_path / "link")) as backend:
        backend.append("s", ChatMessage("user", "one"))
    with open_backend(url_of(scheme, tmp_path / "real")) as backend:
        assert len(backend.load("s")) == 1


def swapped_while_written(folder: Path, rounds: int) -> None:
    """A session's file and a link to another file take each other's place, again and again, while it is written."""
    outside = folder / "outside"
    outside.write_bytes(SECRET)
    stop = threading.Event()
    with JSONLBackend(folder / "store", lock_timeout=0.2) as backend:
        backend.append("s", ChatMessage("user", "zero"))
        path = folder / "store" / "s.jsonl"
        content = path.read_bytes()

        def swap() -> None:
            while not stop.is_set():
                link, file = folder / "link", folder / "file"
                with suppress(FileExistsError):
                    link.symlink_to(outside)
                link.replace(path)
                file.write_bytes(content)
                file.replace(path)

        swapping = threading.Thread(target=swap)
        swapping.start()
        try:
            for number in range(rounds):
                with suppress(SessionKitError):
                    backend.append("s", ChatMessage("user", str(number)))
                with suppress(SessionKitError):
                    backend.compact("s")
                with suppress(SessionKitError):
                    assert WORDS not in str(backend.load("s"))
        finally:
            stop.set()
            swapping.join()
    assert outside.read_bytes() == SECRET


def test_a_link_that_is_swapped_in_is_not_followed(tmp_path: Path) -> None:
    """Between any look and the opening: the opening itself refuses it."""
    swapped_while_written(tmp_path, 60)
