"""A new store of what can be read of a damaged one: ``rescue(url)`` of the factory of ``sqlite://`` URLs.

The damaged file is read page by page, without SQLite (`sessionkit_sqlite.salvage`), and nothing of it is changed. The
rows go into a new file, which the deep check then repairs: messages whose session is lost get one that is named
``recovered/<number>``, what can't be read is set aside, everything is counted and indexed anew. Only when a second
check finds nothing any more is the damaged file renamed, with its log, to ``<name>.corrupt-<UTC time>``, and the new
one takes its place. As the last changes may be lost, every revision is raised, so that none can come again.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sessionkit.errors import BackendUnavailableError
from sessionkit.locks import acquire
from sessionkit.models import Finding
from sessionkit.os_errors import unavailable
from sessionkit.private import FOLDER
from sessionkit_sqlite.backend import SQLiteBackend
from sessionkit_sqlite.failures import shown
from sessionkit_sqlite.opening import open_lock_file
from sessionkit_sqlite.pages import Pages
from sessionkit_sqlite.salvage import Salvage
from sessionkit_sqlite.schema import APPLICATION_ID, SESSION_COLUMNS, VERSION
from sessionkit_sqlite.store import is_open_here

_JUMP = 2**20  # by which revisions are raised: more changes than any log holds
_BATCH = 1000
_PATIENCE = 10.0  # seconds to wait for others that write

_SESSION = ("key", "last_position", "settled", *SESSION_COLUMNS)
_INSERT_SESSION = f"INSERT INTO sessions (number, {', '.join(_SESSION)}) VALUES (?{', ?' * len(_SESSION)})"
_INSERT_MESSAGE = """
INSERT INTO messages (id, created_at, turns, tool_calls, replaced_at, message, replacements)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET (created_at, turns, tool_calls, replaced_at, message, replacements) = (
    excluded.created_at, excluded.turns, excluded.tool_calls, excluded.replaced_at, excluded.message,
    excluded.replacements
) WHERE excluded.replacements > replacements
"""
_INSERT_CORRUPT = "INSERT OR IGNORE INTO corrupt_messages (id, created_at, message) VALUES (?, ?, ?)"


def rescue_store(path: str | Path) -> Iterator[Finding]:
    """What was found, and what became of it; all of it done when this returns.

    Raises:
        BackendUnavailableError: there is no file, nothing of a store is in it, it is another program's or a newer
            sessionkit's, this process has it open, others are writing to it, or there is no room. Nothing was changed.
    """
    path = Path(os.path.realpath(path))
    if not path.is_file():
        msg = f"{shown(path)} is no file, so there is nothing to rescue"
        raise BackendUnavailableError(msg)
    if is_open_here(path):
        msg = f"{shown(path)} is open in this process; close it first"
        raise BackendUnavailableError(msg)
    try:
        lock_file = open_lock_file(path)
        try:
            acquire(lock_file, timeout=_PATIENCE, path=shown(path))
            with closing(Pages(path)) as pages:
                return iter(_rescued(path, pages))
        finally:
            os.close(lock_file)
    except OSError as error:
        raise unavailable(error, shown(path)) from error


def _rescued(path: Path, pages: Pages) -> list[Finding]:
    _check_ours(path, pages)
    salvage = Salvage(pages)
    folder = path.parent / f".{path.name}.rescue"  # nobody else's: the lock is ours
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)  # of a rescue that was killed
    folder.mkdir(FOLDER)
    try:
        new = folder / "new.db"
        with SQLiteBackend(new) as backend:
            with backend._store.writing as connection:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- of the same package
                counts = _fill(connection, salvage)
            if not any(counts):
                msg = f"nothing of a store was found in {shown(path)}; nothing was changed"
                raise BackendUnavailableError(msg)
            found = list(backend.check(repair=True))
            left = [finding.what for finding in backend.check() if finding.severity == "problem"]
            if left:
                msg = f"the new store of {shown(path)} is not in order, so nothing was changed: {left[0]}"
                raise BackendUnavailableError(msg)
            (sessions,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        aside = _put_in_place(path, new)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    done = f"a new store holds {sessions} sessions with {counts[1]} messages; the damaged one is {shown(aside)}"
    # The index was made anew anyway, and what was noted of it in the damaged store is gone.
    return [*_damages(path, pages, salvage, done), *(finding for finding in found if finding.kind != "index")]


def _check_ours(path: Path, pages: Pages) -> None:
    """Refuse what a sound header says is not ours, or too new."""
    if not pages.has_header:
        return
    header = pages.header
    application, version = (int.from_bytes(header[at : at + 4], "big") for at in (68, 60))
    if application not in {APPLICATION_ID, 0}:
        msg = f"{shown(path)} is another program's database; nothing was changed"
        raise BackendUnavailableError(msg)
    if version > VERSION:
        msg = f"{shown(path)} has layout {version}, and this sessionkit knows {VERSION}; nothing was changed"
        raise BackendUnavailableError(msg)


def _fill(connection: sqlite3.Connection, salvage: Salvage) -> tuple[int, int]:
    """Put every row into the new store; how many sessions and messages there were."""
    connection.execute("BEGIN IMMEDIATE")
    for number, values in salvage.rows("sessions"):
        if values is not None:
            _insert_session(connection, number, values)
    broken: list[tuple[int, Any, Any]] = []

    def messages() -> Iterator[tuple[Any, ...]]:
        for id, values in salvage.rows("messages"):  # noqa: A001 -- what it is
            if values is None:
                broken.append((id, None, "a message of which a part is lost"))
                continue
            _, created_at, turns, tool_calls, replaced_at, message, *replacements = values
            yield id, _some(created_at), turns, tool_calls, replaced_at, message, *(replacements or [0])

    _in_batches(connection, _INSERT_MESSAGE, messages())
    aside = ((id, values[1], values[2]) for id, values in salvage.rows("corrupt_messages") if values is not None)  # noqa: A001
    _in_batches(connection, _INSERT_CORRUPT, aside)
    connection.executemany(_INSERT_CORRUPT, broken)
    highest = max((values[0] for _, values in salvage.rows("store") if values is not None), default=0)
    (revision,) = connection.execute(
        "SELECT max(revision) FROM sessions WHERE typeof(revision) = 'integer' AND revision < 1 << 61"
    ).fetchone()
    connection.execute("UPDATE store SET highest_deleted_revision = ?", (max(highest, revision or 0) + _JUMP,))
    connection.execute(
        "UPDATE sessions SET revision = revision + ? WHERE typeof(revision) = 'integer' AND revision < 1 << 61",
        (_JUMP,),
    )
    sessions, stored = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("sessions", "messages")
    )
    connection.execute("COMMIT")
    return sessions, stored


def _in_batches(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        connection.executemany(statement, batch)


def _insert_session(connection: sqlite3.Connection, number: int, values: list[Any]) -> None:
    _, key, *rest = values
    if len(rest) < len(_SESSION) - 1:  # of version 1: its position says how many were settled, too
        rest = [rest[0], *rest]
    optional = {
        "name",
        "agent_alias",
        "channel_id",
        "room_id",
        "sender_id",
        "turn_id",
        "turn_started_at",
        "heartbeat_at",
    }
    row = [value if column in optional else _some(value) for column, value in zip(_SESSION[1:], rest, strict=True)]
    for name in (key, f"recovered/{number}"):  # the second for a second session of that key
        with suppress(sqlite3.IntegrityError):
            connection.execute(_INSERT_SESSION, (number, name, *row))
            return


def _some(value: Any) -> Any:
    """What stands for a value that must be there and is not: the check takes it for damaged."""
    return "" if value is None else value


def _damages(path: Path, pages: Pages, salvage: Salvage, done: str) -> Iterator[Finding]:
    mended = "all that could be read of it is in a new store"
    if not pages.has_header:
        yield Finding("structure", "the header of the file is damaged", where=shown(path), repaired=mended)
    for table, lost in salvage.lost.items():
        for part in lost:
            # Where the schema is lost, nobody knows on which page a tree begins.
            where = f"page {part.page} of {shown(path)}" if part.page else shown(path)
            yield Finding("structure", f"a part of the tree of {table} can't be read", where=where, repaired=mended)
    if pages.lost_bytes:
        what = f"{pages.lost_bytes} bytes of the log follow its last complete commit"
        yield Finding("torn-record", what, where=f"{shown(path)}-wal", repaired="the log was set aside as well")
    yield Finding("set-aside", done, where=shown(path), severity="note")


def _put_in_place(path: Path, new: Path) -> Path:
    """Give the damaged file another name, and its log, and have the new one take its place.

    Whenever the process dies, the damaged store is complete: under its old names until it has all of the new ones.
    """
    aside = Path(f"{path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for beside in ("", "-wal"):
        with suppress(FileNotFoundError):
            _name_too(f"{path}{beside}", f"{aside}{beside}")
    _sync(path.parent)
    for beside in ("", "-wal", "-shm"):  # first the file: without its log, nobody may open it
        Path(f"{path}{beside}").unlink(missing_ok=True)
    os.replace(new, path)  # noqa: PTH105 -- names, not paths
    _sync(path.parent)
    return aside


def _name_too(old: str, new: str) -> None:
    """A second name for the file; where the file system has none, the only one."""
    try:
        os.link(old, new)
    except PermissionError:  # what file systems without links say
        os.rename(old, new)  # noqa: PTH104 -- likewise


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
