"""Stores on disk: what is lost with the object or the process, and what other processes do not see.

Those that are about a moment wait in it, so that a kill or another process surely falls into it.
"""

import importlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Unpack

from sessionkit import (
    BackendClosedError,
    BackendUnavailableError,
    BackendURL,
    ChatMessage,
    CoreBackend,
    SessionMetadata,
    SessionQuery,
    SessionState,
    TimestampedMessage,
)
from sessionkit.clock import now, to_datetime
from sessionkit.record import SessionRecord
from sessionkit.record_backend import T
from sessionkit_jsonl import JSONLBackend
from sessionkit_sqlite import SQLiteBackend
from tests.mutants.declared import MUTANTS, Change, TwoStepTurns, TwoStepUpdates, caught_by
from tests.mutants.slow import TwoStepTakeovers


def open_url(url: BackendURL, *, mutant: str, area: str) -> CoreBackend:
    """The factory of ``mutant:///path?mutant=name&area=module``, with which other processes open a mutant."""
    importlib.import_module(f"{__package__}.{area}")
    made = MUTANTS[mutant].kind(url.path)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] -- of those on disk
    vars(made)["url"] = url
    return made


def _pause() -> None:
    """Let another process come in between, or a kill."""
    time.sleep(0.005)


@caught_by("kill.acknowledged-survives", "processes.see-writes", on_disk=True)
class WritesAtClose(SQLiteBackend):
    """The file is fetched when the store is opened, and put back when it is closed: a kill loses all between."""

    def __init__(self, path: str | Path) -> None:
        self.place = Path(path)
        self.folder = tempfile.TemporaryDirectory()
        mine = Path(self.folder.name, "mine.db")
        if self.place.exists():
            shutil.copyfile(self.place, mine)
        super().__init__(mine)

    def close(self) -> None:
        super().close()
        with suppress(FileNotFoundError):
            shutil.copyfile(Path(self.folder.name, "mine.db"), self.place)
        self.folder.cleanup()


@caught_by("kill.acknowledged-survives", on_disk=True)
class WritesInParts(SQLiteBackend):
    """A batch is several transactions: a kill leaves a part of it."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = [message for message in change.pop("append", ()) if self._encoded(message)]
        revision = super().write(session_key, **change)
        for message in added:
            _pause()
            revision = super().write(session_key, append=[message])
        return revision


@caught_by("kill.acknowledged-survives", on_disk=True)
class UpdatesInParts(TwoStepUpdates, SQLiteBackend):
    """A replaced message is removed in one transaction and added in the next: a kill between loses it."""

    between = 0.005


@caught_by("kill.acknowledged-survives", "processes.see-settings", on_disk=True)
class NamesAtClose(SQLiteBackend):
    """Names are kept in the object, and written when it is closed: a kill loses them, and nobody else sees them."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.names: dict[str, str] = {}

    def set_session_name(self, session_key: str, name: str, /) -> None:
        if self.get_session_state(session_key) is None:
            super().set_session_name(session_key, name)
        self.names[session_key] = name

    def get_session_name(self, session_key: str, /) -> str | None:
        name = super().get_session_name(session_key)
        return self.names.get(session_key, name)

    def delete_session(self, session_key: str, /) -> bool:
        self.names.pop(session_key, None)
        return super().delete_session(session_key)

    def close(self) -> None:
        with suppress(BackendClosedError):
            for session_key, name in self.names.items():
                super().set_session_name(session_key, name)
        super().close()


@caught_by("kill.acknowledged-survives", on_disk=True)
class DeletesInParts(SQLiteBackend):
    """The messages go in one transaction and the session in the next: a kill leaves it empty."""

    def delete_session(self, session_key: str, /) -> bool:
        self.clear_messages(session_key)
        _pause()
        return super().delete_session(session_key)


@caught_by("kill.acknowledged-survives", on_disk=True)
class RestoresInParts(SQLiteBackend):
    """The session is restored first, and its messages one by one: a kill leaves some of them."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, (), metadata)
        for stored in messages:
            _pause()
            self.append(session_key, stored.message)


@caught_by("kill.acknowledged-survives", on_disk=True)
class CompactsInPlace(JSONLBackend):
    """`compact` deletes the session's file before it has written the new one."""

    def compact(self, session_key: str, /) -> None:
        stored, metadata = self.load_with_timestamps(session_key), self.get_session_metadata(session_key)
        if metadata is not None:
            self.delete_session(session_key)
            _pause()
            self.restore(session_key, stored, metadata)


@caught_by("threads.one-session", "processes.one-session", "waiting.ends", on_disk=True)
class SwallowsLockErrors(SQLiteBackend):
    """A write that finds the store locked is logged and forgotten: the caller believes that it is stored."""

    def __init__(self, path: str | Path, *, busy_timeout: float = 0) -> None:
        super().__init__(path)  # which waits for others to have opened
        self._store.busy_timeout = busy_timeout

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        with suppress(BackendUnavailableError):
            super().append(session_key, message)

    def compact(self, session_key: str, /) -> None:
        with suppress(BackendUnavailableError):
            super().compact(session_key)

    def _edit(self, session_key: str, change: Callable[[SessionRecord], T], /, *, create: bool) -> T | None:
        with suppress(BackendUnavailableError):
            return super()._edit(session_key, change, create=create)
        return None

    def _tidy_now_and_then(self, connection: Connection, added: int) -> None:
        _pause()  # what is done under the lock takes its time
        super()._tidy_now_and_then(connection, added)


@caught_by("processes.one-session", on_disk=True)
class LocksOnlyThreads(JSONLBackend):
    """The session is read, extended and written back under a lock that another process does not know."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.mine = threading.Lock()

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        with self.mine:
            messages = [*self.load(session_key), message]
            _pause()
            self.clear_messages(session_key)
            self.write(session_key, append=messages)


@caught_by("processes.one-session", on_disk=True)
class CompactsWithoutTheLock(JSONLBackend):
    """`compact` writes back what it has read: what another process appended meanwhile is lost."""

    def compact(self, session_key: str, /) -> None:
        before = len(self.load(session_key))
        _pause()
        super().compact(session_key)
        with suppress(ValueError):
            self.write(session_key, drop_last=len(self.load(session_key)) - before)


@caught_by("processes.one-turn", on_disk=True)
class TakesOverUnderItsOwnLock(TwoStepTakeovers, JSONLBackend):
    """Whether the turn that runs is stuck is looked up first, and taken over afterwards: two processes both do."""

    between = 0.005


@caught_by("processes.one-turn", on_disk=True)
class BeginsUnderItsOwnLock(TwoStepTurns, SQLiteBackend):
    """Whether a turn runs is looked up first, and ours is begun afterwards: two processes both begin."""

    between = 0.005


@caught_by("processes.see-writes", on_disk=True)
class CachesWhatOthersChange(SQLiteBackend):
    """Loaded messages are remembered until this process writes; that others write too is forgotten."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.loaded: dict[str, tuple[int, list[ChatMessage]]] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = super().load(session_key)
        with self._store.writing as connection:
            changes = connection.total_changes
        known, remembered = self.loaded.get(session_key, (-1, messages))
        if known != changes:
            self.loaded[session_key] = changes, messages
            return messages[:]
        return remembered[:]


@caught_by("processes.see-settings", on_disk=True)
class RemembersItsStates(SQLiteBackend):
    """The state that this process has set is remembered; that others set one too is forgotten."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.states: dict[str, SessionState | None] = {}

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state, turn_id)
        self.states[session_key] = super().get_session_state(session_key)

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        return self.states.get(session_key) or super().get_session_state(session_key)


@caught_by("processes.fork", raises=(RuntimeError,), on_disk=True)
class RefusesForks(SQLiteBackend):
    """The child of a fork is told to open a store of its own."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.process = os.getpid()

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        if os.getpid() != self.process:
            msg = "opened by another process"
            raise BackendUnavailableError(msg)
        super().append(session_key, message)


@caught_by("processes.first-opening", raises=(FileExistsError,), on_disk=True)
class OpensOneAtATime(SQLiteBackend):
    """Opening makes a lock file, and gives up where it finds one: of processes that open at once, one can."""

    def __init__(self, path: str | Path) -> None:
        lock = Path(f"{path}-opening")
        lock.touch(exist_ok=False)
        time.sleep(0.5)  # longer than processes that start at once are apart
        super().__init__(path)
        lock.unlink()


@caught_by("processes.first-opening", on_disk=True)
class EmptiesAtOpening(SQLiteBackend):
    """Whoever opens the store takes what it finds for left over from a crash, and removes it."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        for key in self.list_sessions():
            self.delete_session(key)


@caught_by("reopen.messages", on_disk=True)
class LosesTheLastAtClose(JSONLBackend):
    """The last line of a file has no line end, and who opens it next takes it for torn."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        for key in self.list_sessions():
            self.remove_last(key)


@caught_by("reopen.keys", on_disk=True)
class ListsOnlyItsOwnAtFirst(SQLiteBackend):
    """The list of sessions is kept in memory, and filled by writing."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.hidden = super().list_sessions()

    def list_sessions(self) -> list[str]:
        return [key for key in super().list_sessions() if key not in self.hidden]


@caught_by("reopen.metadata", on_disk=True)
class KeepsNamesInMemory(SQLiteBackend):
    """Names are kept in the object, and are gone with it."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        for metadata in self.list_sessions_with_metadata():
            if metadata.name:
                self.set_session_name(metadata.key, "")


@caught_by("reopen.search", on_disk=True)
class ForgetsWhatWasNotIndexed(SQLiteBackend):
    """What waits to be indexed is known to the object only: after a restart it is never found."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.opened = to_datetime(now())

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(query)
        return [each for each in found if not query.terms or (each.last_activity or self.opened) >= self.opened]


@caught_by("reopen.revision", on_disk=True)
class RevisionsStartAgainAtOpening(SQLiteBackend):
    """The highest revision of deleted sessions is kept in the object."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        with self._store.writing as connection:
            connection.execute("UPDATE store SET highest_deleted_revision = 0")


@caught_by("keys.distinct", on_disk=True)
class FoldsFileNames(JSONLBackend):
    """The files' names are folded by a file system that ignores case."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key.lower() if isinstance(session_key, str) else session_key, message)
