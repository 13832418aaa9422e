"""What of a search SQLite can answer, and what only reading the messages can."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice

from sessionkit.clock import from_datetime
from sessionkit.errors import CorruptSessionError
from sessionkit.models import SessionMetadata, SessionQuery
from sessionkit.text import tokenize
from sessionkit_sqlite import terms
from sessionkit_sqlite.listing import Conditions, newest_first

_FEW = 2000
"""Up to so many matching messages, their sessions are looked up; where there are more, some are soon met in order."""

_WALK = 500
"""So many sessions are asked for one by one whether they match, before the index is asked for all that do."""

_Found = Iterator[tuple[int, SessionMetadata]]


def find_sessions(
    connection: sqlite3.Connection, query: SessionQuery, damaged: list[CorruptSessionError]
) -> Iterator[SessionMetadata]:
    """The sessions that the query finds, in order; who wants no more stops asking. Within a transaction.

    Those that can't be read are left out, and added to `damaged`.
    """
    conditions = _conditions(query)
    expression = terms.match_expression(query.terms)
    if not query.terms:
        found = newest_first(connection, damaged, conditions)
    elif expression is None or not terms.is_current(connection):
        found = _that(
            lambda number: _any_matches(connection, number, query.terms), newest_first(connection, damaged, conditions)
        )
    else:
        waiting = terms.unindexed_matches(connection, query.terms)
        found = _by_index(connection, damaged, conditions, expression, waiting)
    return (metadata for _, metadata in found if query.admits(metadata))


def _by_index(
    connection: sqlite3.Connection,
    damaged: list[CorruptSessionError],
    conditions: Conditions,
    expression: str,
    waiting: set[int],
) -> _Found:
    few = connection.execute(
        "SELECT rowid >> 32 FROM terms WHERE terms MATCH ? LIMIT ?", (expression, _FEW + 1)
    ).fetchall()
    if len(few) <= _FEW:
        numbers = waiting.union(number for (number,) in few)
        yield from newest_first(connection, damaged, conditions.of(numbers))
        return
    walk = newest_first(connection, damaged, conditions)
    met = set[int]()
    for number, metadata in islice(walk, _WALK):
        met.add(number)
        if number in waiting or terms.is_match(connection, number, expression):
            yield number, metadata
    if len(met) < _WALK:
        return
    del damaged[:]  # they are met again
    matching = conditions.matching(expression, waiting)
    yield from _that(lambda number: number not in met, newest_first(connection, damaged, matching))


def _that(wanted: Callable[[int], bool], found: _Found) -> _Found:
    return ((number, metadata) for number, metadata in found if wanted(number))


def _conditions(query: SessionQuery) -> Conditions:
    """What SQLite can say of the sessions wanted.

    It need not be all: what `SessionQuery.admits` refuses is left out afterwards.
    """
    conditions = Conditions()
    for column in ("agent_alias", "channel_id", "room_id", "sender_id", "state"):
        wanted = getattr(query, column)
        if wanted is not None:
            conditions.add(f"{column} = ?", wanted.encode(errors="replace").decode())
    if query.key_prefix:
        prefix = query.key_prefix.encode(errors="replace").decode()
        conditions.add("substr(key, 1, ?) = ?", len(query.key_prefix), prefix)
    for operator, moment in ((">=", query.active_since), ("<", query.active_until)):
        if moment is not None:
            conditions.add_activity(f"last_activity {operator} ?", from_datetime(moment))
    return conditions


def _any_matches(connection: sqlite3.Connection, number: int, wanted: frozenset[str]) -> bool:
    rows = connection.execute(
        "SELECT ifnull(CAST(message AS BLOB), x'') FROM messages WHERE id BETWEEN ? AND ?",
        (number << 32, number << 32 | 0xFFFFFFFF),
    )
    return any(wanted <= tokenize(terms.readable_text(raw)) for (raw,) in rows)
