"""Making sense of a session's file: how things stand, from its tail alone, and all that it holds, from all of it.

Both come to the same. Where the tail refers to a line that can't be read, `BrokenChainError` sends the caller from the
first way to the second, which needs no reference and loses nothing but the lines that can't be read.
"""

from collections.abc import Callable, Iterator

import attrs
import msgspec
from msgspec import UNSET

from sessionkit.clock import EARLIEST
from sessionkit.codec import decode_message
from sessionkit.record import SessionRecord
from sessionkit_jsonl.lines import (
    Line,
    Mark,
    Snapshot,
    attributes_of,
    is_beginning,
    is_unfinished_header,
    mark_at_end,
    parse,
)
from sessionkit_jsonl.order import misplaced
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
        low: that of the last mark; 0 where that one is not where it was written.
        unreadable: whether nothing exists, and a line could not be read that is more than what crashes leave of a
            session's creation.
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
    low: int | None = None
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
            self.low = mark.low if mark.position == offset else 0
            self.exists, self.foreign = True, False
        elif line.messages:
            message = decode_message(line.messages[0])
            self.revision += 1
            self.message_count += 1
            self.turn_count += message.is_turn
            self.tool_call_count += message.tool_call_count
            self.newest = offset
            self.exists = self.foreign = True

    def record(self, modified: Callable[[], int]) -> SessionRecord:
        """As the rules of sessions know it; `modified`, when the file was, tells the times that nobody wrote down."""
        active = self.last_activity
        if active is None or self.foreign:
            active = max(modified(), EARLIEST if active is None else active)
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
        BrokenChainError: that is not there, or the line is not the one to follow what stands before it.
    """
    standing = Standing()
    passed, mark = _last_lines(window)
    for offset, line, length in reversed(passed):
        if line.mark is None and line.snapshot is not None and mark is not None:
            raise BrokenChainError  # another header, after the mark
        standing.pass_line(offset, line, length)
    if not standing.exists:
        return scan(window.everything()).standing  # what there is was passed already, and is little
    if mark is not None and standing.snapshot is None and mark.snapshot is not None:
        header = parse(window.line(mark.snapshot))
        if header is None or header.snapshot is None:
            raise BrokenChainError
        standing.snapshot, standing.snapshot_at = header.snapshot, mark.snapshot
    return standing


def _last_lines(window: Window) -> tuple[list[tuple[int, Line, int]], Mark | None]:
    """The last line with a mark and what follows it, each with its offset and length, the last first; and that mark."""
    passed: list[tuple[int, Line, int]] = []
    for offset, raw in window.lines_backward():
        line = parse(raw)
        if line is None:
            continue
        passed.append((offset, line, len(raw) + 1))
        if line.mark is not None:
            if not _is_in_place(window, offset, line, line.mark):
                raise BrokenChainError
            return passed, line.mark
    return passed, None


def _is_in_place(window: Window, offset: int, line: Line, mark: Mark) -> bool:
    """Whether our writer can have written the line, with that mark, after the one that stands before it.

    Else it was moved or copied to the end of the file, and tells of another time. Of a long line before only the end is
    looked at, for nothing but marks should be read here.
    """
    begins, raw = window.line_before(offset)
    before = None if begins is None else parse(raw)
    mark_before = mark_at_end(raw) if before is None else before.mark
    if mark_before is None:
        return True
    if not line.may_follow(mark_before.revision, mark_before.message_count):
        return False
    if before is None or mark.message_count - len(line.messages) != mark_before.message_count:
        return True
    return mark.previous == (begins if before.messages else mark_before.previous)


def newest_first(window: Window, newest: int | None, count: int) -> Iterator[Entry]:
    """The messages, from the one with ordinal `count` - 1, in the line at `newest`, down to the first.

    Raises:
        BrokenChainError: a line that should hold one does not.
    """
    at, ordinal = newest, count - 1
    below: Line | None = None
    while ordinal >= 0:
        if at is None:
            raise BrokenChainError
        raw = window.line(at)
        line = parse(raw)
        if line is None or not line.messages:
            raise BrokenChainError
        own = len(line.messages)
        if line.mark is None:
            if (below is None or below.mark is not None) and not _is_counted(window, at, ordinal):
                raise BrokenChainError
            index, previous = 0, _before_foreign(window, at)
        else:
            index, previous = ordinal - (line.mark.message_count - own), line.mark.previous
        if not 0 <= index < own or (previous is not None and previous >= at):
            raise BrokenChainError
        for i in range(index, -1, -1):
            yield _entry(line, i, ordinal, at=at, previous=previous, length=len(raw))
            ordinal -= 1
        at, below = previous, line


def _is_counted(window: Window, at: int, ordinal: int) -> bool:
    """Whether our next line after a foreign message counts it, or there is none.

    Else somebody put it there later, and it may begin just where the message did that a line refers to.
    """
    while at < window.size:
        raw = window.line(at)
        line = parse(raw)
        if line is None and raw.strip():
            return False
        if line is not None and line.mark is not None:
            return line.mark.message_count - len(line.messages) > ordinal
        at += len(raw) + 1
    return True


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
        unreadable: the offsets and bytes of lines that can't be read; at the end, of those out of place too.
        torn: the same for those that a crash left of writes which were never acknowledged.
        last: the last mark.
        out_of_place: the same for lines that were put where they can't have been written.
        in_order: whether each line could stand below the one before it.
        unread: whether nothing but headers was read since the last line that could not be.
        settled: how many of the unreadable lines stand above a header, so that no later one is about them.
    """

    standing: Standing = attrs.Factory(Standing)
    live: list[Entry] = attrs.Factory(list)
    unreadable: list[tuple[int, bytes]] = attrs.Factory(list)
    torn: list[tuple[int, bytes]] = attrs.Factory(list)
    out_of_place: list[tuple[int, bytes]] = attrs.Factory(list)
    last: Mark | None = None
    in_order: bool = True
    unread: bool = False
    settled: int = 0

    def pass_line(self, offset: int, line: Line, length: int) -> None:
        """Go past a line that begins at `offset`: what it replaces or removes is not live any more."""
        mark = line.mark
        if self.unread:
            self._settle_unread(line)
        if self.standing.foreign and not line.may_follow(self.standing.revision, self.standing.message_count):
            self._leave_foreign_out()
        dead = self.standing.dead
        self.standing.pass_line(offset, line, length)
        first = self.standing.message_count - len(line.messages)
        if mark is not None:
            last = self.last
            if last is not None and not line.may_follow(last.revision, last.message_count):
                self.in_order = False
            self.last = mark
            while self.live and self.live[-1].ordinal >= first:
                entry = self.live.pop()
                if mark.dead <= dead:  # whoever removes a message counts its bytes, so this one was not known
                    self.out_of_place.append((entry.at, entry.raw))
        previous = self.live[-1].at if self.live else None
        for i in range(len(line.messages)):
            self.live.append(_entry(line, i, first + i, at=offset, previous=previous, length=length))

    def pass_unreadable(self, offset: int, raw: bytes) -> None:
        """Go past a line that can't be read."""
        self.unreadable.append((offset, raw))
        self.unread = True

    def repeats(self, line: Line) -> bool:
        """Whether it is a header that was copied here: it would undo all that was set since."""
        standing, snapshot = self.standing, line.snapshot
        return (
            line.mark is None
            and snapshot is not None
            and standing.last_activity is not None
            and standing.snapshot is not None
            and standing.snapshot.key == snapshot.key
        )

    def end(self, size: int) -> None:
        """Say what the last lines are, if they can't be read."""
        if self.unread:
            offset, raw = self.unreadable[-1]
            is_open = offset + len(raw) == size
            if not self.standing.exists:
                self._settle_creation(offset if is_open else size)
            elif is_open or is_beginning(raw):  # its newline may be all of a write that was cut short in its turn
                self._settle_torn()
        self.standing.unreadable = bool(self.unreadable)
        self.unreadable += self.out_of_place

    def _leave_foreign_out(self) -> None:
        """Whoever wrote the next line did not know of the messages before it: somebody put them there later."""
        known = self.last.message_count if self.last is not None else 0
        while self.live and self.live[-1].ordinal >= known:
            entry = self.live.pop()
            self.out_of_place.append((entry.at, entry.raw))

    def _settle_unread(self, line: Line) -> None:
        if line.mark is None and not line.messages:
            if not self.standing.exists:
                self._settle_creation(0)  # whoever wrote the header had looked, and found no session
            return
        if line.mark is not None and line.mark.torn:
            self._settle_torn()
        self.unread = False

    def _settle_torn(self) -> None:
        """The last line that could not be read is what a crash left, and so are lines like it directly before."""
        at, raw = self.unreadable.pop()
        self.torn.append((at, raw))
        while self.unreadable:
            before, raw = self.unreadable[-1]
            if before + len(raw) + 1 != at or not is_beginning(raw):
                return
            self.torn.append(self.unreadable.pop())
            at = before

    def _settle_creation(self, surely: int) -> None:
        """The lines that could not be read since the last header are what crashes left of creations.

        Those that begin at or after `surely` whatever they look like, others if they look like it.
        """
        header = -1 if self.standing.snapshot_at is None else self.standing.snapshot_at
        kept: list[tuple[int, bytes]] = []
        for offset, raw in self.unreadable[self.settled :]:
            after_header = 0 <= header < offset and (offset >= surely or is_beginning(raw))
            (self.torn if after_header or is_unfinished_header(raw) else kept).append((offset, raw))
        self.unreadable[self.settled :] = kept
        self.settled = len(self.unreadable)  # a later header stands below them, and says nothing about them
        self.unread = bool(self.unreadable)


def scan(data: bytes) -> Scan:
    """Go through all lines of a file."""
    found = _pass_all(data, frozenset())
    if found.in_order:
        return found
    parsed = ((offset, parse(raw)) for offset, raw in _lines(data))
    marked = [(offset, line.mark.order(line.messages)) for offset, line in parsed if line and line.mark]
    return _pass_all(data, misplaced(marked))


def _pass_all(data: bytes, left_out: frozenset[int]) -> Scan:
    found = Scan()
    for offset, raw in _lines(data):
        line = parse(raw)
        if line is None:
            found.pass_unreadable(offset, raw)
        elif offset in left_out or (line.mark is None and found.repeats(line)):
            found.out_of_place.append((offset, raw))
        else:
            found.pass_line(offset, line, len(raw) + 1)
    found.end(len(data))
    return found


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line and where it begins, blank ones left out."""
    offset = 0
    for raw in data.split(b"\n"):
        if raw.strip():
            yield offset, raw
        offset += len(raw) + 1
