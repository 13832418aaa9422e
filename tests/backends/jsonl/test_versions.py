"""What the version in a header says of a file."""

from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, CorruptSessionError
from sessionkit_jsonl import JSONLBackend


def _with_version(folder: Path, version: bytes) -> Path:
    with JSONLBackend(folder) as backend:
        backend.append("a", ChatMessage("user", "hello"))
    file = folder / "a.jsonl"
    file.write_bytes(file.read_bytes().replace(b'{"sessionkit":1', b'{"sessionkit":' + version, 1))
    return file


@pytest.mark.parametrize("version", [b"0", b"-1"])
def test_a_version_that_never_was_is_damage(tmp_path: Path, version: bytes) -> None:
    """A header of a version below the first is a line that can't be read: the messages below it are loaded."""
    _with_version(tmp_path, version)
    with JSONLBackend(tmp_path) as backend, pytest.warns(CorruptRecordWarning):
        assert [message.content for message in backend.load("a")] == ["hello"]


def test_a_newer_version_is_refused_unharmed(tmp_path: Path) -> None:
    """A header of a version to come is an error that says what to do, and nothing is written."""
    file = _with_version(tmp_path, b"2")
    before = file.read_bytes()
    with JSONLBackend(tmp_path) as backend:
        with pytest.raises(CorruptSessionError, match="use a newer one"):
            backend.load("a")
        with pytest.raises(CorruptSessionError, match="use a newer one"):
            backend.compact("a")
    assert file.read_bytes() == before
