"""A message as a value, and as the JSON object that providers exchange.

Nothing is lost between the two: ``ChatMessage.from_dict(d).to_dict() == d`` for every JSON object `d` with a string
``role``. Each known key has a function that takes a value exactly or refuses it; what is refused, and what is
unknown, stays in `ChatMessage.extra` as it came. An absent key and an explicit null are not the same, so the null
is kept in `extra`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import attrs

from sessionkit.errors import InvalidMessageError
from sessionkit.fields import (
    REFUSED,
    copied,
    give_timestamp,
    members,
    take_content,
    take_object,
    take_objects,
    take_text,
    take_timestamp,
)
from sessionkit.text import searchable_text

JSON = Any
"""Whatever JSON can hold: None, bool, int, float, str, and lists and string-keyed dicts of these."""


@attrs.frozen
class ToolCall:
    """One call of a tool that a model asked for, in the shape of OpenAI's ``{"type": "function"}`` calls.

    Attributes:
        id: what the tool's result refers to.
        name: the tool.
        arguments: the text that the model produced, verbatim; usually JSON, not always valid.
        extra: further keys of the call; those of its inner ``function`` object under ``"function"``.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, JSON] = attrs.Factory(dict)


def _all(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(calls)


@attrs.frozen
class Usage:
    """What one answer of a model took, as the provider reported it; None is "not reported".

    The totals hold their parts, so that what several answers took can be added up whoever gave them; providers report
    otherwise, and `ChatMessage.from_openai` and `ChatMessage.from_anthropic` reckon it.

    Attributes:
        input_tokens: all that went in, the cached ones included.
        output_tokens: all that came out, the reasoning included.
        cache_creation_tokens: how many of the input tokens were written to a cache.
        cache_read_tokens: how many of the input tokens were read from one.
        reasoning_tokens: how many of the output tokens a model thought with.
        cost_usd: what it cost in US dollars, as the caller reports it; sessionkit knows no prices.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


@attrs.frozen
class ChatMessage:
    """One message of a conversation.

    Build the common ones with `system`, `user`, `assistant` and `tool`, which stamp the time; take foreign ones with
    `from_dict`. Building checks nothing; a backend checks when the message is written.

    Attributes:
        role: who speaks: ``system``, ``user``, ``assistant``, ``tool``, or any other text.
        content: the text, or a list of content blocks, or None.
        tool_calls: the calls that an assistant asks for.
        tool_call_id: the call that a tool's message answers.
        reasoning: what a model thought aloud.
        raw_content_blocks: a provider's blocks, verbatim, where they must be sent back unchanged.
        tool_metadata: what the caller wants to remember of a tool's run.
        timestamp: when it was said; timezone-aware.
        extra: every key that the fields above can't represent exactly.
    """

    role: str
    content: str | list[dict[str, JSON]] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = attrs.field(default=(), converter=_all)
    tool_call_id: str | None = None
    reasoning: str | None = None
    raw_content_blocks: list[dict[str, JSON]] | None = None
    tool_metadata: dict[str, JSON] | None = None
    timestamp: datetime | None = None
    id: str | None = None
    provider_response_id: str | None = None
    status: str | None = None
    model: str | None = None
    usage: Usage | None = None
    extra: Mapping[str, JSON] = attrs.Factory(dict)

    @classmethod
    def system(cls, content: str | list[dict[str, JSON]], **fields: Any) -> Self:
        """A system message, stamped now; `fields` are any of the other attributes."""
        return cls("system", content, **_stamped(fields))

    @classmethod
    def user(cls, content: str | list[dict[str, JSON]], **fields: Any) -> Self:
        """A user's message, stamped now; `fields` are any of the other attributes."""
        return cls("user", content, **_stamped(fields))

    @classmethod
    def assistant(
        cls,
        content: str | list[dict[str, JSON]] | None = None,
        *,
        tool_calls: Iterable[ToolCall] = (),
        **fields: Any,
    ) -> Self:
        """A model's answer, stamped now; `fields` are any of the other attributes."""
        return cls("assistant", content, tool_calls=tuple(tool_calls), **_stamped(fields))

    @classmethod
    def tool(cls, content: str | list[dict[str, JSON]], *, tool_call_id: str, **fields: Any) -> Self:
        """The result of the tool call with that id, stamped now; `fields` are any of the other attributes."""
        return cls("tool", content, tool_call_id=tool_call_id, **_stamped(fields))

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> Self:
        """The message that a JSON object holds; shares no list or dict with it.

        Raises:
            InvalidMessageError: it is no object with a string ``role``, or is nested too deep to be copied.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("role"), str):
            msg = f"a message is a JSON object with a text 'role', not {_shape(data)}"
            raise InvalidMessageError(msg)
        fields: dict[str, Any] = {}
        extra: dict[str, JSON] = {}
        try:
            for key, value in data.items():
                take = _TAKE.get(key)
                taken = REFUSED if take is None else take(value)
                if taken is REFUSED:
                    extra[key] = copied(value)
                else:
                    fields[key] = taken
        except RecursionError:
            raise InvalidMessageError(_TOO_DEEP) from None
        return cls(**fields, extra=extra)

    def to_dict(self) -> dict[str, JSON]:
        """The JSON object, with the keys that are there and no others; shares no list or dict with the message.

        Raises:
            InvalidMessageError: `extra` repeats a field, the timestamp is naive, or it is nested too deep to be copied.
        """
        data = fields_to_dict(self)
        try:
            for key, value in data.items():
                data[key] = copied(value)
        except RecursionError:
            raise InvalidMessageError(_TOO_DEEP) from None
        return data

    @classmethod
    def from_openai(cls, answer: object) -> Self:
        """The message of an answer of OpenAI's Chat Completions API, stamped now.

        `answer` is the chat completion, of which the first choice is taken, or its ``choices[0].message``: as a dict,
        or as any object with ``model_dump()`` or ``to_dict()``, such as those of the SDK, which is not imported. The
        completion's model is kept, its id as `provider_response_id`, and its counts as `usage`; the ``finish_reason``
        and every other member in `extra`, and there the provider's own usage, where it says more than `usage` does, as
        ``"provider_usage"``.

        Raises:
            TypeError: it is neither a dict nor such an object.
            InvalidMessageError: it has no choice with a message, or is a response of the Responses API.
        """
        from sessionkit.providers.answers import openai_answer  # noqa: PLC0415 -- only who talks to providers needs it

        return cls.from_dict(openai_answer(answer))

    @classmethod
    def from_anthropic(cls, answer: object) -> Self:
        """The message of an answer of Anthropic's Messages API, stamped now.

        `answer` is the ``Message``: as a dict, or as any object with ``model_dump()`` or ``to_dict()``, such as that of
        the SDK, which is not imported. Its blocks are the content, verbatim, signed thinking among them, so that
        `to_anthropic` gives them back as they were. The model is kept, the id as `provider_response_id`, and the counts
        as `usage`; the ``stop_reason`` and every other member in `extra`, and there the provider's own usage, where it
        says more than `usage` does, as ``"provider_usage"``.

        Raises:
            TypeError: it is neither a dict nor such an object.
            InvalidMessageError: it has no list of content blocks.
        """
        from sessionkit.providers.answers import anthropic_answer  # noqa: PLC0415 -- as above

        return cls.from_dict(anthropic_answer(answer))

    def to_openai(self) -> dict[str, JSON]:
        """The message as OpenAI's Chat Completions API takes it, converted if need be; shares nothing with this one.

        `sessionkit.providers` says what goes out and what does not; its ``to_openai`` takes whole conversations.

        Raises:
            InvalidMessageError: it says something that the API has no words for, or it is not exactly one message
                there: the results of several tools, or nothing.
        """
        from sessionkit.providers.openai import to_openai_message  # noqa: PLC0415 -- as above

        return to_openai_message(self)

    def to_anthropic(self) -> dict[str, JSON]:
        """The message as Anthropic's Messages API takes it, converted if need be; shares nothing with this one.

        `sessionkit.providers` says what goes out and what does not; its ``to_anthropic`` takes whole conversations.

        Raises:
            InvalidMessageError: it says something that the API has no words for, or it is no message there: a system
                message, which is an argument of its own, or one that says nothing.
        """
        from sessionkit.providers.anthropic import to_anthropic_message  # noqa: PLC0415 -- as above

        return to_anthropic_message(self)

    @property
    def text(self) -> str:
        """The searchable text, a line a part.

        The content, the text of its blocks (those inside ``tool_result`` too), and the names and arguments of its tool
        calls.
        """
        return searchable_text(self.content, ((call.name, call.arguments) for call in self.tool_calls))

    @property
    def is_turn(self) -> bool:
        """Whether it counts as a turn: an assistant's message with content, were it empty."""
        return self.role == "assistant" and self.content is not None

    @property
    def tool_call_count(self) -> int:
        """How many tools it calls: its `tool_calls`, and the ``tool_use`` blocks of its content."""
        if self.content is None or isinstance(self.content, str):
            return len(self.tool_calls)
        return len(self.tool_calls) + [block.get("type") for block in self.content].count("tool_use")


@attrs.frozen
class TimestampedMessage:
    """A message, and when the store took it; None where the store keeps no times."""

    message: ChatMessage
    created_at: datetime | None = None


def fields_to_dict(message: ChatMessage) -> dict[str, JSON]:
    """`ChatMessage.to_dict` without the copying, for a caller that only reads it."""
    data: dict[str, JSON] = {"role": message.role}
    if message.content is not None:
        data["content"] = message.content
    if message.tool_calls:
        data["tool_calls"] = [_give_tool_call(call) for call in message.tool_calls]
    if message.timestamp is not None:
        data["timestamp"] = give_timestamp(message.timestamp)
    if message.usage is not None:
        data["usage"] = {name: value for name in USAGE_FIELDS if (value := getattr(message.usage, name)) is not None}
    for name in _VERBATIM_KEYS:
        value = getattr(message, name)
        if value is not None:
            data[name] = value
    for name, value in message.extra.items():
        if name in data:
            msg = f"extra[{name!r}] repeats the field {name!r}; a message has each key once"
            raise InvalidMessageError(msg)
        data[name] = value
    return data


_TOO_DEEP = "a message nested this deep can't be copied; 200 levels can be stored"


def _stamped(fields: dict[str, Any]) -> dict[str, Any]:
    fields.setdefault("timestamp", datetime.now(UTC))
    return fields


def _take_tool_calls(value: JSON) -> Any:
    """A list whose every item is a function call; one misfit leaves the whole list to `extra`, in its order."""
    if not isinstance(value, list) or not value:
        return REFUSED
    calls: list[ToolCall] = []
    for item in value:
        call = _take_tool_call(item)
        if call is REFUSED:
            return REFUSED
        calls.append(call)
    return tuple(calls)


def _take_tool_call(item: JSON) -> Any:
    outer = members(item)
    inner = members(outer.get("function"))
    call_id, name, arguments = outer.get("id"), inner.get("name"), inner.get("arguments")
    if not (outer.get("type") == "function" and isinstance(call_id, str)):
        return REFUSED
    if not (isinstance(name, str) and isinstance(arguments, str)):
        return REFUSED
    extra = {key: copied(value) for key, value in outer.items() if key not in {"id", "type", "function"}}
    if len(inner) > 2:  # noqa: PLR2004 -- more than the name and the arguments
        extra["function"] = {key: copied(value) for key, value in inner.items() if key not in {"name", "arguments"}}
    return ToolCall(call_id, name, arguments, extra)


def _give_tool_call(call: ToolCall) -> dict[str, JSON]:
    function: dict[str, JSON] = {"name": call.name, "arguments": call.arguments}
    outer: dict[str, JSON] = {"id": call.id, "type": "function", "function": function}
    if not call.extra:
        return outer
    extra = dict(call.extra)
    inner = extra.pop("function", {})
    if not isinstance(inner, dict) or not outer.keys().isdisjoint(extra) or not function.keys().isdisjoint(inner):
        msg = "the extra of a tool call repeats one of its fields, or its 'function' is no dict"
        raise InvalidMessageError(msg)
    function.update(inner)
    outer.update(extra)
    return outer


def _take_usage(value: JSON) -> Any:
    if isinstance(value, dict) and all(type(count) in USAGE_FIELDS.get(name, ()) for name, count in value.items()):
        return Usage(**value)
    return REFUSED


USAGE_FIELDS: dict[str, tuple[type, ...]] = dict.fromkeys(attrs.fields_dict(Usage), (int,)) | {"cost_usd": (int, float)}

_TAKE: dict[str, Callable[[JSON], Any]] = {
    "role": take_text,
    "content": take_content,
    "name": take_text,
    "tool_calls": _take_tool_calls,
    "tool_call_id": take_text,
    "reasoning": take_text,
    "raw_content_blocks": take_objects,
    "tool_metadata": take_object,
    "timestamp": take_timestamp,
    "id": take_text,
    "provider_response_id": take_text,
    "status": take_text,
    "model": take_text,
    "usage": _take_usage,
}

TEXT_FIELDS = tuple(key for key, take in _TAKE.items() if take is take_text and key != "role")
"""The fields of `ChatMessage` that are text or None."""

_VERBATIM_KEYS = (*TEXT_FIELDS, "raw_content_blocks", "tool_metadata")


def represents(key: str, value: JSON) -> bool:
    """Whether the message has a field for the key that can hold the value, so that it has no place in `extra`."""
    take = _TAKE.get(key)
    return take is not None and take(value) is not REFUSED


def _shape(data: object) -> str:
    """What was given instead of a message, without its content."""
    if not isinstance(data, Mapping):
        return type(data).__name__
    if "role" not in data:
        return "an object without one"
    return f"one whose role is {type(data['role']).__name__}"
