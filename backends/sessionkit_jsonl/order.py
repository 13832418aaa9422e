"""Which lines of a file are out of place: moved or copied there by somebody, or with damaged numbers."""

from bisect import bisect_left, bisect_right

from sessionkit_jsonl.lines import Order


def misplaced(marked: list[tuple[int, Order]]) -> frozenset[int]:
    """The offsets of the fewest lines without which each can stand below the one before it; of lines with a mark.

    The fewest, and not all that fall behind the highest so far: one line with too high a number would then take every
    later one with it. Where several choices leave out as few, those lines stay that come first: so what is in place
    stays so, whatever is written below it later, and of a line and its copy the first is kept.
    """
    lengths = _lengths(marked)
    wanted = max(lengths, default=0)
    before: Order | None = None
    out_of_place: set[int] = set()
    for (offset, order), length in zip(marked, lengths, strict=True):
        if length == wanted and (before is None or before < order or (before == order and order[2])):
            before = order
            wanted -= 1
        else:
            out_of_place.add(offset)
    return frozenset(out_of_place)


def _lengths(marked: list[tuple[int, Order]]) -> list[int]:
    """For each line, how many lines at the most can follow on each other from it downwards."""
    lengths: list[int] = []
    highest: list[tuple[int, int, bool]] = []  # of all runs of so many lines, and one more, the highest start, negated
    for _, (revision, count, is_empty) in reversed(marked):
        negated = -revision, -count, not is_empty
        # Of two lines that are equal only those without messages can follow on each other.
        length = bisect_right(highest, negated) if is_empty else bisect_left(highest, negated)
        highest[length : length + 1] = [negated]
        lengths.append(length + 1)
    return lengths[::-1]
