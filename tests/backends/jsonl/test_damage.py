"""What crashes, disks and people do to files: what is lost is said, and nothing else is lost."""

import json
import os
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
    ToolCall,
)
from sessionkit_jsonl import JSONLBackend

HI, YO, BYE = ChatMessage("user", "hi"), ChatMessage("assistant", "yo"), ChatMessage("user", "bye")


def test_every_torn_tail_is_as_if_never_written(tmp_path: Path, backend: JSONLBackend, file: Path) -> None:
    """Wherever a crash cuts the last write off, the session is as before it, without a warning, and goes on."""
    backend.append("s", HI)
    whole = len(file.read_bytes())
    before = backend.get_session_metadata("s")
    backend.write("s", append=[YO, BYE], attributes={"a": 1})
    content = file.read_bytes()
    for end in range(whole + 1, len(content) - 1):
        file.write_bytes(content[:end])
        with JSONLBackend(tmp_path) as anew:
            assert anew.load("s") == [HI]
            assert anew.get_session_metadata("s") == before
        if end % 29 == 0:  # each of these writes, so not at each byte
            with JSONLBackend(tmp_path) as anew:
                anew.append("s", BYE)
                assert anew.load("s") == [HI, BYE]
                assert [stored.message for stored in anew.load_with_timestamps("s", last=2)] == [HI, BYE]
                anew.compact("s")
                assert anew.load("s") == [HI, BYE]
            assert (tmp_path / "s.jsonl.corrupt").read_bytes() == content[whole:end] + b"\n"
            (tmp_path / "s.jsonl.corrupt").unlink()


def test_every_torn_creation_is_no_session(tmp_path: Path, file: Path, backend: JSONLBackend) -> None:
    """Wherever a crash cuts the first write off, there is no session, and one can be created."""
    backend.append("s", HI)
    content = file.read_bytes()
    for end in range(len(content) - 1):
        file.write_bytes(content[:end])
        with JSONLBackend(tmp_path) as anew:
            assert anew.load("s") == []
            assert anew.list_sessions() == []
            assert anew.get_session_metadata("s") is None
            assert not anew.remove_last("s")
            file.write_bytes(content[:end])
            assert anew.write("s", append=[BYE], if_revision=0)
            assert anew.load("s") == [BYE]
            assert anew.list_sessions() == ["s"]


def test_a_whole_last_line_without_newline_counts(file: Path, backend: JSONLBackend) -> None:
    """A crash between a record and its newline leaves the record; all calls agree that it is there."""
    backend.append("s", HI)
    backend.append("s", YO)
    file.write_bytes(file.read_bytes()[:-1])
    assert backend.load("s") == [HI, YO]
    assert backend.update_last("s", BYE)
    assert backend.load("s") == [HI, BYE]


def damage(file: Path, line: int) -> bytes:
    """Overwrite the start of a line and lose its end; returns what it is then."""
    lines = file.read_bytes().splitlines()
    lines[line] = b"#" + lines[line][1:-5]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return lines[line]


def test_a_corrupt_line_costs_one_message(tmp_path: Path, file: Path, backend: JSONLBackend) -> None:
    """A line that can't be read costs its message; the warning says which file, and `compact` sets the line aside."""
    for message in (HI, YO, BYE):
        backend.append("s", message)
    backend.set_session_name("s", "name")
    lost = damage(file, 2)
    with pytest.warns(CorruptRecordWarning, match=f"{file}.*compact"):
        assert backend.load("s") == [HI, BYE]
    with pytest.warns(CorruptRecordWarning):
        assert [stored.message for stored in backend.load_with_timestamps("s", last=2)] == [HI, BYE]
    with pytest.warns(CorruptRecordWarning):
        assert [found.key for found in backend.search(SessionQuery("bye"))] == ["s"]
    backend.compact("s")
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == lost + b"\n"
    assert backend.load("s") == [HI, BYE]
    metadata = backend.get_session_metadata("s")
    assert metadata is not None
    assert (metadata.message_count, metadata.turn_count, metadata.name) == (2, 0, "name")
    backend.compact("s")
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == lost + b"\n"  # once
    assert backend.delete_session("s")
    assert not list(tmp_path.glob("s.*"))


@pytest.mark.parametrize("line", range(5))
def test_a_session_goes_on_around_a_corrupt_line(file: Path, backend: JSONLBackend, line: int) -> None:
    """Whichever line is damaged, the header included, messages can be removed, replaced and added."""
    messages = [ChatMessage("user", f"m{i}") for i in range(4)]
    for message in messages:
        backend.append("s", message)
    damage(file, line)
    left = [message for i, message in enumerate(messages) if i != line - 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        assert backend.load("s") == left
        backend.append("s", BYE)
        assert backend.load("s") == [*left, BYE]
        assert backend.update_last("s", YO)
        assert backend.remove_last("s")
        assert backend.remove_last("s")
        assert backend.update_last("s", HI)
        assert backend.load("s") == [*left[:-2], HI]
        assert [stored.message for stored in backend.load_with_timestamps("s", last=9)] == [*left[:-2], HI]
        backend.clear_messages("s")
        assert backend.load("s") == []


def test_damage_within_a_message_is_found(file: Path, backend: JSONLBackend) -> None:
    """A message whose mark is whole and whose JSON is not is left out like any corrupt line."""
    for message in (HI, YO):
        backend.append("s", message)
    file.write_bytes(file.read_bytes().replace(b'"yo"', b'"yo\x01'))
    with pytest.warns(CorruptRecordWarning):
        assert backend.load("s") == [HI]
    with pytest.warns(CorruptRecordWarning):
        assert [stored.message for stored in backend.load_with_timestamps("s", last=1)] == [HI]
    assert backend.remove_last("s")
    assert backend.load("s") == []


@pytest.mark.parametrize("content", [b"rubbish\n", b"rubbish", b"{}\n{}\n", b'{"sessionkit":1}\nrubbish\n'])
def test_a_file_of_rubbish_is_an_error(tmp_path: Path, file: Path, backend: JSONLBackend, content: bytes) -> None:
    """Where nothing can be read, every call says which file that is, and changes nothing; it can be deleted."""
    file.write_bytes(content)
    (tmp_path / "other.jsonl").write_text('{"role":"user","content":"hi"}\n')
    for call in (
        lambda: backend.load("s"),
        lambda: backend.append("s", HI),
        lambda: backend.remove_last("s"),
        lambda: backend.compact("s"),
        lambda: backend.get_session_metadata("s"),
        lambda: backend.set_session_context("s", SessionContext("c")),
    ):
        with pytest.raises(CorruptSessionError, match=str(file)) as caught:
            call()
        assert (caught.value.session_key, caught.value.where) == ("s", str(file))
    assert file.read_bytes() == content
    with pytest.warns(CorruptRecordWarning, match=str(file)):
        assert backend.list_sessions() == ["other"]
    assert backend.delete_session("s")
    assert backend.load("s") == []


def test_another_sessions_file_is_never_read(tmp_path: Path, file: Path, backend: JSONLBackend) -> None:
    """A file that was copied to another session's name is an error, not that session's messages."""
    backend.append("a", HI)
    file.write_bytes((tmp_path / "a.jsonl").read_bytes())
    with pytest.raises(CorruptSessionError, match="holds the session 'a', not 's'"):
        backend.load("s")
    with pytest.raises(CorruptSessionError):
        backend.append("s", YO)
    with pytest.warns(CorruptRecordWarning, match="holds the session 'a'"):
        assert backend.list_sessions() == ["a"]


def test_a_revision_survives_damage(file: Path, backend: JSONLBackend) -> None:
    """A session that is deleted because nothing in its file can be read still starts above its old revisions."""
    for _ in range(5):
        backend.append("s", HI)
    before = backend.get_session_metadata("s")
    assert before is not None
    assert before.revision is not None
    file.write_bytes(b"".join(b"#" + line for line in file.read_bytes().splitlines(keepends=True)))
    assert backend.delete_session("s")
    assert backend.write("s", append=[HI]) > before.revision


HUGE = ["4611686018427387904", "9223372036854775807", "9223372036854775808", "9999999999999999999", "9" * 30]


@pytest.mark.parametrize("huge", HUGE)
def test_a_huge_revision_stays_where_it_is(tmp_path: Path, file: Path, backend: JSONLBackend, huge: str) -> None:
    """Whatever number a damaged file holds, once it is deleted other sessions are created, kept and read as ever."""
    file.write_text(f'damage "rev":{huge}\n')
    assert backend.delete_session("s")
    check_a_new_session(tmp_path)


@pytest.mark.parametrize("huge", HUGE)
def test_a_huge_mark_stays_where_it_is(tmp_path: Path, file: Path, backend: JSONLBackend, huge: str) -> None:
    """The same for a mark that is whole but for a revision that nobody can have counted to."""
    file.write_text(f'{{"role":"user","content":"hi","~":{{"rev":{huge},"at":0,"n":1}}}}\n')
    assert [message.content for message in backend.load("s")] == ["hi"]
    assert backend.delete_session("s")
    check_a_new_session(tmp_path)


@pytest.mark.parametrize("huge", HUGE)
def test_a_huge_floor_is_no_reason_to_stop(tmp_path: Path, backend: JSONLBackend, huge: str) -> None:
    """Where the highest deleted revision is a number that nobody can have counted to, sessions are written as ever."""
    (tmp_path / ".revisions").write_text(huge)
    check_a_new_session(tmp_path)
    assert backend.delete_session("new")
    check_a_new_session(tmp_path)


def check_a_new_session(folder: Path) -> None:
    """Create a session, in a store opened anew for each step; what was appended comes back, and revisions grow."""
    revisions: list[int] = []
    for count in range(1, 4):
        with JSONLBackend(folder) as anew:
            revisions.append(anew.write("new", append=[HI]))
            assert anew.load("new") == [HI] * count
    assert revisions == sorted(set(revisions))


@pytest.mark.filterwarnings("ignore:.* messages that it counts are not there any more")  # which "n" says
@pytest.mark.parametrize("field", ["rev", "n", "turns", "calls", "dead", "prev", "meta"])
def test_counting_on_from_damage_loses_nothing(tmp_path: Path, file: Path, backend: JSONLBackend, field: str) -> None:
    """A mark with the last number that can be read: what is appended is there, or an error says what to do."""
    mark = {"rev": 1, "at": 0, "n": 1, field: 2**63 - 1}
    file.write_text(json.dumps(HI.to_dict() | {"~": mark}, separators=(",", ":")) + "\n")
    kept = [HI]
    for message in (YO, BYE, ChatMessage("assistant", None, tool_calls=(ToolCall("1", "find", "{}"),))):
        try:
            with JSONLBackend(tmp_path) as anew:
                anew.append("s", message)
            kept.append(message)
        except CorruptSessionError as error:
            assert str(file) in str(error)  # noqa: PT017 -- an error is one of two right answers
        assert backend.load("s") == kept
    with JSONLBackend(tmp_path) as anew:
        anew.compact("s")
        assert anew.load("s") == kept
        if field != "rev":
            anew.append("s", HI)
            assert anew.load("s") == [*kept, HI]
        assert anew.cleanup_stale(0) == 1


@pytest.mark.parametrize("text", ["-5", "many", "1_0", "0x5"])
def test_a_floor_that_is_no_number_is_an_error(tmp_path: Path, backend: JSONLBackend, text: str) -> None:
    """What is no number may have been any, so that no session is created, until somebody writes one there."""
    (tmp_path / ".revisions").write_text(text)
    with pytest.raises(CorruptSessionError, match=r"\.revisions"):
        backend.append("s", HI)
    assert backend.load("s") == []
    (tmp_path / ".revisions").write_text("7")
    assert backend.write("s", append=[HI]) > 7


RUBBISH, ONE_LINE = "rubbish\n", '{"role":"user"}\nrubbish\n'
ONE_BAD_MESSAGE = '{"role":"user"}\n{"role":"u\x01","~":{"rev":2,"at":0,"n":2}}\n'
WARNING_CALLS: dict[str, tuple[str, Callable[[JSONLBackend], object]]] = {
    "list": (RUBBISH, lambda backend: backend.list_sessions()),
    "metadata": (RUBBISH, lambda backend: backend.list_sessions_with_metadata()),
    "running": (RUBBISH, lambda backend: backend.list_running_sessions()),
    "stuck": (RUBBISH, lambda backend: backend.list_stuck_sessions(1)),
    "cleanup": (RUBBISH, lambda backend: backend.cleanup_stale(1)),
    "search all": (RUBBISH, lambda backend: backend.search(SessionQuery())),
    "search": (ONE_LINE, lambda backend: backend.search(SessionQuery("hi"))),
    "load": (ONE_LINE, lambda backend: backend.load("s")),
    "times": (ONE_LINE, lambda backend: backend.load_with_timestamps("s")),
    "last": (ONE_BAD_MESSAGE, lambda backend: backend.load_with_timestamps("s", last=3)),
}


@pytest.mark.parametrize("name", WARNING_CALLS)
def test_warnings_point_at_the_caller(file: Path, backend: JSONLBackend, name: str) -> None:
    """Each warning names the line that called, not one of ours, so that filters and people know whose it is."""
    content, call = WARNING_CALLS[name]
    file.write_text(content)
    with pytest.warns(CorruptRecordWarning) as caught:
        call(backend)
    lines = {(warning.filename, warning.lineno) for warning in caught}
    assert lines == {(__file__, call.__code__.co_firstlineno)}


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_only_regular_files_are_sessions(tmp_path: Path, file: Path, backend: JSONLBackend, kind: str) -> None:
    """A link, folder or pipe in the place of a session is refused, without following, blocking or changing anything."""
    target = tmp_path / "target"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        if kind == "link":
            target.write_text('{"role":"user","content":"secret"}\n')
        file.symlink_to(target)
    with pytest.raises(CorruptSessionError, match="no regular file"):
        backend.load("s")
    with pytest.raises(CorruptSessionError, match="no regular file"):
        backend.append("s", HI)
    with pytest.warns(CorruptRecordWarning, match="no regular file"):
        assert backend.list_sessions() == []
    assert target.exists() is (kind == "link")


def test_a_full_disk_leaves_nothing(backend: JSONLBackend, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that only partly fits on the disk is taken back; the error says that nothing was applied."""
    backend.append("s", HI)
    before = file.read_bytes()
    write, calls = os.write, iter([True, False])

    def short_write(descriptor: int, data: bytes) -> int:
        if next(calls):
            return write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short_write)
    with pytest.raises(BackendUnavailableError, match="No space left") as caught:
        backend.append("s", YO)
    monkeypatch.undo()
    assert (caught.value.outcome, type(caught.value.__cause__)) == ("not_applied", OSError)
    assert file.read_bytes() == before
    backend.append("s", BYE)
    assert backend.load("s") == [HI, BYE]
    metadata = backend.get_session_metadata("s")
    assert metadata is not None
    assert (metadata.message_count, metadata.turn_count) == (2, 0)


def test_a_write_that_can_not_be_taken_back_is_unknown(backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk fails so that nobody knows what it holds, the error says so."""
    backend.append("s", HI)

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", fail)
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(BackendUnavailableError) as caught:
        backend.append("s", YO)
    assert caught.value.outcome == "unknown"


def test_too_many_open_files_is_ours_and_passes(backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the operating system that may pass by itself is ours, and says that it may."""

    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    for call in (backend.load, backend.remove_last, backend.delete_session):
        with pytest.raises(BackendUnavailableError, match="too many files") as caught:
            call("s")
        assert caught.value.retryable


@pytest.mark.parametrize("second", [',"messages":[{"role"', ',"session":{"key"'])
@pytest.mark.parametrize("beginning", ['{"~":', '{ "~":'])
def test_two_lines_that_became_one_are_said(tmp_path: Path, beginning: str, second: str) -> None:
    """Where a piece is lost that reaches from one batch into the next, what is left may be JSON that has keys twice."""
    own = ChatMessage("user", "has", extra={"~": 1, "messages": 2, "session": 3})
    with JSONLBackend(tmp_path) as backend:
        backend.write("s", append=[own, own])
        for number in (1, 2):
            backend.write("s", append=[ChatMessage("user", f"first {number}"), own], attributes={"a": number})
        backend.append("s", BYE)
        assert backend.load("s")[:2] == [own, own]
    file = tmp_path / "s.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    one = lines[2][:-2] + lines[3][lines[3].index(second) :]
    assert isinstance(json.loads(one), dict)
    file.write_text("".join([*lines[:2], one.replace('{"~":', beginning, 1), lines[4]]))
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [own, own, BYE]
        backend.compact("s")
        assert backend.load("s") == [own, own, BYE]
    assert b"first 1" in (tmp_path / "s.jsonl.corrupt").read_bytes()
