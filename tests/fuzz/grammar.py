"""JSON, messages and what comes near them, made of an input's choices."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sessionkit import ChatMessage, ToolCall, Usage
from tests.fuzz.source import Source

TEXT_FIELDS = ("name", "tool_call_id", "reasoning", "id", "provider_response_id", "status", "model")
FIELDS = (*TEXT_FIELDS, "content", "tool_calls", "raw_content_blocks", "tool_metadata", "timestamp", "usage", "extra")

_NUMBERS = (
    *("0", "-0", "1", "-1", "0.0", "-0.0", "1.0", "1e0", "1E+2", "1e400", "-1e400", "1e-400", "0.1", "5e-324"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809"),
    *("1" + "0" * 30, "01", "+1", "1.", ".1", "0x1", "NaN", "Infinity", "-Infinity", "1.7976931348623157e308"),
    *("9" * 4300, "9" * 4301, "1" + "0" * 400 + ".5", "123456789.123456789123456789"),
)
_TEXTS = (r"\ud800", r"\udc00", r"\ud83d\ude00", r"\u0000", r"\"", r"\/", r"\b\f\n\r\t", "\\x", "\u2028", "~", "role")
_SPACES = ("", "", "", " ", "\n", "\t", "\r", "\v", "\ufeff", ",")

_COUNTS = ("input_tokens", "output_tokens", "cost_usd", "reasoning_tokens", "total")

TIMES = (
    *("2025-01-02T03:04:05Z", "2025-01-02T03:04:05.000006Z", "2025-01-02T03:04:05.000000Z", "2025-01-02T24:00:00Z"),
    *("2025-02-30T00:00:00Z", "2025-01-02T03:04:60Z", "2025-01-02T03:04:05", "2025-01-02 03:04:05Z", "0001-01-01T"),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2025-01-02T03:04:05.1Z", "2025-01-02T03:04:05+00:00"),
    *("2025-01-02T03:04:05z", "\u0662025-01-02T03:04:05Z", "2025-01-02T03:04:05Z\n", "2025-W01-1T00:00:00Z"),
)


def json_text(source: Source, depth: int = 0) -> str:
    """JSON or nearly: spellings that another writer may choose, and some that are none."""
    kind = source.below(9 if depth < 5 else 5)
    space = source.pick(_SPACES) if source.chance(8) else ""
    if kind <= 1:
        return space + source.pick(("null", "true", "false", "nul", "True", ""))
    if kind == 2:
        return space + source.pick(_NUMBERS)
    if kind <= 4:
        return space + _text(source)
    if kind == 5:
        return f"{space}[{','.join(json_text(source, depth + 1) for _ in range(source.below(4)))}]"
    if kind == 6:
        levels = source.pick((1, 2, 30, 198, 199, 200, 201, 900, 3000))
        left, right = source.pick((("[", "]"), ('{"a":', "}")))
        return left * levels + json_text(source, 9) + right * levels
    return f"{space}{{{','.join(_member(source, depth) for _ in range(source.below(5)))}}}"


def message_text(source: Source) -> str:
    """A JSON object with a role, written by anybody."""
    members = [f'"role":{_text(source)}', *(_member(source, 1) for _ in range(source.below(6)))]
    if source.chance(4):
        members.append(members[source.below(len(members))])
    if source.chance(4):
        members.reverse()
    return f"{{{','.join(members)}}}"


def _member(source: Source, depth: int) -> str:
    key = json.dumps(source.pick(("role", "~", *FIELDS))) if source.chance(2) else _text(source)
    if source.chance(2):
        return f"{key}:{json.dumps(usual(source, key.strip(chr(34))))}"
    return f"{key}:{json_text(source, depth + 1)}"


def _text(source: Source) -> str:
    if source.chance(4):
        return f'"{source.pick(_TEXTS)}"'
    return json.dumps(source.text(), ensure_ascii=source.chance(2))


def value(source: Source, depth: int = 0, *, foreign: bool = False) -> Any:
    """A JSON value; with `foreign`, or something that JSON has no room for."""
    if foreign and source.chance(8):
        return source.pick(
            (float("nan"), float("inf"), b"bytes", (1, 2), {1: 2}, {1}, "\ud800", {"\udfff": 1}, 10**4300, object())
        )
    kind = source.below(8 if depth < 4 else 6)
    if kind == 0:
        return source.pick((None, True, False, "", 0, 1, 1.0, -0.0, [], {}))
    if kind == 1:
        return source.pick((2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**4299, 0.1, 5e-324, 1e308, -1))
    if kind <= 5:
        return source.text()
    if kind == 6:
        return [value(source, depth + 1, foreign=foreign) for _ in range(source.below(4))]
    return {source.text(4): value(source, depth + 1, foreign=foreign) for _ in range(source.below(4))}


def usual(source: Source, field: str) -> Any:
    """What usually stands in a field, and now and then not."""
    if source.chance(6):
        return value(source)
    makers: dict[str, Callable[[], Any]] = {
        "content": lambda: source.text(40) if source.chance(2) else [block(source) for _ in range(source.below(4))],
        "tool_calls": lambda: [_call(source) for _ in range(source.below(4))],
        "raw_content_blocks": lambda: [block(source) for _ in range(source.below(3))],
        "tool_metadata": lambda: {source.text(4): value(source, 2) for _ in range(source.below(3))},
        "timestamp": lambda: source.pick(TIMES),
        "usage": lambda: {
            source.pick(_COUNTS): source.pick((0, 1, 2**70, 0.5, 1.0, None, True)) for _ in range(source.below(4))
        },
    }
    return makers.get(field, source.text)()


def block(source: Source) -> Any:
    """A content block."""
    made: dict[str, Any] = {"type": source.pick(("text", "tool_use", "tool_result", "image", "thinking"))}
    for name in ("text", "name", "input", "content", "id"):
        if source.chance(3):
            made[name] = value(source, 2)
    return made


def message_object(source: Source, *, foreign: bool = False) -> dict[Any, Any]:
    """A dict that is a message, or nearly."""
    made: dict[Any, Any] = {"role": source.pick(("user", "assistant", "tool", "system", "", "r\u00f4le"))}
    for _ in range(source.below(6)):
        name = source.pick(FIELDS)
        made[name] = value(source, 1, foreign=foreign) if foreign and source.chance(3) else usual(source, name)
    if source.chance(3):
        made[source.text(5)] = value(source, 1, foreign=foreign)
    if source.chance(12):
        made["role"] = value(source, 3, foreign=foreign)
    if source.chance(16):
        del made["role"]
    return made


def built_message(source: Source) -> ChatMessage:
    """A message as a program builds it, whose fields need not have their types."""
    fields: dict[str, Any] = {}
    for _ in range(source.below(6)):
        name = source.pick(FIELDS)
        fields[name] = _field(source, name)
    return ChatMessage(source.pick(("user", "assistant", "tool")) if not source.chance(9) else value(source), **fields)


def _field(source: Source, name: str) -> Any:
    if name == "tool_calls":
        return tuple(_built_call(source) for _ in range(source.below(3)))
    if name == "timestamp":
        return _moment(source)
    if name == "usage":
        return source.pick((None, Usage(), Usage(1, 2, cost_usd=0.5), Usage(2**70), Usage(cost_usd=1), Usage(bool(1))))
    if name == "extra":
        return {
            source.text(4) if source.chance(2) else source.pick(FIELDS): value(source, 1, foreign=source.chance(4))
            for _ in range(source.below(3))
        }
    return value(source, foreign=True) if source.chance(4) else usual(source, name)


def _moment(source: Source) -> Any:
    zone = source.pick((UTC, UTC, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-12)), None))
    moment = datetime(source.pick((1, 1970, 2025, 9999)), 1 + source.below(12), 1 + source.below(28), tzinfo=zone)
    return moment.replace(microsecond=source.pick((0, 1, 999_999, 120_000)), fold=source.below(2))


def _call(source: Source) -> Any:
    call: dict[str, Any] = {"id": source.text(4), "type": "function"}
    call["function"] = {"name": source.text(6), "arguments": source.text()}
    if source.chance(4):
        call[source.pick(("index", "extra", "type"))] = value(source, 3)
    if source.chance(4):
        call["function"][source.pick(("strict", "name"))] = value(source, 3)
    return call


def _built_call(source: Source) -> ToolCall:
    extra = {source.pick(("x", "id", "function", "index")): value(source, 2)} if source.chance(3) else {}
    return ToolCall(source.text(4), source.text(6), value(source, 3) if source.chance(6) else source.text(), extra)
