"""Lists and searches, which open only the files that have changed since the last one."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, SessionMetadata, SessionQuery
from sessionkit.record import SessionRecord
from sessionkit_jsonl import JSONLBackend, files, known
from sessionkit_jsonl.known import Known, stamp_of

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")

LONG_AFTER = 10**15


def listed(backend: JSONLBackend) -> list[SessionMetadata]:
    """What all lists say, which is the same."""
    found = backend.list_sessions_with_metadata()
    assert backend.list_sessions() == [metadata.key for metadata in found]
    assert backend.search(SessionQuery()) == found
    return found


@pytest.fixture(name="settled")
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as one that was not changed just now."""
    monkeypatch.setattr(known, "_SETTLED", -(10**18))


@pytest.mark.usefixtures("settled")
def test_a_file_that_stayed_as_it_was_is_not_opened(backend: JSONLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is made of what the files said at the last one, at the cost of looking at their times."""
    for number in range(3):
        backend.append(f"s{number}", HI)
    before = listed(backend)

    def refuse(*_: object) -> int:
        raise AssertionError

    monkeypatch.setattr(files, "open_session", refuse)
    assert listed(backend) == before
    assert backend.list_running_sessions() == []
    assert backend.cleanup_stale(1) == 0


CHANGES: dict[str, Callable[[JSONLBackend], object]] = {
    "append": lambda backend: backend.append("s", YO),
    "update": lambda backend: backend.update_last("s", YO),
    "remove": lambda backend: backend.remove_last("s"),
    "clear": lambda backend: backend.clear_messages("s"),
    "name": lambda backend: backend.set_session_name("s", "name"),
    "state": lambda backend: backend.set_session_state("s", "running", "t"),
    "compact": lambda backend: backend.compact("s"),
    "delete": lambda backend: backend.delete_session("s"),
    "create": lambda backend: backend.append("another", HI),
}


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("name", CHANGES)
def test_what_another_changed_is_listed(backend: JSONLBackend, file: Path, name: str) -> None:
    """A list that starts after a change has returned shows it, whoever made it."""
    backend.append("s", HI)
    backend.append("s", HI)
    listed(backend)
    with JSONLBackend(file.parent) as other:
        CHANGES[name](other)
        anew = JSONLBackend(file.parent)
        assert listed(backend) == listed(anew)
        anew.close()


@pytest.mark.usefixtures("settled")
def test_what_was_changed_in_place_is_listed(backend: JSONLBackend, file: Path) -> None:
    """So is what somebody changed with an editor, at the same size, though he set back the time of the file."""
    backend.append("s", HI)
    backend.set_session_name("s", "one")
    listed(backend)
    status = file.stat()
    with file.open("r+b") as opened:
        whole = opened.read().replace(b'"one"', b'"two"')
        opened.seek(0)
        opened.write(whole)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [metadata.name for metadata in listed(backend)] == ["two"]


@pytest.mark.usefixtures("settled")
def test_a_list_shares_nothing_with_the_next(backend: JSONLBackend) -> None:
    """Changing the attributes of a list's session changes no later list."""
    backend.write("s", append=[HI], attributes={"a": [1]})
    for _ in range(2):
        [found] = backend.list_sessions_with_metadata()
        assert found.attributes == {"a": [1]}
        found.attributes["a"].append(2)


@pytest.mark.usefixtures("settled")
def test_a_damaged_file_is_told_of_each_time(backend: JSONLBackend, file: Path) -> None:
    """Every list leaves it out with a warning, not only the first."""
    backend.append("s", HI)
    assert len(listed(backend)) == 1
    file.write_bytes(b"garbage\n" * 3)
    for _ in range(2):
        with pytest.warns(CorruptRecordWarning, match="left out"):
            assert backend.list_sessions() == []


def test_what_was_changed_just_now_is_read_again(tmp_path: Path) -> None:
    """Whoever changes it next, within one tick of its clock, may leave it looking the same."""
    name, record = "s.jsonl", SessionRecord.new(0)
    kept = Known()
    kept.keep(name, stamp_of(tmp_path.stat()), time.time_ns(), "s", record)
    assert kept.get(name, stamp_of(tmp_path.stat())) is None
    for stamp in ((1, 2, 3, 10**30), (1, 2, 10**30, 4)):
        kept.keep(name, stamp, 10**29, "s", record)
        assert kept.get(name, stamp) is None
    kept.keep(name, (1, 2, 3, 4), LONG_AFTER, "s", record)
    assert kept.get(name, (1, 2, 3, 4)) == ("s", record)
    for stamp in ((0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)):
        assert kept.get(name, stamp) is None


def test_no_more_is_known_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are gone are forgotten; and of more than so many, the further ones are read each time."""
    monkeypatch.setattr(known, "_MOST", 2)
    kept, record, stamp = Known(), SessionRecord.new(0), (1, 2, 3, 4)
    for name in "abc":
        kept.keep(name, stamp, LONG_AFTER, name, record)
    assert [name for name in "abc" if kept.get(name, stamp)] == ["a", "b"]
    kept.keep("a", (5, 6, 7, 8), LONG_AFTER, "a", record)
    assert kept.get("a", (5, 6, 7, 8))
    kept.keep_only({"b", "c"})
    kept.keep("c", stamp, LONG_AFTER, "c", record)
    assert [name for name in "abc" if kept.get(name, stamp)] == ["b", "c"]


def _delete(file: Path) -> None:
    file.unlink()


def _move(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def _replace(file: Path) -> None:
    """As an editor does, with a backup that is a hard link."""
    file.with_name("backup").hardlink_to(file)
    file.with_name("new").write_bytes(file.read_bytes())
    file.with_name("new").rename(file)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("change", "left"), [(_delete, []), (_move, []), (_replace, [HI])])
def test_what_took_the_place_of_a_file_is_seen_at_once(
    backend: JSONLBackend, file: Path, change: Callable[[Path], None], left: list[ChatMessage]
) -> None:
    """A file that goes right after a write is not written to any more, wherever it went; nor is it listed."""
    backend.append("s", HI)
    assert len(listed(backend)) == 1
    change(file)
    assert [metadata.message_count for metadata in listed(backend)] == [1 for _ in left]
    backend.append("s", YO)
    assert backend.load("s") == [*left, YO]
    assert [metadata.message_count for metadata in listed(backend)] == [len(left) + 1]


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 10**30])
@pytest.mark.parametrize("offset", [0, 1, 3, 10**30])
def test_a_page_of_a_search_without_a_keyword(backend: JSONLBackend, limit: int, offset: int) -> None:
    """It is that part of the list, were its bounds beyond all numbers of sessions."""
    for number in range(3):
        backend.append(f"s{number}", HI)
    expected = backend.list_sessions_with_metadata()[offset:][:limit]
    assert backend.search(SessionQuery(limit=limit, offset=offset)) == expected
    assert backend.search(SessionQuery(key_prefix="s", limit=limit, offset=offset)) == expected
    assert backend.search(SessionQuery(key_prefix="t", limit=limit, offset=offset)) == []
