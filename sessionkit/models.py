"""The values about a session: its metadata, context and state, the query that finds it, and what is wrong with it."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import attrs

from sessionkit.clock import from_datetime
from sessionkit.keys import check_count
from sessionkit.messages import JSON
from sessionkit.text import query_terms, tokenize

IDLE = "idle"
"""The state of a session until one is set."""

RUNNING = "running"
"""The one state with a turn: it has a start and heartbeats."""

STUCK_AFTER = 60.0
"""Seconds without a heartbeat after which a turn counts as stuck, where nobody says otherwise."""


@attrs.frozen
class SessionMetadata:
    """All that is known of a session without reading a message.

    Attributes:
        key: the session key.
        created_at: when the session was created.
        last_activity: its creation or the last change to its messages or its state, heartbeats included.
        message_count: how many messages `load` gives.
        turn_count: how many of them are an assistant's with content.
        tool_call_count: how many tools they call.
        name: the human-readable name, or None.
        agent_alias: the agent that owns the session, or None.
        channel_id: where the conversation takes place, as are `room_id` and `sender_id`.
        state: ``idle`` until one is set; None from a backend that keeps no states.
        turn_id: what was given with the state.
        turn_started_at: while ``running``, when the turn began.
        heartbeat_at: while ``running``, the last sign of life.
        attributes: the caller's own values, any JSON but null.
        revision: counts the changes of messages, attributes and state; None from a backend that keeps none.
    """

    key: str
    created_at: datetime | None = None
    last_activity: datetime | None = None
    message_count: int = 0
    turn_count: int = 0
    tool_call_count: int = 0
    name: str | None = None
    agent_alias: str | None = None
    channel_id: str | None = None
    room_id: str | None = None
    sender_id: str | None = None
    state: str | None = None
    turn_id: str | None = None
    turn_started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    attributes: Mapping[str, JSON] = attrs.Factory(dict)
    revision: int | None = None


@attrs.frozen
class SessionContext:
    """Where a session belongs: None leaves a field as it is, ``""`` clears it.

    Attributes:
        attributes: merged key by key at the top level; a None value removes its key.
    """

    channel_id: str | None = None
    room_id: str | None = None
    sender_id: str | None = None
    attributes: Mapping[str, JSON] = attrs.Factory(dict)


@attrs.frozen
class SessionState:
    """What a session is doing: `state`, the `turn_id` given with it; while ``running``, since when and how lately."""

    state: str
    turn_id: str | None = None
    turn_started_at: datetime | None = None
    heartbeat_at: datetime | None = None


@attrs.frozen
class Finding:
    """Something that a store holds and should not, or lacks; `sessionkit.doctor` says which kinds there are.

    Attributes:
        kind: a stable id, such as ``"corrupt-message"``.
        what: one sentence for people; never a text of a message, never a secret.
        session_key: the session that it is about, where that is known.
        where: the file, line, row or page.
        repaired: what was done about it; None where nothing was.
        severity: a ``"note"`` needs no action.
    """

    kind: str
    what: str
    session_key: str | None = None
    where: str | None = None
    repaired: str | None = None
    severity: Literal["problem", "note"] = "problem"


def _text(_query: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        msg = f"{attribute.name} is text, not {type(value).__name__}"
        raise TypeError(msg)


def _count(_query: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    check_count(value, attribute.name)


def _mapping(_query: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, Mapping):
        msg = f"{attribute.name} are a dict, not {type(value).__name__}"
        raise TypeError(msg)


def _aware(_query: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, datetime):
        msg = f"{attribute.name} is a datetime, not {type(value).__name__}"
        raise TypeError(msg)
    if value.utcoffset() is None:
        msg = f"{attribute.name} must be timezone-aware, such as datetime.now(UTC); this one is {value!r}"
        raise ValueError(msg)
    from_datetime(value)  # or else it is outside the years that can be compared with


_optional_text, _optional_count, _optional_aware = map(attrs.validators.optional, (_text, _count, _aware))


@attrs.frozen
class SessionQuery:
    """Which sessions to find. All that is given must hold; an empty query finds every session.

    Attributes:
        keyword: words to find, as data: no quote, ``*`` or ``OR`` means anything. One message must hold them all.
        limit: how many sessions at most; None for all.
        offset: how many of the first to leave out.
        key_prefix: what the key starts with.
        agent_alias: equal to the session's, as are `channel_id`, `room_id`, `sender_id` and `state`.
        attributes: each must be there and equal (True is not 1).
        active_since: last active at this moment or later.
        active_until: last active before this moment.

    Raises:
        TypeError: one of them has another type than declared; None stands for no limit, but not for an offset.
        ValueError: a limit or an offset is negative, or a datetime naive or outside the years 1 to 9999 in UTC.
    """

    keyword: str | None = attrs.field(default=None, validator=_optional_text)
    limit: int | None = attrs.field(default=None, validator=_optional_count)
    offset: int = attrs.field(default=0, validator=_count)
    key_prefix: str | None = attrs.field(default=None, validator=_optional_text)
    agent_alias: str | None = attrs.field(default=None, validator=_optional_text)
    channel_id: str | None = attrs.field(default=None, validator=_optional_text)
    room_id: str | None = attrs.field(default=None, validator=_optional_text)
    sender_id: str | None = attrs.field(default=None, validator=_optional_text)
    state: str | None = attrs.field(default=None, validator=_optional_text)
    attributes: Mapping[str, JSON] = attrs.field(factory=dict, validator=_mapping)
    active_since: datetime | None = attrs.field(default=None, validator=_optional_aware)
    active_until: datetime | None = attrs.field(default=None, validator=_optional_aware)

    @property
    def terms(self) -> frozenset[str]:
        """The terms that the keyword asks for; none of them where there is no keyword, or none in it."""
        return query_terms(self.keyword or "")

    def matches(self, metadata: SessionMetadata, texts: Iterable[str]) -> bool:
        """Whether a session with that metadata and those message texts (`ChatMessage.text`) is found.

        `texts` is read only where the filters hold and there is a term to look for. `limit` and `offset` are the
        caller's business.
        """
        if not self.admits(metadata):
            return False
        terms = self.terms
        return not terms or any(terms <= tokenize(text) for text in texts)

    def admits(self, metadata: SessionMetadata) -> bool:
        """Whether the filters hold: everything but the keyword, `limit` and `offset`."""
        return (
            (self.key_prefix is None or metadata.key.startswith(self.key_prefix))
            and (self.agent_alias is None or self.agent_alias == metadata.agent_alias)
            and (self.channel_id is None or self.channel_id == metadata.channel_id)
            and (self.room_id is None or self.room_id == metadata.room_id)
            and (self.sender_id is None or self.sender_id == metadata.sender_id)
            and (self.state is None or self.state == metadata.state)
            and self._active_then(metadata.last_activity)
            and all(
                name in metadata.attributes and _same(metadata.attributes[name], wanted)
                for name, wanted in self.attributes.items()
            )
        )

    def _active_then(self, moment: datetime | None) -> bool:
        if self.active_since is None and self.active_until is None:
            return True
        if moment is None:
            return False
        return (self.active_since is None or self.active_since <= moment) and (
            self.active_until is None or moment < self.active_until
        )

    def page(self, found: Iterable[SessionMetadata]) -> list[SessionMetadata]:
        """The part of all that was found, in order, that `offset` and `limit` leave."""
        sessions = list(found)
        return sessions[self.offset : None if self.limit is None else self.offset + self.limit]


def check_query(query: SessionQuery) -> None:
    """Accept what `SessionBackend.search` does.

    Raises:
        TypeError: it is no `SessionQuery`.
    """
    if not isinstance(query, SessionQuery):
        msg = f"a query is a SessionQuery, not {type(query).__name__}"
        raise TypeError(msg)


def by_activity(metadata: SessionMetadata) -> tuple[float, str]:
    """The sort key of every list of sessions: most recently active first, ties by key; those without a time last."""
    moment = metadata.last_activity
    return (math.inf, metadata.key) if moment is None else (-from_datetime(moment), metadata.key)


def _same(found: JSON, wanted: JSON) -> bool:
    """Whether they are equal as JSON, where True is not 1, however deep they stand."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(value, wanted[name]) for name, value in found.items())
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted) and isinstance(found, bool) is isinstance(wanted, bool)
