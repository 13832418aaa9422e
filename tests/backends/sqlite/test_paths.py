"""Where a store can be, and where none can."""

import os
import sys
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit_sqlite import SQLiteBackend, store


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("name", ["a\0b", "\0", "lone \ud800"])
def test_what_can_be_no_name_is_refused(path: Path, name: str, mode: store.Mode) -> None:
    """By an error of ours that names it and can be printed; nothing is created."""
    with pytest.raises(BackendUnavailableError, match="can't be the name of a file") as caught:
        SQLiteBackend(path.with_name(name), mode=mode)
    assert ascii(name)[1:-1] in str(caught.value).encode().decode()
    assert list(path.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="where any bytes are a name")
def test_a_name_that_is_no_text_can_be_printed(path: Path) -> None:
    """A file may have any bytes for a name: it is used as any other, and errors about it can be shown."""
    path = path.with_name(os.fsdecode(b"\xff.db"))
    with pytest.raises(BackendUnavailableError, match="does not exist") as missing:
        SQLiteBackend(path, mode="ro")
    with SQLiteBackend(path, busy_timeout=0) as backend:
        backend.append("k", ChatMessage.user("x"))
        with backend._store.writing, pytest.raises(BackendUnavailableError) as in_use:
            backend.append("k", ChatMessage.user("x"))
        with (
            SQLiteBackend(path, busy_timeout=0) as other,
            other._store.writing,
            pytest.raises(BackendUnavailableError) as locked,
        ):
            backend.append("k", ChatMessage.user("x"))
        assert len(backend.load("k")) == 1
    path.write_bytes(b"a diary, no database, and longer than a header has to be")
    with pytest.raises(BackendUnavailableError, match="no SQLite database") as foreign:
        SQLiteBackend(path)
    for text in (repr(backend), *(str(caught.value) for caught in (missing, in_use, locked, foreign))):
        assert r"\xff.db" in text.encode().decode()
