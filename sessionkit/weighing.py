"""How deep and how large JSON is, told before anything is built of it, so that too much is refused at little cost.

Whoever decodes or encodes recurses on the C stack, which in a thread may be so small that a few hundred levels end the
process. And a value of a few kilobytes may be gigabytes as JSON, where it holds the same text many times.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from re import DOTALL
from re import compile as compiled
from typing import Any

from sessionkit.errors import InvalidMessageError
from sessionkit.messages import JSON, ChatMessage, ToolCall, Usage

MAX_DEPTH = 200
"""How many objects and lists may stand inside each other, a message itself being the first."""

SURELY_FLAT = 2 * MAX_DEPTH
"""Of how many bytes any JSON may be decoded as it comes: broken JSON has room for few levels more, which do no harm."""

MAX_INTEGER_DIGITS = 4300
"""How many digits an integer may have; CPython's own default limit."""

LONG_INTEGER = 10**MAX_INTEGER_DIGITS
"""The least that has more."""

NULL_CONTENT = {"content": None}
"""The `extra` of a message whose content is an explicit null."""

# What is left of JSON here are its brackets and what tells which of them stand in texts.
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))
_TEXT = compiled(rb'"[^"]*(?:"|\Z)', DOTALL)
_ROUND = bytes.maketrans(b"[]{}", b"()()")
_STEP = [1 if byte == ord("(") else -1 for byte in range(256)]


class NotJSONError(Exception):
    """Something is nested too deep, or is no JSON: whoever weighed it knows how to find the place."""


def is_too_deep(raw: bytes | str, most: int = MAX_DEPTH) -> bool:
    """Whether JSON is nested deeper than `most` levels, up to the first place where it is none; without a recursion.

    What is not longer than `SURELY_FLAT` never is, and need not be asked about. Costs a few tenths of a microsecond a
    kilobyte where it has no more brackets than that, else a pass over it.
    """
    # Not by `count`, which takes twice as long and more.
    if isinstance(raw, str):
        brackets = 2 * len(raw) - len(raw.replace("[", "")) - len(raw.replace("{", ""))
    else:
        brackets = 2 * len(raw) - len(raw.replace(b"[", b"")) - len(raw.replace(b"{", b""))
    if brackets <= most:
        return False
    return _is_deep(_brackets(raw), most)


def weight(value: JSON, most: int) -> int:
    """How many bytes of JSON the value takes at the least; looks no further once that is more than `most`.

    Raises:
        NotJSONError: it holds something that JSON does not have, or is nested too deep, as is a list that holds itself.
    """
    return most - _left((value,), most, 0)


def message_weight(message: ChatMessage, most: int) -> int:
    """The same for a message; of `sessionkit.faults.find_message_fault` it is known then that it ends.

    Raises:
        NotJSONError: as `weight`.
    """
    left = _calls_left(message.tool_calls, most) if message.tool_calls else most
    if left < 0:
        return most - left
    usage = message.usage
    if usage is not None and type(usage) is not Usage:
        raise NotJSONError
    content: Any = message.content
    if isinstance(content, str):
        left -= len(content)
    elif isinstance(content, list):
        left = _left(content, left, 2)
    elif content is not None:
        raise NotJSONError
    if message.raw_content_blocks is not None or message.tool_metadata is not None:
        left = _left((message.raw_content_blocks, message.tool_metadata), left, 1)
    if message.extra and message.extra != NULL_CONTENT:
        left = _left(_values(message.extra), left, 1)
    return most - left


def too_large(what: str, size: str, limit: str) -> InvalidMessageError:
    """The error that says the limit, and what to do."""
    return InvalidMessageError(f"{what} {size} bytes; {limit}: keep what is large elsewhere, and say where")


def _calls_left(calls: Iterable[ToolCall], left: int) -> int:
    for call in calls:
        if type(call) is not ToolCall:
            raise NotJSONError
        if type(call.id) is type(call.name) is type(call.arguments) is str:
            left -= len(call.id) + len(call.name) + len(call.arguments)
        else:
            left = _left((call.id, call.name, call.arguments), left, 1)
        if call.extra:
            left = _left(_values(call.extra), left, 3)
        if left < 0:
            break
    return left


def _values(extra: object) -> Iterable[Any]:
    if not isinstance(extra, Mapping):
        raise NotJSONError
    return extra.values()


def _left(values: Iterable[Any], left: int, depth: int) -> int:  # noqa: C901, PLR0912 -- calls would cost more than it
    """What these values leave of so many bytes; negative once it is too much. They stand in `depth` levels."""
    for item in values:
        kind = type(item)
        if kind is str:
            left -= len(item) + 2
        elif kind is dict or kind is list or isinstance(item, dict | list):
            if depth >= MAX_DEPTH:
                raise NotJSONError
            if kind is list:
                left = _left(item, left - 2, depth + 1)
            elif isinstance(item, dict):
                try:
                    left = _left(item.values(), left - 2 - len("".join(item)), depth + 1)
                except TypeError:  # a key that is no text
                    raise NotJSONError from None
            else:
                left = _left(item, left - 2, depth + 1)
        elif isinstance(item, int):
            left -= 1
            if not -LONG_INTEGER < item < LONG_INTEGER:
                raise NotJSONError
        elif item is None or isinstance(item, str | float):
            left -= 1
        else:
            raise NotJSONError
        if left < 0:
            return left
    return left


def _brackets(raw: bytes | str) -> bytes:
    """Those of JSON that stand in no text, all of them round."""
    data = raw.encode(errors="replace") if isinstance(raw, str) else raw
    # Backslashes escape each other in pairs, from the left, and what is left of them escapes a quotation mark.
    data = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ROUND, _OTHERS).replace(b'""', b"")
    return _TEXT.sub(b"", data) if b'"' in data else data


def _is_deep(brackets: bytes, most: int) -> bool:
    """Whether a level beyond `most` is reached, up to the first place where they are none of JSON."""
    if b"(" * (most + 1) in brackets:
        return True
    left, before = brackets, b""
    for _ in range(most):  # each round takes the innermost level away; a hundred times faster than to count
        if len(left) == len(before):
            break
        left, before = left.replace(b"()", b""), left
    return bool(left) and max(accumulate(map(_STEP.__getitem__, brackets))) > most
