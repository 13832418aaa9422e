"""Which messages of a conversation only go together, and which of them a provider refuses.

Providers refuse a tool call without its result directly after it, a result without its call (OpenAI and Anthropic
alike), and an answer that says nothing (Anthropic: text that is blank, a message that ends in a thinking block). An
agent that was killed while a tool ran leaves such a call behind, and every later request with it would fail.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sessionkit.messages import JSON, ChatMessage
from sessionkit.speaking import ITEM_ROLE, SYSTEM_ROLES, THINKING

_OTHER_CONTENT = ("content", "refusal", "audio", "function_call")
"""Keys of an answer, besides the fields, that providers take for what it says."""

_Ids = Counter[str | None]
"""The ids of calls, or of the calls that results answer; None for each that is missing or no text."""

_NO_IDS: _Ids = Counter()


def is_system(message: ChatMessage) -> bool:
    """Whether it instructs the model, and so is in no unit."""
    return message.role in SYSTEM_ROLES


def units_of(messages: Iterable[ChatMessage]) -> list[list[int]]:
    """The units that a provider accepts, oldest first: of each, the positions of its messages.

    A unit is an assistant's message that calls tools, with the results that directly follow it; or any other message
    that is no system message. See `sessionkit.history.windows.window`, which promises it.
    """
    units: list[tuple[list[int], _Ids]] = []
    unit: list[int] = []
    awaited = _NO_IDS
    for position, message in enumerate(messages):
        results = _results(message)
        if not results:
            awaited = _calls(message)
            unit = [position] if awaited or _is_accepted(message) else []
            units.append((unit, awaited))
        elif results <= awaited:
            unit.append(position)
            awaited -= results  # in place, and so in `units`
            if _says_more(message):
                unit, awaited = [], _NO_IDS
    return [unit for unit, unanswered in units if unit and not unanswered]


def _is_accepted(message: ChatMessage) -> bool:
    """Whether a message without calls is a unit: no system message, which is in none, nor what a provider refuses."""
    if message.role == "assistant":
        return _says_something(message)
    return message.role != ITEM_ROLE and not is_system(message)


def _says_something(message: ChatMessage) -> bool:
    """Whether there is more in it than reasoning and blanks."""
    if isinstance(message.content, str) and message.content.strip():
        return True
    return any(message.extra.get(key) for key in _OTHER_CONTENT) or any(
        block.get("type") not in THINKING and (block.get("type") != "text" or str(block.get("text") or "").strip())
        for block in _blocks(message)
    )


def _says_more(message: ChatMessage) -> bool:
    """Whether a user's message with results has something beside them: no further result directly follows a call."""
    return message.role == "user" and any(block.get("type") != "tool_result" for block in _blocks(message))


def _calls(message: ChatMessage) -> _Ids:
    """The calls of an assistant's message, each once, though it may stand there in two forms."""
    if message.role != "assistant":
        return _NO_IDS
    typed = _ids([call.id for call in message.tool_calls])
    foreign: Any = message.extra.get("tool_calls")  # of a kind that the field can't represent
    others = [call.get("id") for call in foreign if isinstance(call, dict)] if isinstance(foreign, list) else []
    return typed | _ids(others) | _block_ids(message, "tool_use", "id")


def _results(message: ChatMessage) -> _Ids:
    """The calls that a message has the results of."""
    if message.role not in {"tool", "user"}:
        return _NO_IDS
    by_blocks = _block_ids(message, "tool_result", "tool_use_id")
    return by_blocks if by_blocks or message.role == "user" else _ids([message.tool_call_id])


def _block_ids(message: ChatMessage, kind: str, key: str) -> _Ids:
    """What blocks of a kind have under a key; the content and the raw blocks may both have the same ones."""
    content, raw = (
        _ids([block.get(key) for block in blocks if block.get("type") == kind])
        for blocks in (_content_blocks(message), message.raw_content_blocks or [])
    )
    return content | raw


def _ids(values: list[JSON]) -> _Ids:
    if not values:
        return _NO_IDS  # as of almost every message: counting takes its time, and so do long conversations
    return Counter(value if isinstance(value, str) else None for value in values)


def _blocks(message: ChatMessage) -> list[dict[str, JSON]]:
    return _content_blocks(message) + (message.raw_content_blocks or [])


def _content_blocks(message: ChatMessage) -> list[dict[str, JSON]]:
    return message.content if isinstance(message.content, list) else []
