"""Lines that were moved or copied, or whose numbers are damaged: one of them costs itself at most, and is said."""

import random
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend, files
from sessionkit_jsonl.reading import stand
from sessionkit_jsonl.scanning import scan
from sessionkit_jsonl.window import Window

MESSAGES = [ChatMessage("user", f"message {number:02}") for number in range(20)]
LONG = [ChatMessage("user", f"message {number:02}" + "x" * 9_000) for number in range(20)]


@pytest.fixture(params=["appended", "compacted"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file of the session "s": a header, then a line for each message."""
    with JSONLBackend(tmp_path) as backend:
        for message in MESSAGES:
            backend.append("s", message)
        if request.param == "compacted":
            backend.update_last("s", MESSAGES[-1])
            backend.compact("s")
    return tmp_path / "s.jsonl"


def check(folder: Path, expected: list[ChatMessage]) -> None:
    """What is loaded is that, with a warning; the counts agree, it goes on, and `compact` deletes nothing."""
    every = b"".join((folder / "s.jsonl").read_bytes().splitlines())
    with JSONLBackend(folder) as backend:
        with pytest.warns(CorruptRecordWarning, match="out of place"):
            assert backend.load("s") == expected
        metadata = backend.get_session_metadata("s")
        assert metadata is not None
        assert metadata.message_count == len(expected)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            assert [stored.message for stored in backend.load_with_timestamps("s", last=15)] == expected[-15:]
        new = ChatMessage("assistant", "new")
        backend.append("s", new)
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [*expected, new]
        backend.compact("s")
        assert backend.load("s") == [*expected, new]
        kept = b"".join(each.read_bytes() for each in folder.iterdir())
        for text in re.findall(rb"message \d\d", every):
            assert text in kept


@pytest.mark.parametrize("after", [4, 5, 10, 19, 20])
def test_a_line_that_was_copied_down_costs_nothing(tmp_path: Path, file: Path, after: int) -> None:
    """An early line pasted further down, or at the end, removes nothing of what stands between."""
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[: after + 1], lines[3], *lines[after + 1 :]]))
    check(tmp_path, MESSAGES)


def test_a_line_that_was_copied_up_costs_nothing(tmp_path: Path, file: Path) -> None:
    """A late line pasted further up takes none of those after it with it."""
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], lines[15], *lines[4:]]))
    check(tmp_path, MESSAGES)


def test_several_lines_copied_to_the_end_cost_nothing(tmp_path: Path, file: Path) -> None:
    """Though each follows on the other, the last of them is not taken for how things stand."""
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, *lines[3:6]]))
    check(tmp_path, MESSAGES)


def test_a_file_twice_in_itself_is_there_once(tmp_path: Path, file: Path) -> None:
    """As after ``cat a a > b``."""
    file.write_bytes(file.read_bytes() * 2)
    check(tmp_path, MESSAGES)


def test_a_line_that_was_moved_costs_itself(tmp_path: Path, file: Path) -> None:
    """And no other."""
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], *lines[5:15], lines[4], *lines[15:]]))
    with JSONLBackend(tmp_path) as backend:
        assert [found.message_count for found in backend.list_sessions_with_metadata()] == [20]
        with pytest.warns(CorruptRecordWarning):
            assert backend.load("s") == [*MESSAGES[:3], *MESSAGES[4:]]
        backend.compact("s")
        assert [found.message_count for found in backend.list_sessions_with_metadata()] == [19]
        assert backend.load("s") == [*MESSAGES[:3], *MESSAGES[4:]]


@pytest.mark.parametrize("revision", [0, 1, 10**9])
@pytest.mark.parametrize("line", [5, 20])
def test_a_damaged_revision_costs_one_message(tmp_path: Path, file: Path, line: int, revision: int) -> None:
    """A number that is too high or too low is that line's trouble; what is appended after it is there."""
    lines = file.read_bytes().splitlines(keepends=True)
    lines[line] = re.sub(rb'"rev":\d+', b'"rev":%d' % revision, lines[line])
    file.write_bytes(b"".join(lines))
    new = ChatMessage("assistant", "new")
    with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        assert len(backend.load("s")) >= 19
        backend.append("s", new)
        backend.compact("s")
        found = backend.load("s")
        assert found[-1] == new
        assert [message for message in MESSAGES if message not in found] in ([], [MESSAGES[line - 1]])


def test_a_header_that_was_copied_undoes_nothing(tmp_path: Path, file: Path) -> None:
    """What was set since the session was created stays, wherever its first line stands again."""
    with JSONLBackend(tmp_path) as backend:
        backend.set_session_name("s", "name")
    lines = file.read_bytes().splitlines(keepends=True)
    for place in (1, 10, len(lines)):
        file.write_bytes(b"".join([*lines[:place], lines[0], *lines[place:]]))
        with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            assert backend.get_session_name("s") == "name"
            assert backend.load("s") == MESSAGES
            backend.append("s", MESSAGES[0])
            backend.compact("s")
            assert backend.get_session_name("s") == "name"
            assert backend.load("s") == [*MESSAGES, MESSAGES[0]]


@pytest.mark.parametrize("copied", [3, 19, 20])
def test_a_long_line_that_was_copied_costs_nothing(tmp_path: Path, copied: int) -> None:
    """The same where lines are so long that only their ends are looked at."""
    with JSONLBackend(tmp_path) as backend:
        for message in LONG:
            backend.append("s", message)
    file = tmp_path / "s.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, lines[copied]]))
    check(tmp_path, LONG)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("place", [2, 10, 20])
def test_messages_put_in_between_are_not_lost_in_silence(tmp_path: Path, file: Path, place: int, count: int) -> None:
    """A message that somebody writes above lines of ours can't be counted any more: it is said, and set aside."""
    lines = file.read_bytes().splitlines(keepends=True)
    lines[place:place] = [b'{"role":"user","content":"message 99"}\n'] * count
    file.write_bytes(b"".join(lines))
    check(tmp_path, MESSAGES)


def replaced(backend: JSONLBackend) -> None:
    """A session whose revisions begin above those of one that was deleted."""
    for _ in range(3):
        backend.append("s", MESSAGES[0])
    backend.delete_session("s")
    backend.append("s", MESSAGES[1])


def cleared(backend: JSONLBackend) -> None:
    """A session whose only message was removed with all."""
    backend.append("s", MESSAGES[0])
    backend.clear_messages("s")


def updated(backend: JSONLBackend) -> None:
    """A session whose last message was replaced."""
    backend.append("s", MESSAGES[0])
    backend.update_last("s", MESSAGES[1])


def named(backend: JSONLBackend) -> None:
    """A session that got several names."""
    for name in ("a", "b", "c"):
        backend.set_session_name("s", name)


HISTORIES: dict[str, Callable[[JSONLBackend], object]] = {
    "append": lambda backend: backend.append("s", MESSAGES[0]),
    "replaced": replaced,
    "attributes": lambda backend: backend.write("s", append=MESSAGES[:1], attributes={"a": 1}),
    "batch": lambda backend: backend.write("s", append=MESSAGES[:2]),
    "name": lambda backend: backend.set_session_name("s", "name"),
    "clear": cleared,
    "update": updated,
}


@pytest.mark.parametrize("second", HISTORIES)
@pytest.mark.parametrize("first", HISTORIES)
def test_a_message_put_above_any_line_is_not_lost_in_silence(tmp_path: Path, first: str, second: str) -> None:
    """Whatever that line does, and however far its revision is ahead: the message is there, or said and set aside."""
    foreign = b'{"role":"system","content":"by hand"}\n'
    with JSONLBackend(tmp_path) as backend:
        HISTORIES[first](backend)
        HISTORIES[second](backend)
        backend.append("s", MESSAGES[2])
        own = backend.load("s")
    file = tmp_path / "s.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for place in range(1, len(lines)):
        file.write_bytes(b"".join([*lines[:place], foreign, *lines[place:]]))
        with JSONLBackend(tmp_path) as backend:
            with pytest.warns(CorruptRecordWarning, match="out of place"):
                assert backend.load("s") == own
            backend.compact("s")
            assert backend.load("s") == own
        aside = tmp_path / "s.jsonl.corrupt"
        assert foreign in aside.read_bytes()
        aside.unlink()


def test_of_a_line_and_its_copy_the_first_is_kept(tmp_path: Path) -> None:
    """So that what somebody else wrote between them, and we counted, stays."""
    foreign = ChatMessage("system", "by hand")
    file = tmp_path / "s.jsonl"
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", MESSAGES[0])
        copied = file.read_bytes().splitlines(keepends=True)[-1]
        file.write_bytes(file.read_bytes() + b'{"role":"system","content":"by hand"}\n')
        backend.append("s", MESSAGES[1])
    lines = file.read_bytes().splitlines(keepends=True)
    lines.insert(3, copied)
    file.write_bytes(b"".join(lines))
    check(tmp_path, [MESSAGES[0], foreign, MESSAGES[1]])


AFTER: dict[str, Callable[[JSONLBackend], object]] = {
    "nothing": lambda _: None,
    "append": lambda backend: backend.append("s", MESSAGES[3]),
    "update": lambda backend: [backend.update_last("s", message) for message in MESSAGES[3:6]],
    "name": named,
    "remove": lambda backend: backend.remove_last("s"),
}


@pytest.mark.parametrize("later", AFTER)
@pytest.mark.parametrize("earlier", AFTER)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_what_was_put_in_between_stands_for_no_other(tmp_path: Path, earlier: str, later: str, place: int) -> None:
    """Though it begins where the message began that a later line refers to: the tail has what all of the file has."""
    with JSONLBackend(tmp_path) as backend:
        for message in MESSAGES[:3]:
            backend.append("s", message)
        AFTER[earlier](backend)
        own = backend.load("s")
    file = tmp_path / "s.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines.insert(place, b'{"role":"system","content":"by hand"}\n')
    file.write_bytes(b"".join(lines))
    with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        assert backend.load("s") == own
        AFTER[later](backend)
        loaded = backend.load("s")
        while loaded:
            assert "by hand" not in [message.content for message in loaded]
            for last in range(1, len(loaded) + 1):
                stored = backend.load_with_timestamps("s", last=last)
                assert [each.message for each in stored] == loaded[-last:]
            assert backend.remove_last("s")
            assert backend.load("s") == loaded[:-1]
            loaded.pop()


STEPS: list[Callable[[JSONLBackend, ChatMessage], object]] = [
    lambda backend, message: backend.append("s", message),
    lambda backend, message: backend.append("s", message),
    lambda backend, message: backend.update_last("s", message),
    lambda backend, _: backend.remove_last("s"),
    lambda backend, message: backend.write("s", append=[message] * 3, attributes={"a": str(message.content)}),
    lambda backend, message: backend.write("s", drop_last=min(2, len(backend.load("s"))), append=[message]),
    lambda backend, message: backend.set_session_name("s", str(message.content)),
    lambda backend, _: backend.set_session_state("s", "running", "t"),
    lambda backend, _: backend.set_session_state("s", "idle"),
    lambda backend, _: backend.clear_messages("s"),
    lambda backend, _: backend.compact("s"),
    lambda backend, _: backend.delete_session("s"),
]


def test_what_we_write_is_in_place(tmp_path: Path) -> None:
    """Whatever is written after whatever else: the tail alone tells how things stand, and the same as all of it."""
    chance = random.Random(5)  # noqa: S311 -- no secret
    file = tmp_path / "s.jsonl"
    backends = [JSONLBackend(tmp_path), JSONLBackend(tmp_path)]
    for number in range(1_500):
        step, message = chance.choice(STEPS), ChatMessage("user", f"{number} " + "x" * chance.choice([1, 50, 6_000]))
        step(chance.choice(backends), message)
        if not file.exists():
            continue
        descriptor = files.open_session(str(file), files.READ)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 -- closes it
            window = Window(opened.fileno(), file.stat().st_size)
            found = scan(window.everything())
            assert stand(window) == found.standing
            assert (found.in_order, found.unreadable, found.torn) == (True, [], [])
