"""The fields of a message that are plain JSON: what each takes exactly or refuses, and how a time is spelled.

`sessionkit.messages` puts them together; what a field refuses stays in `sessionkit.ChatMessage.extra` as it came.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from sessionkit.errors import InvalidMessageError

REFUSED: Any = object()
"""What a key's function gives for a value that its field can't hold exactly."""


def take_text(value: Any) -> Any:
    """A text."""
    return value if isinstance(value, str) else REFUSED


def take_object(value: Any) -> Any:
    """An object, copied."""
    return copied(value) if isinstance(value, dict) else REFUSED


def take_objects(value: Any) -> Any:
    """A list of objects, copied."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return copied(value)
    return REFUSED


def take_content(value: Any) -> Any:
    """A text, or a list of objects, copied."""
    return value if isinstance(value, str) else take_objects(value)


def give_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, and microseconds where there are any: one text for each moment.

    Raises:
        InvalidMessageError: it is no datetime, or a naive one.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        given = f"the naive {moment}" if isinstance(moment, datetime) else type(moment).__name__
        msg = f"timestamp must be a timezone-aware datetime, such as datetime.now(UTC), not {given}"
        raise InvalidMessageError(msg)
    if moment.tzinfo is not UTC:
        moment = in_utc(moment)
    return msgspec.json.encode(moment)[1:-1].decode()


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        InvalidMessageError: there it is outside the years 1 to 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = f"timestamp {moment.isoformat()} is outside the years 1 to 9999 in UTC"
        raise InvalidMessageError(msg) from None


def take_timestamp(value: Any) -> Any:
    """The moment that a text of `give_timestamp` names; any other spelling is refused, so that it can be given back."""
    try:
        return REFUSED if _is_timestamp(value) is None else _parse_timestamp(value)
    except (TypeError, ValueError):  # no text, or no such day
        return REFUSED


# Hour 24 and a fraction of zeros are other spellings of moments that have one already.
_is_timestamp = re.compile(r"\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(?:\.(?!000000)\d{6})?Z", re.ASCII).fullmatch
_parse_timestamp = datetime.fromisoformat

_NOTHING: dict[str, Any] = {}


def members(value: Any) -> dict[str, Any]:
    """The members of an object; of anything else, none."""
    return value if isinstance(value, dict) else _NOTHING


def copied(value: Any) -> Any:
    """The value with lists and dicts of its own; anything else is shared, as it can't change."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value
