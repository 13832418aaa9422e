"""The methods of the contract, each a statement or a transaction on the layout of `sessionkit_sqlite.schema`."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import cast

from sessionkit.clock import now, to_datetime
from sessionkit.codec import MAX_MESSAGE_BYTES, decode_message, encode_message
from sessionkit.errors import (
    ConflictError,
    CorruptRecordWarning,
    CorruptSessionError,
    InvalidMessageError,
)
from sessionkit.keys import check_count, check_not_negative, check_session_key
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import RUNNING, Finding, SessionMetadata, SessionQuery, check_query
from sessionkit.record import (
    SessionRecord,
    check_attributes,
    check_drop,
    check_fences,
    check_metadata,
    restored_times,
    sets_attributes,
)
from sessionkit.record_backend import RecordBackend, T
from sessionkit.warn import warn_caller
from sessionkit_sqlite import failures, listing, rows, settling, terms
from sessionkit_sqlite.rows import SessionRow, to_record, transaction
from sessionkit_sqlite.schema import give_back_space
from sessionkit_sqlite.search import find_sessions
from sessionkit_sqlite.store import Mode, Store, Synchronous
from sessionkit_sqlite.tails import Tails

_LARGEST = 2**62  # any limit beyond it is none

_TAIL = "BETWEEN s.number << 32 AND s.number << 32 | 0xFFFFFFFF"

_NEWEST = f"(SELECT max(m.id) FROM sessions AS s JOIN messages AS m ON m.id {_TAIL} WHERE s.key = ?)"

# A message that neither the session's row nor the index knows can be replaced alone: the tail, almost always.
_REPLACE = f"""
UPDATE messages SET message = CAST(? AS TEXT), turns = ?, tool_calls = ?, replacements = replacements + 1,
    replaced_at = max(?, created_at, ifnull(replaced_at, created_at))
WHERE id = {_NEWEST} AND id & 0xFFFFFFFF > (SELECT settled FROM sessions WHERE number = id >> 32)
    AND id >= (SELECT since FROM unindexed WHERE number = id >> 32)
"""

_OF_SESSION = f"""
FROM sessions AS s JOIN messages AS m ON m.id {_TAIL} WHERE s.key = ? ORDER BY m.id
"""
_LOAD_MESSAGES = f"SELECT ifnull(CAST(m.message AS BLOB), x'') {_OF_SESSION}"
_LOAD = f"SELECT ifnull(CAST(m.message AS BLOB), x''), m.created_at, m.id {_OF_SESSION}"


class SQLiteBackend(RecordBackend):
    """Sessions in one SQLite file, shared by any number of threads and processes of one machine.

    Args:
        path: the file; it and its folder are created, for their owner only, where they are missing.
        mode: ``"rw"``, or ``"ro"`` to read a store where nothing may be written, whoever writes to it.
        synchronous: ``"normal"``: what was acknowledged survives the death of the process. A power cut may undo the
            last writes, all those since some moment after the last checkpoint, and then revisions that were given with
            them are given again. ``"full"``: what was acknowledged survives a power cut too, and no revision is given
            again.
        busy_timeout: seconds to wait for another thread or process.
        max_message_bytes: how many bytes of JSON a message may take.

    Raises:
        BackendUnavailableError: the file can't be opened, locked or migrated, is no database, another program's, or a
            newer sessionkit's.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mode: Mode = "rw",
        synchronous: Synchronous = "normal",
        busy_timeout: float = 10.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        check_not_negative(busy_timeout, "busy_timeout")
        check_not_negative(max_message_bytes, "max_message_bytes")
        self._max_message_bytes = max_message_bytes
        # Processes that live shorter than it takes to settle and to check would never do either.
        self._until_settling = self._until_check = 1
        self._store = Store(Path(path), mode=mode, synchronous=synchronous, busy_timeout=busy_timeout)
        self._tails = Tails(self._store.writing)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        check_session_key(session_key)
        try:
            with self._store.reading as connection:
                # One by one from a single column: all rows at once would be built first, for a fifth of the time.
                return [decode_message(raw) for (raw,) in connection.execute(_LOAD_MESSAGES, (session_key,))]
        except InvalidMessageError:
            return [message for message, _ in self._loaded(session_key, None)]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        raw = self._encoded(message)
        values = (now(), message.is_turn, message.tool_call_count, raw)
        with self._store.writing as connection:
            newest = self._tails.append(connection, session_key, *values)
            if newest is None:
                newest = rows.append(connection, session_key, *values)
                self._tails.note(session_key, newest)
            self._until_settling -= 1
            self._until_check -= 1
            if self._until_settling <= 0 or self._until_check <= 0 or newest % settling.EVERY == 0:
                self._tidy(connection, 1)

    def remove_last(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        with self._store.writing as connection, rows.changing(connection, session_key) as session:
            if session is None or session.record.message_count == 0:
                return False
            rows.drop(connection, session, 1)
            session.record.changed()
            return True

    def list_sessions(self) -> list[str]:
        with self._store.reading as connection, transaction(connection, "DEFERRED"):
            found = rows.read(connection, lambda: listing.keys(connection))
        return [key for key in found if type(key) is str]  # the others are none

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        if last is not None:
            check_count(last, "last")
        loaded = self._loaded(session_key, last)
        try:
            return [TimestampedMessage(message, to_datetime(created_at)) for message, created_at in loaded]
        except (TypeError, OverflowError):  # a damaged row; its message is sound
            return [TimestampedMessage(message, rows.known_time(created_at)) for message, created_at in loaded]

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        check_session_key(session_key)
        raw = self._encoded(message)
        values = (raw, message.is_turn, message.tool_call_count, now(), session_key)
        with self._store.writing as connection:
            if connection.execute(_REPLACE, values).rowcount:
                return True
            with transaction(connection):
                (newest,) = connection.execute(f"SELECT {_NEWEST}", (session_key,)).fetchone()
                if newest is None:
                    return False
                settling.unsettle(connection, newest)
                terms.forget_newest(connection, newest)
                connection.execute(_REPLACE, values)
            self._tidy_now_and_then(connection, 1)
            return True

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        damaged: list[CorruptSessionError] = []
        with self._store.reading as connection, transaction(connection, "DEFERRED"):
            found = rows.read(
                connection, lambda: list(listing.newest_first(connection, damaged, listing.Conditions())), damaged
            )
        rows.warn_of(damaged)
        return [metadata for _, metadata in found]

    def compact(self, session_key: str, /) -> None:
        check_session_key(session_key)
        with self._store.writing as connection, rows.changing(connection, session_key) as session:
            aside = 0 if session is None else rows.set_corrupt_aside(connection, session)
        with failures.partly(applied=aside), self._store.writing as connection:
            with transaction(connection):
                settling.settle(connection)
            while terms.index_batch(connection, at_least=1):
                pass
            give_back_space(connection)

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        check_not_negative(ttl_hours, "ttl_hours")
        oldest = _whole(now() - ttl_hours * 3_600_000_000)
        deleted = 0
        while True:  # some at a time, so that nobody waits for long
            with failures.partly(applied=deleted), self._store.writing as connection, transaction(connection):
                settling.settle(connection)
                stale = connection.execute(
                    "SELECT key FROM sessions WHERE last_activity < ? LIMIT 100", (oldest,)
                ).fetchall()
                for (key,) in stale:
                    rows.delete(connection, key)
            deleted += len(stale)
            if not stale:
                return deleted

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        check_query(query)
        until = None if query.limit is None else min(query.offset + query.limit, _LARGEST)
        damaged: list[CorruptSessionError] = []
        with self._store.reading as connection, transaction(connection, "DEFERRED"):
            page = rows.read(
                connection,
                lambda: list(islice(find_sessions(connection, query, damaged), min(query.offset, _LARGEST), until)),
                damaged,
            )
        rows.warn_of(damaged)  # afterwards: whoever is warned may use the store
        return page

    def clear_messages(self, session_key: str, /) -> int:
        check_session_key(session_key)
        with self._store.writing as connection, rows.changing(connection, session_key) as session:
            if session is None or session.record.message_count == 0:
                return 0
            removed = session.record.message_count
            rows.remove(connection, *session.ids)
            session.record.clear_counts()
            session.record.changed()
            return removed

    def delete_session(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        with self._store.writing as connection, transaction(connection):
            return rows.delete(connection, session_key)

    def list_running_sessions(self) -> list[SessionMetadata]:
        return self._running("TRUE", "turn_started_at DESC")

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        check_not_negative(threshold_secs, "threshold_secs")
        oldest = _whole(now() - threshold_secs * 1_000_000)
        return self._running("heartbeat_at < ?", "heartbeat_at", oldest)

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
        added = [(self._encoded(message), message) for message in append]
        creates = bool(added) or sets_attributes(attributes)
        with self._store.writing as connection:
            with rows.changing(connection, session_key, create=creates) as session:
                existing = None if session is None or session.is_new else session.record
                check_fences(session_key, existing, if_revision=if_revision, if_turn=if_turn)
                check_drop(session_key, existing, drop_last)
                if session is None:
                    return 0
                if drop_last:
                    rows.drop(connection, session, drop_last)
                if drop_last or added:
                    moment = session.record.changed()
                    rows.insert(connection, session, [(moment, raw, message) for raw, message in added])
                session.record.merge(attributes)
            self._tidy_now_and_then(connection, len(added))
            return session.record.revision

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """`sessionkit.SupportsFirst.load_first`."""
        check_count(count, "count")
        check_session_key(session_key)
        with self._store.reading as connection:
            found = connection.execute(f"{_LOAD} LIMIT ?", (session_key, min(count, _LARGEST))).fetchall()
        try:
            return [TimestampedMessage(decode_message(raw), to_datetime(created_at)) for raw, created_at, _ in found]
        except (InvalidMessageError, TypeError, OverflowError):
            return self.load_with_timestamps(session_key)[:count]

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        """`sessionkit.SupportsRestore.restore`."""
        kept, times = restored_times(messages)
        encoded = [self._encoded(message) for message in kept]
        check_metadata(metadata)
        check_session_key(session_key)
        with self._store.writing as connection:
            with rows.creating(connection, session_key) as session:
                if not session.is_new:
                    msg = f"{session_key!r} exists; delete it first"
                    raise ConflictError(msg)
                session.record = SessionRecord.restored(metadata, times, session.record.revision - 1)
                rows.insert(connection, session, list(zip(times, encoded, kept, strict=True)))
            self._tidy_now_and_then(connection, len(kept))

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        """`sessionkit.SupportsCheck.check`; see `sessionkit_sqlite.checking`."""
        from sessionkit_sqlite.checking import check_store  # noqa: PLC0415 -- what is seldom needed is imported late

        return check_store(self._store, repair=repair)

    def close(self) -> None:
        """Close the file, after the calls that are using it; one that takes longer than a second is interrupted."""
        self._store.close()

    def __repr__(self) -> str:
        return f"SQLiteBackend({self._store.name!r})"

    def _encoded(self, message: ChatMessage) -> bytes:
        return encode_message(message, max_bytes=self._max_message_bytes)

    def _loaded(self, session_key: str, last: int | None) -> list[tuple[ChatMessage, int]]:
        """The messages and when they were stored; one that can't be read is left out, with a warning."""
        check_session_key(session_key)
        with self._store.reading as connection:
            if last is None:
                found = connection.execute(_LOAD, (session_key,)).fetchall()
            else:
                found = connection.execute(f"{_LOAD} DESC LIMIT ?", (session_key, min(last, _LARGEST))).fetchall()[::-1]
        try:
            return [(decode_message(raw), created_at) for raw, created_at, _ in found]
        except InvalidMessageError:
            if last is not None:
                return self._loaded(session_key, None)[-last:]
            return list(self._readable(session_key, found))

    def _readable(self, session_key: str, found: list[tuple[bytes, int, int]]) -> Iterator[tuple[ChatMessage, int]]:
        for raw, created_at, number in found:
            try:
                yield decode_message(raw), created_at
            except InvalidMessageError as error:
                where = f"row {number} of messages in {self._store.name}"
                warn_caller(f"a message of {session_key!r} was skipped, {where}: {error}", CorruptRecordWarning)

    def _running(self, condition: str, order: str, *values: int) -> list[SessionMetadata]:
        of_running = f"s.number IN (SELECT number FROM sessions WHERE state = '{RUNNING}' AND {condition})"
        with self._store.reading as connection:
            statement = settling.current(of_running, settling.CURRENT_COLUMNS)
            ordered = f"{statement} ORDER BY {order}, key"
            found = rows.read(connection, lambda: connection.execute(ordered, values).fetchall())
        damaged: list[CorruptSessionError] = []
        listed = [metadata for _, metadata in rows.readable(found, damaged)]
        rows.warn_of(damaged)
        return listed

    def _look(self, session_key: str, look: Callable[[SessionRecord], T], /) -> T | None:
        with self._store.reading as connection:
            row = rows.look(connection, settling.LOOK, session_key)
        if row is None:
            return None
        try:
            return look(to_record(row))
        except OverflowError as error:
            raise rows.damaged_times(session_key, row[1], error) from error

    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        with (
            self._store.writing as connection,
            rows.changing(connection, session_key, create=create) as session,
        ):
            try:
                return None if session is None else change(session.record)
            except OverflowError as error:
                raise rows.damaged_times(session_key, cast("SessionRow", session).number, error) from error

    def _tidy_now_and_then(self, connection: sqlite3.Connection, added: int) -> None:
        """`_tidy`, where this process has added enough since it last did."""
        self._until_settling -= added
        self._until_check -= added
        if self._until_settling <= 0 or self._until_check <= 0:
            self._tidy(connection, added)

    def _tidy(self, connection: sqlite3.Connection, added: int) -> None:
        """Settle, and index what has come together."""
        self._until_settling = settling.EVERY
        try:
            with transaction(connection):
                settling.settle(connection)
            if self._until_check <= 0:
                self._until_check = terms.CHECK_EVERY
                if not terms.index_batches(connection, added):
                    self._until_check = 1  # there may be more
        except sqlite3.Error:
            # The messages are stored, and found without the index: only the caller's next writes may say what is wrong.
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _whole(microseconds: float) -> int:
    """The nearest that SQLite can compare with, of a time that may be infinitely long ago."""
    return int(max(microseconds, -_LARGEST))
