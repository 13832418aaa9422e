"""Reading and writing the rows of a session, within a transaction that the caller has begun."""

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from datetime import datetime
from types import NoneType
from typing import Any, TypeVar, cast

import msgspec

from sessionkit.clock import to_datetime
from sessionkit.codec import decode_json, decode_message, encode_json
from sessionkit.errors import CorruptRecordWarning, CorruptSessionError, InvalidMessageError
from sessionkit.messages import ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.record import SessionRecord
from sessionkit.warn import warn_caller
from sessionkit_sqlite import settling, terms
from sessionkit_sqlite.schema import SESSION_COLUMNS

T = TypeVar("T")

_COLUMNS = ", ".join(SESSION_COLUMNS)

# Of which types the values of each column but the attributes may be; and combinations of types that were found to be.
_KINDS: list[set[Any]] = [*[{int}] * 6, *[{str, NoneType}] * 5, {str}, {str, NoneType}, *[{int, NoneType}] * 2]
_sound_kinds: set[tuple[type, ...]] = set()
_MOST_KINDS = 1024

# Not INSERT ... SELECT: beside a trigger, SQLite would put the row into a temporary table first. For an unknown session
# the time is NULL, which the table refuses.
_APPEND = """
INSERT INTO messages (id, created_at, turns, tool_calls, message) VALUES (
    (SELECT 1 + max(number << 32 | last_position, ifnull((
        SELECT max(id) FROM messages WHERE id BETWEEN number << 32 AND number << 32 | 0xFFFFFFFF
     ), 0)) FROM sessions WHERE key = ?),
    (SELECT max(?, last_activity, ifnull((
        SELECT CASE typeof(created_at) WHEN 'integer' THEN max(created_at, ifnull(replaced_at, created_at)) END
        FROM messages
        WHERE id BETWEEN number << 32 AND number << 32 | 0xFFFFFFFF ORDER BY id DESC LIMIT 1
     ), last_activity)) FROM sessions WHERE key = ?),
    ?, ?, CAST(? AS TEXT)
)
"""


class SessionRow(msgspec.Struct):
    """A row of ``sessions`` within a transaction."""

    number: int
    position: int
    record: SessionRecord
    is_new: bool = False

    @property
    def ids(self) -> tuple[int, int]:
        """The first and the last id that a message of the session can have."""
        return _ids(self.number)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Generator[None]:
    """All of it or nothing; what fails is rolled back by the store."""
    connection.execute(f"BEGIN {kind}")
    yield
    connection.execute("COMMIT")


@contextmanager
def changing(connection: sqlite3.Connection, session_key: str, *, create: bool = False) -> Generator[SessionRow | None]:
    """A transaction on one session, whose record is written back at its end; None for an unknown session."""
    with transaction(connection):
        session = find(connection, session_key)
        if session is None and create:
            create_row(connection, session_key)
            session = find(connection, session_key, is_new=True)
        before = session and copy(session.record)
        yield session
        if session is not None and session.record != before:
            _write_back(connection, session)


def creating(connection: sqlite3.Connection, session_key: str) -> AbstractContextManager[SessionRow]:
    """`changing`, of a session that is created where it is missing."""
    return cast("AbstractContextManager[SessionRow]", changing(connection, session_key, create=True))


def to_record(row: Sequence[Any]) -> SessionRecord:
    """The record that the values of `settling.READ_COLUMNS` make.

    Raises:
        CorruptSessionError: a value is of a kind that it can't be, or the attributes can't be read.
    """
    key, number, *values, raw = row
    kinds = tuple(map(type, values))
    if kinds not in _sound_kinds:
        _check_kinds(key, number, kinds)
    try:
        attributes = decode_json(raw)
    except InvalidMessageError as error:
        raise _damaged(key, number, "the attributes", str(error)) from error
    if not isinstance(attributes, dict):
        raise _damaged(key, number, "the attributes", "they are no JSON object")
    record = SessionRecord(*values)
    record.attributes = attributes
    return record


def look(connection: sqlite3.Connection, statement: str, session_key: str) -> Sequence[Any] | None:
    """The row that a statement gives of a session; None for an unknown one."""
    rows = read(connection, lambda: connection.execute(statement, (session_key,)).fetchall())
    return rows[0] if rows else None


def read(
    connection: sqlite3.Connection, rows: Callable[[], list[T]], damaged: list[CorruptSessionError] | None = None
) -> list[T]:
    """What `rows` reads, adding to `damaged`; a text that is none, as it is no UTF-8, comes as the bytes it is."""
    try:
        return rows()
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    if damaged is not None:
        damaged.clear()
    connection.text_factory = text_or_bytes
    try:
        return rows()
    finally:
        connection.text_factory = str


def text_or_bytes(raw: bytes) -> str | bytes:
    """The text, or the bytes where they are none: for `sqlite3.Connection.text_factory`."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def damaged_times(session_key: str, number: int, error: OverflowError) -> CorruptSessionError:
    """The error for a session whose times are none that can be."""
    return _damaged(session_key, number, "the times", str(error))


def _check_kinds(key: object, number: int, kinds: tuple[type, ...]) -> None:
    for column, kind, sound in zip(SESSION_COLUMNS, kinds, _KINDS, strict=False):
        if kind not in sound:
            raise _damaged(key, number, column, f"it is of type {kind.__name__}")
    if len(_sound_kinds) < _MOST_KINDS:
        _sound_kinds.add(kinds)


def readable(
    rows: Iterable[Sequence[Any]], damaged: list[CorruptSessionError]
) -> Iterator[tuple[int, SessionMetadata]]:
    """The number and the metadata of each session; of a damaged one, the error is added to `damaged`."""
    for row in rows:
        try:
            if type(row[0]) is not str:
                raise _damaged(row[0], row[1], "the key", "it is no text")
            metadata = to_record(row).metadata(row[0], last_use=True)
        except CorruptSessionError as error:
            damaged.append(error)
        except (TypeError, ValueError, OverflowError) as error:
            damaged.append(_damaged(row[0], row[1], "the times", str(error)))
        else:
            yield row[1], metadata


def warn_of(damaged: Iterable[CorruptSessionError]) -> None:
    """Say which sessions were left out, and why."""
    for error in damaged:
        warn_caller(f"left out: {error}", CorruptRecordWarning)


def find(connection: sqlite3.Connection, session_key: str, *, is_new: bool = False) -> SessionRow | None:
    """The session's row; None for an unknown session.

    Raises:
        CorruptSessionError: it can't be read.
    """
    row = look(connection, settling.FIND, session_key)
    return None if row is None else SessionRow(row[2], row[0], to_record(row[1:]), is_new)


def create_row(connection: sqlite3.Connection, session_key: str) -> None:
    """A row for a session that has none."""
    row = connection.execute("SELECT highest_deleted_revision FROM store").fetchone()
    if row is None or type(row[0]) is not int:
        msg = "the table store does not say which revisions were given, so no session can be created; repair the store"
        raise CorruptSessionError(msg, session_key=session_key, where="the table store")
    record = SessionRecord.new(row[0])
    connection.execute(
        f"INSERT INTO sessions (key, {_COLUMNS}) VALUES (?, {', '.join('?' * len(SESSION_COLUMNS))})",
        (session_key, *_columns(record)),
    )


def _write_back(connection: sqlite3.Connection, session: SessionRow) -> None:
    """Store what the record has become, which tells of all messages."""
    connection.execute(
        f"UPDATE sessions SET ({_COLUMNS}) = ({', '.join('?' * len(SESSION_COLUMNS))}), last_position = ?, settled = ?"
        " WHERE number = ?",
        (*_columns(session.record), session.position, session.position, session.number),
    )
    connection.execute("DELETE FROM unsettled WHERE number = ?", (session.number,))


def _columns(record: SessionRecord) -> list[Any]:
    """The values of `SESSION_COLUMNS`."""
    values = [getattr(record, column) for column in SESSION_COLUMNS[:-1]]
    return [*values, encode_json(record.attributes, "attributes").decode()]


def append(connection: sqlite3.Connection, session_key: str, moment: int, *values: Any) -> int:
    """Store a message at the end, in a transaction of its own: the time, its counts and its JSON. Returns its id."""
    parameters = (session_key, moment, session_key, *values)
    try:
        cursor = connection.execute(_APPEND, parameters)
    except sqlite3.IntegrityError:
        with transaction(connection):
            create_row(connection, session_key)
            cursor = connection.execute(_APPEND, parameters)
    return cast("int", cursor.lastrowid)


def insert(connection: sqlite3.Connection, session: SessionRow, added: list[tuple[int, bytes, ChatMessage]]) -> None:
    """Store messages at the end: when, as what, and which. The trigger keeps ``unindexed``."""
    first = session.number << 32 | session.position + 1
    rows = [
        (first + i, moment, message.is_turn, message.tool_call_count, raw)
        for i, (moment, raw, message) in enumerate(added)
    ]
    connection.executemany(
        "INSERT INTO messages (id, created_at, turns, tool_calls, message) VALUES (?, ?, ?, ?, CAST(? AS TEXT))", rows
    )
    session.position += len(rows)
    session.record.count(len(rows), sum(row[2] for row in rows), sum(row[3] for row in rows))


def drop(connection: sqlite3.Connection, session: SessionRow, count: int) -> None:
    """Remove the newest messages."""
    rows = connection.execute(
        "SELECT id, turns, tool_calls FROM messages WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
        (*session.ids, count),
    ).fetchall()
    remove(connection, rows[-1][0], rows[0][0])
    session.record.count(-len(rows), -sum(row[1] for row in rows), -sum(row[2] for row in rows))


def remove(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Remove the messages with those ids, from the index too; the record's counts are the caller's."""
    terms.forget(connection, first, last)
    connection.execute("DELETE FROM messages WHERE id BETWEEN ? AND ?", (first, last))


def delete(connection: sqlite3.Connection, session_key: str) -> bool:
    """Remove the session and everything about it, readable or not; whether it existed."""
    row = connection.execute(settling.REVISION, (session_key,)).fetchone()
    if row is None:
        return False
    number, revision = row
    remove(connection, *_ids(number))
    connection.execute("DELETE FROM unindexed WHERE number = ?", (number,))
    connection.execute("DELETE FROM unsettled WHERE number = ?", (number,))
    connection.execute("DELETE FROM corrupt_messages WHERE id BETWEEN ? AND ?", _ids(number))
    connection.execute("DELETE FROM sessions WHERE number = ?", (number,))
    connection.execute("UPDATE store SET highest_deleted_revision = max(highest_deleted_revision, ?)", (revision,))
    return True


def set_corrupt_aside(connection: sqlite3.Connection, session: SessionRow) -> int:
    """Move what can't be read out of the way of `load`, into a table of its own; how many messages."""
    rows = connection.execute(
        "SELECT id, ifnull(CAST(message AS BLOB), x''), turns, tool_calls FROM messages WHERE id BETWEEN ? AND ?",
        session.ids,
    )
    corrupt = [row for row in rows if not _is_readable(row[1])]
    for number, _, turns, tool_calls in corrupt:
        connection.execute(
            "INSERT INTO corrupt_messages SELECT id, created_at, message FROM messages WHERE id = ?", (number,)
        )
        terms.forget_unreadable(connection, number)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
        session.record.count(-1, *(-amount if isinstance(amount, int) else 0 for amount in (turns, tool_calls)))
    return len(corrupt)


def known_time(created_at: Any) -> datetime | None:
    """When a message was stored; None where the row is damaged there."""
    try:
        return to_datetime(created_at)
    except (TypeError, OverflowError):
        return None


def _is_readable(raw: bytes) -> bool:
    try:
        decode_message(raw)
    except InvalidMessageError:
        return False
    return True


def _ids(number: int) -> tuple[int, int]:
    return number << 32, number << 32 | 0xFFFFFFFF


def _damaged(key: object, number: int, what: str, why: str) -> CorruptSessionError:
    where = f"row {number} of sessions"
    session_key = key if isinstance(key, str) else repr(key)
    msg = f"{what} of {session_key!r} can't be read, {where}: {why}"
    return CorruptSessionError(msg, session_key=session_key, where=where)
