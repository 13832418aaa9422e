"""File names: safe on every file system, never ambiguous, never outside of the folder."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.names import file_name, session_key

KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=1024).filter(
    lambda key: len(key.encode()) <= 1024
)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("notes", "notes.jsonl"),
        ("agent-1_a.b@c+d=e,f", "agent-1_a.b@c+d=e,f.jsonl"),
        ("support/7", "support%2f7.jsonl"),
        ("A", "%41.jsonl"),
        ("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd.jsonl"),
        (".hidden", "%2ehidden.jsonl"),
        ("con", "%63on.jsonl"),
        ("lpt1.txt", "%6cpt1.txt.jsonl"),
        ("console", "console.jsonl"),
        ("ä", "%c3%a4.jsonl"),
        ("50%", "50%25.jsonl"),
        ("~", "%7e.jsonl"),
    ],
)
def test_names_are_as_documented(key: str, name: str) -> None:
    """What is safe everywhere stands for itself, all else is written as its bytes; stores that exist rely on it."""
    assert file_name(key) == name
    assert session_key(name) == key


@given(KEYS)
def test_any_key_has_a_safe_name(key: str) -> None:
    """A name is short, of harmless characters alone, and gives its key back, unless it is hashed."""
    name = file_name(key)
    assert len(f"{name}.corrupt") <= 143  # the shortest limit of a file system in use, eCryptfs
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.@+=,%~")
    assert not name.startswith(".")
    assert name.partition(".")[0] not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert session_key(name) == (None if "~" in name else key)


@given(KEYS, KEYS)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    """Two keys have two names, also for a file system that ignores case and normalises."""
    for twin in (other, one.swapcase(), unicodedata.normalize("NFD", one), f"{one}.", f"{one} "):
        if twin != one:
            assert file_name(one).casefold() != file_name(twin).casefold()


def test_long_keys_are_told_apart(tmp_path: Path) -> None:
    """Keys of 1,024 bytes that differ in the last one are two sessions, and are listed in full."""
    with JSONLBackend(tmp_path) as backend:
        keys = {"k" * 1023 + end for end in "ab"}
        for key in keys:
            backend.append(key, ChatMessage("user", key[-1]))
        assert {key: backend.load(key)[0].content for key in backend.list_sessions()} == {key: key[-1] for key in keys}


@pytest.mark.parametrize(
    "name", ["Notes.jsonl", "my notes.jsonl", "%4.jsonl", ".jsonl", "%00.jsonl", f"{'k' * 200}.jsonl"]
)
def test_a_name_of_no_session_is_left_out(tmp_path: Path, name: str) -> None:
    """A file whose name stands for no key is left out of lists, with a warning that names it."""
    (tmp_path / name).write_text('{"role":"user","content":"hi"}\n')
    with JSONLBackend(tmp_path) as backend, pytest.warns(CorruptRecordWarning, match="is the file name of no session"):
        assert backend.list_sessions() == []


def test_the_warning_says_the_right_name(tmp_path: Path) -> None:
    """Renamed as the warning says, the file is the session that its author meant."""
    (tmp_path / "Notes.jsonl").write_text('{"role":"user","content":"hi"}\n')
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(CorruptRecordWarning, match="as '%4eotes.jsonl' it would be 'Notes'"):
            backend.list_sessions()
        (tmp_path / "Notes.jsonl").rename(tmp_path / "%4eotes.jsonl")
        assert backend.load("Notes") == [ChatMessage("user", "hi")]


def test_foreign_endings_are_ignored(tmp_path: Path) -> None:
    """Whatever else lies in the folder is nobody's session."""
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "a.jsonl.bak").write_text("hello")
    with JSONLBackend(tmp_path) as backend:
        assert backend.list_sessions() == []
