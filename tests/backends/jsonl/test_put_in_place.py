"""Lines that somebody put in the place of one of ours, of just its length, so that all that refers beyond it holds."""

import warnings
from itertools import permutations
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend

FOREIGN = b'{"role":"system","content":"by hand"}\n'
MESSAGES = [ChatMessage("user", f"message {number} " + "x" * 100) for number in range(4)]
LATER = {"nothing": 0, "a name": 1, "a message": 2}


@pytest.mark.parametrize("place", [1, 2, 3, 4])
@pytest.mark.parametrize("later", LATER)
def test_the_newest_messages_are_those_of_all_of_the_file(tmp_path: Path, later: str, place: int) -> None:
    """Messages by hand and what can't be read stand where one line stood: the tail has what all of the file has."""
    with JSONLBackend(tmp_path) as backend:
        for message in MESSAGES:
            backend.append("s", message)
        if LATER[later]:
            backend.set_session_name("s", "name")
        if LATER[later] == 2:
            backend.append("s", MESSAGES[0])
    file = tmp_path / "s.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    junk = b"j" * (len(lines[place]) - 2 * len(FOREIGN) - 1) + b"\n"
    for parts in set(permutations([FOREIGN, FOREIGN, junk])):
        file.write_bytes(b"".join([*lines[:place], *parts, *lines[place + 1 :]]))
        with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            loaded = backend.load("s")
            for last in range(1, len(loaded) + 2):
                stored = backend.load_with_timestamps("s", last=last)
                assert [each.message for each in stored] == loaded[-last:]


def test_a_header_put_where_the_latest_snapshot_stood_undoes_nothing(tmp_path: Path) -> None:
    """Though the last line says that how the session is called stands there: it stands elsewhere itself by now."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", MESSAGES[0])
        backend.set_session_name("s", "name")
        backend.append("s", MESSAGES[1])
    file = tmp_path / "s.jsonl"
    header, first, *rest = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([header, first, header, *rest]))
    with JSONLBackend(tmp_path) as backend:
        assert backend.get_session_name("s") == "name"
        metadata = backend.get_session_metadata("s")
        assert metadata is not None
        assert (metadata.name, metadata.message_count) == ("name", 2)
