"""The first messages of a session's file, from its beginning.

They are those that stand there if no later line removed or replaced them. Of the lines that are not read here the last
mark says so in ``low``. It is believed where that line still begins at its ``pos``, so that nothing was put above it or
taken away since; and where something was before that, whoever wrote next noticed, and wrote a ``low`` of 0. What is
read must lie where it was written, in order, without a gap. All lines between are then higher, so that none of those
read here can be out of place, however they lie; and those that can't be read do nothing.
"""

from sessionkit_jsonl.lines import BEGINNING, parse
from sessionkit_jsonl.scanning import Scan
from sessionkit_jsonl.standing import Entry, Standing
from sessionkit_jsonl.window import BrokenChainError, Window


def first_entries(window: Window, standing: Standing, count: int) -> list[Entry]:
    """The first `count` messages of a file at whose end that is how things stand.

    Raises:
        BrokenChainError: only all of the file tells which they are.
    """
    if not count:
        return []
    if count >= standing.message_count or (standing.low is not None and count >= standing.low):
        raise BrokenChainError
    found = Scan()
    for offset, raw in window.lines_forward():
        line = parse(raw)
        if line is None:
            continue
        found.pass_line(offset, line, len(raw) + 1)
        mark, live = line.mark, found.live
        if not found.in_order or (live and live[-1].ordinal >= len(live)) or (mark and mark.position != offset):
            raise BrokenChainError
        if mark and offset >= BEGINNING and mark.message_count - len(line.messages) >= count < len(live):
            # From so many down to these is more than the newest, and any line that does that says so in `low`.
            return live[:count]
    raise BrokenChainError
