"""Messages as OpenAI's Chat Completions API takes them.

The structs are the whitelist: the members of ``openai.types.chat.ChatCompletion*MessageParam`` (openai 3.52). What they
don't name is left out, and what lacks something they need, or is of a type that the API has not, is refused.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sessionkit.codec import encode_json
from sessionkit.errors import InvalidMessageError
from sessionkit.messages import JSON, ChatMessage
from sessionkit.providers.common import ANSWERING, kind_of, said
from sessionkit.speaking import THINKING


class _CacheBreakpoint(Struct):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | UnsetType = UNSET


class _Part(Struct, tag_field="type", kw_only=True):
    prompt_cache_breakpoint: _CacheBreakpoint | UnsetType = UNSET


class _Text(_Part, tag="text"):
    text: str


class _ImageURL(Struct):
    url: str
    detail: Literal["auto", "low", "high", "original"] | UnsetType = UNSET


class _Image(_Part, tag="image_url"):
    image_url: _ImageURL


class _Audio(Struct):
    data: str
    format: Literal["wav", "mp3"]


class _InputAudio(_Part, tag="input_audio"):
    input_audio: _Audio


class _FileData(Struct):
    file_data: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET


class _File(_Part, tag="file"):
    file: _FileData


class _Refusal(Struct, tag_field="type", tag="refusal"):
    refusal: str


class Function(Struct):
    """What an assistant calls, and with which arguments."""

    name: str
    arguments: str


class FunctionCall(Struct, tag_field="type", tag="function"):
    """A tool call."""

    id: str
    function: Function


class _Custom(Struct):
    name: str
    input: str


class _CustomCall(Struct, tag_field="type", tag="custom"):
    id: str
    custom: _Custom


class _AnswerAudio(Struct):
    id: str


class _System(Struct, tag_field="role", tag="system"):
    content: str | list[_Text]
    name: str | UnsetType = UNSET


class _Developer(_System, tag="developer"):
    pass


class _User(Struct, tag_field="role", tag="user"):
    content: str | list[_Text | _Image | _InputAudio | _File]
    name: str | UnsetType = UNSET


class _Assistant(Struct, tag_field="role", tag="assistant"):
    content: str | list[_Text | _Refusal] | None = None
    name: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    audio: _AnswerAudio | UnsetType = UNSET
    function_call: Function | UnsetType = UNSET
    tool_calls: list[FunctionCall | _CustomCall] | UnsetType = UNSET


class _Tool(Struct, tag_field="role", tag="tool"):
    content: str | list[_Text]
    tool_call_id: str


class _FunctionResult(Struct, tag_field="role", tag="function"):
    name: str
    content: str | None = None


_Message = _System | _Developer | _User | _Assistant | _Tool | _FunctionResult


def to_openai(messages: Iterable[ChatMessage]) -> list[dict[str, JSON]]:
    """A conversation as the ``messages`` of OpenAI's ``client.chat.completions.create``; shares nothing with it.

    A message in Anthropic's shape may become several: one of role ``tool`` for each of its ``tool_result`` blocks, then
    one for the rest. An assistant's ``tool_use`` blocks become ``tool_calls``. An assistant's message that says
    nothing, such as one that was cut short while thinking, is left out.

    That each tool call has its results right after it is for the caller to see to.

    Raises:
        TypeError: one is no message.
        InvalidMessageError: one says something that the API has no words for, such as a document by its URL, lacks
            what the API needs, or has a role that it does not know.
    """
    return [sent for message in messages for sent in _messages(message)]


def to_openai_message(message: ChatMessage) -> dict[str, JSON]:
    """`ChatMessage.to_openai`."""
    sent = _messages(message)
    if len(sent) != 1:
        count = f"{len(sent)} messages" if sent else "no message"
        msg = f"this message is {count} at OpenAI; use sessionkit.providers.to_openai() for all of a conversation"
        raise InvalidMessageError(msg)
    return sent[0]


def _messages(message: ChatMessage) -> list[dict[str, JSON]]:
    data = said(message)
    role = data["role"]
    blocks = data.get("content")
    if blocks is None and "tool_calls" not in data:
        blocks = data.get("raw_content_blocks")
    results: list[dict[str, JSON]] = []
    if isinstance(blocks, list):
        tools = [block for block in blocks if kind_of(block) == _TOOL_BLOCKS.get(role)]
        data["content"] = _parts([block for block in blocks if kind_of(block) != _TOOL_BLOCKS.get(role)])
        if role == "user":
            results = [_result(block) for block in tools]
        elif isinstance(calls := data.setdefault("tool_calls", []), list):
            known = [call.id for call in message.tool_calls]
            calls += [_call(block) for block in tools if block.get("id") not in known]
        data = {key: value for key, value in data.items() if value != []}
    if role == "tool":
        data.setdefault("content", "")
    if data.keys().isdisjoint({"content"} | ANSWERING) and (role == "assistant" or isinstance(blocks, list)):
        return results
    return [*results, _accepted(data)]


def _accepted(data: dict[str, JSON]) -> dict[str, JSON]:
    """What of the message the API accepts."""
    try:
        accepted: dict[str, JSON] = msgspec.to_builtins(msgspec.convert(data, _Message))
    except msgspec.ValidationError as error:
        msg = f"OpenAI's API takes no such message of role {data['role']!r}: {error}"
        raise InvalidMessageError(msg) from None
    return accepted


def _call(block: dict[str, JSON]) -> dict[str, JSON]:
    arguments = encode_json(block.get("input", {}), "the input of a tool call").decode()
    return {"type": "function", "id": block.get("id"), "function": {"name": block.get("name"), "arguments": arguments}}


def _result(block: dict[str, JSON]) -> dict[str, JSON]:
    content = block.get("content")
    if isinstance(content, list):
        content = _parts(content)
    return _accepted({"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": content or ""})


def _parts(blocks: list[JSON]) -> list[JSON]:
    """The blocks as parts of OpenAI's content; what is none yet is left for `_accepted` to take or refuse."""
    return [part for block in blocks for part in _PARTS.get(kind_of(block), _itself)(block)]


def _itself(block: dict[str, JSON]) -> list[JSON]:
    return [block]


def _nothing(_: dict[str, JSON]) -> list[JSON]:
    return []


def _texts(*texts: JSON) -> list[JSON]:
    return [{"type": "text", "text": text} for text in texts if text]


def _text(block: dict[str, JSON]) -> list[JSON]:
    return _texts(block.get("text"))


def _image(block: dict[str, JSON]) -> list[JSON]:
    match block.get("source"):
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            url = f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)}:
            pass
        case _:
            msg = "OpenAI's API takes an image by its URL or as base64, not from another source"
            raise InvalidMessageError(msg)
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: dict[str, JSON]) -> list[JSON]:
    title, context = block.get("title"), block.get("context")
    match block.get("source"):
        case {"type": "base64", "media_type": "application/pdf", "data": str(data)}:
            file = {"filename": title or "document.pdf", "file_data": f"data:application/pdf;base64,{data}"}
            return [*_texts(context), {"type": "file", "file": file}]
        case {"type": "text", "data": str(data)}:
            return _texts(title, context, data)
        case _:
            msg = "OpenAI's API takes a document as text or as a PDF in base64, not from another source"
            raise InvalidMessageError(msg)


_PARTS: dict[str, Callable[[dict[str, JSON]], list[JSON]]] = {
    "image": _image,
    "document": _document,
    **dict.fromkeys(THINKING, _nothing),
    "input_text": _text,  # the Responses API's, as the next
    "output_text": _text,
}

_TOOL_BLOCKS = {"assistant": "tool_use", "user": "tool_result"}
"""The blocks that have a place of their own at OpenAI, outside of the content."""
