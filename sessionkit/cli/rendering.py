"""Sessions and conversations as a person reads them."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sessionkit.cli.terminal import harmless, harmless_lines
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import SessionMetadata, SessionQuery
from sessionkit.text import tokenize

_SNIPPET_WIDTH = 70
_SNIPPET_LEAD = 25


def counted(number: int, what: str) -> str:
    """Such as ``1 message`` and ``1,200 messages``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def bars(out: Console) -> Progress:
    """The bars of what takes long; for a terminal."""
    columns = (TextColumn("{task.description:8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=out)


def print_sessions(out: Console, sessions: Iterable[SessionMetadata]) -> None:
    """A table of sessions, a line each, in their order."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("session", overflow="fold", style="bold")
    table.add_column("messages", justify="right")
    table.add_column("last active", no_wrap=True)
    table.add_column("state", overflow="fold")
    table.add_column("name", overflow="fold")
    for session in sessions:
        table.add_row(
            Text(harmless(session.key)),
            f"{session.message_count:,}",
            _moment(session.last_activity),
            Text(harmless(session.state or "")),
            Text(harmless(session.name or "")),
        )
    out.print(table)


def print_conversation(out: Console, metadata: SessionMetadata, messages: Iterable[TimestampedMessage]) -> None:
    """What is known of a session, then who said what."""
    out.print(Text(harmless(metadata.name or metadata.key), style="bold"))
    for name, value in _facts(metadata):
        out.print(Text(f"{name}: {harmless(value)}", style="dim"))
    for stored in messages:
        out.print(_heading(stored))
        for part in _parts(stored.message):
            out.print(Text(harmless_lines(part)))


def print_hit(out: Console, query: SessionQuery, metadata: SessionMetadata, messages: Iterable[ChatMessage]) -> None:
    """A session that was found, and the words in the first of its messages that matches."""
    heading = Text(harmless(metadata.key), style="bold")
    heading.append(f"  {counted(metadata.message_count, 'message')}", style="not bold dim")
    heading.append(f"  {_moment(metadata.last_activity)}", style="not bold dim")
    out.print(heading)
    for message in messages:
        if query.terms <= tokenize(message.text):
            out.print(Text(f"  {harmless(message.role)}: {harmless(_snippet(message.text, query.terms))}"))
            return


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}Z" if when else ""


def _facts(metadata: SessionMetadata) -> Iterator[tuple[str, str]]:
    if metadata.name:
        yield "key", metadata.key
    counts = (
        counted(metadata.message_count, "message"),
        counted(metadata.turn_count, "turn"),
        counted(metadata.tool_call_count, "tool call"),
    )
    yield "holds", ", ".join(counts)
    if metadata.created_at:
        yield "active", f"{_moment(metadata.created_at)} to {_moment(metadata.last_activity)}"
    if metadata.state:
        yield "state", metadata.state
    for field in ("turn_id", "agent_alias", "channel_id", "room_id", "sender_id"):
        value = getattr(metadata, field)
        if value:
            yield field, value
    if metadata.attributes:
        yield "attributes", _json(dict(metadata.attributes))


def _heading(stored: TimestampedMessage) -> Text:
    heading = Text(f"\n{harmless(stored.message.role)}", style="bold cyan")
    if stored.created_at:
        heading.append(f"  {_moment(stored.created_at)}", style="not bold dim")
    if stored.message.status:
        heading.append(f"  {harmless(stored.message.status)}", style="not bold yellow")
    return heading


def _parts(message: ChatMessage) -> Iterator[str]:
    """What a person wants to read of a message: its thoughts, its text or blocks, then the tools it calls."""
    if message.reasoning:
        yield f"(thinks) {message.reasoning}"
    if isinstance(message.content, str):
        yield message.content
    elif message.content:
        for block in message.content:
            yield block["text"] if isinstance(block.get("text"), str) else _json(block)
    for call in message.tool_calls:
        yield f"→ {call.name}({call.arguments})"


def _snippet(text: str, terms: Iterable[str]) -> str:
    """A line's worth of the text, around the first of the terms that stands there as it is."""
    text = " ".join(text.split())
    folded = text.casefold()
    start = max(0, min((at for term in terms if (at := folded.find(term)) >= 0), default=0) - _SNIPPET_LEAD)
    end = start + _SNIPPET_WIDTH
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
