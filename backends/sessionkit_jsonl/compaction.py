"""A session's file written anew: with what is live, and nothing else."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from msgspec import UNSET, Raw

from sessionkit.clock import optional_microseconds
from sessionkit.codec import encode_json
from sessionkit.messages import ChatMessage
from sessionkit.record import SessionRecord
from sessionkit_jsonl.lines import NO_ATTRIBUTES, Mark, Snapshot, header_line, record_line
from sessionkit_jsonl.standing import Entry

_ENOUGH = 256 * 1024


def is_due(dead: int, size: int) -> bool:
    """Whether a file should be compacted by itself: mostly superseded, and large enough to be worth it.

    What is written anew is less than what was appended since the last time, so an append stays flat in the mean.
    """
    return dead > _ENOUGH and 2 * dead > size


def snapshot_of(key: str, record: SessionRecord) -> Snapshot:
    """What a file says of the session besides its messages and counts."""
    return Snapshot(
        key,
        record.created_at,
        record.name,
        record.agent_alias,
        record.channel_id,
        record.room_id,
        record.sender_id,
        record.state,
        record.turn_id,
        record.turn_started_at,
        record.heartbeat_at,
        Raw(encode_json(record.attributes, "attributes")) if record.attributes else NO_ATTRIBUTES,
    )


def content(key: str, record: SessionRecord, messages: Iterable[tuple[bytes, ChatMessage, int | None]]) -> bytes:
    """The whole file of a session with these messages: each as JSON, as a value, and when it was stored, if known.

    The counts are those of the messages, whatever the record says.
    """
    parts = [header_line(snapshot_of(key, record))]
    mark = Mark(record.revision, record.last_activity, 0, snapshot=0)
    begins, previous = len(parts[0]), None
    for raw, message, created_at in messages:
        mark.message_count += 1
        mark.turn_count += message.is_turn
        mark.tool_call_count += message.tool_call_count
        mark.created_at = UNSET if created_at == record.last_activity else created_at
        mark.position, mark.previous = begins, previous
        parts.append(record_line(mark, (raw,)))
        previous = begins
        begins += len(parts[-1])
    if previous is None:
        mark.position = begins
        parts.append(record_line(mark))
    return b"".join(parts)


def known_time(message: ChatMessage, created_at: int | None) -> int | None:
    """When a message was stored; of somebody else's nothing is known but what it says itself."""
    return optional_microseconds(message.timestamp) if created_at is None else created_at


def mended_times(messages: Sequence[tuple[Entry, ChatMessage]]) -> list[int | None]:
    """When each message was stored, as known; where times run backwards, the fewest that do are those of a neighbour.

    What is only known from messages themselves is their own affair, and stays.
    """
    times = [known_time(message, entry.created_at) for entry, message in messages]
    own = [
        (i, time)
        for i, (time, (entry, message)) in enumerate(zip(times, messages, strict=True))
        if time is not None and entry.created_at not in (None, optional_microseconds(message.timestamp))
    ]
    in_order = _longest_in_order([time for _, time in own])
    last = next((time for (_, time), fits in zip(own, in_order, strict=True) if fits), None)
    for (i, time), fits in zip(own, in_order, strict=True):
        last = time if fits else last
        times[i] = last
    return times


def _longest_in_order(times: list[int]) -> list[bool]:
    """Which of them make the longest run in which none is before the one preceding it."""
    ends: list[int] = []  # of the best run of each length
    lengths: list[int] = []
    for time in times:
        length = bisect_right(ends, time)
        ends[length : length + 1] = [time]
        lengths.append(length)
    fits = [False] * len(times)
    wanted, bound = len(ends) - 1, None
    for i in range(len(times) - 1, -1, -1):
        if lengths[i] == wanted and (bound is None or times[i] <= bound):
            fits[i], bound, wanted = True, times[i], wanted - 1
    return fits
