"""SQLite's and the system's errors as ours."""

import errno
import os
import sqlite3
from pathlib import Path

from sessionkit.errors import (
    BackendClosedError,
    BackendUnavailableError,
    CorruptSessionError,
    Outcome,
    SessionKitError,
)
from sessionkit.os_errors import is_systems, unavailable
from sessionkit.os_errors import partly as partly  # noqa: PLC0414 -- it belongs to what the backend asks of this module

_RETRYABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

# A commit that fails with one of these may have reached the disk all the same.
_OUTCOME_UNKNOWN = {sqlite3.SQLITE_IOERR}
_HANDLES = 8
"""More files than a connection has open: the database, its log and the log's index, the lock file, and folders."""

_HINTS = {
    sqlite3.SQLITE_FULL: "free some space on the disk",
    sqlite3.SQLITE_IOERR: "see whether the disk is full, or may not be written, or fails",
    sqlite3.SQLITE_READONLY: "check who may write it and its folder, or open the store with mode=ro",
    sqlite3.SQLITE_CANTOPEN: "check who may read and write it and its folder",
}


def check_path(path: Path) -> None:
    """Accept what can be the name of a file.

    Raises:
        BackendUnavailableError: it holds NUL or a lone surrogate.
    """
    try:
        fits = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        msg = f"{str(path)!a} can't be the name of a file: it holds NUL, or a lone surrogate, which is no character"
        raise BackendUnavailableError(msg)


def shown(path: Path) -> str:
    """The path as text that can be printed, though a file may have any bytes for a name."""
    return os.fsencode(path).decode(errors="backslashreplace")


def raise_mapped(error: BaseException, path: Path) -> None:
    """Raise ours in the place of SQLite's and the system's; give back without raising for any other.

    Raises:
        CorruptSessionError: the file is damaged.
        BackendClosedError: `close` interrupted the call.
        BackendUnavailableError: anything else that SQLite or the system said.
    """
    if is_systems(error):
        raise unavailable(error, shown(path)) from error
    if isinstance(error, SessionKitError) or not isinstance(error, sqlite3.Error):
        return
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        msg = f"{shown(path)} is damaged: {error}"
        raise CorruptSessionError(msg, where=shown(path)) from error
    if code == sqlite3.SQLITE_INTERRUPT:
        msg = f"{shown(path)} was closed in the middle of this call"
        raise BackendClosedError(msg) from error
    if code in _RETRYABLE:
        msg = f"{shown(path)} is in use: {error}; try again, or raise busy_timeout"
        raise BackendUnavailableError(msg, retryable=True) from error
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR} and (no_handles := _no_handles()):
        raise unavailable(no_handles, shown(path), _outcome(code)) from error
    hint = f"; {_HINTS[code]}" if code in _HINTS else ""
    msg = f"{shown(path)} can't be used: {error}{hint}"
    raise BackendUnavailableError(msg, outcome=_outcome(code)) from error


def _outcome(code: int) -> Outcome:
    return "unknown" if code in _OUTCOME_UNKNOWN else "not_applied"


def _no_handles() -> OSError | None:
    """What the system says where no file can be opened, which SQLite does not pass on.

    SQLite needs several, and has closed again those that it got, by the time that this is asked.
    """
    opened: list[int] = []
    try:
        while len(opened) < _HANDLES:
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            return error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None
