"""Clearing, deleting, cleaning up and compacting."""

from datetime import UTC, datetime, timedelta

from sessionkit import SessionContext
from sessionkit.testing.suite.base import (
    Backend,
    SuiteBase,
    clock_at,
    fill,
    metadata_of,
    old_session,
    say,
    texts,
    whole_second,
)
from sessionkit.testing.suite.promises import promise

_NAMED = ("set_session_name", "set_session_agent_alias", "set_session_context", "set_session_state")
_METADATA = ("get_session_metadata",)


class RemovalPromises(SuiteBase):
    """`clear_messages`, `delete_session`, `cleanup_stale` and `compact`."""

    @promise("clear.removes-all", needs=("clear_messages",))
    def test_clear_messages(self, backend: Backend) -> None:
        """`clear_messages` removes all messages of the session and no other, keeps the session, and gives how many
        there were.

        If this fails: count what was there, and leave the session listed.
        """
        fill(backend, "a", *map(str, range(12)))
        fill(backend, "b", "other")
        assert backend.clear_messages("a") == 12
        assert backend.load("a") == []
        assert backend.load_with_timestamps("a", last=3) == []
        assert sorted(self.settled(backend.list_sessions)) == ["a", "b"]
        assert texts(backend.load("b")) == ["other"]
        assert backend.remove_last("a") is False
        fill(backend, "a", "again")
        assert texts(backend.load("a")) == ["again"]

    @promise("clear.nothing-is-zero", needs=("clear_messages",))
    def test_clear_nothing(self, backend: Backend) -> None:
        """`clear_messages` gives 0 where there is no message, and creates nothing.

        If this fails: an unknown session stays unknown.
        """
        assert backend.clear_messages("nobody") == 0
        assert self.settled(backend.list_sessions) == []
        fill(backend, "a", "one")
        backend.clear_messages("a")
        assert backend.clear_messages("a") == 0

    @promise("clear.keeps-metadata", needs=("clear_messages", *_NAMED), native=_METADATA)
    def test_clear_keeps_the_metadata(self, backend: Backend) -> None:
        """`clear_messages` keeps the session's metadata: name, alias, context, state, creation.

        If this fails: only messages and counts go.
        """
        _dress(backend, "a")
        before = metadata_of(backend, "a")
        backend.clear_messages("a")
        after = metadata_of(backend, "a")
        for field in ("name", "agent_alias", "channel_id", "room_id", "sender_id", "attributes", "created_at"):
            assert getattr(after, field) == getattr(before, field), field
        assert (after.state, after.turn_id, after.turn_started_at) == ("running", "t", before.turn_started_at)

    @promise("delete.forgets-messages", needs=("delete_session",))
    def test_delete_forgets_the_messages(self, backend: Backend) -> None:
        """`delete_session` removes the session's messages and those of no other; it gives True where the session
        existed.

        If this fails: all messages of that session go.
        """
        fill(backend, "a", "one", "two")
        fill(backend, "b", "other")
        assert backend.delete_session("a") is True
        assert backend.load("a") == []
        assert backend.load_with_timestamps("a") == []
        assert texts(backend.load("b")) == ["other"]

    @promise("delete.forgets-session", native=("delete_session",))
    def test_delete_forgets_the_session(self, backend: Backend) -> None:
        """`delete_session` removes the session: it is no longer listed, and has no metadata.

        If this fails: a backend that keeps records of sessions must delete them too.
        """
        fill(backend, "a", "one")
        fill(backend, "b", "other")
        assert backend.delete_session("a") is True
        assert self.settled(backend.list_sessions) == ["b"]
        assert [metadata.key for metadata in backend.list_sessions_with_metadata()] == ["b"]
        assert backend.get_session_metadata("a") is None
        assert backend.delete_session("a") is False

    @promise(
        "delete.forgets-everything",
        needs=(*_NAMED, "list_running_sessions", "list_stuck_sessions"),
        native=("delete_session",),
    )
    def test_delete_forgets_everything(self, backend: Backend) -> None:
        """`delete_session` removes everything about the session: name, alias, context, state, turn.

        If this fails: look for what is kept beside the messages.
        """
        _dress(backend, "a")
        backend.delete_session("a")
        self._check_forgotten(backend, "a")

    @promise("delete.unknown-is-false", needs=("delete_session",))
    def test_delete_an_unknown_session(self, backend: Backend) -> None:
        """`delete_session` gives False for an unknown session, and creates nothing.

        If this fails: look whether it existed before it is deleted.
        """
        assert backend.delete_session("nobody") is False
        assert self.settled(backend.list_sessions) == []

    @promise("delete.without-messages", native=("delete_session",))
    def test_delete_a_session_without_messages(self, backend: Backend) -> None:
        """`delete_session` gives True for a session that has no messages.

        If this fails: the session exists by its record, not by its messages.
        """
        fill(backend, "a", "one")
        backend.remove_last("a")
        assert backend.delete_session("a") is True
        assert self.settled(backend.list_sessions) == []

    @promise("delete.then-afresh", needs=_NAMED, native=("delete_session", "get_session_metadata"))
    def test_a_deleted_session_starts_afresh(self, backend: Backend) -> None:
        """A later append starts afresh: nothing of the deleted session comes back.

        If this fails: the new session must not find the old one's record, messages or times.
        """
        _dress(backend, "a")
        backend.delete_session("a")
        self._check_afresh(backend, "a")

    @promise("cleanup.deletes-stale", needs=("cleanup_stale",), native=("delete_session",))
    def test_cleanup_deletes_what_is_stale(self, backend: Backend) -> None:
        """`cleanup_stale` deletes every session whose last activity is older, and gives how many.

        If this fails: compare the last activity with now less the hours.
        """
        if not self.keeps_times(backend):
            self.not_offered("times")

        def old() -> None:
            for key in ("older", "old", "young"):
                backend.delete_session(key)
            fill(backend, "older", "one")
            fill(backend, "old", "one")

        def removed(threshold: float) -> list[int]:
            return [backend.cleanup_stale(hours) for hours in (1, threshold / 3600, threshold / 3600)]

        assert self.told_apart(old, lambda: fill(backend, "young", "one"), removed) == [0, 2, 0]
        assert self.settled(backend.list_sessions) == ["young"]
        assert backend.load("old") == []
        assert texts(backend.load("young")) == ["one"]

    @promise("cleanup.hours", needs=("cleanup_stale", "SupportsRestore", "times"))
    def test_cleanup_counts_in_hours(self, backend: Backend) -> None:
        """The time to live is in hours, fractions included; what is younger stays.

        If this fails: check the units.
        """
        for hours in (0.2, 1.1, 2.1, 30):
            old_session(backend, f"{hours} h", hours=hours)
        for ttl, left in ((31, 4), (29, 3), (2, 2), (1, 1), (0.25, 1), (0.1, 0)):
            removed = len(backend.list_sessions()) - left
            assert backend.cleanup_stale(ttl) == removed
            assert len(self.settled(backend.list_sessions)) == left

    @promise("cleanup.strictly-older", needs=("cleanup_stale", "times"))
    def test_cleanup_is_strict(self, backend: Backend) -> None:
        """A session exactly as old as the time to live is not older: it stays.

        If this fails: `<`, not `<=`.
        """
        moment = whole_second()
        with clock_at(moment):
            fill(backend, "a", "one")
            active = metadata_of(backend, "a").last_activity
            if active != datetime.fromtimestamp(moment // 1_000_000_000, UTC):
                self.not_offered("a clock that this process can hold still")
            assert backend.cleanup_stale(0) == 0
        assert self.settled(backend.list_sessions) == ["a"]
        later = moment + 3_600_000_000_000
        with clock_at(later):
            assert backend.cleanup_stale(1) == 0
            assert backend.cleanup_stale(0.999_999) == 1
        assert self.settled(backend.list_sessions) == []

    @promise(
        "cleanup.activity-saves",
        needs=("cleanup_stale", "SupportsRestore", "set_session_state", "set_session_name", "times"),
    )
    def test_cleanup_looks_at_activity(self, backend: Backend) -> None:
        """A message, a state or a heartbeat saves an old session from cleanup; a name does not.

        If this fails: look at the last activity, not at the creation.
        """
        for key in ("message", "state", "name", "removal"):
            old_session(backend, key, hours=5)
        then = datetime.now(UTC) - timedelta(hours=5)
        old_session(
            backend, "heartbeat", hours=5, state="running", turn_id="t", turn_started_at=then, heartbeat_at=then
        )
        fill(backend, "message", "new")
        backend.set_session_state("state", "waiting")
        backend.set_session_state("heartbeat", "running", "t")
        backend.remove_last("removal")
        backend.set_session_name("name", "new")
        assert backend.cleanup_stale(1) == 1
        assert sorted(self.settled(backend.list_sessions)) == ["heartbeat", "message", "removal", "state"]

    @promise("cleanup.without-times", needs=("cleanup_stale",))
    def test_cleanup_of_fresh_sessions(self, backend: Backend) -> None:
        """A session that is fresh, or whose activity nobody knows, is never stale.

        If this fails: no time is not an old time; and a time to live has no upper limit, infinity included.
        """
        fill(backend, "a", "one")
        fill(backend, "b", "two")
        backend.remove_last("b")
        for ttl in (1, 10**6, 2**63, 1e300, float("inf")):
            assert backend.cleanup_stale(ttl) == 0
        assert sorted(self.settled(backend.list_sessions)) == ["a", "b"]
        assert texts(backend.load("a")) == ["one"]

    @promise(
        "cleanup.forgets-everything",
        needs=("cleanup_stale", "SupportsRestore", *_NAMED, "list_running_sessions", "list_stuck_sessions", "times"),
        native=("delete_session",),
    )
    def test_cleanup_forgets_everything(self, backend: Backend) -> None:
        """`cleanup_stale` removes everything about a session, as `delete_session` does, and a later append starts
        afresh.

        If this fails: let it delete through `delete_session`, or look for what is kept beside the messages.
        """
        then = datetime.now(UTC) - timedelta(hours=5)
        dressed = {"name": "n", "agent_alias": "a", "channel_id": "c", "room_id": "r", "sender_id": "s"}
        turn = {"state": "running", "turn_id": "t", "turn_started_at": then, "heartbeat_at": then}
        old_session(backend, "a", hours=5, **dressed, **turn, attributes={"x": 1})
        fill(backend, "b", "young")
        assert backend.cleanup_stale(1) == 1
        self._check_forgotten(backend, "a")
        self._check_afresh(backend, "a")
        assert texts(backend.load("b")) == ["young"]

    def _check_forgotten(self, backend: Backend, key: str) -> None:
        """Nothing is known of the session, nor of any turn."""
        assert backend.get_session_name(key) is None
        assert backend.get_session_agent_alias(key) is None
        assert backend.get_session_state(key) is None
        assert backend.get_session_metadata(key) is None
        self.tick()
        assert backend.list_running_sessions() == []
        assert backend.list_stuck_sessions(0) == []

    def _check_afresh(self, backend: Backend, key: str) -> None:
        """A session of that key has nothing of the one before it."""
        before = self.tick()
        fill(backend, key, "new")
        assert texts(backend.load(key)) == ["new"]
        assert (backend.get_session_name(key), backend.get_session_agent_alias(key)) == (None, None)
        metadata = metadata_of(backend, key)
        assert (metadata.name, metadata.agent_alias, metadata.channel_id, metadata.room_id, metadata.sender_id) == (
            None,
        ) * 5
        assert (metadata.state, metadata.turn_id, dict(metadata.attributes)) == ("idle", None, {})
        assert metadata.message_count == 1
        assert metadata.created_at is None or metadata.created_at > before

    @promise("compact.changes-nothing", needs=("compact",))
    def test_compact_changes_nothing(self, backend: Backend) -> None:
        """`compact` leaves `load` the same, with the times of the messages; other sessions too.

        If this fails: drop only what is superseded.
        """
        fill(backend, "a", *map(str, range(30)))
        fill(backend, "b", "other")
        for _ in range(10):
            backend.remove_last("a")
        for i in range(10):
            backend.update_last("a", say(f"grows {i}"))
        before = backend.load_with_timestamps("a"), backend.get_session_metadata("a"), backend.list_sessions()
        for _ in range(2):
            backend.compact("a")
            assert (
                backend.load_with_timestamps("a"),
                backend.get_session_metadata("a"),
                backend.list_sessions(),
            ) == before
        assert texts(backend.load("b")) == ["other"]

    @promise("compact.then-go-on", needs=("compact", "update_last"))
    def test_writing_after_compact(self, backend: Backend) -> None:
        """After `compact` a session is written, updated, removed and searched as before.

        If this fails: positions and places must be right in what was written anew.
        """
        fill(backend, "a", "zero", "one", "two", "three")
        backend.remove_last("a")
        backend.compact("a")
        backend.update_last("a", say("new"))
        fill(backend, "a", "four")
        backend.compact("a")
        backend.remove_last("a")
        fill(backend, "a", "five")
        assert texts(backend.load("a")) == ["zero", "one", "new", "five"]
        backend.clear_messages("a")
        backend.compact("a")
        assert backend.load("a") == []
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("compact.keeps-names", needs=("compact", *_NAMED), native=_METADATA)
    def test_compact_keeps_the_metadata(self, backend: Backend) -> None:
        """`compact` leaves all metadata the same.

        If this fails: carry the whole record over.
        """
        _dress(backend, "a")
        before = metadata_of(backend, "a")
        backend.compact("a")
        assert metadata_of(backend, "a") == before


def _dress(backend: Backend, key: str) -> None:
    """A session with everything that can be set."""
    fill(backend, key, "one", "two")
    backend.set_session_name(key, "name")
    backend.set_session_agent_alias(key, "alias")
    backend.set_session_context(key, SessionContext("c", "r", "s", {"x": {"y": 1}}))
    backend.set_session_state(key, "running", "t")
