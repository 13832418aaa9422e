"""What belongs to no session. Readable messages are never lost: they are given a session, named for its number."""

import sqlite3

from sessionkit.models import Finding
from sessionkit_sqlite.rows import create_row

_TABLES = ("messages", "corrupt_messages")
_MOST = 1000  # a step; who repairs is done with these before there can be more


def check_orphans(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    """Messages, readable or set aside, of a session that has no row; notes about sessions that there are not."""
    found: list[Finding] = []
    numbers = sorted({number for table in _TABLES for number in _without_row(connection, table)})
    for number in numbers:
        repaired = None
        if mend:
            key = recovered_key(connection, number)
            create_row(connection, key)
            connection.execute("UPDATE sessions SET number = ? WHERE key = ?", (number, key))
            connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'sessions'", (number,))
            repaired = f"they are in a session of their own, {key!r}"
        counts = [_count(connection, table, number) for table in _TABLES]
        what = f"{counts[0]} messages, and {counts[1]} that were set aside, belong to no session"
        found.append(Finding("orphan", what, where=f"rows {number << 32} and on of messages", repaired=repaired))
    for table in ("unsettled", "unindexed"):
        condition = "number NOT IN (SELECT number FROM sessions)"
        (count,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
        if count:
            if mend:
                connection.execute(f"DELETE FROM {table} WHERE {condition}")
            what = f"{count} rows of {table} are about sessions that there are not"
            found.append(Finding("orphan", what, where=table, repaired="they were removed" if mend else None))
    (aside,) = connection.execute("SELECT count(*) FROM corrupt_messages").fetchone()
    if aside:
        what = f"{aside} records that could not be read were set aside earlier"
        found.append(Finding("set-aside", what, where="corrupt_messages", severity="note"))
    return found


def recovered_key(connection: sqlite3.Connection, number: int) -> str:
    """A key that no session has, for the one of that number."""
    key = base = f"recovered/{number}"
    count = 1
    while connection.execute("SELECT 1 FROM sessions WHERE key = ?", (key,)).fetchone():
        count += 1
        key = f"{base}-{count}"
    return key


def _without_row(connection: sqlite3.Connection, table: str) -> list[int]:
    """The numbers of the sessions that the table has rows of; by leaps, one look for each session."""
    numbers: list[int] = []
    start = -(2**63)
    while len(numbers) < _MOST:
        (first,) = connection.execute(f"SELECT min(id) FROM {table} WHERE id >= ?", (start,)).fetchone()
        if first is None:
            break
        number = first >> 32
        if not connection.execute("SELECT 1 FROM sessions WHERE number = ?", (number,)).fetchone():
            numbers.append(number)
        start = (number + 1) << 32
        if start >= 2**63:
            break
    return numbers


def _count(connection: sqlite3.Connection, table: str, number: int) -> int:
    values = (number << 32, number << 32 | 0xFFFFFFFF)
    return int(connection.execute(f"SELECT count(*) FROM {table} WHERE id BETWEEN ? AND ?", values).fetchone()[0])
