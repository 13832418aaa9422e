"""What of a search SQLite can answer, and what only reading the messages can."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from sessionkit.clock import from_datetime
from sessionkit.errors import CorruptSessionError
from sessionkit.models import SessionMetadata, SessionQuery
from sessionkit.text import tokenize
from sessionkit_sqlite import terms
from sessionkit_sqlite.listing import newest_first


def find_sessions(
    connection: sqlite3.Connection, query: SessionQuery, damaged: list[CorruptSessionError]
) -> Iterator[SessionMetadata]:
    """The sessions that the query finds, in order; who wants no more stops asking. Within a transaction.

    Those that can't be read are left out, and added to `damaged`.
    """
    conditions, values = _conditions(query)
    scan = False
    if query.terms:
        expression = terms.match_expression(query.terms)
        scan = expression is None or not terms.is_current(connection)
        if not scan:
            waiting = ", ".join(map(str, terms.unindexed_matches(connection, query.terms)))
            conditions.append(
                f"(number IN (SELECT rowid >> 32 FROM terms WHERE terms MATCH ?) OR number IN ({waiting}))"
            )
            values.append(expression)
    active, times = _activity(query)
    for number, metadata in newest_first(connection, damaged, conditions, values, active=active, times=times):
        if query.admits(metadata) and (not scan or _any_matches(connection, number, query.terms)):
            yield metadata


def _conditions(query: SessionQuery) -> tuple[list[str], list[Any]]:
    """What SQLite can say of the sessions wanted, and its values.

    It need not be all: what `SessionQuery.admits` refuses is left out afterwards.
    """
    conditions, values = list[str](), list[Any]()
    for column in ("agent_alias", "channel_id", "room_id", "sender_id", "state"):
        wanted = getattr(query, column)
        if wanted is not None:
            conditions.append(f"{column} = ?")
            values.append(wanted.encode(errors="replace").decode())
    if query.key_prefix:
        conditions.append("substr(key, 1, ?) = ?")
        values += [len(query.key_prefix), query.key_prefix.encode(errors="replace").decode()]
    return conditions, values


def _activity(query: SessionQuery) -> tuple[list[str], list[int]]:
    """The same of their activity."""
    conditions, times = list[str](), list[int]()
    for operator, moment in ((">=", query.active_since), ("<", query.active_until)):
        if moment is not None:
            conditions.append(f"last_activity {operator} ?")
            times.append(from_datetime(moment))
    return conditions, times


def _any_matches(connection: sqlite3.Connection, number: int, wanted: frozenset[str]) -> bool:
    rows = connection.execute(
        "SELECT CAST(message AS BLOB) FROM messages WHERE id BETWEEN ? AND ?", (number << 32, number << 32 | 0xFFFFFFFF)
    )
    return any(wanted <= tokenize(terms.readable_text(raw)) for (raw,) in rows)
