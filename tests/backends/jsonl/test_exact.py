"""What a message may hold: what JSON can't is refused, however much it looks like text."""

from datetime import UTC, datetime, time
from typing import Any

import attrs
import pytest
from msgspec import UNSET

from sessionkit import ChatMessage, InvalidMessageError, ToolCall
from sessionkit_jsonl import JSONLBackend

NOW = datetime(2025, 1, 2, 3, 4, 5, 6, UTC)
HI = ChatMessage("assistant", "hi", tool_calls=[ToolCall("1", "f", "{}")], tool_call_id="c", timestamp=NOW)
TEXTS = ("content", "name", "tool_call_id", "reasoning", "id", "provider_response_id", "status", "model")


class Text(str):
    """A text that would come back as another type."""

    __slots__ = ()


@pytest.mark.parametrize("field", ["role", *TEXTS])
@pytest.mark.parametrize("value", [1, 1.5, True, b"x", UNSET, NOW, "\ud800", Text("text")])
def test_a_field_of_text_holds_text(backend: JSONLBackend, field: str, value: Any) -> None:
    """Anything else is refused when it is written, never changed in silence, and nothing is stored."""
    with pytest.raises(InvalidMessageError):
        backend.append("s", attrs.evolve(HI, **{field: value}))
    assert backend.list_sessions() == []


@pytest.mark.parametrize("field", ["id", "name", "arguments"])
@pytest.mark.parametrize("value", [1, None, b"x", UNSET, NOW, "\ud800"])
def test_a_tool_call_holds_text(backend: JSONLBackend, field: str, value: Any) -> None:
    """So is what is no text in a tool call, were it one of several."""
    call = attrs.evolve(HI.tool_calls[0], **{field: value})
    with pytest.raises(InvalidMessageError):
        backend.append("s", attrs.evolve(HI, tool_calls=[HI.tool_calls[0], call]))
    assert backend.list_sessions() == []


@pytest.mark.parametrize("value", [time(1, tzinfo=UTC), "2025-01-02T03:04:05Z", 1, NOW.replace(tzinfo=None), UNSET])
def test_a_timestamp_is_a_moment(backend: JSONLBackend, value: Any) -> None:
    """A time of day is refused, and so is the text of a moment."""
    with pytest.raises(InvalidMessageError):
        backend.append("s", attrs.evolve(HI, timestamp=value))
    assert backend.list_sessions() == []


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", ["", "x", "\0\x1f\x7f\u2028é\U0001f600", None])
def test_every_text_comes_back(backend: JSONLBackend, field: str, value: Any) -> None:
    """What goes in comes out equal: an empty text, none, control characters and whatever needs four bytes."""
    message = attrs.evolve(HI, **{field: value})
    backend.append("s", message)
    assert backend.load("s") == [message]
