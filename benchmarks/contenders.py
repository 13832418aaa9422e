"""Stores that many write to at once, ours and floors: what each process opens, appends to and finds again."""

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs

from benchmarks.corpus import Corpus, corpus_of, generated
from benchmarks.floors import append_line, set_bare
from benchmarks.measure import Operation
from benchmarks.stores import Store

POOL = 500
"""How many messages a writer has, which he appends over and over."""

_BUSY = 10.0  # seconds that a floor waits for a lock, as ours does


@attrs.frozen
class Writer:
    """A writer, and the session that he appends to."""

    name: str
    key: str

    def corpus(self) -> Corpus:
        """His messages; nobody else has the same."""
        return corpus_of(
            [
                attrs.evolve(message, id=f"{self.name} {number}")
                for number, message in enumerate(generated(POOL).messages)
            ]
        )


class Contender(Protocol):
    """A store in a folder that many write to."""

    def prepare(self, folder: Path, keys: Sequence[str]) -> None:
        """Make the store, with a message (that has no `id`) in each of those sessions."""
        ...

    def connected(self, folder: Path, writers: Sequence[Writer]) -> AbstractContextManager[list[Operation]]:
        """What appends a message of each writer of one process, by its number."""
        ...

    def stored(self, folder: Path, key: str) -> list[str]:
        """The `id` of each message of a session that has one, oldest first."""
        ...


@attrs.frozen
class OurWriters(Contender):
    """A store of ours, opened once in each process."""

    store: Store

    def prepare(self, folder: Path, keys: Sequence[str]) -> None:
        """As `Contender.prepare`."""
        with self.store.open(folder) as backend:
            for key, message in zip(keys, generated(len(keys)).messages, strict=True):
                backend.append(key, message)

    @contextmanager
    def connected(self, folder: Path, writers: Sequence[Writer]) -> Generator[list[Operation]]:
        """As `Contender.connected`."""
        with self.store.open(folder) as backend:

            def appending(writer: Writer) -> Operation:
                append, key, messages = backend.append, writer.key, writer.corpus().messages
                return lambda number: append(key, messages[number % POOL])

            yield [appending(writer) for writer in writers]

    def stored(self, folder: Path, key: str) -> list[str]:
        """As `Contender.stored`."""
        with self.store.open(folder) as backend:
            return [message.id for message in backend.load(key) if message.id is not None]


class TableWriters(Contender):
    """One table for all; a writer's append is `json.dumps` and one INSERT, through a connection of his own.

    It always adds at the end of the table, which SQLite does the fastest way. So do ours where all write to one
    session; where each has his own, only the newest one's messages stand there.
    """

    def prepare(self, folder: Path, keys: Sequence[str]) -> None:
        """As `Contender.prepare`."""
        with closing(self._connect(folder)) as connection:
            connection.execute(
                "CREATE TABLE messages"
                " (id INTEGER PRIMARY KEY, session TEXT NOT NULL, created_at INTEGER NOT NULL, message TEXT NOT NULL)"
            )
            for key, data in zip(keys, generated(len(keys)).dicts, strict=True):
                _insert(connection, key, data)

    @contextmanager
    def connected(self, folder: Path, writers: Sequence[Writer]) -> Generator[list[Operation]]:
        """As `Contender.connected`."""
        with ExitStack() as stack:

            def appending(writer: Writer) -> Operation:
                connection = stack.enter_context(closing(self._connect(folder)))
                key, dicts = writer.key, writer.corpus().dicts
                return lambda number: _insert(connection, key, dicts[number % POOL])

            yield [appending(writer) for writer in writers]

    def stored(self, folder: Path, key: str) -> list[str]:
        """As `Contender.stored`."""
        query = "SELECT json_extract(message, '$.id') FROM messages WHERE session = ? ORDER BY id"
        with closing(self._connect(folder)) as connection:
            return [name for (name,) in connection.execute(query, (key,)) if name is not None]

    @staticmethod
    def _connect(folder: Path) -> sqlite3.Connection:
        # Made by the one thread that opens them all, used by another each.
        connection = sqlite3.connect(folder / "floor.db", _BUSY, isolation_level=None, check_same_thread=False)
        return set_bare(connection)


def _insert(connection: sqlite3.Connection, key: str, data: dict[str, Any]) -> None:
    connection.execute("INSERT INTO messages VALUES (NULL, ?, 0, ?)", (key, json.dumps(data)))


class FileWriters(Contender):
    """A file a session; an append is open, flock, write and close of a line that was put together before."""

    def prepare(self, folder: Path, keys: Sequence[str]) -> None:
        """As `Contender.prepare`."""
        for key, line in zip(keys, generated(len(keys)).lines, strict=True):
            append_line(_file(folder, key), line + b"\n")

    @contextmanager
    def connected(self, folder: Path, writers: Sequence[Writer]) -> Generator[list[Operation]]:
        """As `Contender.connected`."""

        def appending(writer: Writer) -> Operation:
            path, lines = _file(folder, writer.key), [line + b"\n" for line in writer.corpus().lines]
            return lambda number: append_line(path, lines[number % POOL])

        yield [appending(writer) for writer in writers]

    def stored(self, folder: Path, key: str) -> list[str]:
        """As `Contender.stored`."""
        with Path(_file(folder, key)).open("rb") as file:
            return [name for line in file if (name := json.loads(line).get("id")) is not None]


def _file(folder: Path, key: str) -> str:
    return str(folder / f"floor-{key}.jsonl")
