"""Keys never escape: no key leads out of a store, and no two keys meet in it, whatever the file system compares."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionkit import ChatMessage, open_backend
from sessionkit.registry import BUILT_IN
from sessionkit_jsonl.names import file_name, session_key
from tests.places import url_of
from tests.safety.hostile import FILE_SYSTEMS, keys

Name = Callable[[str], str]


def names_stay_apart(name: Name, one: str, other: str) -> None:
    """Of two keys, and on each file system; and no name is a path, a device or one that hides."""
    for key in (one, other):
        made = name(key)
        assert made == Path(made).name, "a name is no path"
        assert made.isascii()
        assert made.isprintable()
        assert len(f"{made}.corrupt") <= 255
        assert not made.startswith((".", "-rf/"))
        assert not set(made) & set('<>:"/\\|?* '), "Windows has no such names"
        stem = made.split(".")[0].upper()
        assert stem not in {"CON", "PRN", "AUX", "NUL", *(f"{each}{i}" for each in ("COM", "LPT") for i in range(10))}
    if one != other:
        for system, compared in FILE_SYSTEMS.items():
            assert compared(name(one)) != compared(name(other)), f"{one!a} and {other!a} are one file on {system}"


def keys_stay_apart(scheme: str, folder: Path, session_keys: list[str]) -> None:
    """In a real store: each key is a session of its own, and nothing outside of the store changes."""
    (folder / "beside").mkdir()
    (folder / "beside" / "file").write_bytes(b"kept")
    (folder / "inside").mkdir()
    with open_backend(url_of(scheme, folder / "inside")) as backend:
        for key in session_keys:
            backend.append(key, ChatMessage("user", key))
        expected = {key: session_keys.count(key) for key in session_keys}
        for key, count in expected.items():
            backend.compact(key)
            assert [message.content for message in backend.load(key)] == [key] * count
        assert sorted(backend.list_sessions()) == sorted(expected)
        for key in expected:
            assert backend.delete_session(key)
        assert backend.list_sessions() == []
    outside = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    inside = {path for path in outside if path.startswith("inside/store")}
    assert outside - inside == {"beside", "beside/file", "inside"}
    assert {Path(path).parts[:3] for path in inside} == {Path(path).parts for path in inside}, "a store has no folders"
    assert (folder / "beside" / "file").read_bytes() == b"kept"


@given(keys, keys)
@settings(max_examples=80, deadline=None)
def test_names_stay_apart_on_every_file_system(one: str, other: str) -> None:
    """Where case and normal forms don't count, too; with twins of each key by case, form, and what systems drop."""
    for twin in (other, one.swapcase(), one.upper(), one.casefold(), f"{one}.", f"{one} ", f"{one}\u200d", f"{one}~1"):
        names_stay_apart(file_name, one, twin)


@given(keys)
@settings(max_examples=80, deadline=None)
def test_a_name_gives_its_key_back(key: str) -> None:
    """Unless it is hashed, when the file has it; and no other spelling of the name is taken for it."""
    name = file_name(key)
    assert session_key(name) in {key, None}
    assert (session_key(name) is None) == ("~" in name)
    for other in (name.upper(), name.replace("%2f", "/"), f"./{name}", name.replace("%", "%25")):
        if other != name:
            try:
                assert session_key(other) != key
            except ValueError:
                continue


@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
@given(st.lists(keys, min_size=1, max_size=8))
@settings(max_examples=4, deadline=None)
def test_keys_stay_apart_in_a_store(scheme: str, session_keys: list[str]) -> None:
    """Written, compacted, loaded, listed and deleted under any name, in a folder with a neighbour."""
    with tempfile.TemporaryDirectory() as folder:
        keys_stay_apart(scheme, Path(folder), session_keys)
