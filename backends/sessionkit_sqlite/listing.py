"""Sessions in the order of their activity, those among them that are not settled too."""

import sqlite3
from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Any

from sessionkit.errors import CorruptSessionError
from sessionkit.models import SessionMetadata
from sessionkit_sqlite.rows import readable
from sessionkit_sqlite.settling import IS_SETTLED, IS_UNSETTLED, READ_COLUMNS, current

_NEWEST_FIRST = "ORDER BY last_activity DESC, key"

_KEYS = f"SELECT key, 0, 0, last_activity FROM sessions WHERE {IS_SETTLED} {_NEWEST_FIRST}"  # by the index alone


def keys(connection: sqlite3.Connection) -> list[str]:
    """Every session key, most recently active first, ties by key. Within a transaction."""
    found = connection.execute(_KEYS).fetchall()
    for row in connection.execute(current(IS_UNSETTLED)):
        insort(found, row, key=_newest_first)
    return [row[0] for row in found]


def newest_first(
    connection: sqlite3.Connection,
    damaged: list[CorruptSessionError],
    conditions: Iterable[str] = (),
    values: Sequence[Any] = (),
    *,
    active: Iterable[str] = (),
    times: Sequence[Any] = (),
) -> Iterator[tuple[int, SessionMetadata]]:
    """The numbers and the metadata of sessions in the order of `keys`; who wants no more stops asking.

    Within a transaction. Those that can't be read are left out, and added to `damaged`. Conditions on the activity
    (`active`, with their `times`) hold for the sessions that are settled; of the others, all are given.
    """
    lagging = connection.execute(current(" AND ".join([IS_UNSETTLED, *conditions])), values).fetchall()
    where = " AND ".join([IS_SETTLED, *conditions, *active])
    settled = connection.execute(
        f"SELECT {READ_COLUMNS} FROM sessions AS s WHERE {where} {_NEWEST_FIRST}", (*values, *times)
    )
    return readable(merge(sorted(lagging, key=_newest_first), settled, key=_newest_first), damaged)


def _newest_first(row: Sequence[Any]) -> tuple[int, str]:
    """The sort key, of a row that begins as `READ_COLUMNS` does."""
    return (-row[3], row[0])
