"""`restore`: what it makes up, forgets or writes over."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

import attrs

from sessionkit import ChatMessage, SessionMetadata, TimestampedMessage
from sessionkit.clock import now, to_datetime
from tests.mutants.declared import Memory, caught_by


@caught_by("restore.exact")
class RestoresAsOfNow(Memory):
    """Restored messages are stamped with the time of the restore."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        moment = to_datetime(now())
        super().restore(session_key, [TimestampedMessage(stored.message, moment) for stored in messages], metadata)


@caught_by("restore.exact")
class RestoresNoTurn(Memory):
    """A restored session is idle."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        record = self.record(session_key)
        record.state, record.turn_id, record.turn_started_at, record.heartbeat_at = "idle", None, None, None


@caught_by("restore.existing-is-conflict")
class RestoresOverTheOld(Memory):
    """`restore` replaces a session that exists."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        self.delete_session(session_key)
        super().restore(session_key, messages, metadata)


@caught_by("restore.existing-is-conflict")
class RestoresOverTheEmpty(Memory):
    """A session without messages is taken for none, and its name is lost."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        if not self.load(session_key):
            self.delete_session(session_key)
        super().restore(session_key, messages, metadata)


@caught_by("restore.naive-time-refused")
class RestoresNaiveTimes(Memory):
    """A naive time is taken for UTC."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        stored = [
            attrs.evolve(each, created_at=each.created_at and each.created_at.replace(tzinfo=UTC)) for each in messages
        ]
        super().restore(session_key, stored, metadata)


@caught_by("restore.in-lists", "restore.exact")
class RestoresToTheFront(Memory):
    """A restored session was last active when it was restored."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.record(session_key).touch()


@caught_by("restore.refuses-not-json")
class RestoresWhatItCan(Memory):
    """A message that can't be stored is left out, in silence."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        good: list[TimestampedMessage] = []
        for stored in messages:
            with suppress(ValueError):
                self._encoded(stored.message)
                good.append(stored)
        super().restore(session_key, good, metadata)


@caught_by("restore.shares-nothing")
class KeepsRestoredAttributes(Memory):
    """The attributes are kept as the caller's own objects."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.record(session_key).attributes.update(metadata.attributes)


@caught_by("restore.then-go-on")
class CountsPositionsFromZero(Memory):
    """Positions begin again after a restore: the next message takes the place of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.restored: set[str] = set()

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.restored.add(session_key)

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        if session_key in self.restored:
            self.restored.remove(session_key)
            session = self._found_or_new(session_key)
            session.messages[0] = session.messages[-1]


@caught_by("restore.any-timezone")
class RestoresWallClocks(Memory):
    """The timezone of a restored time is dropped, and what the clock on the wall said is taken for UTC."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        active = getattr(metadata, "last_activity", None)
        if isinstance(active, datetime) and active.tzinfo:
            metadata = attrs.evolve(metadata, last_activity=active.replace(tzinfo=UTC))
        super().restore(session_key, messages, metadata)


@caught_by("restore.any-timezone")
class KeepsTheirTimezone(Memory):
    """A restored time comes back in the timezone in which it was restored."""

    def __init__(self) -> None:
        super().__init__()
        self.created: dict[str, datetime | None] = {}

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.created[session_key] = metadata.created_at

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        found = super().get_session_metadata(session_key)
        created = self.created.get(session_key)
        return attrs.evolve(found, created_at=created) if found and created == found.created_at else found
