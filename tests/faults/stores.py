"""The table of stores that the proofs are asked of; to add one, of a third party or on a server, add a row."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from sessionkit import open_backend

VERSION_1 = Path(__file__).parent.parent / "backends" / "sqlite" / "version_1.sql"


def _older_sqlite(path: Path) -> None:
    """A database of the first layout, with one message."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
        connection.execute(
            "INSERT INTO sessions (key, created_at, last_activity, revision, message_count, turn_count,"
            " tool_call_count, name, state, attributes) VALUES ('a', 1000, 1000, 1, 0, 0, 0, 'name', 'idle', '{}')"
        )
        connection.execute(
            "INSERT INTO messages (id, created_at, turns, tool_calls, message)"
            ' VALUES (4294967297, 2000, 0, 0, \'{"role":"user","content":"a1"}\')'
        )
        connection.commit()


@attrs.frozen
class Store:
    """A kind of store.

    Attributes:
        name: for people, and for ``--store``.
        url: ``{place}`` in it stands for a path that is the test's own; a server's has none.
        on_disk: whether it keeps files at `place` and beside it, which survive its closing.
        older: makes a store of an earlier layout, where there is one: a session ``a``, named ``name``, with ``a1``.
        keeps: of a file, by its name where `place` is ``store``, which sessions go with it; all, where it is not told.
        unnoticed: what may be done to a file (``""``: to all of it) that the store says it does not notice at once.
        durable: the options with which it waits for the disk.
        patience: the option that says how long to wait for a lock.
        prepare: called in the process of the proof before anything is opened, as what breaks a store on purpose is.
        options: for opening it.
        calls: which of `tests.faults.model.CALLS` are asked; without any, all.
    """

    name: str
    url: str
    on_disk: bool = True
    older: Callable[[Path], None] | None = None
    keeps: dict[str, tuple[str, ...]] = attrs.Factory(dict)
    unnoticed: dict[str, tuple[str, ...]] = attrs.Factory(dict)
    durable: dict[str, Any] = attrs.Factory(dict)
    patience: str | None = None
    prepare: Callable[[], None] = lambda: None
    options: dict[str, Any] = attrs.Factory(dict)
    calls: tuple[str, ...] = ()

    def open(self, place: Path, **options: Any) -> Any:
        """The store at that place."""
        return open_backend(self.url.format(place=place), **{**self.options, **options})


_ANYTHING = (
    *("deleted", "moved away", "replaced by an empty one", "replaced by a folder", "replaced by a link to itself"),
    *("replaced by a link to nowhere", "replaced by an older copy"),
)

STORES = {
    store.name: store
    for store in (
        Store("memory", "memory://", on_disk=False),
        Store(
            "jsonl",
            "jsonl:///{place}",
            keeps={"store/.revisions": ()} | {f"store/{key}.jsonl": (key,) for key in ("a", "b", "big")},
            durable={"fsync": True},
            patience="lock_timeout",
        ),
        Store(
            "sqlite",
            "sqlite:///{place}",
            older=_older_sqlite,
            keeps={"store-lock": (), "store-shm": ()},
            # To ask for these at each write would cost it several per cent; it looks now and then.
            unnoticed={"store-wal": _ANYTHING, "": ("moved away", "replaced by an older copy")},
            durable={"synchronous": "full"},
            patience="busy_timeout",
        ),
    )
}
"""Every store, by name."""
