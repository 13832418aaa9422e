"""What the calls do to a session's file once it is locked; each is given its log, or None where there is no file."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from sessionkit.errors import ConflictError, CorruptSessionError
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.record import SessionRecord, check_drop, check_fences, sets_attributes
from sessionkit_jsonl.floor import RevisionFloor
from sessionkit_jsonl.log import SessionLog


def remove_last(log: SessionLog | None) -> bool:
    """`SessionBackend.remove_last`."""
    if log is None or (record := log.look()) is None or not record.message_count:
        return False
    log.pop(record)
    record.changed()
    log.commit(record)
    return True


def update_last(log: SessionLog | None, raw: bytes, message: ChatMessage) -> bool:
    """`SessionBackend.update_last`."""
    if log is None or (record := log.look()) is None or not record.message_count:
        return False
    created_at = log.pop(record)
    moment = record.changed()
    record.count(1, message.is_turn, message.tool_call_count)
    log.commit(record, (raw,), created_at=UNSET if created_at == moment else created_at)
    return True


def clear(log: SessionLog | None) -> int:
    """`SessionBackend.clear_messages`."""
    if log is None or (record := log.look()) is None or not record.message_count:
        return 0
    removed = record.message_count
    log.pop_all(record)
    record.changed()
    log.commit(record)
    return removed


def compact(log: SessionLog | None) -> None:
    """`SessionBackend.compact`."""
    if log is not None and (record := log.look()) is not None:
        log.compact(record)


def mend(log: SessionLog | None, floor: RevisionFloor) -> str:
    """What a check does about a session; says so."""
    return "it is gone" if log is None else log.mend(floor)


def delete(log: SessionLog | None, floor: RevisionFloor) -> bool:
    """`SessionBackend.delete_session`; a file that can't be read is a session too, and goes."""
    if log is None:
        return False
    try:
        existed = log.look() is not None
    except CorruptSessionError:
        existed = True
    log.delete(floor)
    return existed


def delete_if_stale(log: SessionLog | None, floor: RevisionFloor, oldest: float) -> bool:
    """Delete the session, unless it has been active since, or damaged: then nobody knows."""
    try:
        record = None if log is None else log.look()
    except CorruptSessionError:
        return False
    if log is None or record is None or record.last_activity >= oldest:
        return False
    log.delete(floor)
    return True


def write(
    log: SessionLog | None,
    floor: RevisionFloor,
    key: str,
    *,
    drop_last: int,
    messages: Sequence[ChatMessage],
    added: Sequence[bytes],
    attributes: Mapping[str, JSON],
    if_revision: int | None,
    if_turn: str | None,
) -> int:
    """`SupportsWrite.write`; `added` is the JSON of the messages."""
    found = log.look() if log else None
    check_fences(key, found, if_revision=if_revision, if_turn=if_turn)
    check_drop(key, found, drop_last)
    if log is None or (found is None and not added and not sets_attributes(attributes)):
        return 0
    record = log.begin(floor)
    log.drop(record, drop_last)
    if drop_last or added:
        record.changed()
    for message in messages:
        record.count(1, message.is_turn, message.tool_call_count)
    merged = record.merge(attributes)
    if drop_last or added or merged:
        log.commit(record, added, snapshot=merged)
    return record.revision


def restore(
    log: SessionLog,
    floor: RevisionFloor,
    metadata: SessionMetadata,
    messages: Sequence[tuple[bytes, ChatMessage, int]],
    times: list[int],
) -> None:
    """`SupportsRestore.restore`; each message as JSON, as a value, and when it was stored."""
    if log.look():
        msg = f"{log.key!r} exists; delete it first"
        raise ConflictError(msg)
    record = SessionRecord.restored(metadata, times, log.highest_deleted(floor))
    log.restore(record, messages)
