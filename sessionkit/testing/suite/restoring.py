"""A session put back as it was: `restore`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from sessionkit import ConflictError, InvalidMessageError, SessionMetadata, SessionState, TimestampedMessage
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, old_session, refuses, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import ELSEWHERE, EVERY_FIELD, REFUSED_MESSAGES, TOO_LARGE, exact

_RESTORE = ("SupportsRestore",)


class RestorePromises(SuiteBase):
    """`restore`."""

    @promise("restore.exact", needs=_RESTORE, native=("get_session_metadata", "load_with_timestamps"))
    def test_restore(self, backend: Backend) -> None:
        """`restore` writes a whole session as it was: messages, names, context, state, turn, and all their times.

        If this fails: compare the metadata field by field; nothing of it is now.
        """
        for key, state in (("a", "running"), ("b", "error"), ("c", "idle")):
            metadata = _past(key, state)
            stored = [
                TimestampedMessage(message, _PAST + timedelta(microseconds=i + 1))
                for i, message in enumerate([say("0", timestamp=_PAST), EVERY_FIELD, say("2")])
            ]
            backend.restore(key, (item for item in stored), metadata)
            assert backend.load_with_timestamps(key) == stored
            found = metadata_of(backend, key)
            for field in _FIELDS:
                assert getattr(found, field) == getattr(metadata, field), field
            assert exact(dict(found.attributes)) == exact(dict(metadata.attributes))
            assert found.message_count == 3

    @promise("restore.then-go-on", needs=_RESTORE)
    def test_writing_after_restore(self, backend: Backend) -> None:
        """A restored session is written, changed and deleted as any other.

        If this fails: positions, counts and fences go on from what was restored.
        """
        old_session(backend, "a", hours=1)
        fill(backend, "a", "1", "2")
        backend.remove_last("a")
        backend.update_last("a", say("3"))
        assert texts(backend.load("a")) == ["restored", "3"]
        backend.delete_session("a")
        old_session(backend, "a", hours=2)
        assert texts(backend.load("a")) == ["restored"]

    @promise("restore.existing-is-conflict", needs=_RESTORE)
    def test_restore_over_an_existing_session(self, backend: Backend) -> None:
        """`restore` is `ConflictError` where the key exists, with messages or without, and changes nothing.

        If this fails: look whether the session exists, not whether it has messages.
        """
        fill(backend, "a", "one")
        fill(backend, "b", "one")
        backend.remove_last("b")
        for key in "ab":
            before = backend.load_with_timestamps(key), metadata_of(backend, key)
            with refuses(ConflictError):
                old_session(backend, key, hours=1)
            assert (backend.load_with_timestamps(key), metadata_of(backend, key)) == before

    @promise("restore.shares-nothing", needs=_RESTORE)
    def test_restore_shares_nothing(self, backend: Backend) -> None:
        """Changing what was given to `restore` changes nothing stored.

        If this fails: keep the encoded messages and attributes.
        """
        message = say("0", extra={"x": [1]})
        attributes: dict[str, Any] = {"y": [1]}
        backend.restore("a", [TimestampedMessage(message)], SessionMetadata("a", attributes=attributes))
        message.extra["x"].append(2)
        attributes["y"].append(2)
        assert backend.load("a") == [say("0", extra={"x": [1]})]
        if self.is_native(backend, "get_session_metadata"):
            assert metadata_of(backend, "a").attributes == {"y": [1]}

    @promise("restore.refuses-not-json", needs=_RESTORE)
    def test_restore_refuses_what_json_cannot_hold(self, backend: Backend) -> None:
        """What JSON can't hold exactly is `InvalidMessageError`, and nothing is stored.

        If this fails: check all messages and attributes before the first is written.
        """
        for make in REFUSED_MESSAGES.values():
            with refuses(InvalidMessageError):
                backend.restore("a", [TimestampedMessage(say("0")), TimestampedMessage(make())], SessionMetadata("a"))
        with refuses(InvalidMessageError):
            backend.restore("a", [], SessionMetadata("a", attributes={"x": float("nan")}))
        assert self.settled(backend.list_sessions) == []

    @promise("restore.too-large-refused", needs=_RESTORE)
    def test_restore_refuses_too_large_messages(self, backend: Backend) -> None:
        """`restore` refuses as large messages as `append` does: `InvalidMessageError`, and nothing is stored.

        If this fails: check all of them, with the same limit, before the first is written.
        """
        messages = [TimestampedMessage(say("0")), TimestampedMessage(say("x" * TOO_LARGE))]
        with refuses(InvalidMessageError):
            backend.restore("a", messages, SessionMetadata("a"))
        assert self.settled(backend.list_sessions) == []

    @promise("restore.any-timezone", needs=_RESTORE, native=("get_session_metadata", "load_with_timestamps"))
    def test_restore_from_another_timezone(self, backend: Backend) -> None:
        """Times of any timezone are restored as the moments that they are, and come back in UTC.

        If this fails: convert them; the clock on the wall says something else in each timezone.
        """
        metadata = _past("a", "running")
        changes = {field: getattr(metadata, field).astimezone(ELSEWHERE) for field in _TIMES}
        stored = [TimestampedMessage(say("0"), _PAST.astimezone(ELSEWHERE))]
        backend.restore("a", stored, attrs.evolve(metadata, **changes))
        found = metadata_of(backend, "a")
        times: list[Any] = [getattr(found, field) for field in _TIMES]
        assert times == [getattr(metadata, field) for field in _TIMES]
        times.append(backend.load_with_timestamps("a")[0].created_at)
        assert times[-1] == _PAST
        assert {moment.utcoffset() for moment in times} == {timedelta(0)}

    @promise("restore.naive-time-refused", needs=_RESTORE)
    def test_restore_refuses_a_naive_time(self, backend: Backend) -> None:
        """A naive datetime is an error, and nothing is stored.

        If this fails: nobody can say which moment it is; do not guess.
        """
        naive = datetime(2024, 1, 1)  # noqa: DTZ001 -- the mistake to be refused
        with refuses(ValueError):
            backend.restore("a", [TimestampedMessage(say("0"), naive)], SessionMetadata("a"))
        with refuses(ValueError):
            backend.restore("a", [], SessionMetadata("a", created_at=naive, last_activity=naive))
        assert self.settled(backend.list_sessions) == []

    @promise(
        "restore.in-lists",
        needs=(*_RESTORE, "get_session_state", "list_running_sessions", "list_stuck_sessions", "times"),
    )
    def test_restored_sessions_are_listed(self, backend: Backend) -> None:
        """Restored sessions stand in every list by their own times.

        If this fails: order by what was restored, not by when.
        """
        fill(backend, "now", "one")
        for key, hours in (("two", 2), ("one", 1), ("three", 3)):
            then = datetime.now(UTC) - timedelta(hours=hours)
            old_session(
                backend, key, hours=hours, state="running", turn_id="t", turn_started_at=then, heartbeat_at=then
            )
            assert backend.get_session_state(key) == SessionState("running", "t", then, then)
        assert self.settled(backend.list_sessions) == ["now", "one", "two", "three"]
        assert [metadata.key for metadata in backend.list_running_sessions()] == ["one", "two", "three"]
        assert [metadata.key for metadata in backend.list_stuck_sessions(5400)] == ["three", "two"]


_PAST = datetime(2024, 2, 29, 12, 0, 0, 123_456, tzinfo=UTC)
_TIMES = ("created_at", "last_activity", "turn_started_at", "heartbeat_at")
_FIELDS = (*_TIMES, "key", "name", "agent_alias", "channel_id", "room_id", "sender_id", "state", "turn_id")


def _past(key: str, state: str) -> SessionMetadata:
    """The metadata of a session of long ago, with everything set."""
    running = state == "running"
    return SessionMetadata(
        key,
        created_at=_PAST,
        last_activity=_PAST + timedelta(days=1),
        message_count=3,
        name="n",
        agent_alias="a",
        channel_id="c",
        room_id="r",
        sender_id="s",
        state=state,
        turn_id="t",
        turn_started_at=_PAST + timedelta(hours=1) if running else None,
        heartbeat_at=_PAST + timedelta(hours=2) if running else None,
        attributes={"x": {"y": [1, 1.0, True, None]}},
    )
