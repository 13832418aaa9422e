"""A store that can't be opened any more, or whose trees are damaged: everything that can be read comes back."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sessionkit import BackendUnavailableError, BackendURL, ChatMessage, Finding, SessionMetadata, SessionQuery
from sessionkit_sqlite import SQLiteBackend, open_url
from sessionkit_sqlite.rescue import rescue_store

PAGE = 2048
Contents = dict[str, list[ChatMessage]]


def contents(path: Path) -> Contents:
    """Every message of the store, by session."""
    with SQLiteBackend(path) as backend:
        return {key: backend.load(key) for key in backend.list_sessions()}


@cache
def filled() -> bytes:
    """Two hundred sessions of long and short messages, in trees of three levels; every third was deleted."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with SQLiteBackend(path) as backend:
            for number in range(200):
                key = f"k{number}"
                for each in range(8):
                    text = "x" * (9000 if each == number % 8 == 3 else 300)
                    backend.append(key, ChatMessage.user(f"hällo {each} of {number} {text}"))
                backend.set_session_name(key, f"name of {number}")
            for number in range(0, 200, 3):
                backend.delete_session(f"k{number}")
        return path.read_bytes()


@cache
def intact() -> Contents:
    """What `filled` holds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        path.write_bytes(filled())
        return contents(path)


def root_of(table: str) -> int:
    """The page at which the tree of a table begins."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        path.write_bytes(filled())
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            return int(found[0])


def zeroed(data: bytes, page: int) -> bytes:
    """With that page overwritten."""
    return data[: (page - 1) * PAGE] + bytes(PAGE) + data[page * PAGE :]


def pages_of(data: bytes, kind: int) -> list[int]:
    """The pages that begin with that byte, in order."""
    return [at // PAGE + 1 for at in range(PAGE, len(data), PAGE) if data[at] == kind]


def rescued(path: Path) -> list[Finding]:
    """What a rescue says; afterwards a check finds nothing, and the damaged file is there, unchanged."""
    before = path.read_bytes()
    found = list(rescue_store(path))
    asides = list(path.parent.glob(f"{path.name}.corrupt-*Z"))
    assert [aside.read_bytes() for aside in asides] == [before]
    assert asides[0].stat().st_mode & 0o777 == path.stat().st_mode & 0o777 == 0o600
    assert not list(path.parent.glob(".*rescue*"))
    with SQLiteBackend(path) as backend:
        assert [finding for finding in backend.check() if finding.severity == "problem"] == []
    return found


NOTHING_IS_LOST: dict[str, Callable[[bytes], bytes]] = {
    "the header is lost": lambda data: bytes(100) + data[100:],
    "the first sixteen bytes are": lambda data: bytes(16) + data[16:],
    "the page size is wrong": lambda data: data[:16] + b"\xff\xff" + data[18:],
    "the first page is lost": lambda data: zeroed(data, 1),
    "the root of messages is lost": lambda data: zeroed(data, root_of("messages")),
    "the root of sessions is lost": lambda data: zeroed(data, root_of("sessions")),
    "an inner page is lost": lambda data: zeroed(data, next(p for p in pages_of(data, 5) if p != root_of("messages"))),
    "every inner page is lost": lambda data: _without(data, pages_of(data, 5)),
    "a page of an index is lost": lambda data: zeroed(data, root_of("sessions_by_activity")),
    "the list of free pages is wrong": lambda data: data[:32] + b"\0\0\0\2\0\0\0\7" + data[40:],
}


def _without(data: bytes, pages: list[int]) -> bytes:
    for page in pages:
        data = zeroed(data, page)
    return data


@pytest.mark.parametrize("damage", NOTHING_IS_LOST)
def test_what_leads_to_the_rows_may_be_lost(path: Path, damage: str) -> None:
    """As long as the leaves are there, each message is, under its session, with its name, counts and search."""
    path.touch(0o600)
    path.write_bytes(NOTHING_IS_LOST[damage](filled()))
    rescued(path)
    assert contents(path) == intact()
    with SQLiteBackend(path) as backend:
        metadata = backend.get_session_metadata("k7")
        assert metadata is not None
        assert (metadata.name, metadata.message_count) == ("name of 7", 8)
        assert [found.key for found in backend.search(SessionQuery("hällo 199"))] == ["k199"]


@pytest.mark.parametrize("nth", [0, 10, 50, -1])
def test_a_leaf_that_is_lost_takes_nothing_else(path: Path, nth: int) -> None:
    """Every message and every session of the other pages comes back, and none twice or under another name."""
    data = filled()
    path.touch(0o600)
    path.write_bytes(zeroed(data, pages_of(data, 13)[nth]))
    rescued(path)
    back = contents(path)
    numbers = {message.text for messages in back.values() for message in messages}
    everything = {message.text for messages in intact().values() for message in messages}
    assert numbers <= everything
    assert len(numbers) >= len(everything) - 7
    for key, messages in back.items():
        if not key.startswith("recovered/"):
            assert set(map(str, messages)) <= set(map(str, intact()[key]))


def test_the_row_of_a_session_is_lost(path: Path) -> None:
    """Its messages come back in a session named for the number."""
    data = filled()
    leaf = next(page for page in pages_of(data, 13) if b"name of 100" in data[(page - 1) * PAGE : page * PAGE])
    path.touch(0o600)
    path.write_bytes(zeroed(data, leaf))
    found = rescued(path)
    back = contents(path)
    assert back["recovered/101"] == intact()["k100"]
    assert "orphan" in {finding.kind for finding in found}
    assert sorted(map(str, chain(*back.values()))) == sorted(map(str, chain(*intact().values())))


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_file_cut_off(path: Path, part: float) -> None:
    """What is there of it comes back."""
    data = filled()[: int(len(filled()) * part)]
    path.touch(0o600)
    path.write_bytes(data)
    rescued(path)
    texts = {message.text for messages in contents(path).values() for message in messages}
    whole = [m.text for messages in intact().values() for m in messages if len(m.text) < 1000]
    there = [text for text in whole if text.encode() in data[: len(data) // PAGE * PAGE]]
    assert len(there) > 100
    assert set(there) <= texts


@pytest.mark.parametrize("length", [0, 1, 16, 99, 100, 537, 2047, 2048, 5000])
def test_hardly_anything_of_a_file(path: Path, length: int) -> None:
    """Of which no row is left: refused, and unchanged, in whatever way it is short."""
    path.write_bytes(filled()[:length])
    with pytest.raises(BackendUnavailableError, match="nothing of a store"):
        rescue_store(path)
    assert path.read_bytes() == filled()[:length]
    assert not list(path.parent.glob("*corrupt*"))


def live_copy(path: Path, target: Path) -> None:
    """A store of three commits, the last two in its log, as a crash leaves it."""
    with SQLiteBackend(path) as backend:
        backend.append("k", ChatMessage.user("in the file"))
    with SQLiteBackend(path) as backend:
        backend.append("k", ChatMessage.user("in the log"))
        backend.append("k", ChatMessage.user("last"))
        for beside in ("", "-wal"):
            shutil.copy(f"{path}{beside}", f"{target}{beside}")
    target.chmod(0o600)


def ends_of_commits(log: bytes) -> list[int]:
    """Where each complete commit ends in a log."""
    ends = range(32 + 24 + PAGE, len(log) + 1, 24 + PAGE)
    return [end for end in ends if log[end - PAGE - 20 : end - PAGE - 16] != bytes(4)]


@pytest.mark.parametrize(("commits", "more"), [(2, 0), (1, 0), (1, 24), (1, 1000), (0, 500), (0, -32)])
def test_a_log_belongs_to_the_file(path: Path, commits: int, more: int) -> None:
    """Its complete commits count, from there on nothing does, and it goes where the damaged file goes."""
    target = path.with_name("copy.db")
    live_copy(path, target)
    log = Path(f"{target}-wal").read_bytes()
    ends = [32, *ends_of_commits(log)[-2:]]
    log = log[: ends[commits] + more]
    Path(f"{target}-wal").write_bytes(log)
    data = target.read_bytes()
    target.write_bytes(bytes(100) + data[100:])
    found = rescued(target)
    assert [m.text for m in contents(target)["k"]] == ["in the file", "in the log", "last"][: commits + 1]
    assert ("torn-record" in {finding.kind for finding in found}) == (more > 0)
    (aside,) = target.parent.glob("copy.db.corrupt-*-wal")
    assert aside.read_bytes() == log


def test_deleted_rows_stay_deleted(path: Path) -> None:
    """Though SQLite leaves them on the pages that fall free, and a part of the tree is lost."""
    path.touch(0o600)
    path.write_bytes(filled())
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("PRAGMA secure_delete = OFF")
        foreign.execute("DELETE FROM messages WHERE id >> 32 BETWEEN 50 AND 100")
    data = path.read_bytes()
    assert b"of 61 " in data
    inner = [page for page in pages_of(data, 5) if page != root_of("messages")]
    expected = {key: messages for key, messages in contents(path).items() if messages}
    path.write_bytes(zeroed(path.read_bytes(), inner[0]))
    rescued(path)
    assert {key: messages for key, messages in contents(path).items() if messages} == expected


def test_stray_pages_count_only_for_what_was_lost(path: Path) -> None:
    """A page that no tree has is believed only for ids between those that stand beside the lost part."""
    data = filled()
    stale = next(page for page in pages_of(data, 13) if b" of 4 x" in data[(page - 1) * PAGE : page * PAGE])
    path.touch(0o600)
    path.write_bytes(data)
    with SQLiteBackend(path) as backend:
        for number in range(10):
            backend.delete_session(f"k{number}")
    left = path.read_bytes()
    lost = next(page for page in pages_of(left, 13) if b" of 100 x" in left[(page - 1) * PAGE : page * PAGE])
    path.write_bytes(zeroed(left, lost) + data[(stale - 1) * PAGE : stale * PAGE])
    rescued(path)
    back = contents(path)
    assert "k199" in back
    assert not [message for messages in back.values() for message in messages if " of 4 x" in message.text]


def test_revisions_do_not_come_again(path: Path) -> None:
    """As changes may have been lost, every session's is above what it can have been."""
    path.touch(0o600)
    path.write_bytes(filled())

    def revisions() -> dict[str, int]:
        with SQLiteBackend(path) as backend:
            listed: list[SessionMetadata] = backend.list_sessions_with_metadata()
        return {metadata.key: metadata.revision or 0 for metadata in listed}

    before = revisions()
    rescued(path)
    assert all(revision > before[key] + 1000 for key, revision in revisions().items())


def test_what_is_no_store_is_left_alone(path: Path) -> None:
    """Another program's database, a diary, a file that is not there, one that is open: refused, and unchanged."""
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("CREATE TABLE theirs (a)")
        foreign.execute("PRAGMA application_id = 7")
    diary = path.with_name("diary.txt")
    diary.write_text("a diary, not a database" * 1000)
    for file, why in ((path, "another program"), (diary, "nothing of a store"), (path.with_name("no"), "no file")):
        before = file.read_bytes() if file.exists() else None
        with pytest.raises(BackendUnavailableError, match=why):
            rescue_store(file)
        assert (file.read_bytes() if file.exists() else None) == before
    with SQLiteBackend(path.with_name("open.db")), pytest.raises(BackendUnavailableError, match="open in this process"):
        rescue_store(path.with_name("open.db"))


def test_the_factory_offers_it(path: Path) -> None:
    """Whoever has a URL only can ask for it."""
    path.touch(0o600)
    path.write_bytes(bytes(100) + filled()[100:])
    rescue: Callable[[BackendURL], object] = open_url.rescue  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess] -- as the doctor asks
    rescue(BackendURL.parse(f"sqlite:///{path}"))
    assert contents(path) == intact()
