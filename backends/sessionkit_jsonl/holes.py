"""What a power cut leaves of a write: zeroes in the place of the blocks that did not get to the disk.

A line with one never counts. But a session's header and its first line are written as
one: where the header has a hole and the line does not, that session was never whole, and nobody was told that it is.
"""

from sessionkit_jsonl.lines import has_hole, parse, split_lines


def half_created(data: bytes) -> frozenset[int]:
    """Where lines begin that are the first of a session whose header has a hole, and which nobody went on with.

    What follows says so: nothing of ours, or another header, for whoever wrote that had looked and found no session.
    """
    found: set[int | None] = set()
    candidate: int | None = None
    exists = False
    hole = -1  # where the line before begins, if it has one
    for offset, raw in split_lines(data):
        line = parse(raw)
        if line is None:
            hole = offset if has_hole(raw) else -1
            continue
        if line.mark is None and line.snapshot is not None:
            found.add(candidate)
            candidate = None
        else:
            first = line.mark is not None and line.mark.snapshot == hole and line.snapshot is None
            exists = exists or candidate is not None or not first
            candidate = None if exists else offset
        hole = -1
    found.add(candidate)
    return frozenset(each for each in found if each is not None)
