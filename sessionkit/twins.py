"""The twins of a message, which msgspec encodes, decodes and holds to their types, all natively.

None of them lives longer than a call, so the garbage collector need not know of them: a twentieth less to decode.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType


class WireFunction(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a call calls, and with what."""

    name: str
    arguments: str


class WireCall(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The twin of a `ToolCall` without an `extra`."""

    id: str
    type: Literal["function"]
    function: WireFunction


class WireUsage(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The twin of `Usage`.

    Each default is outside its field's type: an absent key gives None, an explicit null is refused.
    """

    input_tokens: int = cast("int", None)
    output_tokens: int = cast("int", None)
    cache_creation_tokens: int = cast("int", None)
    cache_read_tokens: int = cast("int", None)
    reasoning_tokens: int = cast("int", None)
    cost_usd: int | float = cast("int", None)


class Wire(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The twin of `ChatMessage`, with an `extra` of at most an explicit null content, and a timestamp in UTC."""

    role: str
    content: str | list[dict[str, Any]] | UnsetType | None = UNSET
    name: str = cast("str", None)
    tool_calls: list[WireCall] = cast("list[WireCall]", None)
    tool_call_id: str = cast("str", None)
    reasoning: str = cast("str", None)
    raw_content_blocks: list[dict[str, Any]] = cast("list[dict[str, Any]]", None)
    tool_metadata: dict[str, Any] = cast("dict[str, Any]", None)
    timestamp: str = cast("str", None)
    id: str = cast("str", None)
    provider_response_id: str = cast("str", None)
    status: str = cast("str", None)
    model: str = cast("str", None)
    usage: WireUsage = cast("WireUsage", None)


_LEVELS = 4
"""Of the values in a block: the input of a tool call is one, and hardly ever has more."""


_LIST: Any = list
_DICT: Any = dict
# Any, as a checker takes no type that is made only when all runs.


def _value_type(levels: int) -> Any:
    """The type of the JSON values that have so many levels at most."""
    scalar: Any = str | int | float | bool | None
    if not levels:
        return scalar
    inner = _value_type(levels - 1)
    return scalar | _LIST[inner] | _DICT[str, inner]


def _shallow() -> Any:
    """The twin of a message that is nested to a few levels: its types refuse more, so that nobody need look before.

    Its fields stand in the order of those of `Wire`, as msgspec looks for each where the last one ended.
    """
    nested = _DICT[str, _value_type(_LEVELS)]
    blocks = _LIST[nested]
    types = {"content": str | blocks | UnsetType | None, "raw_content_blocks": blocks, "tool_metadata": nested}
    required, *others = [(name, types.get(name, kind)) for name, kind in Wire.__annotations__.items()]
    defaults = [(*field, default) for field, default in zip(others, Wire.__struct_defaults__, strict=True)]
    return msgspec.defstruct("_Shallow", [required, *defaults], forbid_unknown_fields=True, gc=False)


class Plain(msgspec.Struct, omit_defaults=True, gc=False):
    """The twin of a message that is texts and a time; its keys stand in the order of those of `Wire`."""

    role: str
    content: str | UnsetType = UNSET
    tool_calls: list[WireCall] | None = None
    tool_call_id: str | None = None
    timestamp: datetime | None = None
    id: str | None = None


decode_wire = msgspec.json.Decoder(Wire).decode
"""Recurses as deep as the JSON is nested."""

decode_shallow: Callable[[bytes | str], Wire] = msgspec.json.Decoder(_shallow()).decode
"""The same fields, but recurses a few levels at most: what is nested deeper it refuses."""
