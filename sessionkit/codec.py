"""Messages to JSON bytes and back, exactly, and the one cattrs converter for everything else.

msgspec does the work, checked, because alone it changes some values in silence (NaN to null, bytes to base64, tuples
to lists): what was encoded is decoded again and compared, or is nothing but texts and a time. Almost every message goes
both ways by a `sessionkit.twins.Wire`, a twin of `ChatMessage` that msgspec handles natively, or out by a smaller one
and in by one that is nested a few levels at most; the few that no twin can hold go by `ChatMessage.to_dict` and
`from_dict`.
"""

import sys
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
from msgspec import UNSET

from sessionkit.errors import InvalidMessageError
from sessionkit.faults import find_fault, find_message_fault
from sessionkit.fields import REFUSED, give_timestamp, in_utc, take_timestamp
from sessionkit.messages import JSON, ChatMessage, ToolCall, Usage, fields_to_dict
from sessionkit.strict_json import decode_slowly
from sessionkit.text import searchable_text
from sessionkit.twins import Plain, Wire, WireCall, WireFunction, WireUsage, decode_shallow, decode_wire
from sessionkit.weighing import (
    MAX_DEPTH,
    MAX_INTEGER_DIGITS,
    NULL_CONTENT,
    SURELY_FLAT,
    NotJSONError,
    is_too_deep,
    message_weight,
    too_large,
    weight,
)

if TYPE_CHECKING:
    from cattrs import Converter

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The default of every backend's ``max_message_bytes``."""

_LARGE = 16_384
"""From how many bytes on it is worth asking for memory before decoding."""

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

# What msgspec and a comparison raise for values that JSON does not have, or has no room for.
_NOT_JSON = (TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def encode_message(message: ChatMessage, *, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """The message as one line of compact JSON in UTF-8: the bytes of `ChatMessage.to_dict`.

    Raises:
        InvalidMessageError: it could not come back equal (NaN, infinity, bytes, tuples, a key that is no text, a
            lone surrogate, an `extra` that repeats a field, a naive datetime), or it is nested deeper than 200,
            holds an integer of more than 4,300 digits, or takes more than `max_bytes`: which is noticed before
            gigabytes are built of what holds the same text many times.
    """
    if type(message) is not ChatMessage:  # a subclass would come back as the class itself
        msg = f"a message is a ChatMessage, not {type(message).__name__}; ChatMessage.from_dict() makes one of a dict"
        raise InvalidMessageError(msg)
    raw = _encode_plain(message, max_bytes) or _encode_weighed(message, max_bytes)
    if len(raw) > max_bytes:
        raise too_large("the message takes", f"{len(raw)}", f"max_message_bytes is {max_bytes}")
    return raw


def decode_message(raw: bytes | str) -> ChatMessage:
    """The message that a JSON object holds, whoever wrote it: `ChatMessage.from_dict` of it, several times faster.

    Raises:
        InvalidMessageError: it is no JSON, no object with a text role, or holds what JSON does not allow.
    """
    if len(raw) > _LARGE:
        bytes(len(raw) + _LARGE)  # msgspec ends the process where it finds no memory for a text; this is a MemoryError
    try:
        wire = decode_shallow(raw)
    except ValueError:
        deep = _decode_deep(raw)
        if deep is None:
            return ChatMessage.from_dict(decode_json(raw))
        wire = deep
    return _from_wire(wire) or ChatMessage.from_dict(decode_json(raw))


def decode_text(raw: bytes | str) -> str:
    """The searchable text of a message, of the terms of ``decode_message(raw).text``, in half the time.

    Raises:
        InvalidMessageError: as `decode_message`.
    """
    if len(raw) > _LARGE:
        bytes(len(raw) + _LARGE)  # msgspec ends the process where it finds no memory for a text; this is a MemoryError
    try:
        wire = decode_shallow(raw)
    except ValueError:
        deep = _decode_deep(raw)
        if deep is None:
            return decode_message(raw).text
        wire = deep
    content: Any = wire.content or None
    calls: Any = wire.tool_calls or ()
    if not calls and isinstance(content, str):
        return content
    return searchable_text(content, [(call.function.name, call.function.arguments) for call in calls])


def encode_json(value: JSON, what: str, *, max_bytes: int = sys.maxsize) -> bytes:
    """Any JSON value as compact JSON, by the rules of `encode_message`; `what` names it in the error.

    Raises:
        InvalidMessageError: it could not come back equal, or takes more than `max_bytes`.
    """
    try:
        least = weight(value, max_bytes)
        raw = _encode(value) if least <= max_bytes else b""
        exact = least > max_bytes or decode_json(raw) == value
    except (*_NOT_JSON, NotJSONError) as error:
        raise InvalidMessageError(find_fault(value, what) or f"{what} is not JSON") from error
    if not exact:
        raise InvalidMessageError(find_fault(value, what) or f"{what} would not come back from JSON equal")
    if max(least, len(raw)) > max_bytes:
        raise too_large(f"{what} has", f"at least {max(least, len(raw))}", f"the most is {max_bytes}")
    return raw


def decode_json(raw: bytes | str) -> JSON:
    """Any JSON value, strictly: no NaN, no infinity, no number that would become one, nested to 200 levels.

    Raises:
        InvalidMessageError: it is no JSON in that sense.
    """
    if len(raw) > SURELY_FLAT and is_too_deep(raw):
        raise InvalidMessageError(_TOO_DEEP)
    try:
        return _decode(raw)
    except RecursionError:
        raise InvalidMessageError(_TOO_DEEP) from None
    except ValueError:
        return decode_slowly(raw)


@cache
def converter() -> "Converter":
    """The cattrs converter for values that leave the process other than through a backend: reports and exports.

    Datetimes become the texts of `ChatMessage.to_dict`, messages their JSON objects. Register hooks on a ``copy()``.
    """
    from cattrs.preconf.json import make_converter  # noqa: PLC0415 -- takes longer to import than all of sessionkit

    made = make_converter()
    made.register_unstructure_hook(datetime, give_timestamp)
    made.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    made.register_unstructure_hook(ChatMessage, ChatMessage.to_dict)
    made.register_structure_hook(ChatMessage, lambda data, _: ChatMessage.from_dict(data))
    return made


_usage_values = attrgetter(*WireUsage.__struct_fields__)
_wire_values = attrgetter(*Wire.__struct_fields__)


def _to_wire(message: ChatMessage) -> Wire | None:
    """The message's twin, or None where it has none. Types are not looked at: weighing and decoding do that."""
    content: Any = message.content
    extra, timestamp = message.extra, message.timestamp
    if type(extra) is not dict or (extra and (content is not None or extra != NULL_CONTENT)):
        return None
    wire: Any = Wire(*_wire_values(message))
    if content is None and not extra:
        wire.content = UNSET
    if timestamp is not None:
        if type(timestamp) is not datetime or timestamp.tzinfo is not UTC:
            return None
        wire.timestamp = give_timestamp(timestamp)
    wire.tool_calls = None
    if message.tool_calls:
        if not all([_is_plain(call) for call in message.tool_calls]):  # noqa: C419 -- a list is faster than a generator
            return None
        wire.tool_calls = _to_wire_calls(message.tool_calls)
    if message.usage is not None:
        wire.usage = WireUsage(*_usage_values(message.usage))
    made: Wire = wire
    return made


def _to_wire_calls(calls: tuple[ToolCall, ...]) -> list[WireCall]:
    return [WireCall(call.id, "function", WireFunction(call.name, call.arguments)) for call in calls]


def _is_plain(call: ToolCall) -> bool:
    """Whether it is a tool call and nothing more."""
    return type(call) is ToolCall and type(call.extra) is dict and not call.extra


class _Unfrozen(ChatMessage):
    """A `ChatMessage` while it is put together: assigning takes a third of the time that a frozen class takes.

    It adds no slot, so that an instance may change its class to that of its base.
    """

    __slots__ = ()
    # Both, or CPython would not see that they are those of every object, and assign the slow way.
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


_blank = _Unfrozen.__new__


def _decode_deep(raw: bytes | str) -> Wire | None:
    """What `decode_shallow` has refused; None where it has no twin.

    Raises:
        InvalidMessageError: it is nested too deep.
    """
    if len(raw) > SURELY_FLAT and is_too_deep(raw):
        raise InvalidMessageError(_TOO_DEEP)
    try:
        return decode_wire(raw)
    except (ValueError, RecursionError):
        return None


def _from_wire(wire: Wire) -> ChatMessage | None:
    """The message, or None where only `from_dict` can say."""
    content: Any = wire.content
    extra: dict[str, JSON] = {}
    if content is UNSET:
        content = None
    elif content is None:
        extra = {"content": None}
    calls: Any = wire.tool_calls
    if calls is None:
        calls = ()
    elif calls:
        calls = tuple([ToolCall(call.id, call.function.name, call.function.arguments) for call in calls])
    else:
        return None
    timestamp: Any = wire.timestamp
    if timestamp is not None:
        timestamp = take_timestamp(timestamp)
        if timestamp is REFUSED:
            return None
    usage: Any = wire.usage
    if usage is not None:
        usage = Usage(*msgspec.structs.astuple(usage))
    new: Any = _blank(_Unfrozen)  # Any, as the fields of a message are read-only to whoever checks types
    new.role = wire.role
    new.content = content
    new.name = wire.name
    new.tool_calls = calls
    new.tool_call_id = wire.tool_call_id
    new.reasoning = wire.reasoning
    new.raw_content_blocks = wire.raw_content_blocks
    new.tool_metadata = wire.tool_metadata
    new.timestamp = timestamp
    new.id = wire.id
    new.provider_response_id = wire.provider_response_id
    new.status = wire.status
    new.model = wire.model
    new.usage = usage
    new.extra = extra
    new.__class__ = ChatMessage
    message: ChatMessage = new
    return message


def _encode_plain(message: ChatMessage, max_bytes: int) -> bytes | None:
    """The bytes, or None where there is more than texts and a time, or too much.

    Texts and a time JSON holds exactly, if it can hold them.
    """
    content, timestamp, calls = message.content, message.timestamp, message.tool_calls
    call_id, own_id = message.tool_call_id, message.id
    rest: Any = message  # Any, as a checker finds no value but None that these could share
    if not (
        rest.name is rest.reasoning is rest.raw_content_blocks is rest.tool_metadata is None
        and rest.provider_response_id is rest.status is rest.model is rest.usage is None
        and type(message.role) is str
        and (content is None or (type(content) is str and len(content) <= max_bytes))
        and (call_id is None or type(call_id) is str)
        and (own_id is None or type(own_id) is str)
        and (timestamp is None or (type(timestamp) is datetime and timestamp.tzinfo is UTC))
        and type(message.extra) is dict
        and not message.extra
    ):
        return None
    if calls:
        if not all([_is_text(call) for call in calls]):  # noqa: C419 -- as above
            return None
        if len(calls) > 1 and message_weight(message, max_bytes) > max_bytes:  # they may be one, many times
            return None
    text = UNSET if content is None else content
    try:
        return _encode(Plain(message.role, text, _to_wire_calls(calls) if calls else None, call_id, timestamp, own_id))
    except UnicodeEncodeError:  # a lone surrogate: the slower ways say where
        return None


def _is_text(call: ToolCall) -> bool:
    """Whether it is a tool call, nothing more, and all text."""
    return _is_plain(call) and type(call.id) is type(call.name) is type(call.arguments) is str


def _encode_weighed(message: ChatMessage, max_bytes: int) -> bytes:
    """The bytes of any message, where they are not too many."""
    try:
        least = message_weight(message, max_bytes)
    except NotJSONError:
        raise InvalidMessageError(find_message_fault(message)) from None
    if least > max_bytes:
        raise too_large("the message takes", f"at least {least}", f"max_message_bytes is {max_bytes}")
    return _encode_by_wire(message) or _encode_by_dict(message)


def _encode_by_wire(message: ChatMessage) -> bytes | None:
    """The bytes, or None where only the slower way can give them, or say why not."""
    try:
        wire = _to_wire(message)
        if wire is None:
            return None
        raw = _encode(wire)
        if decode_wire(raw) != wire:
            return None
        if message.usage is not None and len(raw) > MAX_INTEGER_DIGITS:
            weight(list(_usage_values(message.usage)), sys.maxsize)
    except (*_NOT_JSON, NotJSONError):
        return None
    return raw


def _encode_by_dict(message: ChatMessage) -> bytes:
    try:
        data = fields_to_dict(message)
        raw = _encode(data)
        exact = _comes_back(message, raw) and find_fault(data.get("usage"), "") is None
    except InvalidMessageError:
        raise
    except _NOT_JSON as error:
        raise InvalidMessageError(find_message_fault(message)) from error
    if not exact:
        raise InvalidMessageError(find_message_fault(message))
    return raw


def _comes_back(message: ChatMessage, raw: bytes) -> bool:
    """Whether decoding gives an equal message."""
    try:
        back = decode_message(raw)
    except InvalidMessageError:
        return False
    if back == message:
        return True
    moment = message.timestamp
    if moment is None or moment.tzinfo is UTC:
        return False
    # Where clocks are put back, Python holds a local time unequal to the same moment in UTC.
    return back == attrs.evolve(message, timestamp=in_utc(moment))
