"""What both providers' modules need."""

from typing import Any

from sessionkit.errors import InvalidMessageError
from sessionkit.keys import shown
from sessionkit.messages import JSON, ChatMessage
from sessionkit.speaking import SYSTEM_ROLES

ANSWERING = frozenset(("tool_calls", "refusal", "audio", "function_call"))
"""What an assistant's message may say besides its content."""

_NEEDING_CONTENT = SYSTEM_ROLES | {"user"}
_ROLES = ("assistant", "developer", "function", "system", "tool", "user")


def said(message: ChatMessage) -> dict[str, JSON]:
    """The message's JSON object without what is null or an empty list; shares nothing with it.

    Raises:
        TypeError: it is no message.
        InvalidMessageError: no chat API has its role, or it is another kind of item of the Responses API.
    """
    if not isinstance(message, ChatMessage):
        msg = f"a message is a ChatMessage, not {type(message).__name__}; ChatMessage.from_dict() makes one of a dict"
        raise TypeError(msg)
    data = {key: value for key, value in message.to_dict().items() if value is not None and value != []}
    if message.role not in _ROLES:
        msg = f"no chat API has the role {shown(message.role)}; the roles are {', '.join(_ROLES)}"
        raise InvalidMessageError(msg)
    if data.get("type", "message") != "message":
        msg = f"an item of type {shown(str(data['type']))} is no chat message; send it to the Responses API"
        raise InvalidMessageError(msg)
    misplaced = [] if message.role == "assistant" else sorted(ANSWERING & data.keys())
    if misplaced:
        msg = f"a message of role {message.role!r} has no {misplaced[0]!r}; only an assistant's has"
        raise InvalidMessageError(msg)
    if message.role in _NEEDING_CONTENT and data.keys().isdisjoint(("content", "raw_content_blocks")):
        msg = f"a message of role {message.role!r} needs content"
        raise InvalidMessageError(msg)
    return data


def kind_of(block: Any) -> str:
    """The type of a content block.

    Raises:
        InvalidMessageError: it has none.
    """
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        msg = "a content block is an object with a text 'type'"
        raise InvalidMessageError(msg)
    return kind
