"""What stands beside a store's files, and what somebody else may have put in its place."""

import os
import stat
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sessionkit import ChatMessage, OpenBackend, SessionKitError, TimestampedMessage, open_backend
from sessionkit.models import SessionMetadata
from tests.places import url_of

WORDS = "what nobody else may read"

SECRET = f'{{"role":"user","content":"{WORDS}"}}\n'.encode()
"""A session's file, as it might stand elsewhere: if it is followed, it is understood."""

BESIDE = {
    "jsonl": ("store/s.jsonl", "store/s.jsonl.tmp", "store/s.jsonl.corrupt", "store/.revisions"),
    "sqlite": ("store-lock", "store-wal", "store-shm", "store-journal"),
}
"""By scheme, the files of a store at ``store`` that holds the session ``s``."""


def symbolic_link(place: Path, outside: Path) -> None:
    """To a file elsewhere."""
    place.symlink_to(outside)


def dangling_link(place: Path, outside: Path) -> None:
    """To where a file elsewhere would be made."""
    place.symlink_to(outside.with_name("made"))


def hard_link(place: Path, outside: Path) -> None:
    """Another name of a file elsewhere."""
    os.link(outside, place)


def pipe(place: Path, _outside: Path) -> None:
    """Which nobody reads or writes."""
    os.mkfifo(place)


def device(place: Path, _outside: Path) -> None:
    """Zeros without an end; as a link, where this user may make no device."""
    try:
        os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        place.symlink_to("/dev/zero")


KINDS: dict[str, Callable[[Path, Path], None]] = {
    each.__name__: each for each in (symbolic_link, dangling_link, hard_link, pipe, device)
}


def use_everything(backend: OpenBackend, key: str = "s") -> None:
    """Each way in which a backend makes a file, as far as it gets: what it refuses, it refuses by errors of ours."""
    message = ChatMessage("user", "one")

    def restore() -> None:
        backend.restore("restored", [TimestampedMessage(message)], SessionMetadata("restored"))  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] -- every built-in one has it

    for step in (
        lambda: backend.append(key, message),
        lambda: backend.append("other", message),
        lambda: backend.set_session_name(key, "name"),
        lambda: backend.clear_messages(key),
        lambda: backend.append(key, message),
        lambda: backend.compact(key),
        restore,
        lambda: backend.load(key),
        lambda: backend.delete_session("other"),
        lambda: backend.delete_session(key),
        lambda: backend.append(key, message),
        backend.list_sessions_with_metadata,
    ):
        with suppress(SessionKitError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step()


def nothing_outside_changes(scheme: str, folder: Path, place: str, kind: str) -> None:
    """A store in whose folder something else stands in that place: used, it changes and tells nothing elsewhere.

    The link is there before anything is opened, and once more while the store is open.
    """
    outside = folder / "outside"
    outside.mkdir(mode=0o700)
    private = outside / "private"
    private.write_bytes(SECRET)
    private.chmod(0o600)
    store = folder / "inside"
    store.mkdir()
    if scheme == "jsonl":
        (store / "store").mkdir()
    url = url_of(scheme, store)
    for opened_before in (False, True):
        with suppress(SessionKitError):
            if opened_before:
                _clear(store, scheme)
                with open_backend(url) as backend:
                    backend.append("s", ChatMessage("user", "zero"))
                    _put(store / place, private, kind)
                    use_everything(backend)
            else:
                _put(store / place, private, kind)
                with open_backend(url) as backend:
                    use_everything(backend)
        with suppress(SessionKitError), open_backend(url, mode="ro") as backend, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert kind == "hard_link" or WORDS not in str(backend.load("s"))  # that tells who may read it anyway
        assert private.read_bytes() == SECRET, f"{place} was followed, and what it leads to was written"
        assert [each.name for each in outside.iterdir()] == ["private"], f"{place} was followed, and a file made there"
        assert stat.S_IMODE(private.stat().st_mode) == 0o600, f"{place} was followed, and given another mode"


def _put(place: Path, outside: Path, kind: str) -> None:
    with suppress(FileNotFoundError):
        place.unlink()
    KINDS[kind](place, outside)


def _clear(store: Path, scheme: str) -> None:
    for each in list(store.rglob("*")):
        if not each.is_dir() or each.is_symlink():
            each.unlink()
    if scheme == "jsonl":
        (store / "store").mkdir(exist_ok=True)
