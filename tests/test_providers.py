"""Conversations as providers take them, held against the types of their own SDKs."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, InvalidMessageError, ToolCall, Usage, encode_message
from sessionkit.providers import to_anthropic, to_openai
from tests.conversations import conversations
from tests.exchanges import (
    ANSWER,
    ANTHROPIC,
    ANTHROPIC_SYSTEM,
    CALLS,
    OPENAI,
    PDF,
    PIXEL,
    RESULTS,
    THOUGHTS,
    TOOL_USE,
    assert_accepted,
    gist,
    sayable,
)
from tests.strategies import message_objects, messages


def assert_all_accepted(conversation: list[ChatMessage]) -> None:
    """Both providers take the conversation."""
    assert_accepted(OPENAI, to_openai(conversation))
    sent = to_anthropic(conversation)
    assert sent.keys() <= {"system", "messages"}
    assert_accepted(ANTHROPIC, sent["messages"])
    if isinstance(sent.get("system", ""), list):
        assert_accepted(ANTHROPIC_SYSTEM, sent["system"])


@pytest.fixture(name="real", scope="module")
def _real() -> list[list[dict[str, Any]]]:
    found = list(conversations().values())
    if not found:
        pytest.skip("the real conversations are not here")
    return found


def test_real_conversations_go_out_to_openai_as_they_came(real: list[list[dict[str, Any]]]) -> None:
    """Nothing is lost but the names of tools, which the API does not take in their results."""
    for objects_ in real:
        sent = to_openai(map(ChatMessage.from_dict, objects_))
        assert_accepted(OPENAI, sent)
        assert sent == [
            {key: value for key, value in data.items() if (key, data["role"]) != ("name", "tool")} for data in objects_
        ]


def test_real_conversations_go_to_anthropic_and_back(real: list[list[dict[str, Any]]]) -> None:
    """As Anthropic's blocks and as OpenAI's messages again, they have the same texts, calls and results."""
    for objects_ in real:
        sent = to_anthropic(map(ChatMessage.from_dict, objects_))
        assert_accepted(ANTHROPIC, sent["messages"])
        back = to_openai(map(ChatMessage.from_dict, sent["messages"]))
        assert sent["system"] == objects_[0]["content"]
        assert [gist(data) for data in back] == [gist(data) for data in objects_[1:]]


@given(st.lists(sayable, max_size=4))
def test_what_both_can_say_goes_out_to_both(conversation: list[ChatMessage]) -> None:
    """In either shape, with all our bookkeeping and cut short anywhere, it is of the providers' types and no more."""
    assert_all_accepted(conversation)


@given(message_objects.map(ChatMessage.from_dict) | messages)
def test_any_message_goes_out_valid_or_not_at_all(message: ChatMessage) -> None:
    """To OpenAI, whatever it holds: in the provider's types, or refused; to Anthropic it has a role and a content."""
    with suppress(InvalidMessageError):
        assert_accepted(OPENAI, to_openai([message]))
    with suppress(InvalidMessageError):
        for sent in to_anthropic([message])["messages"]:
            assert sent.keys() == {"role", "content"}
            assert sent["role"] in {"user", "assistant"}
            assert sent["content"]


def test_our_bookkeeping_stays_here() -> None:
    """Of a message with every field set, who speaks and what is said go out."""
    message = ChatMessage.assistant(
        "Hello",
        name="bot",
        reasoning="hm",
        tool_metadata={"ms": 3},
        id="1",
        provider_response_id="2",
        status="incomplete",
        model="m",
        usage=Usage(1),
        extra={"finish_reason": "length", "unknown": 1},
    )
    assert message.to_anthropic() == {"role": "assistant", "content": "Hello"}
    assert message.to_openai() == {"role": "assistant", "content": "Hello", "name": "bot"}
    uncalled = ChatMessage.from_dict({"role": "assistant", "content": "Hello", "tool_calls": []})
    assert uncalled.to_openai() == {"role": "assistant", "content": "Hello"}  # an empty list of calls is refused


def test_openai_calls_become_anthropic_blocks() -> None:
    """Arguments that are no JSON object are wrapped; the results of one message's calls are one message."""
    later = ChatMessage.user("Thanks")
    assert to_anthropic([CALLS, *RESULTS, later]) == {
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "call_1", "name": "find", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "call_2", "name": "find", "input": {"INVALID_JSON": '{"city": "Ro'}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "Two flights"},
                    {"type": "tool_result", "tool_use_id": "call_2"},
                ],
            },
            {"role": "user", "content": "Thanks"},
        ]
    }


def test_results_of_two_rounds_stay_apart() -> None:
    """Only those that follow each other are of one assistant's message."""
    sent = to_anthropic([CALLS, *RESULTS, CALLS, *RESULTS])["messages"]
    assert [data["role"] for data in sent] == ["assistant", "user", "assistant", "user"]


def test_anthropic_blocks_become_openai_messages() -> None:
    """Calls become ``tool_calls``, results messages of their own before the rest, and thinking is left out."""
    results: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [{"type": "text", "text": "Two"}],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "toolu_2"},
        {"type": "text", "text": "Thanks", "cache_control": {"type": "ephemeral"}},
    ]
    user = ChatMessage.user(results)
    assert to_openai([ChatMessage.from_anthropic(ANSWER), user]) == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I look."}],
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "find", "arguments": '{"city":"Rome"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": [{"type": "text", "text": "Two"}]},
        {"role": "tool", "tool_call_id": "toolu_2", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "Thanks"}]},
    ]
    with pytest.raises(InvalidMessageError, match=r"3 messages at OpenAI; use sessionkit\.providers\.to_openai\(\)"):
        user.to_openai()
    assert ChatMessage.user(results[:1]).to_openai()["role"] == "tool"


def test_raw_blocks_are_the_content_for_anthropic() -> None:
    """They go back verbatim, whatever the other fields say; OpenAI gets those fields, where they say anything."""
    raw = [*THOUGHTS, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"z": 1, "a": 2}}]
    message = ChatMessage.assistant("In short", tool_calls=CALLS.tool_calls, raw_content_blocks=raw)
    assert message.to_anthropic() == {"role": "assistant", "content": raw}
    assert message.to_openai()["content"] == "In short"
    text: list[dict[str, Any]] = [{"type": "text", "text": "In short"}]
    assert ChatMessage.assistant("In short", raw_content_blocks=text).to_anthropic()["content"] == text
    calling = ChatMessage.assistant(tool_calls=CALLS.tool_calls, raw_content_blocks=raw).to_openai()
    assert [call["id"] for call in calling["tool_calls"]] == ["call_1", "call_2"]
    bare = ChatMessage.assistant(raw_content_blocks=[*THOUGHTS, TOOL_USE])
    assert bare.to_openai()["tool_calls"][0]["id"] == "toolu_1"


def test_calls_in_both_shapes_go_out_once() -> None:
    """A message may have some as fields and some as blocks; one that stands in both is one."""
    twice = ToolCall("toolu_1", "find", "{}")
    both = ChatMessage.assistant([TOOL_USE], tool_calls=[*CALLS.tool_calls, twice])
    assert [call["id"] for call in both.to_openai()["tool_calls"]] == ["call_1", "call_2", "toolu_1"]
    assert [block["id"] for block in both.to_anthropic()["content"]] == ["toolu_1", "call_1", "call_2"]


def test_pictures_and_documents_are_converted() -> None:
    """What both APIs have is in the other's shape there."""
    openai: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
    ]
    anthropic: list[dict[str, Any]] = [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "title": "a.pdf",
        },
    ]
    for content in (openai, anthropic):
        message = ChatMessage.user(content)
        assert message.to_openai() == {"role": "user", "content": openai}
        assert message.to_anthropic() == {"role": "user", "content": anthropic}


def test_what_is_said_of_a_document_goes_out_with_it() -> None:
    """OpenAI has a name for it; the rest is text, and so is a document that is text."""
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    plain = {"type": "text", "media_type": "text/plain", "data": "plain"}
    message = ChatMessage.user(
        [
            {"type": "document", "context": "old", "source": pdf},
            {"type": "document", "title": "A", "context": "new", "source": plain},
        ]
    )
    old, file, *texts_ = message.to_openai()["content"]
    assert (old["text"], file["file"]["filename"]) == ("old", "document.pdf")
    assert [part["text"] for part in texts_] == ["A", "new", "plain"]


def test_texts_of_the_responses_api_are_texts() -> None:
    """Its messages have a role, as those of chats, but types of their own for what was put in and out."""
    message = ChatMessage.user(
        [{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b", "logprobs": []}]
    )
    said = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert message.to_openai()["content"] == message.to_anthropic()["content"] == said


def test_system_messages_are_an_argument_of_their_own_at_anthropic() -> None:
    """Wherever they stand: one text, or blocks where one carries more than text."""
    conversation = [ChatMessage.system("Be kind."), ChatMessage.user("Hi"), ChatMessage("developer", "Be short.")]
    assert to_anthropic(conversation) == {
        "system": "Be kind.\n\nBe short.",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    cached = {"type": "text", "text": "Know this.", "cache_control": {"type": "ephemeral"}}
    sent = to_anthropic([*conversation, ChatMessage.system([cached])])["system"]
    assert sent == [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be short."}, cached]
    assert "system" not in to_anthropic(conversation[1:2])


def test_what_says_nothing_is_left_out() -> None:
    """Blank texts at Anthropic, and at both an answer cut short before or while thinking: the APIs refuse them."""
    blank = {"type": "text", "text": " \n"}
    silent = [
        ChatMessage.assistant(status="incomplete", reasoning="hm"),
        ChatMessage.assistant([], status="incomplete"),
    ]
    silent.append(ChatMessage.assistant([*THOUGHTS]))
    assert to_openai(silent) == []
    assert to_anthropic([*silent, ChatMessage.assistant(""), ChatMessage.user([blank])]) == {"messages": []}
    assert ChatMessage.assistant([*THOUGHTS, blank, TOOL_USE]).to_anthropic()["content"] == [*THOUGHTS, TOOL_USE]
    assert ChatMessage.assistant("", tool_calls=CALLS.tool_calls[:1]).to_anthropic()["content"][0]["type"] == "tool_use"
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t"}
    assert ChatMessage.user([result | {"content": [blank]}]).to_anthropic()["content"] == [result]
    for send in (silent[0].to_openai, silent[0].to_anthropic):
        with pytest.raises(InvalidMessageError, match=r"use sessionkit\.providers\.to_"):
            send()


def test_a_refusal_is_said() -> None:
    """It is what the assistant said, at Anthropic as a text."""
    message = ChatMessage.from_dict({"role": "assistant", "content": None, "refusal": "I can't."})
    assert message.to_openai() == {"role": "assistant", "content": None, "refusal": "I can't."}
    assert message.to_anthropic() == {"role": "assistant", "content": [{"type": "text", "text": "I can't."}]}


def _user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


REFUSALS: dict[str, tuple[dict[str, Any], Callable[[ChatMessage], Any], str]] = {
    "an item without a role": ({"role": "sessionkit.item"}, ChatMessage.to_openai, "the role 'sessionkit.item'"),
    "a role of others": ({"role": "model", "content": "a"}, ChatMessage.to_anthropic, "the role 'model'"),
    "a Responses item": (
        {"role": "assistant", "type": "function_call", "name": "f"},
        ChatMessage.to_openai,
        "type 'function_call' is no chat message",
    ),
    "no content": ({"role": "user", "parts": ["a"]}, ChatMessage.to_anthropic, "role 'user' needs content"),
    "content of another type": ({"role": "user", "content": 5}, ChatMessage.to_anthropic, "not int"),
    "calls of a user": (
        {"role": "user", "content": "a", "tool_calls": [1]},
        ChatMessage.to_openai,
        "role 'user' has no 'tool_calls'",
    ),
    "a block without a type": (_user({"text": "a"}), ChatMessage.to_openai, "an object with a text 'type'"),
    "a text without text": (_user({"type": "text"}), ChatMessage.to_anthropic, "type 'text' needs a text"),
    "a picture from Anthropic's files": (
        _user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        ChatMessage.to_openai,
        "an image by its URL or as base64",
    ),
    "a document by its URL": (
        _user({"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}),
        ChatMessage.to_openai,
        "a document as text or as a PDF in base64",
    ),
    "a server's tool": (
        {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]},
        ChatMessage.to_openai,
        "'server_tool_use'",
    ),
    "a picture as the result of a tool": (
        _user(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}],
            }
        ),
        ChatMessage.to_openai,
        "role 'tool'.*'image_url'",
    ),
    "sound": (
        _user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        ChatMessage.to_anthropic,
        "a block of type 'input_audio'",
    ),
    "an answer that is sound": ({"role": "assistant", "audio": {"id": "a"}}, ChatMessage.to_anthropic, "'audio'"),
    "a picture of another format": (
        _user({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}),
        ChatMessage.to_anthropic,
        "base64 of image/jpeg",
    ),
    "a picture from OpenAI's files": (
        _user({"type": "file", "file": {"file_id": "file-1"}}),
        ChatMessage.to_anthropic,
        "application/pdf as base64",
    ),
    "a file that is no PDF": (
        _user({"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,AA=="}}),
        ChatMessage.to_anthropic,
        "application/pdf as base64",
    ),
    "calls that are none": (
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "tool_calls": 5},
        ChatMessage.to_openai,
        r"\$\.tool_calls",
    ),
    "a custom tool's call": (
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "a"}}]},
        ChatMessage.to_anthropic,
        "'custom'",
    ),
    "a function's result": (
        {"role": "function", "name": "f", "content": "a"},
        ChatMessage.to_anthropic,
        "without the id of the call",
    ),
    "a tool's result without its call": ({"role": "tool", "content": "a"}, ChatMessage.to_openai, "`tool_call_id`"),
    "a tool's result without its call, at Anthropic": (
        {"role": "tool", "content": "a"},
        ChatMessage.to_anthropic,
        "without the id of the call",
    ),
    "a system message by itself": ({"role": "system", "content": "a"}, ChatMessage.to_anthropic, "a system message"),
    "a system's picture": (
        {"role": "system", "content": [{"type": "image", "source": {}}]},
        lambda message: to_anthropic([message]),
        "nothing but text",
    ),
}


@pytest.mark.parametrize(("data", "send", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_can_not_be_said_is_refused_by_name(
    data: dict[str, Any], send: Callable[[ChatMessage], Any], said: str
) -> None:
    """Nothing is dropped in silence, and nothing is sent that the API is known to refuse."""
    with pytest.raises(InvalidMessageError, match=said):
        send(ChatMessage.from_dict(data))


@pytest.mark.parametrize("send", [to_openai, to_anthropic])
def test_a_dict_is_no_message(send: Callable[[Any], Any]) -> None:
    """The error says what makes a message of it."""
    with pytest.raises(TypeError, match=r"not dict; ChatMessage\.from_dict\(\) makes one"):
        send([{"role": "user", "content": "a"}])


def test_nothing_is_shared_with_what_goes_out() -> None:
    """Changing it changes no message, merged results included."""
    message = ChatMessage.assistant([*THOUGHTS, TOOL_USE], raw_content_blocks=[TOOL_USE])
    before = encode_message(message)
    message.to_anthropic()["content"][0]["input"]["city"] = "Oslo"
    message.to_openai()["tool_calls"].clear()
    assert encode_message(message) == before
