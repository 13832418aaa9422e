"""The backend: a dict of sessions under one lock.

Ctrl-C, or whatever else a signal handler raises, may end a change between any two of its steps. So each change notes
beforehand how the session was, and forgets the note in its last step; who comes next and finds one undoes that change.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy

from sessionkit.clock import now, to_datetime
from sessionkit.codec import MAX_MESSAGE_BYTES, decode_message, encode_message
from sessionkit.errors import BackendClosedError, BackendURLError, ConflictError
from sessionkit.forks import survive_forks
from sessionkit.keys import check_count, check_not_negative, check_session_key
from sessionkit.locks import interrupts_itself
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
from sessionkit_memory.kept import Note, Session, Stored


class MemoryBackend(RecordBackend):
    """All sessions of one object, gone with it. Safe to use from any thread.

    A call in the middle of another one of the same thread, as a signal handler or a finalizer may make it, is a
    `BackendUnavailableError` to be tried again later.

    Args:
        max_message_bytes: how many bytes of JSON a message may take.
    """

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        check_not_negative(max_message_bytes, "max_message_bytes")
        self._max_message_bytes = max_message_bytes
        self._sessions: dict[str, Session] = {}
        self._highest_deleted = 0  # so that no revision ever repeats
        self._closed = False
        self._lock = threading.RLock()  # not a class of our own: `with` has no gap where its methods are not Python's
        self._is_used = False  # by a call that has the lock; left behind where an exception came between
        self._note: Note | None = None
        self._is_forking = self._is_interrupted = False
        survive_forks(self)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = self._alone(lambda: self._messages(session_key))
        return [decode_message(stored.raw) for stored in messages]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        raw = self._encoded(message)
        self._alone(lambda: self._append(session_key, raw, message))

    def remove_last(self, session_key: str, /) -> bool:
        return self._alone(lambda: self._replace_last(session_key))

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
        return self._alone(lambda: self._replace_last(session_key, (raw, message)))

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return self._alone(lambda: self._listed(lambda _: True, by_activity))

    def compact(self, session_key: str, /) -> None:
        self._alone(lambda: self._found(session_key))  # nothing is ever superseded here

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")

        def clean_up() -> int:
            oldest = now() - ttl_hours * 3_600_000_000
            stale = self._listed(lambda record: record.last_activity < oldest, by_activity)
            return sum(self._delete(metadata.key) for metadata in stale)

        return self._alone(clean_up)

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        check_query(query)

        def find() -> list[SessionMetadata]:
            return query.page(
                metadata
                for metadata in self._listed(lambda _: True, by_activity)
                if query.matches(metadata, self._texts(metadata.key))
            )

        return self._alone(find)  # or else a session's texts could be of another moment than its metadata

    def clear_messages(self, session_key: str, /) -> int:
        return self._alone(lambda: self._clear(session_key))

    def delete_session(self, session_key: str, /) -> bool:
        return self._alone(lambda: self._delete(session_key))

    def list_running_sessions(self) -> list[SessionMetadata]:
        return self._alone(lambda: self._listed(lambda record: record.state == RUNNING, newest_turn_first))

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        check_not_negative(threshold_secs, "threshold_secs")
        oldest = now() - threshold_secs * 1_000_000
        return self._alone(
            lambda: self._listed(
                lambda record: record.state == RUNNING and (record.heartbeat_at or 0) < oldest, longest_stuck_first
            )
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

        def change() -> int:
            found = self._found(session_key)
            record = found.record if found else None
            check_fences(session_key, record, if_revision=if_revision, if_turn=if_turn)
            check_drop(session_key, record, drop_last)
            if found is None and not added and not sets_attributes(attributes):
                return 0
            with self._changing(session_key, found, drops=drop_last) as session:
                for _ in range(drop_last):
                    session.pop()
                moment = session.record.changed() if drop_last or added else 0
                for raw, message in added:
                    session.push(raw, message, moment)
                session.record.merge(attributes)
                return session.record.revision

        return self._alone(change)

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """`sessionkit.SupportsFirst.load_first`."""
        check_count(count, "count")
        return self._timestamped(session_key, slice(count))

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        """`sessionkit.SupportsRestore.restore`."""
        kept, times = restored_times(messages)
        encoded = [self._encoded(message) for message in kept]
        check_metadata(metadata)

        def put() -> None:
            if self._found(session_key):
                msg = f"{session_key!r} exists; delete it first"
                raise ConflictError(msg)
            session = Session(SessionRecord.restored(metadata, times, self._highest_deleted))
            for raw, message, moment in zip(encoded, kept, times, strict=True):
                session.push(raw, message, moment)
            self._sessions[session_key] = session

        self._alone(put)

    def close(self) -> None:
        """Forget every session. Idempotent."""
        self._closed = True
        with self._lock:
            self._sessions = {}

    def __repr__(self) -> str:
        return "MemoryBackend()"

    def _look(self, session_key: str, look: Callable[[SessionRecord], T], /) -> T | None:
        def look_at() -> T | None:
            session = self._found(session_key)
            return look(session.record) if session else None

        return self._alone(look_at)

    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        def edit() -> T | None:
            found = self._found(session_key)
            if found is None and not create:
                return None
            with self._changing(session_key, found) as session:
                return change(session.record)

        return self._alone(edit)

    def _alone(self, action: Callable[[], T]) -> T:
        """What the action gives, while no other call does anything.

        Raises:
            BackendUnavailableError: it would be in the middle of another call of this thread.
        """
        interrupts = self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001  # pyright: ignore -- no public way asks
        with self._lock:
            if interrupts and self._is_used:
                raise interrupts_itself("memory://")
            self._is_used = True  # a handler that calls before has its turn before, and after it is False, after
            try:
                self._undo()
                return action()
            except BaseException:
                self._undo()
                raise
            finally:
                self._is_used = False

    @contextmanager
    def _changing(self, session_key: str, found: Session | None, *, drops: int = 0) -> Generator[Session]:
        """The session to be changed, created where there is none; all of the change happens, or nothing."""
        yield self._begun(session_key, found, drops=drops)
        self._note = None

    def _begun(self, session_key: str, found: Session | None, *, drops: int = 0) -> Session:
        """The same, for who ends the change by forgetting the note of it."""
        if found is None:
            self._note = Note(session_key, None)
            return self._found_or_new(session_key)
        messages = found.messages
        tail = messages[len(messages) - drops :] if drops else []
        self._note = Note(session_key, found, copy(found.record), messages, len(messages), tail)
        return found

    def _undo(self) -> None:
        """Undo a change that was not ended; again from its beginning, where this was not."""
        note = self._note
        if note is None:
            return
        if note.session is None or note.record is None:
            self._sessions.pop(note.key, None)
        else:
            note.messages[note.length - len(note.tail) :] = note.tail
            note.session.messages, note.session.record = note.messages, copy(note.record)
        self._note = None

    def _append(self, session_key: str, raw: bytes, message: ChatMessage) -> None:
        session = self._begun(session_key, self._found(session_key))  # not by `with`, which would take as long
        session.push(raw, message, session.record.changed())
        self._note = None

    def _replace_last(self, session_key: str, *new: tuple[bytes, ChatMessage]) -> bool:
        """Remove the newest message, and put the new one there, if one is given; whether there was one."""
        found = self._found(session_key)
        if found is None or not found.messages:
            return False
        with self._changing(session_key, found, drops=1) as session:
            created_at = session.pop().created_at
            for raw, message in new:
                session.push(raw, message, created_at)
            session.record.changed()
        return True

    def _clear(self, session_key: str) -> int:
        found = self._found(session_key)
        if found is None or not found.messages:
            return 0
        with self._changing(session_key, found) as session:
            removed, session.messages = len(session.messages), []
            session.record.clear_counts()
            session.record.changed()
        return removed

    def _delete(self, session_key: str) -> bool:
        session = self._found(session_key)
        if session is None:
            return False
        self._highest_deleted = max(self._highest_deleted, session.record.revision)
        del self._sessions[session_key]
        return True

    def _found(self, session_key: str) -> Session | None:
        check_session_key(session_key)
        self._check_open()
        return self._sessions.get(session_key)

    def _found_or_new(self, session_key: str) -> Session:
        session = self._found(session_key)
        if session is None:
            session = self._sessions[session_key] = Session(SessionRecord.new(self._highest_deleted))
        return session

    def _check_open(self) -> None:
        if self._closed:
            msg = "this MemoryBackend is closed"
            raise BackendClosedError(msg)

    def _encoded(self, message: ChatMessage) -> bytes:
        return encode_message(message, max_bytes=self._max_message_bytes)

    def _messages(self, session_key: str, part: slice = slice(None)) -> list[Stored]:
        session = self._found(session_key)
        return session.messages[part] if session else []

    def _timestamped(self, session_key: str, part: slice) -> list[TimestampedMessage]:
        messages = self._alone(lambda: self._messages(session_key, part))
        return [TimestampedMessage(decode_message(stored.raw), to_datetime(stored.created_at)) for stored in messages]

    def _texts(self, session_key: str) -> Iterator[str]:
        for stored in self._messages(session_key):
            yield decode_message(stored.raw).text

    def _listed(
        self, chosen: Callable[[SessionRecord], bool], order: Callable[[SessionMetadata], tuple[float, str]]
    ) -> list[SessionMetadata]:
        self._check_open()
        return sorted(
            (session.record.metadata(key) for key, session in self._sessions.items() if chosen(session.record)),
            key=order,
        )

    def _before_fork(self) -> None:
        if not self._is_forking:
            self._is_interrupted = self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001  # pyright: ignore -- likewise
            self._is_forking = True
        if not self._is_interrupted:
            self._lock.acquire()

    def _after_fork_in_parent(self) -> None:
        if self._is_forking and not self._is_interrupted:
            with suppress(RuntimeError):  # once it is ours no more; Ctrl-C may have had it taken twice
                while True:
                    self._lock.release()
        self._is_forking = False

    def _after_fork_in_child(self) -> None:
        if not self._is_interrupted:  # by a handler that forks: the call goes on in the child, and has the lock still
            self._lock = threading.RLock()
        self._is_forking = False


def open_url(url: BackendURL, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> MemoryBackend:
    """The factory of ``memory://``: a new, empty backend at each call.

    Raises:
        BackendURLError: the URL names a place, which memory is not.
    """
    if str(url) != "memory://":
        msg = "memory:// names no place: every opening gives a new, empty store"
        raise BackendURLError(msg)
    return MemoryBackend(max_message_bytes=max_message_bytes)
