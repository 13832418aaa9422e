"""Every row of ours that a damaged file still holds, told from rows that were deleted.

SQLite leaves the rows of a page that falls free where they are, until it needs the page. So a row counts only where it
is in its table's tree, from the root down; or, where a part of that tree is lost, on a page that no tree has and that
is not known to be free, if its id is one of those that the lost part held: what stands beside it in the tree says from
which to which that was. Only where a tree's root is lost, or the header with the list of free pages, rows of pages that
were freed just before may come back.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from sessionkit_sqlite.pages import INTERIOR, LEAF, DamagedError, Pages
from sessionkit_sqlite.schema import SESSION_COLUMNS

_LOWEST, _HIGHEST = -(2**63), 2**63
_SCHEMA_COLUMNS = 5

Row = tuple[int, list[Any] | None]


class Lost(msgspec.Struct):
    """A part of a table's tree that can't be read: the page it began at, and which row ids it held, the last too."""

    page: int
    after: int
    until: int


class Salvage:
    """The rows of ``messages``, ``sessions`` and ``corrupt_messages``; ask for each once, then for what was lost."""

    TABLES = ("sessions", "messages", "corrupt_messages", "store")

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.lost: dict[str, list[Lost]] = {}
        self._seen = bytearray(pages.count + 1)
        self._roots = self._find_roots()
        self._leaves: dict[str, list[int]] = {}
        for table in self.TABLES:
            self.lost[table] = []
            self._leaves[table] = list(self._walk(table))
        for (
            table,
            root,
        ) in self._roots.items():  # and whatever else has a tree, so that its pages are not taken for ours
            if table not in self.TABLES and pages.kind(root) in {LEAF, INTERIOR}:
                self.lost[table] = []
                list(self._walk(table, root))
        self._strays = self._find_strays() if any(self.lost[table] for table in self.TABLES) else []

    def rows(self, table: str) -> Iterator[Row]:
        """Those in the tree, then those that a lost part of it held."""
        for number in self._leaves[table]:
            for row in self.pages.rows(number):
                if row[1] is None or _is_row_of(table, row[1]):
                    yield row
        gaps = self.lost[table]
        for number in self._strays if gaps else []:
            for id, values in self.pages.rows(number):  # noqa: A001 -- what it is
                if values is not None and _is_row_of(table, values) and any(g.after < id <= g.until for g in gaps):
                    yield id, values

    def _find_roots(self) -> dict[str, int]:
        """Of each tree that the schema names; none where the first page is lost."""
        roots: dict[str, int] = {}
        self.lost["schema"] = []
        for leaf in self._walk("schema", 1):
            for _, values in self.pages.rows(leaf):
                if values is not None and len(values) == _SCHEMA_COLUMNS and type(values[3]) is int and values[3] > 0:
                    roots[str(values[1])] = values[3]
        return roots

    def _walk(self, table: str, root: int | None = None) -> Iterator[int]:
        """The leaves of a table's tree; what can't be read is added to `lost`."""
        stack: list[tuple[int, int, int]] = [(root or self._roots.get(table, 0), _LOWEST, _HIGHEST)]
        while stack:
            number, after, until = stack.pop()
            kind = self.pages.kind(number) if 0 < number <= self.pages.count and not self._seen[number] else 0
            try:
                if kind == LEAF:
                    list(self.pages.rows(number))
                    self._seen[number] = 1
                    yield number
                    continue
                if kind == INTERIOR:
                    children = self.pages.children(number)
                    self._seen[number] = 1
                    lower = after
                    for child, highest in children:
                        upper = until if highest is None else highest
                        stack.append((child, lower, upper))
                        lower = upper
                    continue
            except DamagedError:
                pass
            self.lost[table].append(Lost(number, after, until))

    def _find_strays(self) -> list[int]:
        """The leaves of tables that no tree has, and that are not known to be free."""
        free = self.pages.free()
        strays: list[int] = []
        for number in range(2, self.pages.count + 1):
            if self._seen[number] or number in free or self.pages.kind(number) != LEAF:
                continue
            try:
                list(self.pages.rows(number))
            except DamagedError:
                continue
            strays.append(number)
        return strays


def _is_row_of(table: str, values: list[Any]) -> bool:
    """By its columns, which no two of our tables share."""
    if table == "messages":
        return (
            len(values) in {6, 7}  # as version 1 had it, and now
            and values[0] is None
            and values[5] is not None
            and all(type(value) is int for value in values[2:4])
        )
    if table == "sessions":
        columns = len(SESSION_COLUMNS) + 4
        return len(values) in {columns - 1, columns} and values[0] is None and values[1] is not None
    if table == "corrupt_messages":
        return len(values) == 3 and values[0] is None  # noqa: PLR2004 -- its columns
    return len(values) == 2 and type(values[0]) is int and type(values[1]) is str  # noqa: PLR2004 -- likewise
