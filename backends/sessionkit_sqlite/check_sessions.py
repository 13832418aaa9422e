"""Each session's row and its messages: what can't be read, and what the one says and the others don't."""

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from sessionkit.clock import EARLIEST, LATEST, now
from sessionkit.codec import decode_json, decode_message
from sessionkit.errors import InvalidMessageError, InvalidSessionKeyError
from sessionkit.keys import check_session_key
from sessionkit.models import IDLE, RUNNING, Finding
from sessionkit_sqlite import settling, terms
from sessionkit_sqlite.check_orphans import recovered_key
from sessionkit_sqlite.schema import SESSION_COLUMNS
from sessionkit_sqlite.set_aside import keep_values

_AT_ONCE = 50
_MOST = 100  # findings of a kind in a session; the rest are counted

_NEUTRAL = "it was set aside, and made neutral"
_TEXTS = ("name", "agent_alias", "channel_id", "room_id", "sender_id", "turn_id")
_COUNTS = ("message_count", "turn_count", "tool_call_count")
_READ = ("key", "last_position", "settled", *SESSION_COLUMNS)
_MESSAGES = """
SELECT id, created_at, turns, tool_calls, replaced_at, replacements, ifnull(CAST(message AS BLOB), x'')
FROM messages WHERE id BETWEEN ? AND ? ORDER BY id
"""


class Sessions:
    """The step that checks the next sessions after that with number `after`.

    Attributes:
        last: the number of the last one, once it was done; None where there was none.
    """

    def __init__(self, after: int | None) -> None:
        self._after = -(2**63) if after is None else after
        self._again: list[int] = []
        self.last: int | None = None

    def __call__(self, connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
        rows = connection.execute(
            f"SELECT number, {', '.join(_READ)} FROM sessions WHERE number > ? ORDER BY number LIMIT {_AT_ONCE}",
            (self._after,),
        ).fetchall()
        found: list[Finding] = []
        for row in rows:
            found += _Session(connection, row).check(mend=mend)
        # In a damaged tree, rows may come that were not asked for; going back to them would never end.
        self.last = rows[-1][0] if rows and rows[-1][0] > self._after else None
        return found


class _Tally(msgspec.Struct):
    """What adding up messages gives, by what they are and not by what is noted of them."""

    messages: int = 0
    turns: int = 0
    tool_calls: int = 0


class _Session:
    """One of them, its columns as they stand there."""

    def __init__(self, connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        self._connection = connection
        self._number: int = row[0]
        self._row: dict[str, Any] = dict(zip(_READ, row[1:], strict=True))
        key = self._row["key"]
        self._key: str | None = key if isinstance(key, str) else None
        self._found: list[Finding] = []
        self._seen: dict[str, int] = {}
        self._settled, self._beyond = _Tally(), _Tally()
        self._replacements = self._newest = 0
        self._times: tuple[int, int] | None = None  # the first and the latest

    def check(self, *, mend: bool) -> list[Finding]:
        """Everything about it; mended, if asked for, with the row brought up to all of its messages."""
        damaged = _damaged_columns(self._row)
        settled = self._row["settled"] if "settled" not in damaged else 0
        self._look_at_messages(settled, mend=mend)
        values = self._values(damaged)
        for column in damaged:
            what = f"{column} of a session can't be what it is"
            done = f"it is {values['key']!r} now, and what it was is set aside" if column == "key" else _NEUTRAL
            self._add("corrupt-session", what, done if mend else None)
        self._compare(damaged, settled, mend=mend)
        if mend and any(finding.severity == "problem" for finding in self._found):
            if damaged:
                keep_values(self._connection, self._number, {column: self._row[column] for column in damaged})
            self._write(values)
        left = sum(count - _MOST for count in self._seen.values() if count > _MOST)
        if left:
            self._found.append(Finding("corrupt-session", f"and {left} findings more", session_key=self._key))
        return self._found

    def _look_at_messages(self, settled: int, *, mend: bool) -> None:
        first = self._number << 32
        latest = EARLIEST
        rows: Iterable[Any] = self._connection.execute(_MESSAGES, (first, first | 0xFFFFFFFF))
        if mend:
            rows = list(rows)  # which are not to be read while they change
        for number, created_at, turns, tool_calls, replaced_at, replacements, raw in rows:
            where = f"row {number} of messages"
            self._newest = number & 0xFFFFFFFF
            tally = self._settled if self._newest <= settled else self._beyond
            try:
                message = decode_message(raw)
            except InvalidMessageError:
                if mend:
                    _set_aside(self._connection, number)
                else:
                    tally.messages += 1
                    tally.turns += turns if type(turns) is int else 0
                    tally.tool_calls += tool_calls if type(tool_calls) is int else 0
                done = "it was set aside, into corrupt_messages" if mend else None
                self._add("corrupt-message", "a message can't be read", done, where)
                continue
            true = (int(message.is_turn), message.tool_call_count)
            tally.messages += 1
            tally.turns += true[0]
            tally.tool_calls += true[1]
            if (turns, tool_calls) != true:
                if mend:
                    self._set(number, "turns = ?, tool_calls = ?", *true)
                self._add("counts", "a message counts for what it is not", "it was counted" if mend else None, where)
            if type(replacements) is not int or not 0 <= replacements < 2**53:
                replacements = 0  # noqa: PLW2901 -- as it is from here on
                if mend:
                    self._set(number, "replacements = ?", 0)
                self._add("counts", "how often a message was replaced can't be", "none" if mend else None, where)
            if tally is self._beyond:
                self._replacements += replacements
            latest = self._look_at_times(number, created_at, replaced_at, latest, mend=mend)

    def _look_at_times(self, number: int, created_at: Any, replaced_at: Any, latest: int, *, mend: bool) -> int:
        """The time of a message, as it is from here on."""
        sound = _is_time(created_at) and created_at >= latest
        moment: int = created_at if sound else max(latest, 0 if latest == EARLIEST else latest)
        replaced = replaced_at is None or (_is_time(replaced_at) and replaced_at >= moment)
        if not (sound and replaced):
            if mend:
                self._set(number, "created_at = ?, replaced_at = ?", moment, replaced_at if replaced else None)
            done = "it is that of the message before it" if mend else None
            self._add(
                "order",
                "the time of a message is none, or before that of one before it",
                done,
                f"row {number} of messages",
            )
        last = max(moment, replaced_at) if replaced and replaced_at is not None else moment
        self._times = (self._times[0], max(self._times[1], last)) if self._times else (moment, last)
        return moment

    def _compare(self, damaged: list[str], settled: int, *, mend: bool) -> None:
        row, done = self._row, "all were counted anew" if mend else None
        unsettled = self._connection.execute("SELECT 1 FROM unsettled WHERE number = ?", (self._number,)).fetchone()
        if self._beyond.messages and not unsettled:
            what = f"{self._beyond.messages} messages are beyond those that the session knows of"
            self._add("counts", what, done)
        expected = (self._settled.messages, self._settled.turns, self._settled.tool_calls)
        for column, count in zip(_COUNTS, expected, strict=True):
            if column not in damaged and row[column] != count:
                self._add("counts", f"{column} is {row[column]}, and the messages give {count}", done)
        if not {"last_position", "settled"} & set(damaged) and row["last_position"] < settled:
            self._add("counts", "the last position is before the last settled one", done)
        activity = row["last_activity"]
        if "last_activity" in damaged or "created_at" in damaged:
            return
        latest = max(row["created_at"], EARLIEST)
        if self._times and self._settled.messages and not self._beyond.messages:
            latest = max(latest, self._times[1])
        if activity < latest:
            done = "it is that of the latest" if mend else None
            self._add("order", "the last activity is before the creation or a message", done)

    def _values(self, damaged: list[str]) -> dict[str, Any]:
        """What the row must be."""
        row = self._row
        values = {column: _neutral(column) if column in damaged else row[column] for column in _READ}
        if "key" in damaged:
            values["key"] = recovered_key(self._connection, self._number)
        for count, settled, beyond in zip(
            _COUNTS, msgspec.structs.astuple(self._settled), msgspec.structs.astuple(self._beyond), strict=True
        ):
            values[count] = settled + beyond
        position = max(values["last_position"], values["settled"], self._newest)
        values["last_position"] = values["settled"] = position
        first, latest = self._times or (values["created_at"] or now(), EARLIEST)
        values["created_at"] = first if values["created_at"] is None else values["created_at"]
        values["last_activity"] = max(values["created_at"], latest, values["last_activity"] or EARLIEST)
        if values["revision"] is None:
            values["revision"] = _highest_revision(self._connection) + 1
        values["revision"] += self._beyond.messages + self._replacements
        for column in ("turn_started_at", "heartbeat_at"):
            if values["state"] != RUNNING:
                values[column] = None
            elif values[column] is None:
                values[column] = values["last_activity"]
        return values

    def _write(self, values: dict[str, Any]) -> None:
        columns = ", ".join(f"{column} = ?" for column in values)
        self._connection.execute(f"UPDATE sessions SET {columns} WHERE number = ?", (*values.values(), self._number))
        self._connection.execute("DELETE FROM unsettled WHERE number = ?", (self._number,))

    def _set(self, message: int, assignments: str, *values: Any) -> None:
        self._connection.execute(f"UPDATE messages SET {assignments} WHERE id = ?", (*values, message))

    def _add(self, kind: str, what: str, repaired: str | None, where: str | None = None) -> None:
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._seen[kind] <= _MOST:
            where = where or f"row {self._number} of sessions"
            self._found.append(Finding(kind, what, session_key=self._key, where=where, repaired=repaired))


def _damaged_columns(row: dict[str, Any]) -> list[str]:
    """Those with a value that can't be, in order."""
    running = row["state"] == RUNNING
    sound = {
        "key": _is_key(row["key"]),
        "state": isinstance(row["state"], str) and row["state"] != "",
        "attributes": _is_object(row["attributes"]),
    }
    for column in ("last_position", "settled", *_COUNTS):
        sound[column] = type(row[column]) is int and 0 <= row[column] < 2**32
    sound["revision"] = type(row["revision"]) is int and 0 < row["revision"] < 2**62
    for column in ("created_at", "last_activity"):
        sound[column] = _is_time(row[column])
    for column in ("turn_started_at", "heartbeat_at"):
        sound[column] = _is_time(row[column]) if running else row[column] is None
    for column in _TEXTS:
        sound[column] = row[column] is None or isinstance(row[column], str)
    return [column for column in _READ if not sound[column]]


def _neutral(column: str) -> Any:
    return {"state": IDLE, "attributes": "{}", "last_position": 0, "settled": 0}.get(column)


def _is_key(value: Any) -> bool:
    try:
        check_session_key(value)
    except (InvalidSessionKeyError, TypeError):
        return False
    return True


def _is_object(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(decode_json(value.encode()), dict)
    except InvalidMessageError:
        return False


def _is_time(value: Any) -> bool:
    return type(value) is int and EARLIEST <= value <= LATEST


def _highest_revision(connection: sqlite3.Connection) -> int:
    """Of all sessions that there are and have been, those too whose row lags."""
    (highest,) = connection.execute(f"SELECT max(revision) FROM ({settling.REVISIONS})").fetchone()
    (deleted,) = connection.execute("SELECT max(highest_deleted_revision) FROM store").fetchone()
    return max(highest or 0, deleted or 0)


def _set_aside(connection: sqlite3.Connection, message: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO corrupt_messages SELECT id, created_at, message FROM messages WHERE id = ?", (message,)
    )
    terms.forget_unreadable(connection, message)
    connection.execute("DELETE FROM messages WHERE id = ?", (message,))
