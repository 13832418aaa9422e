"""The format: what the files look like, and what is read of files that others wrote or changed."""

import inspect
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sessionkit_jsonl.lines
from sessionkit import ChatMessage, CorruptSessionError, SessionContext, clock
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.lines import Mark, parse, record_line

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")
DEEP = '{"role":"user","content":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}"


def test_the_documented_example_is_read(backend: JSONLBackend, tmp_path: Path) -> None:
    """The example in the format's documentation means what stands there."""
    text = inspect.getdoc(sessionkit_jsonl.lines) or ""
    lines = [line.strip() for line in text.splitlines() if line.startswith("    {")]
    (tmp_path / "support%2f7.jsonl").write_text("\n".join(lines) + "\n")
    assert backend.load("support/7") == [ChatMessage("user", "Hello")]
    assert backend.load_with_timestamps("support/7", last=1) == backend.load_with_timestamps("support/7")
    metadata = backend.get_session_metadata("support/7")
    assert metadata is not None
    assert (metadata.message_count, metadata.turn_count, metadata.revision) == (1, 0, 4)
    assert metadata.last_activity == clock.to_datetime(1763600000001000)


def test_a_conversation_is_readable_by_anybody(backend: JSONLBackend, tmp_path: Path) -> None:
    """Each message stands on a line of its own, as its provider's object with one key more."""
    backend.append("s", HI)
    backend.append("s", YO)
    header, *messages = map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines())
    assert header["session"]["key"] == "s"
    assert [{key: line[key] for key in line if key != "~"} for line in messages] == [HI.to_dict(), YO.to_dict()]


def test_several_messages_are_one_line(backend: JSONLBackend, tmp_path: Path) -> None:
    """What is written at once is one line, which is there or is not."""
    backend.write("s", append=[HI, YO], attributes={"a": 1})
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 2


def test_nothing_is_rewritten(backend: JSONLBackend, tmp_path: Path) -> None:
    """Whatever changes a session only adds to its file."""
    before = b""
    for change in (
        lambda: backend.append("s", HI),
        lambda: backend.update_last("s", YO),
        lambda: backend.set_session_name("s", "name"),
        lambda: backend.set_session_state("s", "running", "t"),
        lambda: backend.remove_last("s"),
        lambda: backend.write("s", append=[HI, YO]),
        lambda: backend.clear_messages("s"),
    ):
        change()
        after = (tmp_path / "s.jsonl").read_bytes()
        assert after.startswith(before)
        assert len(after) > len(before)
        before = after


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """Folder and files are for their owner alone."""
    with JSONLBackend(tmp_path / "new") as backend:
        backend.append("s", HI)
        backend.append("gone", HI)
        backend.delete_session("gone")
        backend.compact("s")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new").iterdir()} == {0o600}


@pytest.mark.parametrize("ending", ["\n", ""])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_plain_file_is_a_session(
    backend: JSONLBackend, tmp_path: Path, start: str, newline: str, ending: str
) -> None:
    """A plain file of messages is read, counted, searched and listed, and goes on like any session."""
    plain = start + newline.join(json.dumps(message.to_dict()) for message in (HI, YO)) + ending
    (tmp_path / "plain.jsonl").write_bytes(plain.encode())
    assert backend.load("plain") == [HI, YO]
    assert backend.list_sessions() == ["plain"]
    metadata = backend.get_session_metadata("plain")
    assert metadata is not None
    assert (metadata.message_count, metadata.turn_count, metadata.revision) == (2, 1, 2)
    assert [stored.message for stored in backend.load_with_timestamps("plain", last=1)] == [YO]
    assert (tmp_path / "plain.jsonl").read_bytes() == plain.encode()  # reading wrote nothing

    assert backend.write("plain", append=[HI], if_revision=2) == 3
    assert backend.load("plain") == [HI, YO, HI]
    assert backend.update_last("plain", YO)
    assert [backend.remove_last("plain") for _ in range(4)] == [True, True, True, False]
    assert (tmp_path / "plain.jsonl").read_bytes().startswith(plain.encode())


def test_a_plain_file_starts_above_deleted_revisions(backend: JSONLBackend, tmp_path: Path) -> None:
    """What is written to a plain file has a revision that no session had before."""
    deleted = max([backend.write("plain", append=[HI]) for _ in range(5)])
    backend.delete_session("plain")
    (tmp_path / "plain.jsonl").write_text('{"role":"user","content":"hi"}\n')
    assert backend.write("plain", append=[YO]) > deleted


def test_a_plain_message_keeps_its_own_time(backend: JSONLBackend, tmp_path: Path) -> None:
    """When a foreign message was stored is what it says itself, or unknown; also after the file was written anew."""
    said = ChatMessage("user", "then", timestamp=clock.to_datetime(1_000_000))
    (tmp_path / "plain.jsonl").write_text(f"{json.dumps(said.to_dict())}\n{json.dumps(HI.to_dict())}\nrubbish\n")
    with pytest.warns(match="can't be read"):
        stored = backend.load_with_timestamps("plain")
    assert [message.created_at for message in stored] == [said.timestamp, None]
    backend.compact("plain")
    assert backend.load_with_timestamps("plain") == stored


def test_lines_that_others_add_are_messages(backend: JSONLBackend, tmp_path: Path) -> None:
    """A line that somebody else adds to our file is one more message, before and after which we go on."""
    backend.append("s", HI)
    with (tmp_path / "s.jsonl").open("a") as file:
        file.write('{"role": "user", "content": "by hand"}\n')
    by_hand = ChatMessage("user", "by hand")
    assert backend.load("s") == [HI, by_hand]
    backend.append("s", YO)
    assert backend.load("s") == [HI, by_hand, YO]
    assert [stored.message for stored in backend.load_with_timestamps("s", last=2)] == [by_hand, YO]
    assert [backend.remove_last("s") for _ in range(4)] == [True, True, True, False]


def test_a_file_that_a_tool_spelled_anew_is_still_read(backend: JSONLBackend, tmp_path: Path) -> None:
    """Spaces and order mean nothing in JSON; the references by byte are then wrong, and done without."""
    for message in (HI, YO, HI, YO):
        backend.append("s", message)
    backend.remove_last("s")
    backend.write("s", append=[YO, HI], attributes={"a": [1]})
    before = backend.get_session_metadata("s")
    file = tmp_path / "s.jsonl"
    file.write_text(
        "".join(json.dumps(json.loads(line), sort_keys=True) + "\n" for line in file.read_text().splitlines())
    )
    assert backend.load("s") == [HI, YO, HI, YO, HI]
    assert backend.load_with_timestamps("s", last=4) == backend.load_with_timestamps("s")[1:]
    assert backend.get_session_metadata("s") == before
    assert backend.remove_last("s")
    assert backend.load("s") == [HI, YO, HI, YO]


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.just("~") | st.text(), inner))
)
def test_a_message_with_our_key_comes_back(value: object) -> None:
    """Whatever a message holds under the key of our marks, on any level, its line gives it back and our mark too."""
    from sessionkit import encode_message  # noqa: PLC0415 -- beside its one use

    for extra in ({"~": value}, {"x": value}, {"x": {"~": value}}):
        raw, mark = encode_message(ChatMessage("user", "hi", extra=extra)), Mark(5, 0, 3, previous=7)
        line = parse(record_line(mark, (raw,)).removesuffix(b"\n"))
        assert line is not None
        assert (line.mark, list(line.messages)) == (mark, [raw])


@pytest.mark.parametrize(
    "line",
    [
        DEEP,
        "[" * 100_000,
        '{"role":"user","content":"\\ud800"}',
        '{"role":"user","content":1e999}',
        '{"role":"user","content":NaN}',
        '{"role":5}',
        "[]",
        "null",
        "5",
        '{"type":"no message"}',
        '{"~":{"rev":9,"at":0,"n":0},"messages":["x"]}',
        '{"~":{"rev":9,"at":1e300,"n":1}}',
        '{"~":{"rev":9,"at":99999999999999999999,"n":1}}',
        '{"~":{"rev":9,"at":0,"n":1,"made":9e99}}',
        '{"sessionkit":1,"session":{"key":"s","created_at":0,"attributes":[1]}}',
        '{"sessionkit":1,"session":{"key":"s","created_at":-9999999999999999999}}',
        "\x00\x00\x00",
        "\xff\xfe",
    ],
)
def test_hostile_lines_never_crash(backend: JSONLBackend, tmp_path: Path, line: str) -> None:
    """A line that is no message costs itself, with a warning, whatever it holds."""
    (tmp_path / "s.jsonl").write_bytes(b'{"role":"user","content":"hi"}\n' + line.encode("latin-1") + b"\n")
    with pytest.warns(match="can't be read"):
        assert backend.load("s") == [HI]
    assert backend.list_sessions() == ["s"]
    backend.append("s", YO)
    with pytest.warns(match="can't be read"):
        assert backend.load("s") == [HI, YO]
    backend.compact("s")
    assert backend.load("s") == [HI, YO]
    assert (tmp_path / "s.jsonl.corrupt").read_bytes() == line.encode("latin-1") + b"\n"


@pytest.mark.filterwarnings("ignore:.* messages that it counts are not there any more")
@pytest.mark.parametrize("previous", [0, 3, 31, 32, 10**15])
@pytest.mark.parametrize("count", [1, 2, 3, 2**61])
def test_hostile_references_never_mislead(backend: JSONLBackend, tmp_path: Path, previous: int, count: int) -> None:
    """A mark that refers to nothing, or counts what isn't there, makes no call crash or run for ever."""
    mark = f'{{"rev":2,"at":0,"n":{count},"prev":{previous},"meta":{previous},"dead":31}}'
    (tmp_path / "s.jsonl").write_text(f'{{"role":"user","content":"hi"}}\n{{"role":"user","content":"b","~":{mark}}}\n')
    messages = backend.load("s")
    assert messages[-1] == ChatMessage("user", "b")
    stored = backend.load_with_timestamps("s", last=10)
    assert [each.message for each in stored] == messages
    assert backend.update_last("s", YO)
    assert backend.load("s") == [*messages[:-1], YO]


def test_a_newer_format_is_refused(backend: JSONLBackend, tmp_path: Path) -> None:
    """A file of a newer format is neither misread nor written to; the error says what it is."""
    file = tmp_path / "s.jsonl"
    file.write_text('{"sessionkit":2,"session":{"key":"s","news":1}}\n{"role":"user","content":"hi"}\n')
    before = file.read_bytes()
    for call in (backend.load, backend.remove_last, backend.compact, backend.get_session_metadata):
        with pytest.raises(CorruptSessionError, match="version 2"):
            call("s")
    with pytest.raises(CorruptSessionError, match="version 2"):
        backend.append("s", HI)
    assert file.read_bytes() == before


def test_snapshots_hold_everything(backend: JSONLBackend, tmp_path: Path) -> None:
    """Names, aliases, contexts, states and attributes of any text are there in a store opened anew."""
    hostile = 'n\0"\\\n\u2028😀'
    backend.set_session_name("s", hostile)
    backend.set_session_agent_alias("s", hostile)
    backend.set_session_context(
        "s", SessionContext(hostile, hostile, hostile, {hostile: [10**40, hostile, {"a": 1.5}]})
    )
    backend.set_session_state("s", "running", hostile)
    expected = backend.get_session_metadata("s")
    assert expected is not None
    assert expected.attributes == {hostile: [10**40, hostile, {"a": 1.5}]}
    with JSONLBackend(tmp_path) as anew:
        assert anew.list_sessions_with_metadata() == [expected]
        anew.compact("s")
        assert anew.list_sessions_with_metadata() == [expected]
