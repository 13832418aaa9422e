"""A session's file written anew: with what is live, and nothing else."""

from collections.abc import Iterable

from msgspec import UNSET, Raw

from sessionkit.clock import optional_microseconds
from sessionkit.codec import encode_json
from sessionkit.messages import ChatMessage
from sessionkit.record import SessionRecord
from sessionkit_jsonl.lines import NO_ATTRIBUTES, Mark, Snapshot, header_line, record_line

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
