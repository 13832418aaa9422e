"""Which lines of a file are out of place: moved or copied there by somebody, or with damaged numbers."""

from bisect import bisect_left, bisect_right

from sessionkit_jsonl.lines import Order


def misplaced(marked: list[tuple[int, Order]]) -> frozenset[int]:
    """The offsets of the fewest lines without which each can stand below the one before it; of lines with a mark.

    The fewest, and not all that fall behind the highest so far: one line with too high a number would then take every
    later one with it.
    """
    lowest: list[Order] = []  # of all runs of so many lines, and one more, the lowest end
    ends: list[int] = []  # the index of that line
    before: list[int] = []  # for each line, the index of the one before it in its run
    for index, (_, order) in enumerate(marked):
        # Of two lines that are equal only those without messages can follow on each other.
        length = bisect_right(lowest, order) if order[2] else bisect_left(lowest, order)
        before.append(ends[length - 1] if length else -1)
        if lowest[length : length + 1] == [order]:
            continue  # the later one is the copy
        lowest[length : length + 1] = [order]
        ends[length : length + 1] = [index]
    in_place: set[int] = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        in_place.add(index)
        index = before[index]
    return frozenset(offset for index, (offset, _) in enumerate(marked) if index not in in_place)
