"""Which lines of a file are out of place: moved or copied there by somebody, or with damaged numbers."""

from bisect import bisect_left, bisect_right

from sessionkit_jsonl.lines import Line


def misplaced(marked: list[tuple[int, Line]]) -> frozenset[int]:
    """The offsets of the fewest lines without which each can stand below the one before it; of lines with a mark.

    The fewest, and not all that fall behind the highest so far: one line with too high a number would then take every
    later one with it.
    """
    lowest: list[tuple[int, int, bool]] = []  # of all runs of so many lines, and one more, the lowest end
    ends: list[int] = []  # the index of that line
    before: list[int] = []  # for each line, the index of the one before it in its run
    for index, (_, line) in enumerate(marked):
        order = _order(line)
        # Of two lines that are equal only those without messages can follow on each other.
        length = bisect_left(lowest, order) if line.messages else bisect_right(lowest, order)
        before.append(ends[length - 1] if length else -1)
        lowest[length : length + 1] = [order]
        ends[length : length + 1] = [index]
    in_place: set[int] = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        in_place.add(index)
        index = before[index]
    return frozenset(offset for index, (offset, _) in enumerate(marked) if index not in in_place)


def _order(line: Line) -> tuple[int, int, bool]:
    mark = line.mark
    return (0, 0, False) if mark is None else (mark.revision, mark.message_count, not line.messages)
