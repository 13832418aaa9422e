"""The codec: JSON bytes, dicts and messages, held against the standard library's JSON."""

import json
from typing import Any

from sessionkit import ChatMessage, InvalidMessageError, codec, tokenize
from tests.conversations import conversations
from tests.fuzz import oracle
from tests.fuzz.grammar import FIELDS, TIMES, built_message, json_text, message_object, message_text
from tests.fuzz.source import Source
from tests.fuzz.target import Outcomes, Target, check, outcome

_NOTHING: Any = object()


def run(data: bytes) -> Outcomes:
    """Bytes as they come, bytes of a grammar, dicts, or messages."""
    source = Source(data)
    way = source.below(5)
    if way == 0:
        return outcome(f"{read(source.rest())} (bytes)")
    if way == 1:
        return outcome(f"{read(json_text(source).encode())} (JSON)")
    if way == 2:
        return outcome(f"{read(message_text(source).encode())} (message)")
    if way == 3:
        return outcome(f"{take(message_object(source, foreign=source.chance(2)))} (dict)")
    return outcome(f"{give(built_message(source))} (ChatMessage)")


def read(raw: bytes) -> str:
    """Bytes in: what JSON says they are, or `InvalidMessageError`."""
    try:
        expected = oracle.read_json(raw)
    except oracle.RefusedError:
        expected = _NOTHING
    for spelled in (raw, _text(raw)):
        found = _decoded(spelled)
        check(oracle.same(found, expected), f"decode_json gives {_shown(found)}, and JSON is {_shown(expected)}")
    is_message = isinstance(expected, dict) and isinstance(expected.get("role"), str)
    try:
        message = codec.decode_message(raw)
    except InvalidMessageError:
        check(not is_message, "decode_message refuses a message")
        return "refused: no JSON" if expected is _NOTHING else "refused: no message"
    check(is_message, "decode_message takes what is no message")
    check(oracle.same(message.to_dict(), expected), "a decoded message gives another object")
    check(ChatMessage.from_dict(expected) == message, "from_dict gives another message than decode_message")
    check(tokenize(codec.decode_text(raw)) == tokenize(message.text), "decode_text has other terms")
    again = codec.encode_message(message)
    check(oracle.same(json.loads(again), expected), "encode_message changed what was read")
    check(codec.decode_message(again) == message, "what was encoded decodes to another message")
    return "accepted"


def take(data: dict[Any, Any]) -> str:
    """A dict in: a message that gives the same dict and the same JSON, or `InvalidMessageError`."""
    storable = oracle.is_storable(data)
    try:
        message = ChatMessage.from_dict(data)
    except InvalidMessageError:
        check(not isinstance(data.get("role"), str), "from_dict refuses an object with a role")
        return "refused: no role"
    given = message.to_dict()
    if storable:
        check(oracle.same(given, data), "to_dict does not give back what from_dict took")
        check(ChatMessage.from_dict(given) == message, "from_dict(to_dict()) is another message")
    try:
        raw = codec.encode_message(message)
    except InvalidMessageError:
        check(not storable, "encode_message refuses what JSON holds exactly")
        return "refused: can't be stored"
    check(storable, "encode_message takes what JSON can't hold")
    check(oracle.same(json.loads(raw), data), "encode_message changed a value")
    check(codec.decode_message(raw) == message, "what was encoded decodes to another message")
    return "accepted"


def give(message: ChatMessage) -> str:
    """A message in: it comes back equal, or `InvalidMessageError`, and that only where it could not."""
    try:
        data = message.to_dict()
        exact = oracle.is_storable(data) and ChatMessage.from_dict(data) == message
    except InvalidMessageError:
        exact, data = False, {}
    try:
        raw = codec.encode_message(message)
    except InvalidMessageError as error:
        check(not exact, f"encode_message refuses what comes back equal: {error}")
        return "refused: can't be stored"
    check(oracle.same(json.loads(raw), data), "encode_message gives other JSON than to_dict")
    check(codec.decode_message(raw) == message, "what was encoded decodes to another message")
    return "accepted"


def seeds() -> list[bytes]:
    """Real messages, and what our own grammar makes of a few bytes."""
    real = [message for messages in conversations().values() for message in messages][:40]
    made: list[Any] = [
        {"role": "user", "content": "Hello", "timestamp": TIMES[1]},
        {"role": "assistant", "content": None, "usage": {"input_tokens": 1, "cost_usd": 0.5}},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]},
        {"role": "user", "content": [{"type": "text", "text": "Stra\u00dfe"}], "n": [2**64, 1.5, -0.0]},
    ]
    written = [b"\0" + json.dumps(message).encode() for message in (*made, *real)]
    return [*written, *(bytes([way, *range(start, start + 60)]) for way in range(1, 5) for start in (0, 60, 120, 190))]


def _decoded(raw: bytes | str | None) -> Any:
    try:
        return _NOTHING if raw is None else codec.decode_json(raw)
    except InvalidMessageError:
        return _NOTHING


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _shown(value: Any) -> str:
    return "refused" if value is _NOTHING else ascii(value)[:200]


WORDS = [
    *(f'"{field}":'.encode() for field in (*FIELDS, "role", "type", "function", "text", "input")),
    *(b"null", b"true", b"NaN", b"1e999", b"-0.0", b"1.0", b"9" * 25, b"\\ud800", b"\\u0000", b"[[[[", b"]]]]", b"{}"),
    *(b'"\xf0\x9f\x98\x80"', b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"tool_use"', b'"assistant"'),
    *(b'"role":1,', b'"role":"user",', b",", b":", b" ", b"\n", b"00", b"\\", b'"', TIMES[0].encode()),
]

TARGET = Target(
    "codec", "JSON bytes, dicts and messages come back equal, or are refused; json judges", run, seeds, WORDS, 3_000
)
