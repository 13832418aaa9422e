"""Lists of sessions: each once, in order of activity; and what is activity."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

from sessionkit import SessionContext, SessionMetadata, SessionQuery, TimestampedMessage
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, old_session, say
from sessionkit.testing.suite.promises import promise


class ListingPromises(SuiteBase):
    """`list_sessions`, `list_sessions_with_metadata`, `get_session_metadata` and activity."""

    @promise("list.empty")
    def test_an_empty_store_lists_nothing(self, backend: Backend) -> None:
        """An empty store lists no session.

        If this fails: `make_backend` must give a fresh, empty store at each call.
        """
        assert backend.list_sessions() == []
        assert backend.list_sessions_with_metadata() == []

    @promise("list.each-once")
    def test_each_session_is_listed_once(self, backend: Backend) -> None:
        """Every session key is listed once, however many messages it has; so is its metadata.

        If this fails: list sessions, not messages; and page through all of them.
        """
        keys = [f"s{i}" for i in range(150)]
        for key in keys:
            fill(backend, key, "one")
        for key in keys[::3]:
            fill(backend, key, "two")
        assert sorted(self.settled(backend.list_sessions)) == sorted(keys)
        assert sorted(metadata.key for metadata in backend.list_sessions_with_metadata()) == sorted(keys)

    @promise("list.most-recent-first", needs=("times",))
    def test_most_recently_active_first(self, backend: Backend) -> None:
        """`list_sessions` gives the most recently active session first, after any change of its messages.

        If this fails: every change of a session's messages moves it to the front.
        """
        for key in "abc":
            fill(backend, key, "one")
            self.tick()
        assert self.settled(backend.list_sessions) == ["c", "b", "a"]
        changes: list[Callable[[str], object]] = [
            lambda key: backend.append(key, say("two")),
            lambda key: backend.update_last(key, say("three")),
            backend.remove_last,
            backend.clear_messages,
        ]
        for change in changes:
            for key in "acb":
                change(key)
                self.tick()
            assert self.settled(backend.list_sessions) == ["b", "c", "a"]

    @promise("list.ties-by-key", needs=("SupportsRestore", "times"))
    def test_ties_are_ordered_by_key(self, backend: Backend) -> None:
        """Sessions active at the same moment are ordered by key, code point by code point, in lists and searches.

        If this fails: sort by the key as a second criterion, ascending, without a locale.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        keys = ["b", "\u00e4", "a", "\U0001f600", "B", "\uff5e", "a2", "a10", "Z"]
        for key in keys:
            old_session(backend, key, hours=0, created_at=then, last_activity=then)
        assert self.settled(backend.list_sessions) == sorted(keys)
        assert [metadata.key for metadata in backend.list_sessions_with_metadata()] == sorted(keys)

    @promise("list.shares-nothing")
    def test_changing_what_a_list_gave(self, backend: Backend) -> None:
        """Changing a list of sessions that was given changes nothing: the next call gives the same again.

        If this fails: a list that is kept for the next caller must be copied for this one.
        """
        lists: dict[str, Callable[[], list[Any]]] = {
            "list_sessions": backend.list_sessions,
            "list_sessions_with_metadata": backend.list_sessions_with_metadata,
            "search": lambda: backend.search(SessionQuery("one")),
            "list_running_sessions": backend.list_running_sessions,
            "list_stuck_sessions": lambda: backend.list_stuck_sessions(0),
        }
        for key in "ab":
            fill(backend, key, "one")
            if self.offers(backend, "set_session_state"):
                backend.set_session_state(key, "running", "t")
        self.tick()
        for name, read in lists.items():
            if self.offers(backend, name):
                found = self.settled(read)
                before = list(found)
                found.reverse()
                found.pop()
                assert read() == before, f"the list that {name} gave is its own"

    @promise("metadata.listed-is-got", needs=("list_sessions_with_metadata", "get_session_metadata"))
    def test_listed_metadata_is_what_is_got(self, backend: Backend) -> None:
        """`list_sessions_with_metadata` gives one value a session, the one that `get_session_metadata` gives.

        If this fails: both must read the same record.
        """
        for key in "ab":
            fill(backend, key, "one", "two")
            if self.offers(backend, "set_session_name"):
                backend.set_session_name(key, f"name of {key}")
        listed = self.settled(backend.list_sessions_with_metadata)
        assert {metadata.key: metadata for metadata in listed} == {key: metadata_of(backend, key) for key in "ab"}

    @promise("metadata.order-of-list", needs=("list_sessions_with_metadata", "times"))
    def test_metadata_are_in_the_order_of_the_list(self, backend: Backend) -> None:
        """`list_sessions_with_metadata` has the order of `list_sessions`.

        If this fails: most recently active first, ties by key, in both.
        """
        for key in "bdac":
            fill(backend, key, "one")
            self.tick()
        listed = self.settled(backend.list_sessions_with_metadata)
        assert [metadata.key for metadata in listed] == backend.list_sessions() == list("cadb")

    @promise("metadata.unknown-is-none", needs=("get_session_metadata",))
    def test_metadata_of_an_unknown_session(self, backend: Backend) -> None:
        """`get_session_metadata` gives None for an unknown session.

        If this fails: do not give empty metadata for a session that is not there.
        """
        fill(backend, "a", "one")
        assert backend.get_session_metadata("A") is None

    @promise("metadata.key", needs=("get_session_metadata",))
    def test_metadata_name_their_session(self, backend: Backend) -> None:
        """Metadata carry the key of their session, and None, not an empty text, for what was never set.

        If this fails: what is not known is None.
        """
        fill(backend, "a", "one")
        metadata = metadata_of(backend, "a")
        assert metadata.key == "a"
        unset = (metadata.name, metadata.agent_alias, metadata.channel_id, metadata.room_id, metadata.sender_id)
        assert unset == (None,) * 5
        assert dict(metadata.attributes) == {}

    @promise("metadata.times", needs=("times",))
    def test_metadata_times(self, backend: Backend) -> None:
        """`created_at` stays when the session was created, `last_activity` is its last change, both timezone-aware UTC.

        If this fails: keep times in UTC with microseconds, and convert no naive datetime.
        """
        before = self.tick()
        fill(backend, "a", "one")
        between = self.tick()
        created = metadata_of(backend, "a").created_at
        fill(backend, "a", "two")
        after = self.tick()
        metadata = metadata_of(backend, "a")
        assert created is not None
        assert metadata.last_activity is not None
        assert metadata.created_at == created
        assert before < created < between < metadata.last_activity < after
        assert created.utcoffset() == metadata.last_activity.utcoffset() == timedelta(0)

    @promise("activity.append", needs=("times",))
    def test_append_is_activity(self, backend: Backend) -> None:
        """A message appended is activity.

        If this fails: `append` sets `last_activity` to now.
        """
        self._is_activity(backend, lambda: fill(backend, "a", "more"))

    @promise("activity.remove_last", needs=("times",))
    def test_remove_last_is_activity(self, backend: Backend) -> None:
        """A message removed is activity.

        If this fails: `remove_last` sets `last_activity` to now.
        """
        self._is_activity(backend, lambda: backend.remove_last("a"))

    @promise("activity.update_last", needs=("times", "update_last"))
    def test_update_last_is_activity(self, backend: Backend) -> None:
        """A message replaced is activity.

        If this fails: `update_last` sets `last_activity` to now, and leaves `created_at`.
        """
        self._is_activity(backend, lambda: backend.update_last("a", say("new")))

    @promise("activity.clear_messages", needs=("times", "clear_messages"))
    def test_clear_messages_is_activity(self, backend: Backend) -> None:
        """Clearing messages is activity.

        If this fails: `clear_messages` sets `last_activity` to now.
        """
        self._is_activity(backend, lambda: backend.clear_messages("a"))

    @promise("activity.state", needs=("times", "set_session_state"))
    def test_state_is_activity(self, backend: Backend) -> None:
        """A change of the state is activity, a heartbeat too.

        If this fails: `set_session_state` sets `last_activity` to now.
        """
        for state, turn in (("running", "t"), ("running", "t"), ("running", "u"), ("error", None), ("idle", None)):
            self._is_activity(backend, partial(backend.set_session_state, "a", state, turn))

    @promise("activity.write", needs=("times", "SupportsWrite"))
    def test_write_is_activity(self, backend: Backend) -> None:
        """Messages added or dropped by `write` are activity.

        If this fails: `write` sets `last_activity` to now.
        """
        self._is_activity(backend, lambda: backend.write("a", append=[say("more")]))
        self._is_activity(backend, lambda: backend.write("a", drop_last=1))

    @promise("activity.begin_turn", needs=("times", "SupportsTurns"))
    def test_begin_turn_is_activity(self, backend: Backend) -> None:
        """A turn begun is activity.

        If this fails: `begin_turn` sets `last_activity` to now.
        """
        self._is_activity(backend, lambda: backend.begin_turn("a", "t"))

    @promise("activity.set_turn_state", needs=("times", "SupportsTurnState", "set_session_state"))
    def test_set_turn_state_is_activity(self, backend: Backend) -> None:
        """A turn's heartbeat is activity, and so is its end.

        If this fails: `set_turn_state` sets `last_activity` to now.
        """
        backend.set_session_state("a", "running", "t")
        for state in ("running", "running", "idle"):
            self._is_activity(backend, partial(backend.set_turn_state, "a", "t", state))

    @promise("activity.creation-by-setter", needs=("times", "set_session_name"))
    def test_creation_is_activity(self, backend: Backend) -> None:
        """The creation of a session is activity, by a setter too.

        If this fails: a session that a setter creates has a `created_at` and a `last_activity`.
        """
        before = self.tick()
        backend.set_session_name("a", "name")
        after = self.tick()
        metadata = metadata_of(backend, "a")
        assert metadata.created_at is not None
        assert before < metadata.created_at < after
        assert metadata.last_activity == metadata.created_at

    @promise(
        "activity.not-names", needs=("times", "set_session_name", "set_session_agent_alias", "set_session_context")
    )
    def test_names_are_no_activity(self, backend: Backend) -> None:
        """Names, aliases and contexts are not activity.

        If this fails: naming an old session must not move it to the front, nor save it from cleanup.
        """
        fill(backend, "a", "one")
        self.tick()
        fill(backend, "b", "one")
        before = metadata_of(backend, "a").last_activity
        self.tick()
        backend.set_session_name("a", "name")
        backend.set_session_agent_alias("a", "alias")
        backend.set_session_context("a", SessionContext("c", "r", "s", {"x": 1}))
        backend.set_session_name("a", "")
        assert metadata_of(backend, "a").last_activity == before
        assert self.settled(backend.list_sessions) == ["b", "a"]

    @promise("activity.not-reading", needs=("times",))
    def test_reading_is_no_activity(self, backend: Backend) -> None:
        """Reading and compacting are not activity.

        If this fails: reading never writes.
        """
        fill(backend, "a", "one")
        self.tick()
        fill(backend, "b", "one")
        before = metadata_of(backend, "a")
        self.tick()
        backend.load("a")
        backend.load_with_timestamps("a", last=1)
        backend.compact("a")
        assert metadata_of(backend, "a") == before
        assert self.settled(backend.list_sessions) == ["b", "a"]

    @promise("times.never-backwards", needs=("times", "load_with_timestamps"))
    def test_times_never_run_backwards(self, backend: Backend) -> None:
        """The times of a session never run backwards, even where the clock does, whatever is changed then.

        If this fails: store the later of now and the session's last activity, in every method that changes messages or
        state.
        """
        changes: list[tuple[str, Callable[[], object]]] = [
            ("append", lambda: fill(backend, "a", "two", "three")),
            ("update_last", lambda: backend.update_last("a", say("four"))),
            ("remove_last", lambda: backend.remove_last("a")),
            ("SupportsWrite", lambda: backend.write("a", append=[say("five"), say("six")])),
            ("SupportsWrite", lambda: backend.write("a", drop_last=1)),
            ("SupportsTurns", lambda: backend.begin_turn("a", "t")),
            ("SupportsTurns", lambda: backend.begin_turn("a", "t")),
            ("set_session_state", lambda: backend.set_session_state("a", "running", "u")),
            ("set_session_state", lambda: backend.set_session_state("a", "running", "u")),
            ("SupportsTurnState", lambda: backend.set_turn_state("a", "u", "running")),
            ("SupportsTurnState", lambda: backend.set_turn_state("a", "u", "error")),
            ("set_session_state", lambda: backend.set_session_state("a", "idle")),
            ("clear_messages", lambda: backend.clear_messages("a")),
            ("append", lambda: fill(backend, "a", "seven")),
        ]
        fill(backend, "a", "one")
        latest = self._times_ascend(backend, "a")
        with (
            mock.patch("time.time_ns", _behind("time_ns", 3_600_000_000_000)),
            mock.patch("time.time", _behind("time", 3600)),
        ):
            for name, change in changes:
                if self.offers(backend, name):
                    change()
                    before, latest = latest, self._times_ascend(backend, "a")
                    assert before <= latest, f"{name} made the session older"
        fill(backend, "a", "eight")
        assert latest <= self._times_ascend(backend, "a")

    @promise("times.never-before-restored", needs=("times", "load_with_timestamps", "SupportsRestore"))
    def test_times_never_run_behind_restored_ones(self, backend: Backend) -> None:
        """A message that follows restored ones is never stored before them.

        If this fails: a restored session's times may be ahead of this machine's clock; go on from there.
        """
        ahead = datetime.now(UTC) + timedelta(hours=1)
        stored = [TimestampedMessage(say("one"), ahead)]
        backend.restore(
            "a", stored, SessionMetadata("a", created_at=ahead, last_activity=ahead, message_count=1, state="idle")
        )
        fill(backend, "a", "two")
        self._times_ascend(backend, "a")
        assert backend.load_with_timestamps("a")[0].created_at == ahead

    def _times_ascend(self, backend: Backend, key: str) -> datetime:
        """They do, from the session's creation to its last activity, which is given."""
        metadata = metadata_of(backend, key)
        stored = [message.created_at for message in backend.load_with_timestamps(key)]
        times = [moment for moment in (metadata.created_at, *stored, metadata.last_activity) if moment is not None]
        assert len(times) == len(stored) + 2
        assert times == sorted(times)
        turn = (times[0], metadata.turn_started_at, metadata.heartbeat_at, times[-1])
        turns = [moment for moment in turn if moment is not None]
        assert turns == sorted(turns)
        return times[-1]

    def _is_activity(self, backend: Backend, change: Callable[[], object]) -> None:
        """Whether the change moves the session's last activity, and puts it first."""
        fill(backend, "a", "one")
        fill(backend, "other", "one")
        before = self.tick()
        change()
        self.tick()
        active = metadata_of(backend, "a").last_activity
        assert active is not None
        assert active > before
        assert self.settled(backend.list_sessions)[0] == "a"


def _behind(clock: str, by: float) -> Callable[[], float]:
    import time  # noqa: PLC0415 -- read before it is replaced

    real: Callable[[], float] = getattr(time, clock)
    return lambda: real() - by
