"""What kills leave of writes that nobody was told of: it costs nothing, however often it happens in a row."""

from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, CorruptSessionError
from sessionkit_jsonl import JSONLBackend, scanning
from sessionkit_jsonl.lines import Snapshot, header_line, is_beginning, is_unfinished_header
from sessionkit_jsonl.scanning import scan

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")
ODD = ChatMessage("user", 'é😀\n\\ "\x01', extra={"numbers": [1, -2.5e-10, 1e100], "~": {"a": [True, False, None, {}]}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the session "s" will be."""
    return tmp_path / "s.jsonl"


def first_lines(tmp_path: Path) -> tuple[bytes, bytes]:
    """The header and the record that the creation of a session writes, each with its newline."""
    with JSONLBackend(tmp_path / "elsewhere") as backend:
        backend.append("s", ODD)
    header, record = (tmp_path / "elsewhere" / "s.jsonl").read_bytes().splitlines(keepends=True)
    return header, record


def check_creation(tmp_path: Path) -> None:
    """There is no session, and one can be created, without any warning then or later; what was there is kept."""
    content = (tmp_path / "s.jsonl").read_bytes()
    with JSONLBackend(tmp_path) as backend:
        assert backend.load("s") == []
        assert backend.list_sessions() == []
        assert not backend.remove_last("s")
        backend.append("s", HI)
        backend.append("s", YO)
        assert backend.load("s") == [HI, YO]
        assert backend.list_sessions() == ["s"]
        backend.compact("s")
        assert backend.load("s") == [HI, YO]
    kept = b"".join(each.read_bytes() for each in tmp_path.glob("s.jsonl*"))
    for line in content.splitlines():
        assert not is_beginning(line) or line in kept


@pytest.mark.parametrize("last", ["", "a header", "all of a header", "a record", "a record and a newline"])
@pytest.mark.parametrize("kills", [1, 2, 3])
def test_kills_during_creation_leave_no_session(tmp_path: Path, file: Path, kills: int, last: str) -> None:
    """However often a session's creation was cut short, and where, it is as if nobody had tried."""
    header, record = first_lines(tmp_path)
    ends = {
        "": b"",
        "a header": header[:30],
        "all of a header": header,
        "a record": header + record[:30],
        "a record and a newline": header + record[:30] + b"\n",
    }
    for first in (header[:9], header[:-1], header + record[:20], header + record[:-20]):
        file.write_bytes((first + b"\n") * kills + ends[last])
        check_creation(tmp_path)
        for each in tmp_path.glob("s.jsonl*"):
            each.unlink()


def test_wherever_two_creations_are_cut_short_there_is_none(tmp_path: Path, file: Path) -> None:
    """At any byte: what a store writes after the first kill, cut short in its turn."""
    header, record = first_lines(tmp_path)
    for end in range(1, len(header + record) - 1, 7):
        file.write_bytes((header + record)[:end])
        with JSONLBackend(tmp_path) as backend:
            backend.append("s", ODD)
        again = file.read_bytes()
        for cut in range(end + 1, len(again) - 1, 11):
            file.write_bytes(again[:cut])
            with JSONLBackend(tmp_path) as backend:
                assert backend.load("s") == []
                backend.append("s", HI)
                assert backend.load("s") == [HI]
                assert backend.list_sessions() == ["s"]


@pytest.mark.parametrize("torn", [2, 3])
def test_torn_writes_in_a_row_are_no_loss(tmp_path: Path, file: Path, torn: int) -> None:
    """No warning, before or after the next write: nothing was lost that anybody was told is there."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.append("s", ODD)
    record = file.read_bytes().splitlines(keepends=True)[-1]
    with file.open("ab") as writing:
        writing.write(b"\n".join(record[: 20 * (number + 1)] for number in range(torn)))
    with JSONLBackend(tmp_path) as backend:
        assert backend.load("s") == [HI, ODD]
        backend.append("s", YO)
        assert backend.load("s") == [HI, ODD, YO]
        backend.compact("s")
        assert backend.load("s") == [HI, ODD, YO]
    assert len((tmp_path / "s.jsonl.corrupt").read_bytes().splitlines()) == torn


@pytest.mark.parametrize("torn", [1, 2])
def test_a_write_that_only_ended_a_torn_line_is_no_loss(tmp_path: Path, file: Path, torn: int) -> None:
    """It was cut after its first byte, the newline: the line before is as torn as it was."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.append("s", ODD)
    record = file.read_bytes().splitlines(keepends=True)[-1]
    for _ in range(torn):
        with file.open("ab") as writing:
            writing.write(record[:40] + b"\n")
        with JSONLBackend(tmp_path) as backend:
            assert backend.load("s") == [HI, ODD]
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", YO)
        assert backend.load("s") == [HI, ODD, YO]
        backend.compact("s")
        assert backend.load("s") == [HI, ODD, YO]
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == (record[:40] + b"\n") * torn


def test_a_damaged_line_before_a_torn_one_is_a_loss(tmp_path: Path, file: Path) -> None:
    """A line that was whole once is said to be lost, whatever follows on it."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        backend.append("s", YO)
    file.write_bytes(file.read_bytes().replace(b'{"role":"assistant"', b'#"role":"assistant"') + b'{"role":"us')
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [HI]
        backend.append("s", YO)
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [HI, YO]


def test_a_damaged_session_of_one_line_is_no_unfinished_creation(tmp_path: Path, file: Path) -> None:
    """What was whole once is an error, not a session that never was."""
    header, record = first_lines(tmp_path)
    for content in (header + b"#" + record[1:], header + b"#" + record[1:] + record[:30]):
        file.write_bytes(content)
        with JSONLBackend(tmp_path) as backend, pytest.raises(CorruptSessionError):
            backend.append("s", HI)
        assert file.read_bytes() == content


def test_a_foreign_line_that_is_cut_short_is_said(tmp_path: Path, file: Path) -> None:
    """Others' lines end in newlines too; where such a one is no message, nobody knows that it never was."""
    file.write_bytes(b'{"role":"user","con\n{"role":"user","content":"hi"}\n')
    with JSONLBackend(tmp_path) as backend:
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [HI]
        backend.append("s", YO)
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [HI, YO]


def test_every_beginning_is_known_for_one(tmp_path: Path) -> None:
    """Wherever a line is cut; and what is whole, or no JSON, is none."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", ODD)
        backend.write("s", append=[ODD, HI], attributes={"a": [-1.5, {}]})
        backend.remove_last("s")
    for line in (tmp_path / "s.jsonl").read_bytes().splitlines():
        assert [end for end in range(len(line) + 1) if not is_beginning(line[:end])] == [len(line)]
        assert not is_beginning(b"#" + line[1:-5])
    assert not is_beginning(b"\0" * 10)
    assert not is_beginning(b"[" * 100_000)
    for key in (b"k\xa2,", b"pr\xe5v"):
        for damaged in (b'{"role":"user","~":{"%b":1}}' % key, b'{"%b":1,"role":"us' % key):
            assert not is_beginning(damaged)


@pytest.mark.parametrize("call", ["delete", "remove", "create"])
def test_a_killed_restore_leaves_no_conversation(tmp_path: Path, file: Path, call: str) -> None:
    """It had created an empty file, and beside it one with all messages: the next call on the session removes both."""
    file.write_bytes(b"")
    (tmp_path / "s.jsonl.tmp").write_bytes(b'{"role":"user","content":"secret"}\n')
    with JSONLBackend(tmp_path) as backend:
        if call == "delete":
            assert not backend.delete_session("s")
        elif call == "remove":
            assert not backend.remove_last("s")
        else:
            backend.append("s", HI)
            assert backend.delete_session("s")
    assert [path.name for path in tmp_path.glob("s*")] == []


def test_garbage_before_many_headers_is_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line that can't be read is asked a few times what it is, not once for each header that follows."""
    asked: list[bytes] = []

    def noted(raw: bytes) -> bool:
        asked.append(raw)
        return is_unfinished_header(raw)

    monkeypatch.setattr(scanning, "is_unfinished_header", noted)
    header = header_line(Snapshot("s", 0))
    assert scan(b"garbage\n" * 100 + header * 100).standing.unreadable
    assert len(asked) <= 200
