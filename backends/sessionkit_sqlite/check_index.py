"""The full-text index against the messages, exactly and both ways.

FTS5 tells which terms it has of which messages, in the order of the terms; the messages tell their terms in the order
of the messages. So each side adds up, for buckets of messages, a number made of each pair: in memory there is nothing
but those sums. Where they differ, one index is as wrong as another: it is made anew, of all messages.
"""

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing

from sessionkit.codec import decode_text
from sessionkit.errors import InvalidMessageError
from sessionkit.models import Finding
from sessionkit.text import tokenize
from sessionkit_sqlite.terms import index_batch_within, indexed_term, is_current, start_anew

_BUCKETS = 4096
_VOCABULARY = "CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, terms, instance)"
_INDEXED = """
SELECT m.id, ifnull(CAST(m.message AS BLOB), x'') FROM messages AS m
LEFT JOIN unindexed AS u ON u.number = m.id >> 32 WHERE u.since IS NULL OR m.id < u.since ORDER BY m.id
"""


def check_index(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    """What is in the index and should not be, or should be and is not."""
    if not is_current(connection):
        return []  # nobody asks it
    wrong = list(_wrong(connection))
    if wrong and mend:
        make_anew(connection)
    return [_finding(what, mend=mend) for what in wrong]


def check_index_itself(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    """What FTS5 itself says; it asks for the right to write, and writes nothing."""
    if not is_current(connection):
        return []
    try:
        connection.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if mend:
            make_anew(connection)
        return [_finding(f"FTS5 says: {error}", mend=mend)]
    return []


def make_anew(connection: sqlite3.Connection) -> None:
    """An index of all messages."""
    start_anew(connection)
    while index_batch_within(connection):
        pass


def _finding(what: str, *, mend: bool) -> Finding:
    return Finding("index", what, where="terms", repaired="it was made anew" if mend else None)


def _wrong(connection: sqlite3.Connection) -> Iterator[str]:
    (count,) = connection.execute(
        "SELECT count(*) FROM unindexed WHERE since NOT BETWEEN number << 32 AND (number + 1) << 32"
    ).fetchone()
    if count:
        yield f"{count} sessions have their waiting messages begin in another session"
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'terms'").fetchone():
        yield "the full-text index is missing"
        return
    try:
        there = _there(connection)
    except sqlite3.DatabaseError as error:
        yield f"the full-text index can't be read: {error}"
        return
    differing = sum(one != other for one, other in zip(there, _wanted(connection), strict=True))
    if differing:
        yield f"the full-text index does not say what the messages do, in {differing} of {_BUCKETS} parts of them"


def _there(connection: sqlite3.Connection) -> "array[int]":
    sums = array("Q", bytes(8 * _BUCKETS))
    (only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = 0")  # for a table of this connection's own, in memory
    try:
        connection.execute(_VOCABULARY)
        try:
            with closing(connection.execute("SELECT term, doc FROM temp.instances")) as instances:
                for term, message in instances:
                    _add(sums, term, message)
        finally:
            connection.execute("DROP TABLE temp.instances")
    finally:
        connection.execute(f"PRAGMA query_only = {only}")
    return sums


def _wanted(connection: sqlite3.Connection) -> "array[int]":
    sums = array("Q", bytes(8 * _BUCKETS))
    with closing(connection.execute(_INDEXED)) as rows:
        for message, raw in rows:
            try:
                text = decode_text(raw)
            except InvalidMessageError:
                continue
            for term in tokenize(text):
                _add(sums, indexed_term(term), message)
    return sums


def _add(sums: "array[int]", term: object, message: int) -> None:
    bucket = message % _BUCKETS
    sums[bucket] = (sums[bucket] + hash((term, message))) & 0xFFFFFFFFFFFFFFFF
