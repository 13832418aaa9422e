"""What every mark of a session's file claims, against what all of it says; see `sessionkit_jsonl.lines`.

Only of a file in which every line can be read and is in place: in another one, what marks claim is about lines that are
missing, and to write the file anew mends both.
"""

from collections.abc import Iterator

from sessionkit.codec import decode_json, encode_json
from sessionkit.errors import InvalidMessageError, SessionKitError
from sessionkit_jsonl import lines
from sessionkit_jsonl.beginning import first_entries
from sessionkit_jsonl.compaction import known_time, mended_times
from sessionkit_jsonl.lines import Mark, header_line, parse, record_line, split_lines
from sessionkit_jsonl.reading import newest_first, stand
from sessionkit_jsonl.scanning import Scan
from sessionkit_jsonl.standing import Entry, Standing
from sessionkit_jsonl.view import decoded
from sessionkit_jsonl.window import BrokenChainError, Window

Claim = tuple[str, int, str]
"""The kind of finding, where the line begins, and what it claims wrongly."""


def counted(found: Scan) -> tuple[int, int, int]:
    """How many messages, turns and tool calls there are, of those that can be read."""
    messages = [message for _, message in decoded(found.live)[0]]
    return (
        len(messages),
        sum(message.is_turn for message in messages),
        sum(message.tool_call_count for message in messages),
    )


def backward_times(found: Scan) -> int:
    """Of how many messages, at the least, the time is wrong, as times don't run backwards."""
    messages = decoded(found.live)[0]
    said = [known_time(message, entry.created_at) for entry, message in messages]
    return sum(time != mended for time, mended in zip(said, mended_times(messages), strict=True))


def wrong_claims(data: bytes) -> Iterator[Claim]:
    """What marks claim that is not so: positions, references, and times that run backwards."""
    so_far = Scan()
    last: Mark | None = None
    lowest: int | None = None
    shift = 0  # by how much lines stand elsewhere than where they were written; told once, where it begins
    for offset, raw in split_lines(data):
        line = parse(raw)
        if line is None:
            continue
        before = so_far.standing.message_count
        so_far.pass_line(offset, line, len(raw) + 1)
        mark = line.mark
        if mark is None:
            continue
        left = mark.message_count - len(line.messages)
        if offset >= lines.BEGINNING and (mark.message_count < before or left < before - 1):
            lowest = left if lowest is None else min(lowest, left)
        if lowest is not None and (mark.low is None or mark.low > lowest):
            yield "structure", offset, f"it knows of no line that left {lowest} messages"
        moved = 0 if mark.position is None else offset - mark.position
        if moved != shift or not moved:
            yield from (("structure", offset, what) for what in _of_one(offset, mark, so_far, len(line.messages)))
        shift = moved
        if last is not None and mark.last_activity < last.last_activity:
            yield "order", offset, "its time is before that of the line above it"
        last = mark
        snapshot = so_far.standing.snapshot
        if snapshot is not None and snapshot.created_at > mark.last_activity:
            yield "order", offset, "its time is before that of the session's creation"


def respelled_from(data: bytes) -> int | None:
    """Where the first line begins that another program has spelled its own way; None where we wrote all of them.

    What lines claim of places in the file is not so from there on, and nothing is lost by that.
    """
    for offset, raw in split_lines(data):
        line = parse(raw)
        if line is not None and line.mark is not None:
            ours = record_line(line.mark, line.messages, line.snapshot)
        elif line is not None and line.snapshot is not None:
            ours = header_line(line.snapshot)
        else:
            continue  # nobody's, or somebody else's anyway
        if ours[:-1] != raw or not all(map(_is_spelled_as_ours, line.messages)):
            return offset
    return None


def _is_spelled_as_ours(message: bytes) -> bool:
    """Whether we would write it so; damage, in a message that was superseded, is nobody's spelling."""
    try:
        return encode_json(decode_json(message), "it") == message
    except InvalidMessageError:
        return True


def _of_one(offset: int, mark: Mark, so_far: Scan, own: int) -> Iterator[str]:
    above = so_far.live[-own - 1] if len(so_far.live) > own else None
    if mark.position not in (None, offset):
        yield f"it was written at byte {mark.position}"
    elif mark.previous != (above.at if above else None) and mark.position is not None:
        yield f"the message before it is not at byte {mark.previous}"
    if mark.snapshot not in (None, so_far.standing.snapshot_at):
        yield f"what is known of the session does not stand at byte {mark.snapshot}"
    if mark.dead > offset:
        yield "it counts more bytes that nobody needs than there are"


def disagreement(window: Window, found: Scan) -> str | None:
    """What the tail or the beginning of the file tells otherwise than all of it; None where they agree."""
    try:
        standing = stand(window)
    except BrokenChainError:
        return "its last line refers to what is not there"
    if _said(standing) != _said(found.standing):
        return "its last line does not tell how things stand"
    count = standing.message_count
    try:
        newest = list(newest_first(window, standing.newest, count))[::-1]
    except (BrokenChainError, SessionKitError):
        return "its messages can't be found from the last one backwards"
    if list(map(_known, newest)) != list(map(_known, found.live)):
        return "from the last one backwards, its messages are not those that stand there"
    for few in sorted({1, count // 2, count - 1, count} - {0, -1}):
        try:
            first = first_entries(window, standing, few)
        except BrokenChainError:
            continue  # only all of the file tells, and so it is read
        if list(map(_known, first)) != list(map(_known, found.live[:few])):
            return "from the first one forwards, its messages are not those that stand there"
    return None


def _said(standing: Standing) -> tuple[object, ...]:
    snapshot = standing.snapshot and repr(standing.snapshot)
    counts = standing.message_count, standing.turn_count, standing.tool_call_count
    return standing.exists, standing.revision, standing.last_activity, counts, bool(snapshot), standing.snapshot_at


def _known(entry: Entry) -> tuple[object, ...]:
    return entry.ordinal, entry.raw, entry.created_at, entry.at
