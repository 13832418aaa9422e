"""Why a value can't be stored: the slow look that finds the place, taken only once something has been refused."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sessionkit.keys import shown
from sessionkit.messages import JSON, TEXT_FIELDS, USAGE_FIELDS, ChatMessage, ToolCall, Usage, represents
from sessionkit.weighing import LONG_INTEGER, MAX_DEPTH, MAX_INTEGER_DIGITS


class _Place(NamedTuple):
    """Where in a value: the way to it, last step first, so that it is spelled out only where there is a fault."""

    step: object
    before: "_Place | None"


def find_fault(value: JSON, what: str, *, depth: int = 1) -> str | None:
    """The first place in `value` that JSON can't hold exactly, in words; None where there is none. Never recurses,
    and takes no memory for what it walks over.

    `what` names the value, and `depth` is the level that it stands on.
    """
    fault = _fault(value, depth)
    if fault:
        return f"{what} {fault}"
    # Not all that waits, only the way to where the walk is: a list of millions costs nothing then.
    way: list[tuple[Iterator[tuple[object, Any]], _Place | None]] = [(_inner(value), None)]
    while way:
        items, place = way[-1]
        for step, item in items:
            here = _Place(step, place)
            fault = _fault(item, depth + len(way))
            if fault:
                return f"{what}{_spelled(here)} {fault}"
            if isinstance(item, dict | list):
                way.append((_inner(item), here))
                break
        else:
            way.pop()
    return None


def _inner(value: Any) -> Iterator[tuple[object, Any]]:
    """What stands directly in an object or a list, and where; in anything else, nothing."""
    if isinstance(value, dict):
        return iter(value.items())
    return enumerate(value) if isinstance(value, list) else iter(())


def find_message_fault(message: ChatMessage) -> str:
    """What in the message can't be stored, in words."""
    return next(_message_faults(message), "the message would not come back equal from JSON")


def _spelled(place: _Place | None) -> str:
    """The way as it would stand in Python, without its middle where it is long."""
    steps: list[str] = []
    while place is not None:
        steps.append(f"[{shown(place.step) if isinstance(place.step, str) else place.step}]")
        place = place.before
    steps.reverse()
    return "".join(steps if len(steps) <= 6 else [*steps[:3], "...", *steps[-2:]])  # noqa: PLR2004 -- what reads well


def _fault(item: object, level: int) -> str | None:
    fault: str | None = None
    match item:
        case None | bool():
            pass
        case str():
            fault = _text_fault(item)
        case int():
            fault = f"is an integer of more than {MAX_INTEGER_DIGITS} digits" if abs(item) >= LONG_INTEGER else None
        case float():
            fault = None if math.isfinite(item) else f"is {item}, which JSON does not have"
        case dict() | list() if level > MAX_DEPTH:
            fault = f"is nested deeper than {MAX_DEPTH} levels"
        case dict():
            fault = next(filter(None, map(_key_fault, item)), None)
        case list():
            pass
        case tuple():
            fault = "is a tuple, which would come back as a list; give a list"
        case _:
            fault = f"is {_a(item)}, which JSON does not have"
    return fault


def _key_fault(key: object) -> str | None:
    if not isinstance(key, str):
        return f"has a key that is no text but {_a(key)}"
    fault = _text_fault(key)
    return fault and f"has a key that {fault}"


def _text_fault(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"holds a lone surrogate at position {error.start}"
    return None


def _a(value: object) -> str:
    """The type of the value, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _message_faults(message: ChatMessage) -> Iterator[str]:
    if not isinstance(message.role, str):
        yield f"role must be text, not {_a(message.role)}"
    for name in TEXT_FIELDS:
        value = getattr(message, name)
        if value is not None and not isinstance(value, str):
            yield f"{name} must be text or None, not {_a(value)}"
    yield from _blocks_faults(message)
    for i, call in enumerate(message.tool_calls):
        yield from _tool_call_faults(call, f"tool_calls[{i}]")
    yield from _usage_faults(message.usage)
    for name in ("role", *TEXT_FIELDS, "content", "raw_content_blocks", "tool_metadata"):
        yield from _found(find_fault(getattr(message, name), name, depth=2))
    yield from _extra_faults(message.extra)


def _blocks_faults(message: ChatMessage) -> Iterator[str]:
    if not (message.content is None or isinstance(message.content, str) or _are_objects(message.content)):
        yield f"content must be text, a list of dicts or None, not {_list_or(message.content)}"
    if not (message.raw_content_blocks is None or _are_objects(message.raw_content_blocks)):
        yield f"raw_content_blocks must be a list of dicts or None, not {_list_or(message.raw_content_blocks)}"
    if not (message.tool_metadata is None or isinstance(message.tool_metadata, dict)):
        yield f"tool_metadata must be a dict or None, not {_a(message.tool_metadata)}"


def _tool_call_faults(call: object, path: str) -> Iterator[str]:
    if type(call) is not ToolCall:
        yield f"{path} must be a ToolCall, not {_a(call)}"
        return
    for name in ("id", "name", "arguments"):
        value = getattr(call, name)
        if not isinstance(value, str):
            yield f"{path}.{name} must be text, not {_a(value)}"
        yield from _found(find_fault(value, f"{path}.{name}"))
    if not isinstance(call.extra, Mapping):
        yield f"{path}.extra must be a dict, not {_a(call.extra)}"
        return
    yield from _found(find_fault(dict(call.extra), f"{path}.extra", depth=3))
    if call.extra.get("function") == {}:
        yield f"{path}.extra['function'] is empty; leave it out"


def _usage_faults(usage: object) -> Iterator[str]:
    if usage is None:
        return
    if type(usage) is not Usage:
        yield f"usage must be a Usage or None, not {_a(usage)}"
        return
    for name, kinds in USAGE_FIELDS.items():
        value = getattr(usage, name)
        if value is not None and type(value) not in kinds:
            yield f"usage.{name} must be {' or '.join(kind.__name__ for kind in kinds)} or None, not {_a(value)}"
        yield from _found(find_fault(value, f"usage.{name}"))


def _extra_faults(extra: object) -> Iterator[str]:
    if not isinstance(extra, Mapping):
        yield f"extra must be a dict, not {_a(extra)}"
        return
    members: dict[str, JSON] = dict(extra)
    yield from _found(find_fault(members, "extra"))
    for name, value in members.items():
        if represents(name, value):
            yield f"extra[{name!r}] is what the field {name!r} is for; set the field"


def _found(fault: str | None) -> Iterator[str]:
    if fault:
        yield fault


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _list_or(value: object) -> str:
    return "a list of something else" if isinstance(value, list) else _a(value)
