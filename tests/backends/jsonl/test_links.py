"""A symbolic link in the place of a file of the store is not followed: to read, write, compact, mend or delete."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, SessionKitError
from sessionkit_jsonl import JSONLBackend

HI = ChatMessage("user", "hi")

CALLS: dict[str, Callable[[JSONLBackend], object]] = {
    "load": lambda backend: backend.load("s"),
    "append": lambda backend: backend.append("s", HI),
    "create": lambda backend: backend.append("new", HI),
    "compact": lambda backend: backend.compact("s"),
    "check": lambda backend: list(backend.check(repair=True)),
    "list": lambda backend: backend.list_sessions(),
    "delete": lambda backend: backend.delete_session("s"),
}


@pytest.mark.filterwarnings("ignore::sessionkit.CorruptRecordWarning")
@pytest.mark.parametrize("dangling", [False, True], ids=["to a file", "to nothing"])
@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.corrupt", "s.jsonl.tmp", ".revisions"])
def test_no_link_is_followed(tmp_path: Path, name: str, dangling: bool) -> None:  # noqa: FBT001 -- pytest's
    """What it leads to stays as it is, and where there is nothing nothing is made; whatever the call says of it."""
    outside = tmp_path / "outside"
    if not dangling:
        outside.write_bytes(b"00000000000000000007\nrubbish\n")
        outside.chmod(0o644)
    for title, call in CALLS.items():
        store = tmp_path / title
        backend = JSONLBackend(store)
        for key in ("s", "other"):
            backend.append(key, HI)
            backend.update_last(key, HI)
        with (store / "s.jsonl").open("ab") as file:
            file.write(b"rubbish\n")
        (store / name).unlink(missing_ok=True)
        (store / name).symlink_to(outside)
        with suppress(SessionKitError):
            call(backend)
        assert backend.load("other") == [HI]
        assert outside.exists() != dangling
        if not dangling:
            assert outside.read_bytes() == b"00000000000000000007\nrubbish\n"
            assert outside.stat().st_mode & 0o777 == 0o644


def test_a_link_is_told(tmp_path: Path) -> None:
    """To load what it stands for is an error, and a list leaves it out with a warning."""
    with JSONLBackend(tmp_path / "store") as backend:
        backend.append("s", HI)
        (tmp_path / "store" / "t.jsonl").symlink_to(tmp_path / "store" / "s.jsonl")
        with pytest.raises(SessionKitError, match="no regular file"):
            backend.load("t")
        with pytest.warns(CorruptRecordWarning, match="no regular file"):
            assert backend.list_sessions() == ["s"]
