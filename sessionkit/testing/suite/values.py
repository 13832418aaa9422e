"""Keys, texts and messages that stores have been known to change, confuse or choke on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from sessionkit import ChatMessage, ToolCall, Usage

HOSTILE_TEXTS = (
    "",
    " ",
    "\n",
    "a\0b",
    "\0",
    "".join(map(chr, range(0x20))) + "\x7f\x80\x9f",
    "a\r\nb\rc\nd\u2028e\u2029f\x85g\x1eh",
    " space around ",
    "\ufeffbyte order mark",
    "e\u0301 is not \u00e9",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\U0010ffff \ufffe \uffff \ue000 \ud7ff",
    "\u202eright to left\u202c \u0627\u0644",
    "'; DROP TABLE sessions; -- \" ` \\ \\n \\u0000 %s %00 {} ${x}",
    '{"role": "user", "content": "json"}',
    "null",
    "x" * 65_536,
)
"""Texts that must come back as they are."""

HOSTILE_KEYS = (
    *(
        "a",
        "A",
        "\u00e4",
        "a\u0308",
        "\u00c4",
        "A\u0308",
        "\u00df",
        "ss",
        "SS",
        "\u1e9e",
        "\ufb01",
        "fi",
        "\u0130",
        "i\u0307",
    ),
    *("a/../b", "b", "../a", "../../etc/passwd", "/etc/passwd", "a/b", "a//b", "a/./b", "a/", "/a", "/", "//", "a\\b"),
    *(
        "C:\\a",
        "C:",
        "\\\\host\\a",
        "~",
        "~root",
        ".",
        "..",
        "...",
        ".a",
        "a.",
        "a..",
        "a ",
        " a",
        " ",
        "\u00a0",
        "a\u200b",
    ),
    *("CON", "con", "Con", "NUL", "nul.txt", "AUX", "COM1", "LPT1", "PRN", "desktop.ini", "Thumbs.db", ".git", ".lock"),
    *("a\n", "\n", "\r", "a\tb", "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeffa", "\U0010ffff", "\ue000"),
    *(
        "%",
        "%41",
        "%2F",
        "a%00b",
        "a%2Fb",
        "a+b",
        "a b",
        "a&b=c",
        "a?b",
        "a#b",
        "a:b",
        "a;b",
        "a,b",
        "a|b",
        "a*",
        "*",
        "?",
    ),
    *(
        "[a]",
        "{a}",
        "<a>",
        "$a",
        "`a`",
        "'",
        '"',
        "''",
        "'; DROP TABLE sessions; --",
        "\\",
        "-",
        "--",
        "-rf",
        "_",
        "a_b",
    ),
    *("0", "00", "1", "01", "1.0", "-1", "1e3", "null", "None", "true", "NaN", "undefined", "__proto__", "__init__"),
    *("a.jsonl", "a.json", "a.db", "a.corrupt", "a.tmp", "sessions", "messages", "index", "key:a", "session:a"),
    *("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f469", "\u6771\u4eac", "\u0627", "\U0001d4d0"),
    *("x" * 200, "x" * 255, "x" * 256, "X" * 256, "x" * 1023 + "y", "x" * 1024, "\u00e9" * 512, "\U0001f600" * 256),
    "/".join("d" * 9 for _ in range(100)),
)
"""Keys that must be sessions of their own, each of them."""

ALIKE_KEYS = (
    *("a", "A", "\u00e4", "a\u0308", "\u00df", "ss", "\ufb01", "fi", "a ", "a.", "a/../b", "b", "a%", "a_", "a*"),
    *("k" * 255 + end for end in ("", "x", "y")),
    *("k" * 1023 + end for end in "xy"),
    *("\U0001f600" * 255 + end for end in "xy"),
)
"""Keys that a second table, an index or a collation has been known to take for each other."""

REFUSED_KEYS: tuple[Any, ...] = (
    *("", "\0", "a\0b", "a\0", "x" * 1025, "x" * 2000, "\u00e9" * 513, "\U0001f600" * 256 + "x", "\ud800", "a\udfff"),
    *(None, 1, b"a", ["a"]),
)
"""What is no key."""

OPENAI: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city": "Paris"', "strict": True},
            "index": 0,
        },
        {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": ""}},
    ],
    "usage": {"input_tokens": 12, "output_tokens": 0, "cost_usd": 0.1},
}
ANTHROPIC: dict[str, Any] = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Let me look.", "citations": None},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "get_weather",
            "input": {"city": "Paris", "days": [1, 2.5, None]},
        },
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [{"type": "text", "text": "sunny"}],
            "is_error": False,
        },
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "service_tier": "standard"},
}
RESPONSES: dict[str, Any] = {
    "role": "assistant",
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "logprobs": [], "annotations": [{"index": 3}]}],
}
CUSTOM_CALL: dict[str, Any] = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}],
    "content": 7,
    "name": None,
    "": {"": [{}]},
    "timestamp": "yesterday",
}
PROVIDER_MESSAGES = (OPENAI, ANTHROPIC, RESPONSES, CUSTOM_CALL)
"""Messages in the shapes that providers exchange, odd ones included."""

EVERY_FIELD = ChatMessage(
    "assistant",
    [{"type": "text", "text": "all"}],
    name="n",
    tool_calls=(ToolCall("1", "tool", "{}", {"index": 0}),),
    tool_call_id="2",
    reasoning="because",
    raw_content_blocks=[{"type": "thinking"}],
    tool_metadata={"took": 1.5},
    timestamp=datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    id="3",
    provider_response_id="4",
    status="done",
    model="m",
    usage=Usage(1, 2, 3, 4, 5, 0.125),
    extra={"x": [1, True, None, {"y": "z"}], "n": None},
)
"""A message with a value in each of its fields."""


def nested(levels: int) -> list[Any]:
    """That many lists inside each other."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


REFUSED_MESSAGES: dict[str, Callable[[], Any]] = {
    "NaN": lambda: ChatMessage("user", "a", extra={"x": float("nan")}),
    "infinity": lambda: ChatMessage("user", "a", tool_metadata={"x": [float("-inf")]}),
    "bytes": lambda: ChatMessage("user", "a", extra={"x": b"a"}),
    "a tuple": lambda: ChatMessage("user", "a", extra={"x": (1, 2)}),
    "a set": lambda: ChatMessage("user", "a", extra={"x": {1}}),
    "a datetime": lambda: ChatMessage("user", "a", extra={"x": datetime(2024, 1, 1, tzinfo=UTC)}),
    "an object": lambda: ChatMessage("user", "a", extra={"x": object()}),
    "a key that is no text": lambda: ChatMessage("user", [{"type": "text", "text": "a", "x": {1: "a"}}]),
    "a lone surrogate in the content": lambda: ChatMessage("user", "a\ud800"),
    "a lone surrogate in a key": lambda: ChatMessage("user", "a", extra={"\udfff": 1}),
    "a lone surrogate in a tool call": lambda: ChatMessage(
        "assistant", None, tool_calls=(ToolCall("1", "\ud800", ""),)
    ),
    "an extra that repeats a field": lambda: ChatMessage("user", "a", extra={"content": "b"}),
    "an extra that repeats the role": lambda: ChatMessage("user", "a", extra={"role": "user"}),
    "an extra that stands for an absent field": lambda: ChatMessage("user", "a", extra={"name": "b"}),
    "an integer of 4,301 digits": lambda: ChatMessage("user", "a", extra={"x": 10**4300}),
    "nesting of 201 levels": lambda: ChatMessage("user", "a", extra={"x": nested(200)}),
    "nesting of 10,000 levels": lambda: ChatMessage("user", "a", extra={"x": nested(10_000)}),
    "a role that is no text": lambda: ChatMessage(7, "a"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- the mistake to be refused
    "content of another type": lambda: ChatMessage("user", 7),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- likewise
    "a naive timestamp": lambda: ChatMessage("user", "a", timestamp=datetime(2024, 1, 1)),  # noqa: DTZ001 -- likewise
    "a dict": lambda: {"role": "user", "content": "a"},
}
"""What JSON can't hold exactly, or no backend stores, by name."""

TOO_LARGE = 64 * 1024 * 1024
"""How many characters are more than fit into a message, whose JSON has at most as many bytes."""

ELSEWHERE = timezone(timedelta(hours=-9, minutes=-30))
"""A timezone that is not UTC."""


def exact(value: Any) -> str:
    """A text that differs wherever two JSON values differ at all: True is not 1, and 1 is not 1.0."""
    return json.dumps(value, sort_keys=True)


def assert_same(found: ChatMessage, wanted: ChatMessage) -> None:
    """Two messages are equal, to the types of their numbers."""
    assert found == wanted
    assert exact(found.to_dict()) == exact(wanted.to_dict())


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(HOSTILE_TEXTS[:-1])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value."""

_KNOWN = st.sampled_from(
    [
        *(
            "content",
            "name",
            "tool_calls",
            "tool_call_id",
            "reasoning",
            "raw_content_blocks",
            "tool_metadata",
            "timestamp",
        ),
        *("id", "provider_response_id", "status", "model", "usage"),
    ],
)
JSON_MESSAGES: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda role, shape, fields: {**shape, **fields, "role": role},
    _TEXT,
    st.just({}) | st.sampled_from(PROVIDER_MESSAGES),
    st.dictionaries(_KNOWN | _TEXT, JSON_VALUES, max_size=5),
)
"""Any JSON object with a text role."""
