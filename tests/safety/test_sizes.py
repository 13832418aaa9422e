"""What is too large is refused by its limit before memory is taken for it; what is allowed takes a bounded multiple."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    SessionContext,
    SessionMetadata,
    SupportsRestore,
    ToolCall,
    open_backend,
)
from sessionkit.codec import MAX_MESSAGE_BYTES, encode_message
from sessionkit.keys import MAX_TEXT_BYTES
from sessionkit.record import SessionRecord
from sessionkit.registry import BUILT_IN
from tests.places import url_of
from tests.safety import children

WITHIN = 700
"""Megabytes of address space: Python and its threads, eight times the limit of a message, and nothing more."""

TOO_LARGE = """
text = "x" * 1_000_000
laughs = [text[:100]]
for _ in range(60):
    laughs = [laughs] * 10  # of 10**60 texts
large = {
    "a text of 100 MB": lambda: ChatMessage("user", "x" * 100_000_000),
    "blocks of 100 MB": lambda: ChatMessage("user", [{"text": "x" * 100_000_000}]),
    "a text many times": lambda: ChatMessage("user", [{"type": "text", "text": text}] * 100_000),
    "a key many times": lambda: ChatMessage("user", extra={"x": [{text: 1}] * 100_000}),
    "a call many times": lambda: ChatMessage("assistant", tool_calls=[ToolCall("i", "n", text)] * 100_000),
    "lists of lists of lists": lambda: ChatMessage("user", extra={"x": laughs}),
}
url = sys.argv[1]
with open_backend(url) as backend:
    backend.append("s", ChatMessage("user", "first"))
    before = peak()
    for name, make in large.items():
        made = make()
        stored = TimestampedMessage(made)
        for call in (
            lambda: backend.append("s", made),
            lambda: backend.update_last("s", made),
            lambda: backend.write("s", append=[ChatMessage("user", "beside"), made]),
            lambda: extend(backend, "new", [made] * 3),
            lambda: backend.restore("new", [stored], SessionMetadata("new")),
        ):
            said = refused(call)
            assert "max_message_bytes is 67108864" in said and "keep what is large elsewhere" in said, (name, said)
    context = SessionContext(attributes={"x": [text] * 100_000})
    for call in (
        lambda: backend.set_session_context("s", context),
        lambda: backend.write("s", attributes=context.attributes),
        lambda: backend.set_session_context("s", SessionContext(attributes={"x": laughs})),
    ):
        assert "the most is 67108864" in refused(call), refused(call)
    assert backend.load("s") == [ChatMessage("user", "first")] and backend.list_sessions() == ["s"]
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_too_much_is_refused_before_it_is_built_in_a_process(scheme: str, tmp_path: Path) -> None:
    """By every method that writes: a gigabyte or a number without a name is noticed within the first 64 MiB."""
    taken = children.run(TOO_LARGE, url_of(scheme, tmp_path), megabytes=WITHIN)
    assert int(taken) < 500, "most of it is the test's own texts of 100 MB"


def refused_before_it_is_built() -> None:
    """What would take a hundred megabytes, where a thousand bytes are allowed."""
    text = "x" * 1000
    calls = [ToolCall("i", "n", text)] * 100_000
    for message in (ChatMessage("user", [{"text": text}] * 100_000), ChatMessage("assistant", tool_calls=calls)):
        tracemalloc.start()
        try:
            with pytest.raises(InvalidMessageError, match="max_message_bytes is 1000"):
                encode_message(message, max_bytes=1000)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000, "it was built, and then measured"
        finally:
            tracemalloc.stop()


def test_a_small_limit_is_told_early_too() -> None:
    """In kilobytes of memory, whatever the message would take."""
    refused_before_it_is_built()


ALLOWED = """
large = {
    "text": lambda: ChatMessage("user", "x" * 60_000_000),
    "escapes": lambda: ChatMessage("user", "\\0" * 11_000_000),
    "ten million numbers": lambda: ChatMessage("user", extra={"x": [0] * 10_000_000}),
    "dicts": lambda: ChatMessage("user", extra={"x": [{} for _ in range(1_000_000)]}),
    "a dict": lambda: ChatMessage("user", tool_metadata={str(i): i for i in range(1_000_000)}),
    "nested lists": lambda: ChatMessage("user", extra={"x": [[[i]] for i in range(1_000_000)]}),
}
name, url = sys.argv[1:]
with open_backend(url) as backend:
    backend.append("s", ChatMessage("user", "first"))
    start = peak()
    made = large[name]()
    itself = peak() - start
    backend.append("s", made)
    assert backend.load_with_timestamps("s", last=1)[0].message == made
    print(peak() - start - itself, itself)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["text", "escapes", "ten million numbers", "dicts", "a dict", "nested lists"], ids=lambda name: name
)
@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_what_is_allowed_takes_a_bounded_multiple(scheme: str, name: str, tmp_path: Path) -> None:
    """Storing and loading takes at most four times the value's own memory, and eight times the limit besides."""
    taken, itself = map(int, children.run(ALLOWED, name, url_of(scheme, tmp_path)).split())
    assert taken <= 4 * itself + 8 * MAX_MESSAGE_BYTES // 2**20


ESCAPES = """
with open_backend("memory://") as backend:
    made = ChatMessage("user", "\\0" * 30_000_000)
    before = peak()
    assert "max_message_bytes" in refused(backend.append, "s", made)
    assert peak() - before < 8 * 64, peak() - before
print("bounded")
"""


@pytest.mark.slow
def test_a_text_of_escapes_is_bounded_in_a_process() -> None:
    """JSON takes six bytes for a NUL: what is then too much has taken eight times the limit at the most."""
    assert "bounded" in children.run(ESCAPES, megabytes=WITHIN + 300)


READ = """
from click.testing import CliRunner
from sessionkit.cli.commands import cli
place, file = sys.argv[1:]
with open_backend(f"jsonl:///{place}") as backend:
    before = peak()
    [message] = backend.load("large")
    assert len(message.content) == 100_000_000
    assert backend.get_session_metadata("large").message_count == 1
    assert [found.key for found in backend.search(SessionQuery("needle"))] == ["large"]
    backend.append("large", ChatMessage("user", "after"))
    assert backend.load_with_timestamps("large", last=1)[0].message.content == "after"
    taken = peak() - before
result = CliRunner().invoke(cli, ["import", file, "--url", "memory://"])
assert result.exit_code == 1 and "max_message_bytes" in result.output and "line 1" in result.output, result.output[:500]
print(taken)
"""


@pytest.mark.slow
def test_what_somebody_else_wrote_is_read_whatever_its_size_in_a_process(tmp_path: Path) -> None:
    """The limit is for writing: a message of 100 MB in a file loses nothing, and takes a bounded multiple to read."""
    (tmp_path / "store").mkdir()
    message = {"role": "user", "content": "needle " + "x" * (100_000_000 - 7)}
    (tmp_path / "store" / "large.jsonl").write_text(json.dumps(message) + "\n")
    line = {"session_key": "large", "messages": [message]}
    (tmp_path / "import.jsonl").write_text(json.dumps(line) + "\n")
    taken = children.run(READ, str(tmp_path / "store"), str(tmp_path / "import.jsonl"), megabytes=3000)
    assert int(taken) <= 8 * 100


@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_texts_besides_messages_are_bounded(scheme: str, tmp_path: Path) -> None:
    """Names, aliases, contexts, states and turn ids, in bytes: one more is refused, and nothing changes."""
    fits, larger = "ä" * (MAX_TEXT_BYTES // 2), "ä" * (MAX_TEXT_BYTES // 2) + "x"
    with open_backend(url_of(scheme, tmp_path)) as backend:
        backend.append("s", ChatMessage("user", "one"))
        setters: list[Callable[[str], object]] = [
            lambda text: backend.set_session_name("s", text),
            lambda text: backend.set_session_agent_alias("s", text),
            lambda text: backend.set_session_context("s", SessionContext(room_id=text)),
            lambda text: backend.set_session_state("s", text),
            lambda text: backend.set_session_state("s", "running", text),
        ]
        for text in (fits, larger, "x" * 10**7):
            for call in setters:
                before = backend.get_session_metadata("s")
                if text == fits:
                    call(text)
                    assert backend.get_session_metadata("s") != before
                else:
                    with pytest.raises(ValueError, match="and may take 65536"):
                        call(text)
                    assert backend.get_session_metadata("s") == before


@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_what_was_stored_before_there_was_a_limit_is_moved_all_the_same(scheme: str, tmp_path: Path) -> None:
    """Whole, texts of any length and all, by `restore`: what a store holds goes from one store to another."""
    texts: dict[str, Any] = dict.fromkeys(
        ("name", "agent_alias", "channel_id", "room_id", "sender_id", "state"), "ä" * MAX_TEXT_BYTES
    )
    moved = attrs.evolve(SessionMetadata("s"), **texts)
    with open_backend(url_of(scheme, tmp_path)) as backend:
        assert isinstance(backend, SupportsRestore)
        backend.restore("s", [], moved)
        found = backend.get_session_metadata("s")
        assert found is not None
        assert {name: getattr(found, name) for name in texts} == texts
        backend.append("s", ChatMessage("user", "one"))
        with pytest.raises(ValueError, match="and may take 65536"):
            backend.set_session_name("s", texts["name"])


def test_attributes_beyond_the_limit_may_stay_and_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were stored before there was a limit: who changes nothing, or takes away, is not refused."""
    monkeypatch.setattr("sessionkit.record.MAX_MESSAGE_BYTES", 100)
    record = SessionRecord(0, 0, 1, attributes={"x": "y" * 200, "z": "z" * 200})
    assert not record.merge({})
    with pytest.raises(InvalidMessageError, match="the most is 4"):
        record.merge({"more": 1})
    assert record.merge({"z": None})
    assert record.attributes == {"x": "y" * 200}


@pytest.mark.parametrize("limit", [50, 200])
def test_no_message_that_fits_is_refused(limit: int) -> None:
    """Telling early never tells too early: at each size around the limit, and in each place, only bytes count."""
    for size in range(limit):
        for message in (
            ChatMessage("user", "x" * size),
            ChatMessage("user", [{"t": "x" * size}]),
            ChatMessage("user", extra={"x" * size: [[]]}),
            ChatMessage("user", extra={"x": [0] * (size // 2)}),
            ChatMessage("user", extra={"x": [""] * (size // 3)}),
            ChatMessage("user", tool_metadata={"x": ["é" * (size // 2)]}),
            ChatMessage("assistant", tool_calls=[ToolCall("i", "n", "x" * (size // 2))] * 2),
        ):
            takes = len(encode_message(message))
            assert len(encode_message(message, max_bytes=takes)) == takes
            with pytest.raises(InvalidMessageError, match=f"max_message_bytes is {takes - 1}"):
                encode_message(message, max_bytes=takes - 1)
