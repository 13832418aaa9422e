"""Providers' answers as the JSON objects of messages, and what they took in counts that can be added up."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sessionkit.errors import InvalidMessageError
from sessionkit.fields import give_timestamp
from sessionkit.messages import JSON

_DUMP = {"mode": "json", "by_alias": True, "exclude_unset": True, "warnings": False}
"""As the SDKs' own ``to_dict()``, what the API sent, by its names; but in JSON, and never with a warning."""

_OPENAI_USAGE = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "cache_creation_tokens": ("prompt_tokens_details.cache_write_tokens",),
    "cache_read_tokens": ("prompt_tokens_details.cached_tokens",),
    "reasoning_tokens": ("completion_tokens_details.reasoning_tokens",),
}
_ANTHROPIC_USAGE = {
    "input_tokens": ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    "output_tokens": ("output_tokens",),
    "cache_creation_tokens": ("cache_creation_input_tokens",),
    "cache_read_tokens": ("cache_read_input_tokens",),
    "reasoning_tokens": ("output_tokens_details.thinking_tokens",),
}
"""For each field of `sessionkit.Usage`, the provider's counts that add up to it."""


def openai_answer(answer: object) -> dict[str, JSON]:
    """The message that `sessionkit.ChatMessage.from_openai` takes from the answer, as its JSON object."""
    completion = _object(answer)
    if "choices" not in completion:
        return completion | _stamp()
    choices = completion.pop("choices")
    choice = dict(choices[0]) if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.pop("message", None)
    if not isinstance(message, dict):
        msg = "this chat completion has no choice with a message; of a stream, put the pieces together first"
        raise InvalidMessageError(msg)
    choice.pop("index", None)
    return _answered(completion, _OPENAI_USAGE) | choice | message | _stamp()


def anthropic_answer(answer: object) -> dict[str, JSON]:
    """The message that `sessionkit.ChatMessage.from_anthropic` takes from the answer, as its JSON object."""
    message = _object(answer)
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        msg = "an answer of Anthropic's has a list of content blocks; of a stream, take the final message"
        raise InvalidMessageError(msg)
    return _answered(message, _ANTHROPIC_USAGE) | _stamp()


def dumped(value: Any) -> Any:
    """What an object of a provider's SDK stands for, in JSON; anything else is given back."""
    if hasattr(value, "model_dump"):
        return value.model_dump(**_DUMP)
    return value.to_dict() if hasattr(value, "to_dict") else value


def _stamp() -> dict[str, JSON]:
    return {"timestamp": give_timestamp(datetime.now(UTC))}


def _object(answer: Any) -> dict[str, JSON]:
    """The answer's JSON object; only its outermost level is its own.

    Raises:
        TypeError: it has none.
        InvalidMessageError: it is the Responses API's.
    """
    answer = dumped(answer)
    if not isinstance(answer, Mapping):
        msg = f"an answer is a dict or an object of a provider's SDK, not {type(answer).__name__}"
        raise TypeError(msg)
    if answer.get("object") == "response":
        msg = "a response of OpenAI's Responses API is several items; ConversationSession.add_items() keeps its output"
        raise InvalidMessageError(msg)
    return dict(answer)


def _answered(envelope: dict[str, JSON], counts: Mapping[str, tuple[str, ...]]) -> dict[str, JSON]:
    """What came around the message, by the names of a message's fields where it has them."""
    kept = {name: value for name, value in envelope.items() if name not in {"id", "object", "type", "usage"}}
    if "id" in envelope:
        kept["provider_response_id"] = envelope["id"]
    reported = dict(_leaves(envelope.get("usage")))
    whole = {path: count for path, count in reported.items() if type(count) is int}
    usage = {
        name: sum(found)
        for name, paths in counts.items()
        if (found := [whole[path] for path in paths if path in whole])
    }
    if usage:
        kept["usage"] = usage
    if whole.get("total_tokens") == usage.get("input_tokens", 0) + usage.get("output_tokens", 0):
        del reported["total_tokens"]
    taken = {path for paths in counts.values() for path in paths} & whole.keys()
    if any(value for path, value in reported.items() if path not in taken):
        kept["provider_usage"] = envelope["usage"]
    return kept


def _leaves(value: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Each value that is no object itself, with the names that lead to it."""
    if not isinstance(value, dict):
        yield path, value
        return
    for name, inner in value.items():
        yield from _leaves(inner, f"{path}.{name}" if path else name)
