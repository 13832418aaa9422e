"""What a store keeps of a session besides its messages, and the rules by which it changes; for authors of backends.

A backend reads a `SessionRecord`, has it changed by one of these methods and writes it back, in one lock or
transaction of its own. So the rules of activity, states, turns, contexts and revisions are written once, and a backend
is only about keeping.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Self

import msgspec

from sessionkit.clock import from_datetime, now, optional_datetime, optional_microseconds, to_datetime
from sessionkit.codec import MAX_MESSAGE_BYTES, decode_json, encode_json
from sessionkit.errors import ConflictError
from sessionkit.fields import give_timestamp
from sessionkit.keys import check_any_text, check_count, check_text
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import IDLE, RUNNING, SessionContext, SessionMetadata, SessionState

_LARGEST_KEPT = 2**53  # a revision that `restore` takes over; stores keep 63 bits


class SessionRecord(msgspec.Struct):
    """A session without its messages. Times are in microseconds since the epoch; see `sessionkit.clock`.

    A ``copy`` shares the attributes, which no method changes in place.
    """

    created_at: int
    last_activity: int
    revision: int
    message_count: int = 0
    turn_count: int = 0
    tool_call_count: int = 0
    name: str | None = None
    agent_alias: str | None = None
    channel_id: str | None = None
    room_id: str | None = None
    sender_id: str | None = None
    state: str = IDLE
    turn_id: str | None = None
    turn_started_at: int | None = None
    heartbeat_at: int | None = None
    attributes: dict[str, JSON] = msgspec.field(default_factory=dict)

    @classmethod
    def new(cls, highest_revision: int) -> Self:
        """A session created now: its first change, above the highest revision of any deleted session."""
        moment = now()
        return cls(moment, moment, highest_revision + 1)

    def touch(self) -> int:
        """Activity now: never before the last one, even where the clock runs backwards. Returns its time."""
        self.last_activity = max(now(), self.last_activity)
        return self.last_activity

    def changed(self) -> int:
        """A change of the messages: activity and a new revision. Returns its time."""
        self.revision += 1
        return self.touch()

    def count(self, messages: int, turns: int, tool_calls: int) -> None:
        """Keep the counts: what was added, or with negative numbers what was removed."""
        self.message_count += messages
        self.turn_count += turns
        self.tool_call_count += tool_calls

    def clear_counts(self) -> None:
        """No message is left."""
        self.message_count = self.turn_count = self.tool_call_count = 0

    def enter_state(self, state: str, turn_id: str | None) -> None:
        """`SessionBackend.set_session_state`: the turn that runs already has a heartbeat, anything else is a change."""
        if state == RUNNING == self.state and turn_id == self.turn_id:
            self.heartbeat_at = self.touch()
            return
        moment = self.changed()
        self.state, self.turn_id = state, turn_id
        self.turn_started_at = self.heartbeat_at = moment if state == RUNNING else None

    def begin_turn(self, turn_id: str, stuck_after: float | None) -> None:
        """`SupportsTurns.begin_turn`: nothing happens where another turn runs whose heartbeat is too young."""
        others = self.state == RUNNING and self.turn_id != turn_id
        silent_for = max(0, now() - (self.heartbeat_at or 0))  # the clock may have run backwards since
        if others and (stuck_after is None or silent_for < stuck_after * 1_000_000):
            return
        self.enter_state(RUNNING, turn_id)

    def set_context(self, context: SessionContext) -> None:
        """`SessionBackend.set_session_context`."""
        for field in ("channel_id", "room_id", "sender_id"):
            value = getattr(context, field)
            if value is not None:
                setattr(self, field, value or None)
        self.merge(context.attributes)

    def merge(self, attributes: Mapping[str, JSON]) -> bool:
        """Merge attributes key by key, None removing its key; whether that changed anything.

        What was stored before there was a limit may stay, and shrink.
        """
        merged = {name: value for name, value in (self.attributes | dict(attributes)).items() if value is not None}
        before = encode_json(self.attributes, "attributes")
        if encode_json(merged, "attributes", max_bytes=max(MAX_MESSAGE_BYTES, len(before))) == before:
            return False
        self.attributes = _own(merged)
        self.revision += 1
        return True

    def session_state(self) -> SessionState:
        """For `SessionBackend.get_session_state`."""
        return SessionState(
            self.state,
            self.turn_id,
            optional_datetime(self.turn_started_at),
            optional_datetime(self.heartbeat_at),
        )

    def metadata(self, session_key: str, *, last_use: bool = False) -> SessionMetadata:
        """For `SessionBackend.get_session_metadata`; shares nothing with the record, unless this is its last use."""
        return SessionMetadata(
            session_key,
            to_datetime(self.created_at),
            to_datetime(self.last_activity),
            self.message_count,
            self.turn_count,
            self.tool_call_count,
            self.name,
            self.agent_alias,
            self.channel_id,
            self.room_id,
            self.sender_id,
            self.state,
            self.turn_id,
            optional_datetime(self.turn_started_at),
            optional_datetime(self.heartbeat_at),
            self.attributes if last_use else _own(self.attributes),
            self.revision,
        )

    @classmethod
    def restored(cls, metadata: SessionMetadata, times: list[int], highest_revision: int) -> Self:
        """For `SupportsRestore.restore`: as it was, but for the counts, with the messages' times from `restored_times`.

        The revision is kept where it is above all that have been, and leaves room for as many changes again.
        """
        created = _microseconds_or(times[0] if times else now(), metadata.created_at)
        active = max([created, _microseconds_or(created, metadata.last_activity), *times[-1:]])
        if metadata.state == RUNNING:
            active = max(active, _microseconds_or(active, metadata.heartbeat_at))
        revision = metadata.revision or 0
        record = cls(created, active, max(revision if revision < _LARGEST_KEPT else 0, highest_revision + 1))
        for field in ("name", "agent_alias", "channel_id", "room_id", "sender_id"):
            setattr(record, field, getattr(metadata, field) or None)
        record.state, record.turn_id = metadata.state or IDLE, metadata.turn_id
        if record.state == RUNNING:
            record.heartbeat_at = _microseconds_or(active, metadata.heartbeat_at)
            record.turn_started_at = _microseconds_or(record.heartbeat_at, metadata.turn_started_at)
        record.attributes = _own({name: value for name, value in metadata.attributes.items() if value is not None})
        return record


def restored_times(messages: Iterable[TimestampedMessage]) -> tuple[list[ChatMessage], list[int]]:
    """The messages and when each was stored: never before the one before it, and where no time is given, with it.

    Raises:
        TypeError: one is no `TimestampedMessage`, or its time is no datetime.
        ValueError: a time is naive.
        InvalidMessageError: a message's own timestamp is.
    """
    kept: list[ChatMessage] = []
    given: list[int | None] = []
    for stored in messages:
        if not isinstance(stored, TimestampedMessage):
            msg = f"what is restored is a TimestampedMessage, not {type(stored).__name__}"
            raise TypeError(msg)
        kept.append(stored.message)
        given.append(optional_microseconds(stored.created_at or _said_at(stored.message)))
    latest = next((moment for moment in given if moment is not None), None)
    latest = now() if latest is None else latest
    times: list[int] = []
    for moment in given:
        latest = latest if moment is None else max(latest, moment)
        times.append(latest)
    return kept, times


def _microseconds_or(otherwise: int, moment: datetime | None) -> int:
    return otherwise if moment is None else from_datetime(moment)


def _said_at(message: ChatMessage) -> datetime | None:
    """The message's own timestamp, checked; what is no message at all is refused when it is encoded."""
    timestamp = getattr(message, "timestamp", None)
    if timestamp is not None:
        give_timestamp(timestamp)
    return timestamp


def _own(attributes: dict[str, JSON]) -> dict[str, JSON]:
    """A copy that shares nothing with the caller."""
    if not attributes:
        return {}
    copy: dict[str, JSON] = decode_json(encode_json(attributes, "attributes"))
    return copy


def check_fences(
    session_key: str, record: SessionRecord | None, *, if_revision: int | None, if_turn: str | None
) -> None:
    """The conditions of `SupportsWrite.write`.

    Raises:
        TypeError: one of them is of another type.
        ValueError: `if_revision` is negative, or `if_turn` holds a lone surrogate.
        ConflictError: the session's revision is not `if_revision`, or the turn that runs in it is not `if_turn`.
    """
    if if_revision is not None:
        check_count(if_revision, "if_revision")
    if if_turn is not None:
        check_text(if_turn, "if_turn")
    revision = 0 if record is None else record.revision
    if if_revision is not None and revision != if_revision:
        msg = f"{session_key!r} is at revision {revision}, not {if_revision}: load it again"
        raise ConflictError(msg)
    if if_turn is None:
        return
    if record is None or record.state != RUNNING:
        msg = f"no turn runs in {session_key!r}: {if_turn!r} has ended or was never begun"
        raise ConflictError(msg)
    if record.turn_id != if_turn:
        msg = f"turn {record.turn_id!r} runs in {session_key!r}, not {if_turn!r}"
        raise ConflictError(msg)


def check_drop(session_key: str, record: SessionRecord | None, drop_last: int) -> None:
    """Another condition of `SupportsWrite.write`.

    Raises:
        ValueError: the session has fewer than `drop_last` messages.
    """
    present = 0 if record is None else record.message_count
    if drop_last > present:
        msg = f"{session_key!r} has {present} messages, so {drop_last} can't be dropped"
        raise ValueError(msg)


def check_attributes(attributes: Mapping[str, JSON]) -> None:
    """Accept attributes, or changes of attributes, that can be stored exactly.

    Raises:
        TypeError: they are no mapping.
        InvalidMessageError: one of them can't, or they take more than 64 MiB of JSON.
    """
    if not isinstance(attributes, Mapping):
        msg = f"attributes must be a mapping, not {type(attributes).__name__}"
        raise TypeError(msg)
    encode_json(dict(attributes), "attributes", max_bytes=MAX_MESSAGE_BYTES)


def check_context(context: SessionContext) -> None:
    """Accept a context that can be stored exactly.

    Raises:
        TypeError: it is no context, or a field is no text.
        ValueError: a field holds a lone surrogate.
        InvalidMessageError: an attribute can't be stored exactly.
    """
    if not isinstance(context, SessionContext):
        msg = f"a context must be a SessionContext, not {type(context).__name__}"
        raise TypeError(msg)
    for field in ("channel_id", "room_id", "sender_id"):
        value = getattr(context, field)
        if value is not None:
            check_text(value, field)
    check_attributes(context.attributes)


def check_metadata(metadata: SessionMetadata) -> None:
    """Accept what `SupportsRestore.restore` is to put back, if it can be stored exactly, with texts of any length.

    Raises:
        TypeError: it is no metadata, or a field is of another type.
        ValueError: a text holds a lone surrogate, a time is naive, or the revision is negative.
        InvalidMessageError: an attribute can't be stored exactly.
    """
    if not isinstance(metadata, SessionMetadata):
        msg = f"metadata must be a SessionMetadata, not {type(metadata).__name__}"
        raise TypeError(msg)
    if metadata.revision is not None:
        check_count(metadata.revision, "a revision")
    for field in ("name", "agent_alias", "channel_id", "room_id", "sender_id", "state", "turn_id"):
        value = getattr(metadata, field)
        if value is not None:
            check_any_text(value, field)
    for field in ("created_at", "last_activity", "turn_started_at", "heartbeat_at"):
        optional_microseconds(getattr(metadata, field))
    check_attributes(metadata.attributes)


def sets_anything(context: SessionContext) -> bool:
    """Whether the context would set something in a session that has nothing: else it creates none."""
    return bool(context.channel_id or context.room_id or context.sender_id) or sets_attributes(context.attributes)


def sets_attributes(attributes: Mapping[str, JSON]) -> bool:
    """Whether merging these into nothing gives anything."""
    return any(value is not None for value in attributes.values())


def newest_turn_first(metadata: SessionMetadata) -> tuple[int, str]:
    """The sort key of `SessionBackend.list_running_sessions`."""
    return (-(optional_microseconds(metadata.turn_started_at) or 0), metadata.key)


def longest_stuck_first(metadata: SessionMetadata) -> tuple[int, str]:
    """The sort key of `SessionBackend.list_stuck_sessions`."""
    return (optional_microseconds(metadata.heartbeat_at) or 0, metadata.key)
