"""The backend: what the contract asks, in terms of views and logs of sessions' files."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, get_args

from sessionkit.clock import now, optional_datetime
from sessionkit.codec import MAX_MESSAGE_BYTES, encode_message
from sessionkit.errors import BackendClosedError, BackendUnavailableError, CorruptSessionError
from sessionkit.forks import survive_forks
from sessionkit.keys import check_count, check_not_negative, check_session_key
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import RUNNING, Finding, SessionMetadata, SessionQuery, by_activity, check_query
from sessionkit.os_errors import partly
from sessionkit.record import (
    SessionRecord,
    check_attributes,
    check_metadata,
    longest_stuck_first,
    newest_turn_first,
    restored_times,
    sets_attributes,
)
from sessionkit.record_backend import RecordBackend, T
from sessionkit_jsonl import edits, files
from sessionkit_jsonl.compaction import known_time
from sessionkit_jsonl.floor import RevisionFloor
from sessionkit_jsonl.folder import Folder, warn_left_out
from sessionkit_jsonl.log import SessionLog
from sessionkit_jsonl.slots import Slots
from sessionkit_jsonl.standing import Entry
from sessionkit_jsonl.view import SessionView

Mode = Literal["rw", "ro"]


class JSONLBackend(RecordBackend):
    """Sessions in a folder, one append-only JSONL file each; `sessionkit_jsonl.lines` documents the format.

    Safe to use from any thread and any number of processes of one machine, before and after a fork. What was
    acknowledged survives the death of the process.

    Args:
        folder: where the files are; created, for its owner alone, where it is missing, as are folders that lead to it.
        lock_timeout: how many seconds to wait for another writer.
        max_message_bytes: how many bytes of JSON a message may take.
        fsync: whether what was acknowledged survives a power cut too; each write then waits for the disk.
        mode: ``"ro"`` never writes and creates nothing; every writing call is `BackendUnavailableError`.

    Raises:
        BackendUnavailableError: the folder can't be created, or with ``"ro"`` is not there; every method, too, once it
            is gone.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        lock_timeout: float = 10.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        fsync: bool = False,
        mode: Mode = "rw",
    ) -> None:
        if mode not in get_args(Mode):
            msg = f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}"
            raise ValueError(msg)
        if not isinstance(fsync, bool):
            msg = f"fsync is True or False, not {fsync!r}"
            raise TypeError(msg)
        check_not_negative(lock_timeout, "lock_timeout")
        check_not_negative(max_message_bytes, "max_message_bytes")
        self._folder = Folder(folder, timeout=lock_timeout)
        self._floor = RevisionFloor(self._folder.path, timeout=lock_timeout, sync=fsync)
        self._slots = Slots(self._folder, timeout=lock_timeout)
        self._lock_timeout = lock_timeout
        self._max_message_bytes = max_message_bytes
        self._fsync = fsync
        self._writable = mode == "rw"
        self._closed = False
        if self._writable:
            files.make_folder(self._folder.path, sync=fsync)
        else:
            files.check_folder(self._folder.path)
        survive_forks(self)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        """As the contract says; a line that can't be read is left out, with a `CorruptRecordWarning`.

        Raises:
            CorruptSessionError: nothing in the session's file can be read, or it holds another session.
        """
        self._check(session_key)
        with self._folder.view(session_key) as view:
            return [message for _, message in view.messages()] if view else []

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        raw = encode_message(message, max_bytes=self._max_message_bytes)

        def add(log: SessionLog) -> None:
            record = log.begin(self._floor)
            record.changed()
            record.count(1, message.is_turn, message.tool_call_count)
            log.commit(record, (raw,))

        self._check_open()
        self._slots.use(session_key, self._create, add)

    def remove_last(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        return self._locked(session_key, edits.remove_last)

    def list_sessions(self) -> list[str]:
        return [key for key, _ in self._by_activity()]

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        self._check(session_key)
        if last is not None:
            check_count(last, "last")
        return self._timestamped(
            session_key, lambda view: view.messages() if last is None else view.newest_messages(last)
        )

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        check_session_key(session_key)
        raw = self._encoded(message)
        return self._locked(session_key, lambda log: edits.update_last(log, raw, message))

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return [record.metadata(key) for key, record in self._by_activity()]

    def compact(self, session_key: str, /) -> None:
        """As the contract says; what can't be read goes to a file beside, whose name ends in ``.corrupt``.

        The new file may be read and written by whoever might the old one, and belongs to whoever calls.
        """
        check_session_key(session_key)
        self._locked(session_key, edits.compact)

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        self._check_open()
        check_not_negative(ttl_hours, "ttl_hours")
        oldest = now() - ttl_hours * 3_600_000_000
        stale = [key for key, record in self._folder.sessions() if record.last_activity < oldest]
        deleted = 0
        for key in stale:
            with partly(applied=deleted):
                deleted += self._locked(key, lambda log: edits.delete_if_stale(log, self._floor, oldest))
        return deleted

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        check_query(query)
        self._check_open()
        if not query.terms:
            sessions = self._by_activity()
            last = len(sessions) if query.limit is None else min(query.offset + query.limit, len(sessions))
            listed = (record.metadata(key) for key, record in sessions)
            return query.page(islice(filter(query.admits, listed), last))  # and no more than that is made
        found: list[SessionMetadata] = []
        for view, record in self._folder.views():
            metadata = record.metadata(view.key)
            try:
                if query.admits(metadata) and query.matches(metadata, view.texts(query.terms)):
                    found.append(metadata)
            except CorruptSessionError as error:
                warn_left_out(error)
        return query.page(sorted(found, key=by_activity))

    def clear_messages(self, session_key: str, /) -> int:
        check_session_key(session_key)
        return self._locked(session_key, edits.clear)

    def delete_session(self, session_key: str, /) -> bool:
        """As the contract says; a file that can't be read is a session too, and goes."""
        check_session_key(session_key)
        return self._locked(session_key, lambda log: edits.delete(log, self._floor))

    def list_running_sessions(self) -> list[SessionMetadata]:
        return self._listed(lambda record: record.state == RUNNING, newest_turn_first)

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        self._check_open()
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
        check_session_key(session_key)
        check_count(drop_last, "drop_last")
        check_attributes(attributes)
        messages = list(append)
        added = [self._encoded(message) for message in messages]

        def change(log: SessionLog | None) -> int:
            return edits.write(
                log,
                self._floor,
                session_key,
                drop_last=drop_last,
                messages=messages,
                added=added,
                attributes=attributes,
                if_revision=if_revision,
                if_turn=if_turn,
            )

        return self._locked(session_key, change, create=bool(added) or sets_attributes(attributes))

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """`sessionkit.SupportsFirst.load_first`; as many as a later removal once left, or more, cost as much as `load`.

        Until the file is written anew; likewise where somebody else has changed it.
        """
        self._check(session_key)
        check_count(count, "count")
        return self._timestamped(session_key, lambda view: view.first_messages(count))

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        """`sessionkit.SupportsRestore.restore`."""
        check_session_key(session_key)
        kept, times = restored_times(messages)
        encoded = [self._encoded(message) for message in kept]
        check_metadata(metadata)
        stored = list(zip(encoded, kept, times, strict=True))
        self._check_open()
        self._slots.use(session_key, self._create, lambda log: edits.restore(log, self._floor, metadata, stored, times))

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        """`sessionkit.SupportsCheck.check`; reads every file of the folder whole, one at a time.

        A repair writes a session's file anew where anything in it is wrong, and takes rights from others. Files that
        are not ours are left alone.

        Raises:
            BackendUnavailableError: a repair, where the store was opened with ``mode=ro``.
        """
        from sessionkit_jsonl.check import Check  # noqa: PLC0415 -- who checks can wait, who opens a store should not

        self._check_open()
        if repair and not self._writable:
            msg = f"{self._folder.path} is not written: the store was opened with mode=ro"
            raise BackendUnavailableError(msg)
        return Check(self._folder, self._floor, self._lock_timeout, self._mend if repair else None).findings()

    def close(self) -> None:
        """Give back every file. Idempotent."""
        self._closed = True
        self._slots.close()

    def __repr__(self) -> str:
        return f"JSONLBackend({self._folder.path!r})"

    def _check(self, session_key: str) -> None:
        check_session_key(session_key)
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"this {self!r} is closed"
            raise BackendClosedError(msg)

    def _encoded(self, message: ChatMessage) -> bytes:
        return encode_message(message, max_bytes=self._max_message_bytes)

    def _timestamped(
        self, session_key: str, read: Callable[[SessionView], list[tuple[Entry, ChatMessage]]]
    ) -> list[TimestampedMessage]:
        with self._folder.view(session_key) as view:
            return [
                TimestampedMessage(message, optional_datetime(known_time(message, entry.created_at)))
                for entry, message in (read(view) if view else ())
            ]

    def _look(self, session_key: str, look: Callable[[SessionRecord], T], /) -> T | None:
        self._check_open()
        with self._folder.view(session_key) as view:
            return look(view.record) if view and view.record else None

    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        def edit(log: SessionLog | None) -> T | None:
            return log.edit(self._floor, change) if log is not None and (create or log.look()) else None

        return self._locked(session_key, edit, create=create)

    def _mend(self, session_key: str) -> str:
        return self._locked(session_key, lambda log: edits.mend(log, self._floor))

    def _listed(
        self, chosen: Callable[[SessionRecord], bool], order: Callable[[SessionMetadata], tuple[float, str]]
    ) -> list[SessionMetadata]:
        self._check_open()
        return sorted(
            (record.metadata(key) for key, record in self._folder.sessions() if chosen(record)),
            key=order,
        )

    def _by_activity(self) -> list[tuple[str, SessionRecord]]:
        """Every session, in the order of `by_activity`."""
        self._check_open()
        return sorted(self._folder.sessions(), key=lambda session: (-session[1].last_activity, session[0]))

    def _locked(self, session_key: str, action: Callable[[SessionLog | None], T], *, create: bool = False) -> T:
        """What `action` gives, with the session locked; of None where there is no file and none is to be created."""
        self._check_open()
        return self._slots.use(session_key, self._create if create else self._open, action)

    def _open(self, session_key: str) -> SessionLog | None:
        try:
            return self._log(session_key, files.CHANGE)
        except FileNotFoundError:
            files.check_still_there(self._folder.file(session_key))
            return None

    def _create(self, session_key: str) -> SessionLog:
        return self._log(session_key, files.CREATE)

    def _log(self, session_key: str, flags: int) -> SessionLog:
        self._check_open()  # again, now that nobody can close it before this call is through
        path = self._folder.file(session_key)
        if not self._writable:
            msg = f"{path} is not written: the store was opened with mode=ro"
            raise BackendUnavailableError(msg)
        return SessionLog(path, session_key, flags, sync=self._fsync)

    def _before_fork(self) -> None:
        self._slots.hold()

    def _after_fork_in_parent(self) -> None:
        self._slots.resume()

    def _after_fork_in_child(self) -> None:
        # The old ones' files close with them, which unlocks nothing.
        self._slots.orphan()
        self._slots = Slots(self._folder, timeout=self._lock_timeout)
