"""Answers of providers, as dicts and as objects of their SDKs, become messages that go back as they came."""

import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from sessionkit import ChatMessage, InvalidMessageError, ToolCall, Usage, decode_message, encode_message
from tests.exchanges import ANSWER, COMPLETION, CONTAINER
from tests.test_imports import imported_by


def test_an_answer_of_openai_is_kept_and_goes_back() -> None:
    """With what came around it; what goes out again is the message alone."""
    before = datetime.now(UTC)
    message = ChatMessage.from_openai(COMPLETION)
    assert before <= (message.timestamp or before) <= datetime.now(UTC)
    assert (message.role, message.content, message.model) == ("assistant", None, "gpt")
    assert message.provider_response_id == "chatcmpl-1"
    assert message.tool_calls == (ToolCall("call_1", "find", "{}"),)
    assert message.usage == Usage(100, 20, cache_read_tokens=60, reasoning_tokens=15)
    assert message.extra == {
        "content": None,
        "created": 1,
        "service_tier": "default",
        "finish_reason": "tool_calls",
        "logprobs": None,
        "refusal": None,
        "annotations": [],
        "reasoning_content": "Which city?",
    }
    sent = message.to_openai()
    said = COMPLETION["choices"][0]["message"]
    assert sent == {key: said[key] for key in ("role", "content", "tool_calls")}
    assert decode_message(encode_message(message)) == message


def test_an_answer_of_anthropic_is_kept_and_goes_back() -> None:
    """Its blocks as they were, signed thinking first, and what came around them."""
    message = ChatMessage.from_anthropic(ANSWER)
    assert message.content == ANSWER["content"]
    assert (message.role, message.model, message.reasoning) == ("assistant", "claude", None)
    assert (message.id, message.provider_response_id) == (None, "msg_1")
    assert message.usage == Usage(100, 20, 10, 60, 15)
    assert message.extra == {
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "provider_usage": ANSWER["usage"],  # for its tier
    }
    assert decode_message(encode_message(message)).to_anthropic() == {"role": "assistant", "content": ANSWER["content"]}


def test_an_object_of_the_sdk_is_as_good_as_its_json() -> None:
    """With what the API sent and no more, though the SDK's class has more members, or does not know some."""

    def kept(message: ChatMessage) -> dict[str, Any]:
        return {key: value for key, value in message.to_dict().items() if key != "timestamp"}

    completion = ChatCompletion.construct(None, **COMPLETION)
    assert kept(ChatMessage.from_openai(completion)) == kept(ChatMessage.from_openai(COMPLETION))
    said = COMPLETION["choices"][0]["message"]
    assert kept(ChatMessage.from_openai(completion.choices[0].message)) == kept(ChatMessage.from_openai(said))
    blocks = [*ANSWER["content"], {"type": "yet_unknown", "x": 1}]
    answer: dict[str, Any] = ANSWER | {"content": blocks, "container": CONTAINER}
    for other in (Message.construct(None, **answer), SimpleNamespace(to_dict=lambda: answer)):
        assert kept(ChatMessage.from_anthropic(other)) == kept(ChatMessage.from_anthropic(answer))


def test_usages_of_both_can_be_added_up() -> None:
    """The same answer, as each reports it, took the same; what is derived from the rest says no more than it."""
    for usage in (ChatMessage.from_openai(COMPLETION).usage, ChatMessage.from_anthropic(ANSWER).usage):
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (100, 20, 60)
    more = COMPLETION | {"usage": COMPLETION["usage"] | {"total_tokens": 130}}
    assert ChatMessage.from_openai(more).extra["provider_usage"] == more["usage"]
    odd = ChatMessage.from_openai(COMPLETION | {"usage": {"prompt_tokens": 1.5, "completion_tokens": 2}})
    assert (odd.usage, odd.extra["provider_usage"]["prompt_tokens"]) == (Usage(output_tokens=2), 1.5)
    for nothing in (None, {}, {"prompt_tokens": None}):
        assert ChatMessage.from_openai(COMPLETION | {"usage": nothing}).usage is None


NO_ANSWERS: dict[str, tuple[Any, type[Exception], str]] = {
    "no choice": (COMPLETION | {"choices": []}, InvalidMessageError, "no choice"),
    "a piece of a stream": (
        {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "a"}}]},
        InvalidMessageError,
        "put the pieces together",
    ),
    "a response": ({"object": "response", "output": []}, InvalidMessageError, r"ConversationSession\.add_items\(\)"),
    "no message": ({"content": [{"type": "text", "text": "a"}]}, InvalidMessageError, "role"),
    "a text": ("Hello", TypeError, "not str"),
}


@pytest.mark.parametrize(("answer", "error", "said"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_is_refused(answer: Any, error: type[Exception], said: str) -> None:
    """The error says what an answer is, or what takes this one."""
    with pytest.raises(error, match=said):
        ChatMessage.from_openai(answer)


def test_what_is_no_message_of_anthropic_is_refused() -> None:
    """An event of a stream, say."""
    with pytest.raises(InvalidMessageError, match="a list of content blocks"):
        ChatMessage.from_anthropic({"type": "message_start", "message": ANSWER})


def test_providers_cost_nobody_else_anything() -> None:
    """`sessionkit` imports no converting until it is asked for, and converting imports no SDK."""
    program = "import sessionkit, sys; print([name for name in sys.modules if 'provider' in name])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "[]\n"
    assert not {"openai", "anthropic", "pydantic"} & imported_by("sessionkit.providers")
