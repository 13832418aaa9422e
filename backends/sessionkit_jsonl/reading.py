"""Making sense of a session's file: how things stand, from its tail alone, and all that it holds, from all of it.

Both come to the same. Where the tail refers to a line that can't be read, `BrokenChainError` sends the caller from the
first way to the second, which needs no reference and loses nothing but the lines that can't be read.
"""

from collections.abc import Iterator

import attrs
import msgspec
from msgspec import UNSET

from sessionkit.codec import decode_message
from sessionkit.record import SessionRecord
from sessionkit_jsonl.lines import Line, Snapshot, attributes_of, is_unfinished_header, parse
from sessionkit_jsonl.window import BrokenChainError, Window


@attrs.define
class Standing:
    """How things stand after some line of a file.

    Attributes:
        exists: whether there was anything but headers.
        last_activity: of the last mark.
        foreign: whether somebody else's messages stand after the last mark.
        newest: where the line with the newest message begins.
        snapshot: the latest one, its line beginning at `snapshot_at`.
        dead: roughly how many bytes nobody needs any more.
        unreadable: whether a line could not be read that is more than what a crash leaves of a session's creation;
            only of interest where nothing else exists.
    """

    exists: bool = False
    revision: int = 0
    last_activity: int | None = None
    message_count: int = 0
    turn_count: int = 0
    tool_call_count: int = 0
    foreign: bool = False
    newest: int | None = None
    snapshot: Snapshot | None = None
    snapshot_at: int | None = None
    dead: int = 0
    unreadable: bool = False

    def pass_line(self, offset: int, line: Line, length: int) -> None:
        """Go past a line that begins at `offset`."""
        if line.snapshot is not None:
            self.snapshot, self.snapshot_at = line.snapshot, offset
        mark = line.mark
        if mark is not None:
            self.revision, self.last_activity = mark.revision, mark.last_activity
            self.message_count, self.turn_count = mark.message_count, mark.turn_count
            self.tool_call_count = mark.tool_call_count
            self.newest = offset if line.messages else mark.previous
            self.dead = mark.dead + (0 if line.messages else length)
            self.exists, self.foreign = True, False
        elif line.messages:
            message = decode_message(line.messages[0])
            self.revision += 1
            self.message_count += 1
            self.turn_count += message.is_turn
            self.tool_call_count += message.tool_call_count
            self.newest = offset
            self.exists = self.foreign = True

    def record(self, modified: int) -> SessionRecord:
        """As the rules of sessions know it; `modified`, when the file was, tells the times that nobody wrote down."""
        active = self.last_activity
        if active is None or self.foreign:
            active = max(modified, active or modified)
        snapshot = self.snapshot
        counts = (self.message_count, self.turn_count, self.tool_call_count)
        if snapshot is None:
            return SessionRecord(active, active, self.revision, *counts)
        return SessionRecord(
            snapshot.created_at,
            active,
            self.revision,
            *counts,
            snapshot.name,
            snapshot.agent_alias,
            snapshot.channel_id,
            snapshot.room_id,
            snapshot.sender_id,
            snapshot.state,
            snapshot.turn_id,
            snapshot.turn_started_at,
            snapshot.heartbeat_at,
            attributes_of(snapshot),
        )


class Entry(msgspec.Struct, frozen=True):
    """A message in a file; a Struct, because `load` makes one for each.

    Attributes:
        ordinal: how many there were before it.
        raw: its JSON.
        created_at: when it was stored; None where nobody wrote it down.
        at: where its line begins.
        previous: where the line with the message before it begins.
        size: roughly how many bytes it takes.
    """

    ordinal: int
    raw: bytes
    created_at: int | None
    at: int
    previous: int | None
    size: int


def stand(window: Window) -> Standing:
    """How things stand at the end of a file, from the last mark and what it refers to.

    Raises:
        BrokenChainError: that is not there.
    """
    standing = Standing()
    passed: list[tuple[int, Line, int]] = []
    unreadable: list[tuple[int, bytes]] = []
    for offset, raw in window.lines_backward():
        line = parse(raw)
        if line is None:
            unreadable.append((offset, raw))
            continue
        passed.append((offset, line, len(raw) + 1))
        if line.mark is not None:
            break
    for offset, line, length in reversed(passed):
        standing.pass_line(offset, line, length)
    mark = passed[-1][1].mark if passed else None
    if mark is not None and standing.snapshot is None and mark.snapshot is not None:
        header = parse(window.line(mark.snapshot))
        if header is None or header.snapshot is None:
            raise BrokenChainError
        standing.snapshot, standing.snapshot_at = header.snapshot, mark.snapshot
    standing.unreadable = _is_damage(unreadable, window.size, standing)
    return standing


def newest_first(window: Window, newest: int | None, count: int) -> Iterator[Entry]:
    """The messages, from the one with ordinal `count` - 1, in the line at `newest`, down to the first.

    Raises:
        BrokenChainError: a line that should hold one does not.
    """
    at, ordinal = newest, count - 1
    while ordinal >= 0:
        if at is None:
            raise BrokenChainError
        raw = window.line(at)
        line = parse(raw)
        if line is None or not line.messages:
            raise BrokenChainError
        own = len(line.messages)
        if line.mark is None:
            index, previous = 0, _before_foreign(window, at)
        else:
            index, previous = ordinal - (line.mark.message_count - own), line.mark.previous
        if not 0 <= index < own or (previous is not None and previous >= at):
            raise BrokenChainError
        for i in range(index, -1, -1):
            yield _entry(line, i, ordinal, at=at, previous=previous, length=len(raw))
            ordinal -= 1
        at = previous


def _before_foreign(window: Window, at: int) -> int | None:
    """Where the line begins with the message before a foreign one, which refers to nothing: the nearest line tells."""
    for offset, raw in window.lines_backward(at):
        line = parse(raw)
        if line is not None and line.messages:
            return offset
        if line is not None and line.mark is not None:
            return line.mark.previous
    return None


def _entry(line: Line, index: int, ordinal: int, *, at: int, previous: int | None, length: int) -> Entry:
    created_at = None
    if line.mark is not None:
        created_at = line.mark.last_activity if line.mark.created_at is UNSET else line.mark.created_at
    own = len(line.messages)
    return Entry(ordinal, line.messages[index], created_at, at, at if index else previous, length // own)


@attrs.define
class Scan:
    """All that a file holds.

    Attributes:
        standing: how things stand at its end.
        live: its messages, oldest first. Where a line was lost, an ordinal is missing.
        unreadable: the offsets and bytes of lines that can't be read.
        torn: the same for those that a crash left of writes which were never acknowledged.
    """

    standing: Standing = attrs.Factory(Standing)
    live: list[Entry] = attrs.Factory(list)
    unreadable: list[tuple[int, bytes]] = attrs.Factory(list)
    torn: list[tuple[int, bytes]] = attrs.Factory(list)

    def pass_line(self, offset: int, line: Line, length: int) -> None:
        """Go past a line that begins at `offset`: what it replaces or removes is not live any more."""
        self.standing.pass_line(offset, line, length)
        first = self.standing.message_count - len(line.messages)
        if line.mark is not None:
            while self.live and self.live[-1].ordinal >= first:
                self.live.pop()
        previous = self.live[-1].at if self.live else None
        for i in range(len(line.messages)):
            self.live.append(_entry(line, i, first + i, at=offset, previous=previous, length=length))


def scan(data: bytes) -> Scan:
    """Go through all lines of a file."""
    found = Scan()
    offset, unread = 0, False
    for raw in data.split(b"\n"):
        if raw.strip():
            line = parse(raw)
            if line is None:
                found.unreadable.append((offset, raw))
                unread = True
            else:
                if unread and line.mark is not None and line.mark.torn:
                    found.torn.append(found.unreadable.pop())
                unread = unread and line.mark is None and not line.messages
                found.pass_line(offset, line, len(raw) + 1)
        offset += len(raw) + 1
    found.standing.unreadable = _is_damage(found.unreadable, len(data), found.standing)
    if unread and found.unreadable[-1][0] == data.rfind(b"\n") + 1:
        found.torn.append(found.unreadable.pop())
    return found


def _is_damage(unreadable: list[tuple[int, bytes]], size: int, standing: Standing) -> bool:
    """Whether these lines are more than a creation that was not finished: part of a header, or of a record after it."""
    return any(
        not is_unfinished_header(raw) and (standing.snapshot is None or offset + len(raw) < size)
        for offset, raw in unreadable
    )
