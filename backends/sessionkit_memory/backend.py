"""The backend: a dict of sessions under one lock."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from sessionkit.clock import now, to_datetime
from sessionkit.codec import MAX_MESSAGE_BYTES, decode_message, encode_message
from sessionkit.errors import BackendClosedError, BackendURLError, ConflictError
from sessionkit.forks import survive_forks
from sessionkit.keys import check_count, check_not_negative, check_session_key
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import RUNNING, SessionMetadata, SessionQuery, by_activity, check_query
from sessionkit.record import (
    SessionRecord,
    check_attributes,
    check_drop,
    check_fences,
    check_metadata,
    longest_stuck_first,
    newest_turn_first,
    restored_times,
    sets_attributes,
)
from sessionkit.record_backend import RecordBackend, T
from sessionkit.registry import BackendURL


@attrs.frozen
class _Stored:
    """A message as it is kept."""

    raw: bytes
    created_at: int
    turns: int
    tool_calls: int


@attrs.define
class _Session:
    """What is known of a session, and its messages, oldest first."""

    record: SessionRecord
    messages: list[_Stored] = attrs.Factory(list)

    def push(self, raw: bytes, message: ChatMessage, created_at: int) -> None:
        stored = _Stored(raw, created_at, message.is_turn, message.tool_call_count)
        self.messages.append(stored)
        self.record.count(1, stored.turns, stored.tool_calls)

    def pop(self) -> _Stored:
        stored = self.messages.pop()
        self.record.count(-1, -stored.turns, -stored.tool_calls)
        return stored


class MemoryBackend(RecordBackend):
    """All sessions of one object, gone with it. Safe to use from any thread.

    Args:
        max_message_bytes: how many bytes of JSON a message may take.
    """

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        check_not_negative(max_message_bytes, "max_message_bytes")
        self._max_message_bytes = max_message_bytes
        self._sessions: dict[str, _Session] = {}
        self._highest_deleted = 0  # so that no revision ever repeats
        self._closed = False
        self._lock = threading.RLock()
        self._held = False  # while the process forks
        survive_forks(self)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return [decode_message(stored.raw) for stored in self._messages(session_key)]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        raw = self._encoded(message)
        with self._lock:
            session = self._found_or_new(session_key)
            session.push(raw, message, session.record.changed())

    def remove_last(self, session_key: str, /) -> bool:
        with self._lock:
            session = self._found(session_key)
            if session is None or not session.messages:
                return False
            session.pop()
            session.record.changed()
            return True

    def list_sessions(self) -> list[str]:
        return [metadata.key for metadata in self.list_sessions_with_metadata()]

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        if last is not None:
            check_count(last, "last")
        part = slice(None) if last is None else slice(-last, None) if last else slice(0)
        return self._timestamped(session_key, part)

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        check_session_key(session_key)
        raw = self._encoded(message)
        with self._lock:
            session = self._found(session_key)
            if session is None or not session.messages:
                return False
            session.push(raw, message, session.pop().created_at)
            session.record.changed()
            return True

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return self._listed(lambda _: True, by_activity)

    def compact(self, session_key: str, /) -> None:
        self._found(session_key)  # nothing is ever superseded here

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        with self._lock:
            oldest = now() - ttl_hours * 3_600_000_000
            stale = [
                metadata.key for metadata in self._listed(lambda record: record.last_activity < oldest, by_activity)
            ]
            return sum(map(self.delete_session, stale))

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        check_query(query)
        with self._lock:  # or else a session's texts could be of another moment than its metadata
            return query.page(
                metadata
                for metadata in self.list_sessions_with_metadata()
                if query.matches(metadata, self._texts(metadata.key))
            )

    def clear_messages(self, session_key: str, /) -> int:
        with self._lock:
            session = self._found(session_key)
            if session is None or not session.messages:
                return 0
            removed, session.messages = len(session.messages), []
            session.record.clear_counts()
            session.record.changed()
            return removed

    def delete_session(self, session_key: str, /) -> bool:
        with self._lock:
            session = self._found(session_key)
            if session is None:
                return False
            del self._sessions[session_key]
            self._highest_deleted = max(self._highest_deleted, session.record.revision)
            return True

    def list_running_sessions(self) -> list[SessionMetadata]:
        return self._listed(lambda record: record.state == RUNNING, newest_turn_first)

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        check_not_negative(threshold_secs, "threshold_secs")
        oldest = now() - threshold_secs * 1_000_000
        return self._listed(
            lambda record: record.state == RUNNING and (record.heartbeat_at or 0) < oldest,
            longest_stuck_first,
        )

    def write(
        self,
        session_key: str,
        /,
        *,
        drop_last: int = 0,
        append: Iterable[ChatMessage] = (),
        attributes: Mapping[str, JSON] = {},
        if_revision: int | None = None,
        if_turn: str | None = None,
    ) -> int:
        """`sessionkit.SupportsWrite.write`."""
        check_count(drop_last, "drop_last")
        check_attributes(attributes)
        added = [(self._encoded(message), message) for message in append]
        with self._lock:
            session = self._found(session_key)
            record = session.record if session else None
            check_fences(session_key, record, if_revision=if_revision, if_turn=if_turn)
            check_drop(session_key, record, drop_last)
            if session is None and not added and not sets_attributes(attributes):
                return 0
            session = self._found_or_new(session_key)
            for _ in range(drop_last):
                session.pop()
            moment = session.record.changed() if drop_last or added else 0
            for raw, message in added:
                session.push(raw, message, moment)
            session.record.merge(attributes)
            return session.record.revision

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """`sessionkit.SupportsFirst.load_first`."""
        check_count(count, "count")
        return self._timestamped(session_key, slice(count))

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        """`sessionkit.SupportsRestore.restore`."""
        kept, times = restored_times(messages)
        encoded = [self._encoded(message) for message in kept]
        check_metadata(metadata)
        with self._lock:
            if self._found(session_key):
                msg = f"{session_key!r} exists; delete it first"
                raise ConflictError(msg)
            session = _Session(SessionRecord.restored(metadata, times, self._highest_deleted))
            for raw, message, moment in zip(encoded, kept, times, strict=True):
                session.push(raw, message, moment)
            self._sessions[session_key] = session

    def close(self) -> None:
        """Forget every session. Idempotent."""
        with self._lock:
            self._closed = True
            self._sessions = {}

    def __repr__(self) -> str:
        return "MemoryBackend()"

    def _look(self, session_key: str, look: Callable[[SessionRecord], T], /) -> T | None:
        with self._lock:
            session = self._found(session_key)
            return look(session.record) if session else None

    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        with self._lock:
            session = self._found_or_new(session_key) if create else self._found(session_key)
            return change(session.record) if session else None

    def _found(self, session_key: str) -> _Session | None:
        check_session_key(session_key)
        self._check_open()
        return self._sessions.get(session_key)

    def _found_or_new(self, session_key: str) -> _Session:
        session = self._found(session_key)
        if session is None:
            session = self._sessions[session_key] = _Session(SessionRecord.new(self._highest_deleted))
        return session

    def _check_open(self) -> None:
        if self._closed:
            msg = "this MemoryBackend is closed"
            raise BackendClosedError(msg)

    def _encoded(self, message: ChatMessage) -> bytes:
        return encode_message(message, max_bytes=self._max_message_bytes)

    def _messages(self, session_key: str, part: slice = slice(None)) -> list[_Stored]:
        with self._lock:
            session = self._found(session_key)
            return session.messages[part] if session else []

    def _timestamped(self, session_key: str, part: slice) -> list[TimestampedMessage]:
        messages = self._messages(session_key, part)
        return [TimestampedMessage(decode_message(stored.raw), to_datetime(stored.created_at)) for stored in messages]

    def _texts(self, session_key: str) -> Iterator[str]:
        for message in self.load(session_key):
            yield message.text

    def _listed(
        self, chosen: Callable[[SessionRecord], bool], order: Callable[[SessionMetadata], tuple[float, str]]
    ) -> list[SessionMetadata]:
        with self._lock:
            self._check_open()
            return sorted(
                (session.record.metadata(key) for key, session in self._sessions.items() if chosen(session.record)),
                key=order,
            )

    def _before_fork(self) -> None:
        if not self._held:
            self._lock.acquire()
            self._held = True

    def _after_fork_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._held = False
        self._lock = threading.RLock()


def open_url(url: BackendURL, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> MemoryBackend:
    """The factory of ``memory://``: a new, empty backend at each call.

    Raises:
        BackendURLError: the URL names a place, which memory is not.
    """
    if str(url) != "memory://":
        msg = "memory:// names no place: every opening gives a new, empty store"
        raise BackendURLError(msg)
    return MemoryBackend(max_message_bytes=max_message_bytes)
