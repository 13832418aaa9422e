"""Making sense of all of a session's file: it needs no reference, and loses nothing but lines that can't be read."""

import attrs

from sessionkit.codec import decode_message
from sessionkit.errors import InvalidMessageError
from sessionkit_jsonl.holes import half_created
from sessionkit_jsonl.lines import Line, Mark, has_hole, is_beginning, is_unfinished_header, parse, split_lines
from sessionkit_jsonl.order import misplaced
from sessionkit_jsonl.standing import Entry, Standing, entry_of


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
            self.live.append(entry_of(line, i, first + i, at=offset, previous=previous, length=length))

    def pass_unreadable(self, offset: int, raw: bytes) -> None:
        """Go past a line that can't be read."""
        self.unreadable.append((offset, raw))
        self.unread = True

    def misses_some(self, line: Line) -> bool:
        """Whether the line counts more messages before its own than there are: a line was lost, or is part of it."""
        return line.mark is not None and line.mark.message_count - len(line.messages) > self.standing.message_count

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
        if line.mark is not None and line.mark.torn and not self._hides_more(line, line.mark):
            self._settle_torn()
        self.unread = False

    def _hides_more(self, line: Line, mark: Mark) -> bool:
        """Whether there was more before the line than what a crash left, and a hole is there now."""
        elsewhere = line.snapshot is None and mark.snapshot != self.standing.snapshot_at
        return has_hole(self.unreadable[-1][1]) and (elsewhere or self.misses_some(line))

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
            if has_hole(raw) and header < 0:
                header = offset  # it may be what is missing
            after_header = 0 <= header < offset and (offset >= surely or is_beginning(raw))
            torn = after_header or is_unfinished_header(raw) or has_hole(raw)
            (self.torn if torn else kept).append((offset, raw))
        self.unreadable[self.settled :] = kept
        self.settled = len(self.unreadable)  # a later header stands below them, and says nothing about them
        self.unread = bool(self.unreadable)


def _is_readable(line: Line) -> bool:
    """Whether its messages can be read; those of two lines can't, of which one has lost its end."""
    try:
        for raw in line.messages:
            decode_message(raw)
    except InvalidMessageError:
        return False
    return True


def scan(data: bytes) -> Scan:
    """Go through all lines of a file."""
    halves = half_created(data) if has_hole(data) else frozenset[int]()
    found = _pass_all(data, halves, frozenset())
    if found.in_order:
        return found
    parsed = ((offset, parse(raw)) for offset, raw in split_lines(data) if offset not in halves)
    marked = [(offset, line.mark.order(line.messages)) for offset, line in parsed if line and line.mark]
    return _pass_all(data, halves, misplaced(marked))


def _pass_all(data: bytes, halves: frozenset[int], left_out: frozenset[int]) -> Scan:
    found = Scan()
    standing = found.standing
    for offset, raw in split_lines(data):
        line = parse(raw)
        if offset in halves:
            found.torn.append((offset, raw))
        elif line is None or (
            (mark := line.mark) is not None
            and mark.message_count > standing.message_count + 1  # a quick look, for few lines are asked more
            and found.misses_some(line)
            and not _is_readable(line)
        ):
            found.pass_unreadable(offset, raw)
        elif offset in left_out or (line.mark is None and found.repeats(line)):
            found.out_of_place.append((offset, raw))
        else:
            found.pass_line(offset, line, len(raw) + 1)
    found.end(len(data))
    return found
