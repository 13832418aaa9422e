"""Sessions in the order of their activity, those among them that are not settled too."""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Self

import msgspec

from sessionkit.errors import CorruptSessionError
from sessionkit.models import SessionMetadata
from sessionkit_sqlite.rows import readable
from sessionkit_sqlite.settling import ACTIVITY, CURRENT_COLUMNS, IS_SETTLED, IS_UNSETTLED, READ_COLUMNS, current

_NEWEST_FIRST = "ORDER BY last_activity DESC, key"


class Conditions(msgspec.Struct):
    """Conditions on sessions, in SQL, each with its values. All must hold.

    Attributes:
        activity: those on ``last_activity``, which hold for settled sessions only: of others it is not what it says.
        ordered_by_index: whether the sessions are taken from the index on activity, or sorted because they are few.
    """

    clauses: list[str] = []
    values: list[Any] = []
    activity: list[str] = []
    times: list[int] = []
    ordered_by_index: bool = True

    def add(self, clause: str, *values: Any) -> None:
        """A further condition."""
        self.clauses.append(clause)
        self.values += values

    def add_activity(self, clause: str, moment: int) -> None:
        """A further one, on the activity."""
        self.activity.append(clause)
        self.times.append(moment)

    def of(self, numbers: Iterable[int]) -> Self:
        """These conditions, on the sessions with those numbers."""
        clause = f"number IN ({', '.join(map(str, numbers))})"
        return msgspec.structs.replace(self, clauses=[clause, *self.clauses], ordered_by_index=False)

    def matching(self, expression: str, others: Iterable[int]) -> Self:
        """These conditions, on the sessions with a message that matches, and those with these numbers."""
        indexed = "number IN (SELECT rowid >> 32 FROM terms WHERE terms MATCH ?)"
        clause = f"({indexed} OR number IN ({', '.join(map(str, others))}))"
        return msgspec.structs.replace(self, clauses=[clause, *self.clauses], values=[expression, *self.values])


def keys(connection: sqlite3.Connection) -> list[str]:
    """Every session key, most recently active first, ties by key. Within a transaction."""
    lagging = sorted(connection.execute(ACTIVITY), key=_newest_first)
    if not lagging:
        return [key for (key,) in connection.execute(f"SELECT key FROM sessions {_NEWEST_FIRST}")]
    oldest = lagging[-1][3]
    settled = f"FROM sessions WHERE {IS_SETTLED} AND last_activity"
    among = connection.execute(f"SELECT key, 0, 0, last_activity {settled} >= ? {_NEWEST_FIRST}", (oldest,))
    found = [row[0] for row in merge(lagging, among, key=_newest_first)]
    found += [key for (key,) in connection.execute(f"SELECT key {settled} < ? {_NEWEST_FIRST}", (oldest,))]
    return found


def newest_first(
    connection: sqlite3.Connection, damaged: list[CorruptSessionError], conditions: Conditions
) -> Iterator[tuple[int, SessionMetadata]]:
    """The numbers and the metadata of sessions in the order of `keys`; who wants no more stops asking.

    Within a transaction. Those that can't be read are left out, and added to `damaged`. Of the sessions that are not
    settled, some may be given whose activity is not as wanted.
    """
    clauses, values = conditions.clauses, conditions.values
    lagging = connection.execute(current(" AND ".join([IS_UNSETTLED, *clauses]), CURRENT_COLUMNS), values).fetchall()
    where = " AND ".join([IS_SETTLED, *clauses, *conditions.activity])
    order = _NEWEST_FIRST if conditions.ordered_by_index else _NEWEST_FIRST.replace("last", "+last")
    settled = connection.execute(
        f"SELECT {READ_COLUMNS} FROM sessions AS s WHERE {where} {order}", (*values, *conditions.times)
    )
    rows = merge(sorted(lagging, key=_newest_first), settled, key=_newest_first) if lagging else settled
    return readable(rows, damaged)


def _newest_first(row: Sequence[Any]) -> tuple[float, str]:
    """The sort key, of a row that begins as `READ_COLUMNS` does; a damaged time comes first, as SQLite has texts."""
    key, activity = row[0], row[3]
    return (-activity if isinstance(activity, int) else -math.inf, key if isinstance(key, str) else "")
