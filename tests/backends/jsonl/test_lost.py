"""Calls on a session of which something is lost or odd: what is there stays usable, and errors are ours."""

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    CorruptRecordWarning,
    CorruptSessionError,
    SessionContext,
    SessionQuery,
    clock,
)
from sessionkit_jsonl import JSONLBackend, files

HI, YO, BYE = ChatMessage("user", "hi"), ChatMessage("assistant", "yo"), ChatMessage("user", "bye")


CREATING: dict[str, Callable[[JSONLBackend], object]] = {
    "append": lambda backend: backend.append("s", HI),
    "write": lambda backend: backend.write("s", append=[HI]),
    "name": lambda backend: backend.set_session_name("s", "name"),
    "alias": lambda backend: backend.set_session_agent_alias("s", "alias"),
    "context": lambda backend: backend.set_session_context("s", SessionContext("c")),
    "state": lambda backend: backend.set_session_state("s", "running", "t"),
    "turn": lambda backend: backend.begin_turn("s", "t"),
}


@pytest.mark.parametrize("name", CREATING)
@pytest.mark.parametrize("blanks", [b" ", b"  ", b"\n", b"\n ", b" \n\n", b"\t\r\n"])
def test_a_file_of_blanks_is_no_session(file: Path, backend: JSONLBackend, blanks: bytes, name: str) -> None:
    """It is as if it weren't there: nothing is read from it, and a session can be created."""
    file.write_bytes(blanks)
    assert backend.load("s") == []
    assert backend.list_sessions() == []
    assert not backend.remove_last("s")
    file.write_bytes(blanks)
    CREATING[name](backend)
    assert backend.list_sessions() == ["s"]
    backend.append("s", YO)
    assert backend.load("s")[-1] == YO


@pytest.mark.parametrize("lost", [b"m0", b"m1"])
def test_more_than_can_be_read_is_never_dropped(file: Path, backend: JSONLBackend, lost: bytes) -> None:
    """Dropping as many as the count says, where one of them is lost, is the error of dropping too many."""
    for number in range(2):
        backend.append("s", ChatMessage("user", f"m{number}"))
    file.write_bytes(file.read_bytes().replace(lost, b"\xff" + lost[1:]))
    before = file.read_bytes()
    with pytest.raises(ValueError, match="has 1 messages, so 2 can't be dropped"):
        backend.write("s", drop_last=2, append=[HI])
    assert file.read_bytes() == before
    assert backend.write("s", drop_last=1, append=[YO])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        assert backend.load("s") == [YO]


def of_another_version(file: Path) -> None:
    """Damage the version in a header that the tail doesn't need."""
    file.write_bytes(file.read_bytes().replace(b'{"sessionkit":1', b'{"sessionkit":3'))


def test_one_damaged_file_hides_no_other_from_search(tmp_path: Path, backend: JSONLBackend, file: Path) -> None:
    """It is left out with a warning, as of lists; however late it shows that it can't be read."""
    for key in ("s", "other"):
        backend.append(key, HI)
        backend.set_session_name(key, "name")
    of_another_version(file)
    with pytest.warns(CorruptRecordWarning, match=f"left out: {file}"), JSONLBackend(tmp_path) as anew:
        assert [found.key for found in anew.search(SessionQuery("hi"))] == ["other"]


def test_a_disk_that_fails_while_searching_is_ours(backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the operating system is the cause of one that names the file."""
    backend.append("s", ChatMessage("user", "hi " + "x" * 50_000))
    backend.set_session_name("s", "name")
    read = files.read

    def fail(descriptor: int, start: int, end: int) -> bytes:
        if end - start > 40_000:
            raise OSError(5, "Input/output error")
        return read(descriptor, start, end)

    monkeypatch.setattr(files, "read", fail)
    with pytest.raises(BackendUnavailableError, match=r"s\.jsonl: Input/output error"):
        backend.search(SessionQuery("hi"))


READING_ALL: dict[str, Callable[[JSONLBackend], object]] = {
    "load": lambda backend: backend.load("s"),
    "compact": lambda backend: backend.compact("s"),
    "last": lambda backend: backend.load_with_timestamps("s", last=5),
    "write": lambda backend: backend.write("s", drop_last=2),
}


@pytest.mark.parametrize("name", READING_ALL)
def test_an_unknown_version_is_said_of_which_file(tmp_path: Path, file: Path, backend: JSONLBackend, name: str) -> None:
    """Also where only reading all of it shows; the error has the session and the place."""
    for message in (HI, YO):
        backend.append("s", message)
    backend.set_session_name("s", "name")
    of_another_version(file)
    file.write_bytes(file.read_bytes().replace(b'"hi"', b'"\xff"').replace(b'{"role":"user"', b'{"rule":"user"'))
    before = file.read_bytes()
    with JSONLBackend(tmp_path) as anew, pytest.raises(CorruptSessionError, match=f"{file}: .*version 3") as caught:
        READING_ALL[name](anew)
    assert (caught.value.session_key, caught.value.where) == ("s", str(file))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("modified", "expected"),
    [(400_000_000_000, "9999-12-31T23:59:59.999999+00:00"), (-100_000_000_000, "0001-01-01T00:00:00+00:00")],
)
def test_a_file_from_beyond_all_times_is_a_session(
    file: Path, backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch, modified: int, expected: str
) -> None:
    """Where a file system says that a foreign file was changed in the year 14645, it was in the last there is."""
    file.write_text('{"role":"user","content":"hi"}\n')
    fstat = os.fstat

    def beyond(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        return os.stat_result(tuple(status), {"st_mtime_ns": modified * 10**9})

    monkeypatch.setattr(os, "fstat", beyond)
    [found] = backend.list_sessions_with_metadata()
    assert found.last_activity is not None
    assert found.last_activity.isoformat() == expected
    backend.append("s", YO)
    monkeypatch.undo()
    with JSONLBackend(file.parent) as anew:
        assert anew.load("s") == [HI, YO]
        [found] = anew.list_sessions_with_metadata()
        assert found.last_activity is not None
        assert found.last_activity >= clock.to_datetime(clock.now() - 10**9)


def test_what_was_changed_in_place_is_seen(file: Path, backend: JSONLBackend) -> None:
    """A file of the size that we know, but changed since, is looked at again: what is appended is not lost in it."""
    backend.append("s", HI)
    backend.append("s", YO)
    time.sleep(0.05)  # the clock of a file system ticks some hundred times a second
    with file.open("r+b") as damaged:
        damaged.seek(-5, os.SEEK_END)
        damaged.write(b"\0" * 5)
    backend.append("s", BYE)
    assert backend.load("s") == [HI, BYE]
