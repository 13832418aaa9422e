"""Messages as Anthropic's Messages API takes them.

A message that goes out has a role and a content. Blocks that are Anthropic's go out as they came, for it wants some of
them back unchanged and adds members and types to them without notice; OpenAI's become Anthropic's, or are refused. The
types are those of ``anthropic.types.MessageParam`` (anthropic 2.11).
"""

import re
from collections.abc import Callable, Iterable

import msgspec

from sessionkit.codec import decode_json
from sessionkit.errors import InvalidMessageError
from sessionkit.fields import members
from sessionkit.messages import JSON, ChatMessage
from sessionkit.providers.common import kind_of, said
from sessionkit.providers.openai import FunctionCall
from sessionkit.speaking import SYSTEM_ROLES, THINKING


def to_anthropic(messages: Iterable[ChatMessage]) -> dict[str, JSON]:
    """A conversation as arguments of Anthropic's ``client.messages.create``; shares nothing with it.

    ::

        client.messages.create(model="...", max_tokens=1024, **to_anthropic(messages))

    Under ``messages`` are those of users and assistants, under ``system``, where there are any, all the system's, in
    their order: one text, with a blank line between two, or blocks where one says more than a text, such as a
    ``cache_control``. Consecutive results of tools become one user's message, as Anthropic wants those of parallel
    calls together; nothing else is merged. What the API refuses is left out: blank texts, and messages that hold
    nothing else, or nothing but thinking.

    That each tool call has its results right after it is for the caller to see to.

    Raises:
        TypeError: one is no message.
        InvalidMessageError: one says something that the API has no words for, such as audio, lacks what the API needs,
            or has a role that it does not know.
    """
    system: list[dict[str, JSON]] = []
    sent: list[dict[str, JSON]] = []
    for message in messages:
        blocks = _blocks_of(message)
        if message.role in SYSTEM_ROLES:
            system += blocks
        elif sent and _are_results(sent[-1]["content"]) and _are_results(blocks[:1]):
            sent[-1]["content"] += blocks
        elif blocks:
            sent.append(_message(message, blocks))
    return {"system": _system(system), "messages": sent} if system else {"messages": sent}


def to_anthropic_message(message: ChatMessage) -> dict[str, JSON]:
    """`sessionkit.ChatMessage.to_anthropic`."""
    blocks = _blocks_of(message)
    if message.role in SYSTEM_ROLES or not blocks:
        what = "a message that says nothing" if not blocks else "a system message"
        msg = (
            f"Anthropic has no place for {what} among messages; use sessionkit.providers.to_anthropic() for all of them"
        )
        raise InvalidMessageError(msg)
    return _message(message, blocks)


def _message(message: ChatMessage, blocks: list[dict[str, JSON]]) -> dict[str, JSON]:
    role = "assistant" if message.role == "assistant" else "user"  # who gives the results of tools is a user too
    is_text = message.raw_content_blocks is None and blocks == [{"type": "text", "text": message.content}]
    return {"role": role, "content": message.content if is_text else blocks}


def _are_results(content: str | list[dict[str, JSON]]) -> bool:
    return bool(content) and all(isinstance(block, dict) and block["type"] == "tool_result" for block in content)


def _system(blocks: list[dict[str, JSON]]) -> str | list[dict[str, JSON]]:
    if any(block["type"] != "text" for block in blocks):
        msg = "Anthropic's system prompt takes nothing but text"
        raise InvalidMessageError(msg)
    is_text = all(block.keys() == {"type", "text"} for block in blocks)
    return "\n\n".join(block["text"] for block in blocks) if is_text else blocks


def _blocks_of(message: ChatMessage) -> list[dict[str, JSON]]:
    """What the message says, in Anthropic's blocks; none where it says nothing, or was only thought."""
    blocks = _all_blocks_of(message)
    return blocks if any(block["type"] not in THINKING for block in blocks) else []


def _all_blocks_of(message: ChatMessage) -> list[dict[str, JSON]]:
    data = said(message)
    for name in ("audio", "function_call"):
        if name in data:
            msg = f"Anthropic's API has no words for {name!r} of a message"
            raise InvalidMessageError(msg)
    if "raw_content_blocks" in data:
        return _blocks(data["raw_content_blocks"])
    if message.role == "function" or (message.role == "tool" and message.tool_call_id is None):
        msg = f"a message of role {message.role!r} can't go to Anthropic without the id of the call that it answers"
        raise InvalidMessageError(msg)
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": data.get("content")}
        return [_tool_result(result)]
    blocks = _blocks(data.get("content", [])) + _blocks(data.get("refusal", []))
    known = [block.get("id") for block in blocks if block["type"] == "tool_use"]
    return blocks + [block for block in _tool_uses(data) if block["id"] not in known]


def _blocks(content: JSON) -> list[dict[str, JSON]]:
    """A content as blocks of Anthropic's, without blank texts."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        msg = f"the content of a message is a text or a list of blocks, not {type(content).__name__}"
        raise InvalidMessageError(msg)
    blocks = [_BLOCKS.get(kind_of(block), _itself)(block) for block in content]
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def _tool_uses(data: dict[str, JSON]) -> list[dict[str, JSON]]:
    try:
        calls = msgspec.convert(data.get("tool_calls", []), list[FunctionCall])
    except msgspec.ValidationError as error:
        msg = f"Anthropic's API takes no such tool calls: {error}"
        raise InvalidMessageError(msg) from None
    return [
        {"type": "tool_use", "id": call.id, "name": call.function.name, "input": _input(call.function.arguments)}
        for call in calls
    ]


def _input(arguments: str) -> dict[str, JSON]:
    """The object that the model wrote; what is none is wrapped, as Anthropic's documentation advises.

    See "Handling invalid JSON in tool responses" under
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming.
    """
    try:
        value = decode_json(arguments)
    except InvalidMessageError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _itself(block: dict[str, JSON]) -> dict[str, JSON]:
    return block


def _text(block: dict[str, JSON]) -> dict[str, JSON]:
    if not isinstance(block.get("text"), str):
        msg = f"a block of type {block['type']!r} needs a text"
        raise InvalidMessageError(msg)
    if block["type"] != "text":
        return {"type": "text", "text": block["text"]}
    return {key: value for key, value in block.items() if key != "prompt_cache_breakpoint"}


def _refusal(block: dict[str, JSON]) -> dict[str, JSON]:
    return _text(block | {"text": block.get("refusal")})


def _tool_result(block: dict[str, JSON]) -> dict[str, JSON]:
    """With a content only where it says something: a text, or blocks."""
    result = {key: value for key, value in block.items() if key != "content"}
    content = block.get("content") or []
    blocks = _blocks(content)
    return result | {"content": content if isinstance(content, str) else blocks} if blocks else result


def _image(block: dict[str, JSON]) -> dict[str, JSON]:
    url = members(block.get("image_url")).get("url")
    media_type, data = _data_of(url)
    if media_type in _IMAGES:
        source = {"type": "base64", "media_type": media_type, "data": data}
    elif isinstance(url, str) and url.startswith(("https://", "http://")):
        source = {"type": "url", "url": url}
    else:
        msg = f"Anthropic's API takes an image by its http URL, or as base64 of {', '.join(_IMAGES)}"
        raise InvalidMessageError(msg)
    return {"type": "image", "source": source}


def _file(block: dict[str, JSON]) -> dict[str, JSON]:
    file = members(block.get("file"))
    media_type, data = _data_of(file.get("file_data"))
    if media_type != _PDF:
        msg = f"Anthropic's API takes of OpenAI's files those with data, and of them {_PDF} as base64"
        raise InvalidMessageError(msg)
    document = {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": data}}
    return document | ({"title": file["filename"]} if "filename" in file else {})


def _data_of(url: JSON) -> tuple[str, str] | tuple[None, None]:
    """The media type and the base64 text of a data URL."""
    found = _data_url(url) if isinstance(url, str) else None
    return (found[1], found[2]) if found else (None, None)


def _refused(block: dict[str, JSON]) -> dict[str, JSON]:
    msg = f"Anthropic's API has no words for a block of type {block['type']!r}"
    raise InvalidMessageError(msg)


_data_url = re.compile("data:([^;,]+);base64,(.*)", re.DOTALL).fullmatch
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"

_BLOCKS: dict[str, Callable[[dict[str, JSON]], dict[str, JSON]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "input_text": _text,  # the Responses API's, as the next
    "output_text": _text,
    "tool_result": _tool_result,
    **dict.fromkeys(("input_audio", "input_image", "input_file"), _refused),
}
"""What Anthropic's API makes of OpenAI's blocks, and of its own that may hold such; others go out as they came."""
