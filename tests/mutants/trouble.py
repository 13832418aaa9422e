"""Stores that do not bear trouble: read-only places, locks, damage, and what must stay secret."""

import sqlite3
from pathlib import Path
from typing import Literal

from sessionkit import BackendUnavailableError, BackendURL, ChatMessage
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.names import file_name
from sessionkit_sqlite import SQLiteBackend
from tests.mutants.declared import caught_by

Mode = Literal["rw", "ro"]


@caught_by("read-only.live", on_disk=True)
class ReadsASnapshot(SQLiteBackend):
    """A store opened to be read lists what was there when it was opened, though somebody writes to it."""

    def __init__(self, path: str | Path, *, mode: Mode = "rw") -> None:
        super().__init__(path, mode=mode)
        self.listed = super().list_sessions() if mode == "ro" else None

    def list_sessions(self) -> list[str]:
        return super().list_sessions() if self.listed is None else self.listed


@caught_by("read-only.at-rest", raises=(BackendUnavailableError,), on_disk=True)
class ReadsOnlyBesideAWriter(SQLiteBackend):
    """Reading needs the log that only a writer can make: a store at rest can't be opened read-only."""

    def __init__(self, path: str | Path, *, mode: Mode = "rw") -> None:
        if mode == "ro" and not Path(f"{path}-wal").exists():
            msg = "attempt to write a readonly database"
            raise BackendUnavailableError(msg)
        super().__init__(path, mode=mode)


@caught_by("read-only.refuses-writing", on_disk=True)
class IgnoresTheMode(SQLiteBackend):
    """The option is taken, and the store is opened to be written all the same."""

    def __init__(self, path: str | Path, *, mode: Mode = "rw") -> None:
        del mode
        super().__init__(path)


@caught_by("waiting.ends", raises=(sqlite3.OperationalError,), on_disk=True)
class LeaksLockErrors(SQLiteBackend):
    """A lock that is not let go of ends in the driver's own error."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        try:
            super().append(session_key, message)
        except BackendUnavailableError as error:
            raise sqlite3.OperationalError(str(error)) from None


@caught_by("compact.sets-corrupt-aside", on_disk=True)
class CompactsAway(JSONLBackend):
    """What can't be read is taken for rubbish, and is gone after `compact`."""

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        Path(self._folder.path, f"{file_name(session_key)}.corrupt").unlink(missing_ok=True)


@caught_by("delete.forgets-what-was-set-aside", on_disk=True)
class KeepsWhatWasSetAside(JSONLBackend):
    """A deleted session leaves behind what `compact` has set aside of it."""

    def delete_session(self, session_key: str, /) -> bool:
        beside = Path(self._folder.path, f"{file_name(session_key)}.corrupt")
        kept = beside.read_bytes() if beside.exists() else b""
        existed = super().delete_session(session_key)
        if kept:
            beside.write_bytes(kept)
        return existed


@caught_by("errors.never-bare", on_disk=True)
class LeaksSystemErrors(JSONLBackend):
    """Listing looks into the folder, and whatever the system says of it comes out bare."""

    def list_sessions(self) -> list[str]:
        return super().list_sessions() if list(Path(self._folder.path).iterdir()) else []


@caught_by("secrets.never-shown", on_disk=True)
class ShowsItsPassword(SQLiteBackend):
    """The repr, which stands in logs and error reports, repeats the URL as it was given."""

    url: BackendURL

    def __repr__(self) -> str:
        return f"ShowsItsPassword({self.url.username}:{self.url.password}@{self.url.host})"
