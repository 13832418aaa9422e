"""What goes to providers and what they answer, to draw from, and the types of their SDKs to hold it against."""

import json
from typing import Any

from anthropic.types import MessageParam, TextBlockParam
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from sessionkit import ChatMessage, ToolCall, Usage
from tests.strategies import objects, texts

OPENAI = TypeAdapter[Any](list[ChatCompletionMessageParam])
ANTHROPIC = TypeAdapter[Any](list[MessageParam])
ANTHROPIC_SYSTEM = TypeAdapter[Any](list[TextBlockParam])


def drained(value: Any) -> Any:
    """The value with each of pydantic's lazy lists read, which is when it checks them."""
    if isinstance(value, dict):
        return {key: drained(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str | int | float) else [drained(item) for item in value]


def assert_accepted(adapter: TypeAdapter[Any], sent: Any) -> None:
    """The value is of the SDK's type, and has no member that the type has not: validating leaves those out."""
    assert drained(adapter.validate_python(sent)) == sent


def gist(message: dict[str, Any]) -> tuple[Any, ...]:
    """What an OpenAI message says: who, its texts, its calls with their arguments parsed, and what it answers."""
    content = message.get("content") or ""
    said = content if isinstance(content, str) else "".join(part["text"] for part in content)
    called = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", ())
    ]
    return message["role"], said, called, message.get("tool_call_id")


PIXEL = "iVBORw0KGgo="
PDF = "JVBERi0="
CALLS = ChatMessage.assistant(
    "I look.",
    tool_calls=[ToolCall("call_1", "find", '{"city": "Rome"}'), ToolCall("call_2", "find", '{"city": "Ro')],
)
RESULTS = [ChatMessage.tool("Two flights", tool_call_id="call_1"), ChatMessage.tool("", tool_call_id="call_2")]
THOUGHTS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Which city?", "signature": "EqQBCgIYAhIM"},
    {"type": "redacted_thinking", "data": "EmwKAhgB"},
]
TOOL_USE: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"city": "Rome"}}

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "reasoning_content": "Which city?",
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 15},
    },
}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [*THOUGHTS, {"type": "text", "text": "I look.", "citations": None}, TOOL_USE],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 30,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 60,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 15},
        "service_tier": "standard",
    },
}
CONTAINER = {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}

bookkeeping = st.fixed_dictionaries(
    {},
    optional={
        "id": texts,
        "status": st.sampled_from(["incomplete", "completed"]),
        "reasoning": texts,
        "model": texts,
        "provider_response_id": texts,
        "tool_metadata": objects,
        "usage": st.builds(Usage, st.integers(0, 9)),
        "timestamp": st.none(),
        "extra": st.dictionaries(texts.map("x_{}".format), objects, max_size=2),
    },
)
cache_marks: list[dict[str, Any]] = [
    {},
    {"cache_control": {"type": "ephemeral"}},
    {"prompt_cache_breakpoint": {"mode": "explicit"}},
]
text_blocks = st.builds(lambda text, mark: {"type": "text", "text": text} | mark, texts, st.sampled_from(cache_marks))
pictures = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {
            "type": "document",
            "title": "A",
            "context": "B",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
    ]
)
answer_blocks = st.one_of(
    text_blocks,
    st.sampled_from(THOUGHTS),
    st.builds(lambda given: TOOL_USE | {"input": given}, objects),
)
result_blocks = st.builds(
    lambda content: {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, "is_error": True},
    texts | st.lists(text_blocks, max_size=2),
)
tool_calls = st.builds(ToolCall, st.just("call_1"), texts, texts | objects.map(json.dumps), st.just({"index": 0}))
sayable = st.one_of(
    st.builds(
        lambda content, kept: ChatMessage("system", content, **kept),
        texts | st.lists(text_blocks, min_size=1),
        bookkeeping,
    ),
    st.builds(
        lambda content, kept: ChatMessage("user", content, **kept),
        texts | st.lists(text_blocks | pictures | result_blocks, min_size=1, max_size=3),
        bookkeeping,
    ),
    st.builds(
        lambda content, calls, kept: ChatMessage("assistant", content, tool_calls=calls, **kept),
        st.none() | texts | st.lists(answer_blocks, max_size=3),
        st.lists(tool_calls, max_size=2),
        bookkeeping,
    ),
    st.builds(
        lambda content, kept: ChatMessage("tool", content, tool_call_id="call_1", **kept),
        st.none() | texts | st.lists(text_blocks, max_size=2),
        bookkeeping,
    ),
)
