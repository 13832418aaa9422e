"""The factory of ``sqlite://`` URLs, and what makes a new store of one that can't be opened."""

from collections.abc import Iterator

from sessionkit.codec import MAX_MESSAGE_BYTES
from sessionkit.errors import BackendURLError
from sessionkit.models import Finding
from sessionkit.registry import BackendURL
from sessionkit_sqlite.backend import SQLiteBackend
from sessionkit_sqlite.store import Mode, Synchronous


def open_url(
    url: BackendURL,
    *,
    mode: Mode = "rw",
    synchronous: Synchronous = "normal",
    busy_timeout: float = 10.0,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> SQLiteBackend:
    """The factory of ``sqlite:///relative.db`` and ``sqlite:////absolute.db``.

    Raises:
        BackendURLError: the URL names no file.
        BackendUnavailableError: as `SQLiteBackend`.
    """
    return SQLiteBackend(
        _path(url),
        mode=mode,
        synchronous=synchronous,
        busy_timeout=busy_timeout,
        max_message_bytes=max_message_bytes,
    )


def rescue(url: BackendURL) -> Iterator[Finding]:
    """Make a new store of what can be read of a damaged one, which is set aside; see `sessionkit_sqlite.rescue`.

    Raises:
        BackendURLError: the URL names no file.
        BackendUnavailableError: the file is not there, in use, or another program's, or there is no room.
    """
    from sessionkit_sqlite.rescue import rescue_store  # noqa: PLC0415 -- what is seldom needed is imported late

    return rescue_store(_path(url))


open_url.rescue = rescue  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess] -- the doctor looks


def _path(url: BackendURL) -> str:
    path = url.local_path("sqlite:///relative.db or sqlite:////absolute.db")
    if path == ":memory:":
        raise BackendURLError("a SQLite store is a file; memory:// keeps sessions in memory")
    return path
