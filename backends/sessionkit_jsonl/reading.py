"""Making sense of a session's file from its tail alone: how things stand, and the newest messages.

It comes to the same as what `sessionkit_jsonl.scanning` makes of all of it. Where the tail refers to a line that can't
be read, `BrokenChainError` sends the caller there.
"""

from collections.abc import Iterator

from sessionkit_jsonl.lines import Line, Mark, mark_at_end, parse
from sessionkit_jsonl.scanning import scan
from sessionkit_jsonl.standing import Entry, Standing, entry_of
from sessionkit_jsonl.window import BrokenChainError, Window


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
            if raw.strip():  # the rest of a write, or of what came after the mark: all of the file tells which
                raise BrokenChainError
            continue
        passed.append((offset, line, len(raw) + 1))
        if line.mark is not None:
            if not _is_in_place(window, offset, line, line.mark):
                raise BrokenChainError
            return passed, line.mark
    return passed, None


def _is_in_place(window: Window, offset: int, line: Line, mark: Mark) -> bool:
    """Whether our writer can have written the line, with that mark, after the one that stands before it.

    Else it was moved or copied to the end of the file, and tells of another time; or something was put or taken away
    above it, and only all of the file tells what. Of a long line before only the end is looked at, for nothing but
    marks should be read here.
    """
    if mark.position not in (None, offset):
        return False
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
            yield entry_of(line, i, ordinal, at=at, previous=previous, length=len(raw))
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
