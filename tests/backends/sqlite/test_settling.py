"""A session's row may lag behind its messages; nobody who asks can tell."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendUnavailableError, ChatMessage, SessionContext, SessionQuery, ToolCall
from sessionkit.clock import to_datetime
from sessionkit_sqlite import SQLiteBackend, settling
from sessionkit_sqlite.rows import transaction

KEYS = [f"session {i}" for i in range(5)]


def seen(backend: SQLiteBackend) -> list[Any]:
    """Everything that can be asked of all sessions."""
    listed = backend.list_sessions_with_metadata()
    middle = listed[len(listed) // 2].last_activity if listed else None
    queries = [
        SessionQuery(),
        SessionQuery(limit=2, offset=1),
        SessionQuery("word3"),
        SessionQuery(active_since=middle),
        SessionQuery(active_until=middle),
        SessionQuery(state="running"),
        SessionQuery(key_prefix="session 1"),
    ]
    return [
        backend.list_sessions(),
        listed,
        [backend.search(query) for query in queries],
        backend.list_running_sessions(),
        backend.list_stuck_sessions(0),
        [(backend.get_session_metadata(key), backend.load_with_timestamps(key)) for key in KEYS],
    ]


def settle(backend: SQLiteBackend) -> None:
    """Have all rows told."""
    with backend._store.writing as connection, transaction(connection):
        settling.settle(connection)


def unsettled(path: Path) -> int:
    """How many sessions have a row that lags."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM unsettled").fetchone()[0])


def _message(chance: random.Random) -> ChatMessage:
    text = f"word{chance.randrange(6)} word{chance.randrange(6)}"
    return chance.choice(
        (
            ChatMessage.user(text),
            ChatMessage.assistant(text),
            ChatMessage.assistant(tool_calls=[ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}")]),
        )
    )


def _anything(backend: SQLiteBackend, chance: random.Random) -> None:
    key = chance.choice(KEYS)
    operations: list[tuple[int, Callable[[], object]]] = [
        (12, lambda: backend.append(key, _message(chance))),
        (5, lambda: backend.update_last(key, _message(chance))),
        (2, lambda: backend.remove_last(key)),
        (2, lambda: backend.write(key, append=[_message(chance)] * chance.randrange(4))),
        (1, lambda: backend.write(key, drop_last=min(1, len(backend.load(key))), append=[_message(chance)])),
        (1, lambda: backend.clear_messages(key)),
        (1, lambda: backend.delete_session(key)),
        (1, lambda: backend.compact(key)),
        (1, lambda: backend.set_session_state(key, chance.choice(("idle", "running")), "turn")),
        (1, lambda: backend.set_session_context(key, SessionContext(room_id=chance.choice(("", "room"))))),
        (1, lambda: backend.cleanup_stale(1)),
    ]
    weights = [weight for weight, _ in operations]
    chance.choices([operation for _, operation in operations], weights)[0]()


@pytest.mark.parametrize("seed", range(6))
def test_settling_changes_nothing_that_can_be_seen(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """After any history of two connections, what is read is the same before and after all rows are brought up."""
    monkeypatch.setattr(settling, "EVERY", (3, 40, 10_000)[seed % 3])
    chance = random.Random(seed)  # noqa: S311 -- nothing secret
    lagged = 0
    with SQLiteBackend(path) as other:
        for _ in range(120):
            _anything(chance.choice((backend, other)), chance)
            lagged += unsettled(path)
            before = seen(backend)
            assert seen(other) == before
            if chance.random() < 0.2:
                settle(other)
                assert unsettled(path) == 0
                assert seen(backend) == before
    assert lagged > 0


def test_revisions_grow_with_every_change(backend: SQLiteBackend) -> None:
    """By one: appends and replacements that no row tells of yet are changes like any other; settling is none."""
    revisions = list[int]()

    def note() -> None:
        metadata = backend.get_session_metadata("k")
        assert metadata is not None
        assert metadata.revision is not None
        revisions.append(metadata.revision)

    for text in ("one", "two"):
        backend.append("k", ChatMessage.user(text))
        note()
        for _ in range(3):
            backend.update_last("k", ChatMessage.assistant("a longer answer"))
            note()
        settle(backend)
        note()
        assert revisions[-1] == revisions.pop()
        backend.update_last("k", ChatMessage.assistant("of a settled session"))
        note()
    assert {later - earlier for earlier, later in pairwise(revisions)} == {1}
    assert backend.delete_session("k")
    backend.append("k", ChatMessage.user("anew"))
    note()
    assert revisions[-1] > max(revisions[:-1])


def test_no_position_is_given_twice(path: Path, backend: SQLiteBackend) -> None:
    """Not even that of a message that was removed, where an older one was replaced and settled since."""
    for _ in range(3):
        backend.append("k", ChatMessage.user("x"))
    backend.remove_last("k")
    backend.update_last("k", ChatMessage.user("y"))
    settle(backend)
    backend.append("k", ChatMessage.user("z"))
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT id & 0xFFFFFFFF FROM messages ORDER BY id").fetchall()
    assert found == [(1,), (2,), (4,)]


def test_sessions_of_one_moment_stand_by_their_keys(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that lag among those that are settled."""
    for module in ("sessionkit_sqlite.backend", "sessionkit.record"):
        monkeypatch.setattr(f"{module}.now", lambda: 10**15)
    backend.append("settles", ChatMessage.user("x"))
    for key in "bd":
        backend.write(key, append=[ChatMessage.user("x")])
    for key in "eac":
        backend.append(key, ChatMessage.user("x"))
    assert unsettled(path) == 3
    assert backend.list_sessions() == [*"abcde", "settles"]
    assert [found.key for found in backend.search(SessionQuery())] == [*"abcde", "settles"]


def test_few_sessions_lag(path: Path, backend: SQLiteBackend) -> None:
    """However many sessions are appended to, a reader has no more to add up than one process leaves unsettled."""
    for i in range(5 * settling.EVERY):
        backend.append(f"session {i % 200}", ChatMessage.user("x"))
        assert unsettled(path) <= settling.EVERY


def test_replacements_settle_too(path: Path, backend: SQLiteBackend) -> None:
    """Who only ever replaces, in however many sessions, leaves no more than who appends."""
    for i in range(3 * settling.EVERY):
        backend.write(f"session {i}", append=[ChatMessage.user("x")])
    for i in range(3 * settling.EVERY):
        backend.update_last(f"session {i}", ChatMessage.user("y"))
        assert unsettled(path) <= settling.EVERY


def test_a_session_of_many_writers_lags_no_further(path: Path) -> None:
    """However many connections append to it, each too little to settle by itself."""
    lag = "SELECT max(m.id & 0xFFFFFFFF) - s.settled FROM messages AS m, sessions AS s"
    with ExitStack() as stack:
        writers = [stack.enter_context(SQLiteBackend(path)) for _ in range(5)]
        connection = stack.enter_context(closing(sqlite3.connect(path)))
        for _ in range(settling.EVERY - 20):
            for writer in writers:
                writer.append("k", ChatMessage.user("x"))
                assert connection.execute(lag).fetchone()[0] < settling.EVERY


def test_short_lived_processes_settle_too(path: Path) -> None:
    """A process that appends once and ends leaves at most its own session to be settled by the next."""
    for i in range(5):
        with SQLiteBackend(path) as backend:
            backend.append(f"session {i}", ChatMessage.user("x"))
        assert unsettled(path) <= 1


def test_an_append_touches_one_page(path: Path, backend: SQLiteBackend) -> None:
    """Nor does a replacement touch a second one; only where a page is full is another written."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    log = Path(f"{path}-wal")
    for key in ("before", "k"):
        for _ in range(settling.EVERY):
            backend.append(key, ChatMessage.user("x"))
    backend.append("k", ChatMessage.user("x"))
    before = log.stat().st_size
    for _ in range(20):
        backend.append("k", ChatMessage.user("x"))
        backend.update_last("k", ChatMessage.assistant("y"))
    pages = (log.stat().st_size - before) / (size + 24)
    assert 40 <= pages < 44


def test_time_never_runs_backwards(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from append to append, nor past a replacement, where the clock does."""
    moment = datetime.now(UTC) + timedelta(hours=1)
    clock = [int(moment.timestamp()) * 1_000_000]
    latest = 0
    monkeypatch.setattr("sessionkit_sqlite.backend.now", lambda: clock[0])
    activity = list[datetime]()
    for step in (0, -60, 5, -3600, 10):
        clock[0] += step * 1_000_000
        backend.append("k", ChatMessage.user("x"))
        backend.append("k", ChatMessage.user("y"))
        clock[0] += 2_000_000
        backend.update_last("k", ChatMessage.user("z"))
        metadata = backend.get_session_metadata("k")
        assert metadata is not None
        activity.append(metadata.last_activity or moment)
        latest = max(latest, clock[0])
        assert activity[-1] == to_datetime(latest)
    times = [stored.created_at or moment for stored in backend.load_with_timestamps("k")]
    assert times == sorted(times)
    assert activity == sorted(activity)
    assert times[-1] <= activity[-1]


class TestTails:
    """What a connection knows of where messages go holds only while nobody else does anything."""

    def test_two_connections_take_turns(self, path: Path, backend: SQLiteBackend) -> None:
        """Neither writes over what the other has appended meanwhile."""
        with SQLiteBackend(path) as other:
            for i in range(0, 60, 3):
                for number, writer in enumerate((backend, backend, other)):
                    writer.append("k", ChatMessage.user(str(i + number)))
        assert [message.text for message in backend.load("k")] == [str(i) for i in range(60)]

    @pytest.mark.parametrize("who", ["same", "other"])
    @pytest.mark.parametrize(
        ("change", "left"),
        [
            (lambda backend: backend.remove_last("k"), 3),
            (lambda backend: backend.clear_messages("k"), 0),
            (lambda backend: backend.delete_session("k"), 0),
            (lambda backend: backend.write("k", append=[ChatMessage.user("more")] * 2), 6),
            (lambda backend: (backend.write("k", append=[ChatMessage.user("y")]), backend.remove_last("k")), 4),
            (lambda backend: backend.compact("k"), 4),
            (lambda backend: backend.update_last("k", ChatMessage.user("other")), 4),
        ],
        ids=["remove_last", "clear_messages", "delete_session", "write", "write and remove", "compact", "update_last"],
    )
    def test_any_other_change_is_noticed(
        self, path: Path, backend: SQLiteBackend, who: str, change: Callable[[SQLiteBackend], object], left: int
    ) -> None:
        """An append after it lands at the end of what there is then, and counts."""
        for _ in range(4):
            backend.append("k", ChatMessage.user("x"))
        with SQLiteBackend(path) as other:
            change(backend if who == "same" else other)
            backend.append("k", ChatMessage.assistant("after"))
            backend.append("k", ChatMessage.assistant("and on"))
            for reader in (backend, other):
                messages = reader.load("k")
                assert [message.text for message in messages[left:]] == ["after", "and on"]
                metadata = reader.get_session_metadata("k")
                assert metadata is not None
                assert (metadata.message_count, metadata.turn_count) == (left + 2, 2)

    def test_many_sessions_in_turn(self, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is known is bounded, and each session keeps its own."""
        monkeypatch.setattr("sessionkit_sqlite.tails._MOST", 3)
        for i in range(40):
            backend.append(f"session {i % 5}", ChatMessage.user(str(i)))
        assert len(backend._tails._known) <= 3
        for i in range(5):
            texts = [message.text for message in backend.load(f"session {i}")]
            assert texts == [str(number) for number in range(i, 40, 5)]

    def test_no_room_for_a_mark(self, path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who can't leave a mark in the lock file writes nothing: else the last writer would not look again."""

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with SQLiteBackend(path) as other:
            for _ in range(3):
                backend.append("k", ChatMessage.user("x"))
            with monkeypatch.context() as patch:
                patch.setattr("sessionkit_sqlite.store.os.pwrite", full)
                with pytest.raises(BackendUnavailableError, match="free some space"):
                    other.write("k", append=[ChatMessage.user("y")])
            backend.append("k", ChatMessage.user("and on"))
            other.append("k", ChatMessage.user("y"))
        metadata = backend.get_session_metadata("k")
        assert metadata is not None
        assert metadata.message_count == len(backend.load("k")) == 5

    @pytest.mark.parametrize(
        ("change", "left"),
        [
            ("DELETE FROM messages WHERE id = (SELECT max(id) FROM messages)", 2),
            ("DELETE FROM messages", 0),
            ("DELETE FROM sessions", 0),
        ],
    )
    @pytest.mark.parametrize("appends", [1, 3])
    def test_foreign_removals_are_borne(
        self, path: Path, backend: SQLiteBackend, appends: int, change: str, left: int
    ) -> None:
        """Whatever somebody removed by SQLite itself, an append that returns is there afterwards."""
        for i in range(appends):
            backend.append("k", ChatMessage.user(str(i)))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(change)
        backend.append("k", ChatMessage.user("after"))
        texts = [message.text for message in backend.load("k")]
        assert texts == [*map(str, range(min(left, appends - 1))), "after"]

    def test_a_foreign_writer_is_borne(self, path: Path, backend: SQLiteBackend) -> None:
        """Who wrote by SQLite itself, without our lock, is not written over."""
        for i in range(3):
            backend.append("k", ChatMessage.user(str(i)))
        with closing(sqlite3.connect(path)) as connection:
            raw = '{"role":"user","content":"foreign"}'
            connection.execute(
                "INSERT INTO messages SELECT max(id) + 1, max(created_at), 0, 0, NULL, ?, 0 FROM messages", [raw]
            )
            connection.commit()
        backend.append("k", ChatMessage.user("3"))
        assert [message.text for message in backend.load("k")] == ["0", "1", "2", "foreign", "3"]
