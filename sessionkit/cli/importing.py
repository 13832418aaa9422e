"""Conversations from a file into a backend: every line is checked before the first is stored."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

import attrs
import click
from rich.console import Console

from sessionkit.cli.rendering import bars, counted
from sessionkit.cli.terminal import harmless
from sessionkit.codec import decode_json, encode_message
from sessionkit.defaults import extend, supports
from sessionkit.errors import InvalidMessageError, SessionKitError
from sessionkit.keys import check_session_key
from sessionkit.messages import JSON, ChatMessage
from sessionkit.protocol import OpenBackend, SupportsWrite

Existing = Literal["refuse", "skip", "append"]
"""What to do with a session that exists already."""


@attrs.frozen
class Conversation:
    """A line of the file."""

    session_key: str
    messages: list[ChatMessage]


@attrs.define
class Imported:
    """What an import did."""

    conversations: int = 0
    messages: int = 0
    size: int = 0
    skipped: int = 0
    empty: int = 0
    seconds: float = 0.0

    def summary(self) -> str:
        """What was stored, how long it took, and what was not stored."""
        what = f"{counted(self.conversations, 'conversation')}, {counted(self.messages, 'message')}"
        parts = [f"Stored {what} ({self.size / 1000:,.0f} kB) in {self.seconds:.2f} s"]
        if self.skipped:
            parts.append(f"left {counted(self.skipped, 'existing session')} as before")
        if self.empty:
            parts.append(f"stored nothing for {counted(self.empty, 'conversation')} without a message")
        return "; ".join(parts)


def import_file(out: Console, backend: OpenBackend, path: str, existing: Existing) -> Imported:
    """Store the file's conversations, each whole or not at all where the backend can.

    Raises:
        click.ClickException: a line is wrong, or its session exists and may not; nothing was stored. Or the store
            failed, and the message says at which line.
    """
    started = time.perf_counter()
    with Path(path).open("rb") as file, _progress(out, file) as passes:
        if not file.seekable():
            raise click.ClickException(f"{path} is read twice, which a pipe can't be; save it to a file first")
        _check(_lines(path, file, passes("Checking")), backend, existing)
        file.seek(0)
        done = _store(_lines(path, file, passes("Storing")), backend, existing)
    done.seconds = time.perf_counter() - started
    return done


@attrs.frozen
class _Line:
    """A line, read and found right; `place` names it in errors."""

    place: str
    size: int
    conversation: Conversation


def _lines(path: str, file: BinaryIO, advance: Callable[[int], object]) -> Iterator[_Line]:
    for number, raw in enumerate(file, 1):
        place = f"{path}, line {number}"
        if raw.strip():
            with _naming(place):
                conversation = _conversation(decode_json(raw))
            yield _Line(place, len(raw), conversation)
        advance(len(raw))


def _conversation(data: JSON) -> Conversation:
    keys: set[str] = set(data) if isinstance(data, dict) else set()
    if keys != {"session_key", "messages"}:
        found = (
            f"an object with {', '.join(sorted(keys)) or 'nothing'}" if isinstance(data, dict) else type(data).__name__
        )
        raise InvalidMessageError(
            f"a line is an object with session_key and messages, and nothing else; this is {found}"
        )
    key, messages = data["session_key"], data["messages"]
    check_session_key(key)
    if not isinstance(messages, list):
        raise InvalidMessageError(f"messages must be a list, not {type(messages).__name__}")
    return Conversation(key, [_message(item, f"messages[{i}]") for i, item in enumerate(messages)])


def _message(data: JSON, what: str) -> ChatMessage:
    try:
        message = ChatMessage.from_dict(data)
        encode_message(message)
    except InvalidMessageError as error:
        raise InvalidMessageError(f"{what}: {error}") from error
    return message


def _check(lines: Iterator[_Line], backend: OpenBackend, existing: Existing) -> None:
    """Read all lines; refuse the session that exists, or that two lines mean, where they may not be added to."""
    seen: dict[str, str] = {}
    for line in lines:
        key = line.conversation.session_key
        if existing == "append":
            continue
        if key in seen:
            raise click.ClickException(
                f"{line.place}: {key!a} is the session of {seen[key]} already; --existing append would join the two."
                " Nothing was stored."
            )
        seen[key] = line.place
        if existing == "refuse" and backend.get_session_metadata(key) is not None:
            raise click.ClickException(
                f"{line.place}: the session {key!a} exists; choose --existing skip or append. Nothing was stored."
            )


def _store(lines: Iterator[_Line], backend: OpenBackend, existing: Existing) -> Imported:
    done = Imported()
    for line in lines:
        key, messages = line.conversation.session_key, line.conversation.messages
        with _naming(line.place, f"{counted(done.conversations, 'conversation')} before it stored"):
            if not messages:
                done.empty += 1
            elif existing == "skip" and backend.get_session_metadata(key) is not None:
                done.skipped += 1
            else:
                _store_one(backend, key, messages, is_new=existing != "append")
                done.conversations += 1
                done.messages += len(messages)
                done.size += line.size
    return done


def _store_one(backend: OpenBackend, key: str, messages: list[ChatMessage], *, is_new: bool) -> None:
    whole = supports(backend, SupportsWrite)
    if whole and is_new:
        # Revision 0: a session that somebody created since it was looked for is a conflict.
        cast("SupportsWrite", backend).write(key, append=messages, if_revision=0)
    else:
        extend(backend, key, messages, atomic=whole)


@contextmanager
def _naming(place: str, note: str = "nothing was stored") -> Generator[None]:
    """Say where an error is, and what it leaves."""
    try:
        yield
    except SessionKitError as error:
        raise click.ClickException(harmless(f"{place}: {error} ({note})")) from error


@contextmanager
def _progress(out: Console, file: BinaryIO) -> Generator[Callable[[str], Callable[[int], object]]]:
    """Give a function that begins a bar and gives the function that moves it on; no bars where there is no terminal."""
    if not out.is_terminal:  # some versions of rich end the bar that they don't show by an empty line
        yield lambda _: lambda _: None
        return
    size = os.fstat(file.fileno()).st_size
    with bars(out) as progress:

        def begin(what: str) -> Callable[[int], object]:
            task = progress.add_task(what, total=size)

            def advance(size: int) -> None:
                progress.advance(task, size)

            return advance

        yield begin
