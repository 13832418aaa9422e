"""What the writers write: each message is made of its name alone, so that whoever meets it can tell if it is whole.

A name says which writer wrote it, in which life, as which step. The text holds the name as one term of its own, for
search, the checksum of the body, for people, and a body whose size and signs follow from the name.
"""

from functools import lru_cache
from zlib import crc32

from sessionkit import JSON, ChatMessage, ToolCall, Usage

_SIGNS = 'plain text, "quoted" \\ \u00e9 e\u0301 \u6f22\u5b57 \U0001f98a\U0001f3fd \0 \u2028 {"role": "user"}\n\t'
_LARGE = 100_000
_MIDDLING = 5_000
_SMALL = 200

TORN = "!"
"""What stands before the description of a message that is none of ours, or is ours no more."""


@lru_cache(maxsize=4096)
def say(name: str) -> ChatMessage:
    """The message of that name."""
    drawn = crc32(name.encode())
    body = _body(drawn)
    text = f"{term_of(name)} {crc32(body.encode()):08x} {body}"
    if drawn % 4 == 1:
        call = ToolCall(f"call_{name}", "look_up", f'{{"name": "{name}", "of": {drawn}}}')
        return ChatMessage("assistant", text, tool_calls=(call,), id=name, usage=Usage(drawn % 1000, 1))
    if drawn % 8 == 2:
        use: dict[str, JSON] = {"type": "tool_use", "id": name, "name": "go", "input": {"n": drawn}}
        blocks: list[dict[str, JSON]] = [{"type": "text", "text": text}, use]
        return ChatMessage("assistant", blocks, id=name)
    return ChatMessage("user", text, id=name, extra={"drawn": drawn, "nested": {"name": [name, None]}})


def name_of(message: ChatMessage) -> str:
    """The name of a message that is one of ours and whole; of any other, what it looks like, after `TORN`."""
    name = message.id
    if name and say(name) == message:
        return name
    return f"{TORN}{message.role} message {name!r} with {len(message.text)} characters of text"


def term_of(name: str) -> str:
    """The term that finds the message, and no other."""
    return name.replace(".", "_")


def _body(drawn: int) -> str:
    size = _LARGE if drawn % 293 == 0 else _MIDDLING if drawn % 23 == 0 else _SMALL
    size = drawn // 293 % size
    start = drawn % len(_SIGNS)
    return (_SIGNS[start:] + _SIGNS * (size // len(_SIGNS) + 1))[:size]
