"""What of a search SQLite can answer, and what only reading the messages can."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from sessionkit.clock import from_datetime
from sessionkit.errors import CorruptSessionError
from sessionkit.models import SessionMetadata, SessionQuery
from sessionkit.text import tokenize
from sessionkit_sqlite import terms
from sessionkit_sqlite.rows import NEWEST_FIRST, READ_COLUMNS, readable
from sessionkit_sqlite.schema import SPAN_BITS


def find_sessions(
    connection: sqlite3.Connection, query: SessionQuery, damaged: list[CorruptSessionError]
) -> Iterator[SessionMetadata]:
    """The sessions that the query finds, in order; who wants no more stops asking. Within a transaction.

    Those that can't be read are left out, and added to `damaged`.
    """
    where, values, scan = _condition(connection, query)
    found = connection.execute(f"SELECT {READ_COLUMNS} FROM sessions WHERE {where} {NEWEST_FIRST}", values)
    for number, metadata in readable(found, damaged):
        if query.admits(metadata) and (not scan or _any_matches(connection, number, query.terms)):
            yield metadata


def _condition(connection: sqlite3.Connection, query: SessionQuery) -> tuple[str, list[Any], bool]:
    """What SQLite can say of the sessions wanted, its values, and whether the messages must be read all the same.

    It need not be all: what `SessionQuery.admits` refuses is left out afterwards.
    """
    conditions, values = ["TRUE"], list[Any]()
    for column in ("agent_alias", "channel_id", "room_id", "sender_id", "state"):
        wanted = getattr(query, column)
        if wanted is not None:
            conditions.append(f"{column} = ?")
            values.append(wanted.encode(errors="replace").decode())
    if query.key_prefix:
        conditions.append("substr(key, 1, ?) = ?")
        values += [len(query.key_prefix), query.key_prefix.encode(errors="replace").decode()]
    for condition, operator, moment in (
        ("active_span >=", ">=", query.active_since),
        ("active_span <=", "<", query.active_until),
    ):
        if moment is not None:
            conditions.append(f"{condition} ? AND last_activity {operator} ?")
            values += [from_datetime(moment) >> SPAN_BITS, from_datetime(moment)]
    if not query.terms:
        return " AND ".join(conditions), values, False
    expression = terms.match_expression(query.terms)
    if expression is None or not terms.is_current(connection):
        return " AND ".join(conditions), values, True
    waiting = ", ".join(map(str, terms.unindexed_matches(connection, query.terms)))
    conditions.append(f"(number IN (SELECT rowid >> 32 FROM terms WHERE terms MATCH ?) OR number IN ({waiting}))")
    return " AND ".join(conditions), [*values, expression], False


def _any_matches(connection: sqlite3.Connection, number: int, wanted: frozenset[str]) -> bool:
    rows = connection.execute(
        "SELECT CAST(message AS BLOB) FROM messages WHERE id BETWEEN ? AND ?", (number << 32, number << 32 | 0xFFFFFFFF)
    )
    return any(wanted <= tokenize(terms.readable_text(raw)) for (raw,) in rows)
