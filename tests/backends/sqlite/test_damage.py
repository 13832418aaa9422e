"""What is damaged in the file: an error that says which session and where, and the others go on."""

import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    CorruptRecordWarning,
    CorruptSessionError,
    SessionContext,
    SessionQuery,
)
from sessionkit_sqlite import SQLiteBackend

READS: dict[str, Callable[[SQLiteBackend], list[str]]] = {
    "list_sessions_with_metadata": lambda backend: [s.key for s in backend.list_sessions_with_metadata()],
    "search": lambda backend: [s.key for s in backend.search(SessionQuery("hello"))],
    "list_running_sessions": lambda backend: [s.key for s in backend.list_running_sessions()],
    "list_stuck_sessions": lambda backend: [s.key for s in backend.list_stuck_sessions(0)],
}


@pytest.fixture(params=["{", "[]", b"\xff", 5])
def damaged(path: Path, backend: SQLiteBackend, request: pytest.FixtureRequest) -> SQLiteBackend:
    """Two running sessions, and what stands for the attributes of one is none."""
    for key in ("sound", "broken"):
        backend.append(key, ChatMessage.user("hello"))
        backend.set_session_state(key, "running", "t")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE sessions SET attributes = CAST(? AS TEXT) WHERE key = 'broken'", (request.param,))
    return backend


@pytest.mark.parametrize("read", sorted(READS))
def test_a_damaged_session_is_left_out_of_lists(damaged: SQLiteBackend, read: str) -> None:
    """With a warning, and the others are there."""
    with pytest.warns(CorruptRecordWarning, match="'broken' can't be read, row 2 of sessions") as warned:
        assert READS[read](damaged) == ["sound"]
    assert {warning.filename for warning in warned} == {__file__}


@pytest.mark.parametrize("read", sorted(READS))
def test_who_is_warned_may_use_the_store(damaged: SQLiteBackend, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is held meanwhile: whatever shows warnings may keep them where they were found."""

    def keep(message: Warning, *_: object) -> None:
        damaged.append("log", ChatMessage.system(str(message)))
        lengths.append(len(damaged.load("log")))

    lengths: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", keep)
        READS[read](damaged)
    assert lengths == [1]


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("value", ["soon", b"\xff", 9e18, 10**17])
def test_a_damaged_time_takes_no_other_session_away(
    path: Path, backend: SQLiteBackend, value: object, *, settled: bool
) -> None:
    """Of the session's row or of a message that it does not tell of yet: every list has the others, in order."""
    for key in ("one", "broken", "two"):
        backend.append(key, ChatMessage.user("hello"))
        if settled:
            backend.set_session_name(key, "settled by this")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE sessions SET last_activity = ? WHERE key = 'broken'", [value])
        foreign.execute("UPDATE messages SET created_at = ? WHERE id >> 32 = 2", [value])
    listed = [key for key in backend.list_sessions() if key != "broken"]
    assert listed == ["two", "one"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        for query in (SessionQuery(), SessionQuery("hello")):
            assert [found.key for found in backend.search(query) if found.key != "broken"] == listed
        assert [found.key for found in backend.list_sessions_with_metadata() if found.key != "broken"] == listed


@pytest.mark.parametrize("value", ["soon", b"\xff"])
def test_a_damaged_time_of_a_message_is_not_its_sessions(path: Path, backend: SQLiteBackend, value: object) -> None:
    """A session that is known by messages only, as its row lags, is listed by the times that can be read."""
    for key in ("one", "two"):
        for _ in range(3):
            backend.append(key, ChatMessage.user("hello"))
    before = backend.list_sessions_with_metadata()
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE messages SET created_at = ? WHERE id = (SELECT min(id) + 1 FROM messages)", [value])
        assert foreign.execute("SELECT count(*) FROM unsettled").fetchone() == (2,)
    assert backend.list_sessions_with_metadata() == before
    assert backend.get_session_metadata("one") == before[1]


def test_a_damaged_session_is_an_error_that_says_where(damaged: SQLiteBackend) -> None:
    """Whatever needs its record names the session and the row; its messages are there all the same."""
    context = SessionContext(attributes={"a": 1})
    calls: list[Callable[[], object]] = [
        lambda: damaged.get_session_metadata("broken"),
        lambda: damaged.set_session_context("broken", context),
        lambda: damaged.remove_last("broken"),
        lambda: damaged.write("broken", append=[ChatMessage.user("more")]),
        lambda: damaged.compact("broken"),
    ]
    for call in calls:
        with pytest.raises(CorruptSessionError) as caught:
            call()
        assert (caught.value.session_key, caught.value.where) == ("broken", "row 2 of sessions")
    assert [m.content for m in damaged.load("broken")] == ["hello"]


def test_a_damaged_session_can_be_deleted(damaged: SQLiteBackend) -> None:
    """Afterwards its key is as new, above the old revisions."""
    assert damaged.delete_session("broken")
    damaged.append("broken", ChatMessage.user("new"))
    metadata = damaged.get_session_metadata("broken")
    assert metadata is not None
    assert (metadata.message_count, metadata.revision) == (1, 5)


def test_a_damaged_session_can_be_stale(damaged: SQLiteBackend) -> None:
    """Cleaning up needs no attributes."""
    assert damaged.cleanup_stale(0) == 2
    assert damaged.list_sessions() == []


@pytest.mark.parametrize("lost", [{1}, {2, 3}, {1, 6}, {1, 2, 3, 4, 5, 6}])
def test_a_damaged_message_counts_for_none(path: Path, backend: SQLiteBackend, lost: set[int]) -> None:
    """The oldest and the newest few are those of all that can be read, as many as asked for; each loss is said."""
    for number in range(1, 7):
        backend.append("k", ChatMessage.user(str(number)))
    with closing(sqlite3.connect(path)) as foreign, foreign:
        for number in lost:
            foreign.execute("UPDATE messages SET message = '{' WHERE id & 0xFFFFFFFF = ?", (number,))
    with pytest.warns(CorruptRecordWarning, match="skipped, row"):
        everything = backend.load_with_timestamps("k")
    assert [stored.message.content for stored in everything] == [str(n) for n in range(1, 7) if n not in lost]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        for count in range(1, 8):
            assert backend.load_first("k", count) == everything[:count]
            assert backend.load_with_timestamps("k", last=count) == everything[-count:]
    with pytest.warns(CorruptRecordWarning, match="skipped, row") as warned:
        backend.load_first("k", max(lost))
    assert {warning.filename for warning in warned} == {__file__}
    assert len(warned) == len(lost)


DAMAGES: dict[str, tuple[str, object]] = {
    "a name of bytes": ("name", b"\xff\xfe"),
    "an alias that is no UTF-8": ("CAST(? AS TEXT)", b"\xff\xfe"),
    "a revision of text": ("revision", "many"),
    "a count of bytes": ("message_count", b"7"),
    "a state of bytes": ("state", b"idle"),
    "a time of text": ("created_at", "soon"),
    "a time after all years": ("created_at", 2**62),
    "a heartbeat that is a fraction": ("heartbeat_at", 1.5),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_any_damaged_column_is_named(path: Path, backend: SQLiteBackend, damage: str) -> None:
    """Whatever single-session call reads it says which session and which row; lists have the others."""
    column, value = DAMAGES[damage]
    for key in ("sound", "broken"):
        backend.append(key, ChatMessage.user("hello"))
        backend.set_session_state(key, "running", "t")
    column, expression = ("agent_alias", column) if "CAST" in column else (column, "?")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute(f"UPDATE sessions SET {column} = {expression} WHERE number = 2", [value])  # noqa: S608 -- ours
    calls: list[Callable[[], object]] = [lambda: backend.get_session_metadata("broken")]
    if value != 2**62:  # of which only who asks for the time can say that it is none
        calls += [
            lambda: backend.get_session_name("broken"),
            lambda: backend.set_session_name("broken", "n"),
            lambda: backend.begin_turn("broken", "t"),
            lambda: backend.remove_last("broken"),
        ]
    for call in calls:
        with pytest.raises(CorruptSessionError) as caught:
            call()
        assert (caught.value.session_key, caught.value.where) == ("broken", "row 2 of sessions")
    assert [m.content for m in backend.load("broken")] == ["hello"]
    assert backend.list_sessions() == ["broken", "sound"]
    for read in ("list_sessions_with_metadata", "search"):
        with pytest.warns(CorruptRecordWarning, match="'broken' can't be read, row 2 of sessions"):
            assert READS[read](backend) == ["sound"]


@pytest.mark.parametrize("column", ["turn_started_at", "heartbeat_at"])
def test_a_time_after_all_years_is_named_where_it_is_told(path: Path, backend: SQLiteBackend, column: str) -> None:
    """Of a state too, and of a turn that is begun anew."""
    backend.set_session_state("k", "running", "t")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute(f"UPDATE sessions SET {column} = ?", [2**62])  # noqa: S608 -- ours
    calls: list[Callable[[], object]] = [
        lambda: backend.get_session_state("k"),
        lambda: backend.begin_turn("k", "other"),
    ]
    for call in calls:
        with pytest.raises(CorruptSessionError, match="the times of 'k' can't be read, row 1 of sessions"):
            call()


def test_a_damaged_key_takes_no_other_session_away(path: Path, backend: SQLiteBackend) -> None:
    """A session whose key is no text is left out of every list; the others are there."""
    for key in ("one", "broken", "two"):
        backend.append(key, ChatMessage.user("hello"))
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE sessions SET key = CAST(? AS TEXT) WHERE number = 2", [b"\xff"])
    assert backend.list_sessions() == ["two", "one"]
    with pytest.warns(CorruptRecordWarning, match="row 2 of sessions: it is no text"):
        assert [found.key for found in backend.list_sessions_with_metadata()] == ["two", "one"]


def test_damage_is_said(path: Path) -> None:
    """A database with a page overwritten is reported as damaged, not as empty."""
    with SQLiteBackend(path) as backend:
        for _ in range(500):
            backend.append("k", ChatMessage.user("x" * 500))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises((CorruptSessionError, BackendUnavailableError)), SQLiteBackend(path) as backend:
        backend.load("k")
