"""A session as an agent holds it, what it has used, and the summary that lists show.

What the store keeps of a session besides its messages stands in its attributes: the caller's metadata as they are, and
the rest under the one reserved name `RECORD`, so that messages and everything else change in one atomic write.
`sessionkit.history.keeping` says how.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self, cast

import attrs

from sessionkit.clock import from_datetime
from sessionkit.fields import REFUSED, give_timestamp, take_text, take_timestamp
from sessionkit.keys import check_any_text, check_session_key
from sessionkit.messages import JSON, ChatMessage, Usage
from sessionkit.models import SessionMetadata
from sessionkit.speaking import spoken

RECORD = "sessionkit"
"""The attribute that holds what `Session` knows besides messages and metadata. No metadata can have this name."""

_NUMBERS = (int, float)


def _whole(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if type(value) is not int:
        msg = f"{attribute.name} is a whole number, not {type(value).__name__}"
        raise TypeError(msg)


def _number(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if type(value) not in _NUMBERS:
        msg = f"{attribute.name} is a number, not {type(value).__name__}"
        raise TypeError(msg)


def _key(_instance: object, _attribute: "attrs.Attribute[Any]", value: str) -> None:
    check_session_key(value)


def _text(_instance: object, attribute: "attrs.Attribute[Any]", value: str | None) -> None:
    if value is not None:
        check_any_text(value, attribute.name)


def _moment(_instance: object, attribute: "attrs.Attribute[Any]", value: datetime) -> None:
    try:
        from_datetime(value)
    except (TypeError, ValueError) as error:
        msg = f"{attribute.name}: {error}"
        raise type(error)(msg) from None


def _messages(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """A list of its own.

    Raises:
        TypeError: something in it is no message.
    """
    listed: list[object] = list(messages)
    for message in listed:
        if not isinstance(message, ChatMessage):
            msg = f"messages are ChatMessages, not {type(message).__name__}: ChatMessage.from_dict() makes one"
            raise TypeError(msg)
    return cast("list[ChatMessage]", listed)


def _metadata(metadata: Mapping[str, JSON]) -> dict[str, JSON]:
    return dict(metadata)


@attrs.define
class AggregatedUsage:
    """What many answers of models took together. Not locked: one thread at a time.

    Attributes:
        total_input_tokens: all that went in, those read from a cache or written to one included.
        total_output_tokens: all that came out, reasoning included.
        total_cache_creation_tokens: written to a cache.
        total_cache_read_tokens: read from a cache.
        total_reasoning_tokens: spent on reasoning.
        total_cost_usd: the sum of the costs that were reported, in US dollars.
        request_count: how many requests were added; `SessionHistory.continue_session` adds those whose answers reported
            their usage.

    Raises:
        TypeError: one of them is no number.
    """

    total_input_tokens: int = attrs.field(default=0, validator=_whole)
    total_output_tokens: int = attrs.field(default=0, validator=_whole)
    total_cache_creation_tokens: int = attrs.field(default=0, validator=_whole)
    total_cache_read_tokens: int = attrs.field(default=0, validator=_whole)
    total_reasoning_tokens: int = attrs.field(default=0, validator=_whole)
    total_cost_usd: float = attrs.field(default=0.0, validator=_number)
    request_count: int = attrs.field(default=0, validator=_whole)

    def add(self, usage: "Usage | AggregatedUsage | None") -> None:
        """Count a request, and add what was reported of it; None is a request of which nothing was.

        Another aggregated usage, such as that of a sub-agent's session, is added with all its requests.

        Raises:
            TypeError: it is something else, or what was reported is no number; nothing was added.
        """
        if usage is None:
            usage = Usage()
        if isinstance(usage, Usage):
            reported = {f"total_{name}": value or 0 for name, value in attrs.asdict(usage).items()}
            usage = AggregatedUsage(**reported, request_count=1)
        if not isinstance(usage, AggregatedUsage):
            msg = f"what is added is a Usage, an AggregatedUsage or None, not {type(usage).__name__}"
            raise TypeError(msg)
        for name, value in attrs.asdict(usage).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def total_tokens(self) -> int:
        """Input and output; cached tokens are part of the one, reasoning of the other."""
        return self.total_input_tokens + self.total_output_tokens

    def __str__(self) -> str:
        """Tokens and cost in one short text, such as ``123K tokens | $0.45``; tokens are rounded down."""
        cost = self.total_cost_usd
        digits = 4 if 0 < cost < 0.01 else 2  # noqa: PLR2004 -- below a cent
        return f"{_short(self.total_tokens)} tokens | ${cost:.{digits}f}"

    def detailed(self) -> str:
        """All of it in one line, parts that are zero left out.

        Such as ``3 requests | 100,000 input (60,000 cached, 5,000 written to cache) + 23,000 output (4,000 reasoning)
        tokens | $0.4500``.
        """
        requests = "1 request" if self.request_count == 1 else f"{self.request_count:,} requests"
        cached = {"cached": self.total_cache_read_tokens, "written to cache": self.total_cache_creation_tokens}
        went_in = _with_parts(self.total_input_tokens, "input", cached)
        came_out = _with_parts(self.total_output_tokens, "output", {"reasoning": self.total_reasoning_tokens})
        return f"{requests} | {went_in} + {came_out} tokens | ${self.total_cost_usd:.4f}"


def _short(count: int) -> str:
    """950, 1.2K, 123K, 1.2M: at most three digits and a little, rounded down."""
    if count < 1_000:  # noqa: PLR2004 -- units are what this function is about
        return str(count)
    if count < 10_000:  # noqa: PLR2004 -- likewise
        return f"{count // 100 / 10:.1f}K"
    if count < 1_000_000:  # noqa: PLR2004 -- likewise
        return f"{count // 1_000}K"
    return f"{count // 100_000 / 10:.1f}M"


def _with_parts(count: int, what: str, parts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{part:,} {name}" for name, part in parts.items() if part)
    return f"{count:,} {what} ({shown})" if shown else f"{count:,} {what}"


@attrs.frozen
class Stored:
    """What a store has of a session, as far as is known; the empty one is that of a session it does not have.

    Attributes:
        revision: at which it was read or written; 0 where there is none.
        messages: the messages themselves, none of them copied.
        attributes: as `sessionkit.history.keeping.attributes_of` gives them; shared with nobody.
        agent_alias: the owner that the store's own lists show.
        foreign: members of the record that this version knows nothing of; they are kept.
        created_at: when the session there was created; None where that is not known.
        home: stands for the backend that it was last read from or written to; empty where that is not known.
    """

    revision: int = 0
    messages: Sequence[ChatMessage] = ()
    attributes: Mapping[str, JSON] = attrs.Factory(dict)
    agent_alias: str | None = None
    foreign: Mapping[str, JSON] = attrs.Factory(dict)
    created_at: datetime | None = None
    home: str = ""


@attrs.define
class Session:
    """A conversation as an agent holds it: change it as you like, and `SessionHistory.save_session` stores the changes.

    Messages are values: add, remove and replace them, but leave the lists and dicts inside one that has been stored as
    they are, or the change is not seen. Metadata and usage may be changed in place. Two sessions are equal where all of
    the attributes below are.

    Attributes:
        session_id: the session key; a fresh UUID where none is given. It can't be changed afterwards.
        agent_name: the agent that owns it, or None.
        model: the model it speaks with, or None.
        messages: oldest first.
        started_at: when it began; now, unless given.
        ended_at: when it ended, or None.
        usage: what all its answers took.
        metadata: the caller's own values, any JSON but null; `SessionQuery` finds sessions by them. The name
            ``sessionkit`` is taken.

    Raises:
        InvalidSessionKeyError: the id is no session key.
        TypeError: an attribute is of another type.
        ValueError: a time is naive, or a text holds a lone surrogate.
    """

    session_id: str = attrs.field(factory=lambda: str(uuid.uuid4()), validator=_key, on_setattr=attrs.setters.frozen)
    agent_name: str | None = attrs.field(default=None, validator=_text)
    model: str | None = attrs.field(default=None, validator=_text)
    messages: list[ChatMessage] = attrs.field(factory=list, converter=_messages)
    started_at: datetime = attrs.field(factory=lambda: datetime.now(UTC), validator=_moment)
    ended_at: datetime | None = attrs.field(default=None, validator=attrs.validators.optional(_moment))
    usage: AggregatedUsage = attrs.field(
        factory=AggregatedUsage, validator=attrs.validators.instance_of(AggregatedUsage)
    )
    metadata: dict[str, JSON] = attrs.field(factory=dict, converter=_metadata)
    _stored: Stored = attrs.field(factory=Stored, init=False, eq=False, repr=False)

    @property
    def final_response(self) -> str | None:
        """The text of the newest message of the assistant that has any: its content, or the text blocks joined.

        One that was cut off counts as well: its ``status`` is ``incomplete``.
        """
        for message in reversed(self.messages):
            if message.role == "assistant" and (text := spoken(message.content)):
                return text
        return None


@attrs.frozen
class SessionSummary:
    """What is known of a session without reading a message.

    Attributes:
        session_id: the session key.
        agent_name: the agent that owns it, or None.
        model: the model it speaks with, or None.
        message_count: how many messages it has.
        turn_count: how many of them are an assistant's with content.
        tool_call_count: how many tools they call.
        started_at: when it began; where nobody said, when it was created.
        updated_at: its last activity.
        ended_at: when it ended, or None.
    """

    session_id: str
    agent_name: str | None
    model: str | None
    message_count: int
    turn_count: int
    tool_call_count: int
    started_at: datetime | None
    updated_at: datetime | None
    ended_at: datetime | None

    @property
    def id(self) -> str:
        """The `session_id`, for short."""
        return self.session_id

    @classmethod
    def of(cls, metadata: SessionMetadata) -> Self:
        """The summary of a session of which that is known, whoever created it."""
        record = read_record(metadata)
        return cls(
            metadata.key,
            record.get("agent_name"),
            record.get("model"),
            metadata.message_count,
            metadata.turn_count,
            metadata.tool_call_count,
            record.get("started_at"),
            metadata.last_activity,
            record.get("ended_at"),
        )


def make_record(session: Session) -> dict[str, JSON]:
    """What `RECORD` holds of the session; what is None or zero is left out. It is JSON, and shares nothing with it."""
    record = {
        "agent_name": session.agent_name,
        "model": session.model,
        "started_at": give_timestamp(session.started_at),
        "ended_at": None if session.ended_at is None else give_timestamp(session.ended_at),
        "usage": {name: value for name, value in attrs.asdict(session.usage).items() if value} or None,
    }
    return {name: value for name, value in record.items() if value is not None}


def read_record(metadata: SessionMetadata) -> dict[str, Any]:
    """The attributes of a `Session` that a store knows besides its messages and metadata.

    What was never said, and what can't be read because somebody else wrote it, is left out; but where nobody said when
    the session began, that is when it was created. The owner that is set in the store goes before the one in the
    record.
    """
    record = metadata.attributes.get(RECORD)
    members: dict[str, JSON] = record if isinstance(record, dict) else {}
    known = {name: take(members[name]) for name, take in _TAKE.items() if name in members}
    told = {"started_at": metadata.created_at} | {n: value for n, value in known.items() if value is not REFUSED}
    told["agent_name"] = metadata.agent_alias or told.get("agent_name")
    return {name: value for name, value in told.items() if value is not None}


def is_foreign(member: str) -> bool:
    """Whether a member of the record is none of ours."""
    return member not in _TAKE


def _take_usage(value: JSON) -> Any:
    if not isinstance(value, dict):
        return REFUSED
    return AggregatedUsage(**{name: count for name, count in value.items() if type(count) in _COUNTS.get(name, ())})


_COUNTS: dict[str, tuple[type, ...]] = dict.fromkeys(attrs.fields_dict(AggregatedUsage), (int,)) | {
    "total_cost_usd": _NUMBERS
}

_TAKE: dict[str, Callable[[JSON], Any]] = {
    "agent_name": take_text,
    "model": take_text,
    "started_at": take_timestamp,
    "ended_at": take_timestamp,
    "usage": _take_usage,
}
