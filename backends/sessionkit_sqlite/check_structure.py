"""The database itself: its pages, its tables, and what must stand in them once."""

import sqlite3
from collections.abc import Iterable

from sessionkit.models import Finding
from sessionkit_sqlite.schema import new_layout

RESCUE = "only a rescue can mend it, which makes a new store of what can be read"

_MOST = 100
_OF_AN_INDEX = ("missing from index", "wrong # of entries in index", "non-unique entry in index")
_REPAIRED_BY_SQLITE = "SQLite has made its indexes anew"


def is_unsound(found: Iterable[Finding]) -> bool:
    """Whether nothing should be written before a rescue."""
    return any(RESCUE in finding.what for finding in found)


def check_structure(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    """What SQLite's own check finds, tables, indexes and triggers that are missing, and the rows that stand once."""
    found = [*_missing(connection, mend), *_once(connection, mend)]
    said = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST})")]
    said = [line for line in said if line != "ok" and "fts5" not in line.lower()]  # the index has a step of its own
    of_indexes = [line for line in said if any(words in line for words in _OF_AN_INDEX)]
    if of_indexes and mend and len(of_indexes) == len(said):
        connection.execute("REINDEX")
    for line in said:
        if line in of_indexes and len(of_indexes) == len(said):
            found.append(_finding(f"an index of SQLite is wrong: {line}", _REPAIRED_BY_SQLITE if mend else None))
        elif "NULL value in" not in line:  # which is a column's damage, and said where columns are looked at
            found.append(_finding(f"SQLite says: {line}; {RESCUE}"))
    return found


def _missing(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    found: list[Finding] = []
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    for kind, name, statement in new_layout():
        if name in there:
            continue
        if kind == "table":
            found.append(_finding(f"the table {name} is missing; {RESCUE}"))
            continue
        if mend:
            connection.execute(statement)
        found.append(_finding(f"the {kind} {name} is missing", "it was made anew" if mend else None))
    return found


def _once(connection: sqlite3.Connection, mend: bool) -> list[Finding]:  # noqa: FBT001 -- as each step
    found: list[Finding] = []
    rows = connection.execute("SELECT rowid, highest_deleted_revision, terms_version FROM store").fetchall()
    if len(rows) != 1 or type(rows[0][1]) is not int or type(rows[0][2]) is not str:
        if mend:
            (highest,) = connection.execute(
                "SELECT max(revision) FROM sessions WHERE typeof(revision) = 'integer'"
            ).fetchone()
            known = [row[1] for row in rows if type(row[1]) is int]
            connection.execute("DELETE FROM store")
            connection.execute("INSERT INTO store VALUES (?, '')", (max([highest or 0, *known]),))
        what = f"the table store must have one sound row, and has {len(rows)} rows"
        found.append(_finding(what, "it has one, above all known revisions" if mend else None))
    (highest,) = connection.execute("SELECT max(number) FROM sessions").fetchone()
    row = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'sessions'").fetchone()
    if (highest or 0) > (row[0] if type(row[0]) is int else 0):
        if mend:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'sessions'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('sessions', ?)", (highest,))
        what = f"the highest number of a session is {highest}, and the next to be given is not above it"
        found.append(_finding(what, "it is above it now" if mend else None))
    return found


def _finding(what: str, repaired: str | None = None) -> Finding:
    return Finding("structure", what, repaired=repaired)
