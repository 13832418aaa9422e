"""Sessions of a given depth, ours and the floors', that messages are added to one by one or in batches.

However deep the sessions are, the stores hold the same number of messages, so that what differs is the depth alone. The
sessions have others before and behind them: only the newest session's messages stand at the end of SQLite's table,
where rows are added the fast way. A chunk of operations goes to one session, the next chunk to the next session, so
that shallow ones stay about as shallow as they are.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.floors import BareTable, append_line
from benchmarks.measure import Run
from benchmarks.stores import JSONL, SHALLOW, Store
from sessionkit import extend

TOTAL = 100_000
"""How many messages such a store holds."""

BATCH = 100
"""How many messages are added at once."""

_AT_ONCE = 1_000  # messages that a store is filled with in one transaction
_BITS = 32  # a bare table's rows are numbered within their session by so many bits

T = TypeVar("T")


class Sessions(Protocol):
    """Sessions by number, and messages by their place in the corpus, from which it begins again at its end."""

    def append(self, session: int, number: int) -> None:
        """Add one message."""

    def extend(self, session: int, number: int) -> None:
        """Add the batch of that number."""

    def close(self) -> None:
        """Close what holds them."""


def count_of(run: Run, depth: int) -> int:
    """How many sessions of that depth there are."""
    return max(1, run.size(TOTAL) // depth)


def key_of(session: int) -> str:
    """The session's key."""
    return f"session/{session}"


class OurSessions:
    """A store of ours with sessions of that depth."""

    def __init__(self, store: Store, folder: Path, run: Run, depth: int) -> None:
        corpus = run.corpus.messages
        source = cycle(corpus)
        count = count_of(run, depth)
        with store.open(folder) as backend:
            for session in range(count):
                for message in islice(source, depth):
                    backend.append(key_of(session), message)
            for message in islice(source, SHALLOW):
                backend.append(key_of(count), message)  # it stands behind them all
        settle(folder)
        self._messages = corpus
        self._batches = batches(corpus)
        self._backend = store.open(folder)

    def append(self, session: int, number: int) -> None:
        """One `append`."""
        self._backend.append(key_of(session), self._messages[number % len(self._messages)])

    def extend(self, session: int, number: int) -> None:
        """One `sessionkit.extend`."""
        extend(self._backend, key_of(session), self._batches[number % len(self._batches)])

    def touch(self, session: int) -> None:
        """Write to the session, but no message, so that whatever a store keeps of one it wrote to lately is there."""
        self._backend.set_session_state(key_of(session), "idle")

    def close(self) -> None:
        """Close the store."""
        self._backend.close()


class TableSessions:
    """A bare table with the same sessions, its rows in the same order as ours."""

    def __init__(self, folder: Path, run: Run, depth: int) -> None:
        corpus = run.corpus.dicts
        source = cycle(corpus)
        count = count_of(run, depth)
        folder.mkdir()
        table = BareTable(folder / "floor.db")
        for session, first, size in [*_pieces(count, depth), (count, 0, SHALLOW)]:
            table.extend(key_of(session), islice(source, size), (session << _BITS) + first)
        table.close()
        settle(folder)
        self._dicts = corpus
        self._batches = batches(corpus)
        self._next = [(session << _BITS) + depth for session in range(count)]
        self._table = BareTable(folder / "floor.db")

    def append(self, session: int, number: int) -> None:
        """`json.dumps` and one INSERT, in the middle of the table."""
        self._table.append(key_of(session), self._dicts[number % len(self._dicts)], self._next[session])
        self._next[session] += 1

    def extend(self, session: int, number: int) -> None:
        """`json.dumps` of each and one `executemany`."""
        self._table.extend(key_of(session), self._batches[number % len(self._batches)], self._next[session])
        self._next[session] += BATCH

    def close(self) -> None:
        """Close the file."""
        self._table.close()


class FileSessions:
    """Bare files with the lines that ours writes for the same messages, a file a session."""

    def __init__(self, folder: Path, run: Run, depth: int) -> None:
        self._lines = stored_lines(run)
        self._batches = [b"".join(lines) for lines in batches(self._lines)]
        source = cycle(self._lines)
        folder.mkdir()
        self._paths = [str(folder / f"{session}.jsonl") for session in range(count_of(run, depth))]
        for path in self._paths:
            Path(path).write_bytes(b"".join(islice(source, depth)))
        settle(folder)

    def append(self, session: int, number: int) -> None:
        """Open, flock, write, close."""
        append_line(self._paths[session], self._lines[number % len(self._lines)])

    def extend(self, session: int, number: int) -> None:
        """The same with all lines of a batch in one write."""
        append_line(self._paths[session], self._batches[number % len(self._batches)])

    def close(self) -> None:
        """Nothing is open."""


def floor_of(store: Store, run: Run, depth: int) -> Sessions:
    """The floor of that store, with the same sessions."""
    return (FileSessions if store is JSONL else TableSessions)(run.folder / "floor", run, depth)


def batches(corpus: Sequence[T]) -> list[Sequence[T]]:
    """The corpus in batches, without what is left over."""
    return [corpus[start : start + BATCH] for start in range(0, len(corpus) - BATCH + 1, BATCH)]


def stored_lines(run: Run) -> list[bytes]:
    """The very lines that a JSONL store writes when the corpus is appended, one by one."""
    folder = run.folder / "lines"
    with JSONL.open(folder) as backend:
        for message in run.corpus.messages:
            backend.append("session", message)
    return session_file(folder).read_bytes().splitlines(keepends=True)[-len(run.corpus) :]


def session_file(folder: Path) -> Path:
    """The largest file in the folder: that of the session, where a JSONL store holds one that is longer than others."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def settle(folder: Path) -> None:
    """Have the disk catch up, so that no measured write waits for what was written before. Nothing may be open there.

    A descriptor that is closed would drop the locks of a SQLite connection to the same file.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def _pieces(count: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """All sessions piece by piece: the session, the piece's first position, and how many messages it has."""
    for session in range(count):
        for first in range(0, depth, _AT_ONCE):
            yield session, first, min(_AT_ONCE, depth - first)
