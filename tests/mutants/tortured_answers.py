"""Stores that give wrong answers of what they hold when processes are killed or meet, which torture must find."""

import os
import sqlite3
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Unpack

import attrs

from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    SessionContext,
    SessionMetadata,
    SessionQuery,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED, REQUIRED
from sessionkit_sqlite import SQLiteBackend
from tests.mutants.declared import Change, found_by

_BETWEEN = 0.002
"""How many seconds pass between two steps."""

_METHODS = {*REQUIRED, *PROVIDED, *OPTIONAL_PROTOCOLS.values(), "close"} - {"append"}
"""All that is called of a backend, but the one method."""


@found_by("back again")
class HidesWhatIsDeleted(SQLiteBackend):
    """A deleted session is marked, and passed over; the next append takes the mark away, and the old is back."""

    MARK = "deleted"

    def hidden(self, session_key: str) -> bool:
        """Whether it is marked."""
        found = super().get_session_metadata(session_key)
        return found is not None and self.MARK in found.attributes

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return [] if self.hidden(session_key) else super().load(session_key)

    def delete_session(self, session_key: str, /) -> bool:
        existed = self.get_session_metadata(session_key) is not None and not self.hidden(session_key)
        if existed:
            super().set_session_context(session_key, SessionContext(attributes={self.MARK: True}))
        return existed

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        if self.hidden(session_key):
            super().set_session_context(session_key, SessionContext(attributes={self.MARK: None}))


@found_by("forgotten by search")
class IndexesBehindTheBack(SQLiteBackend):
    """A session is indexed with its first message only; those that follow wait for an indexer that never comes."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(query)
        return [each for each in found if query.matches(each, (m.text for m in self.load(each.key)[:1]))]


@found_by("search")
class IndexesWhatIsGone(SQLiteBackend):
    """Removed messages stay in the index."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.index: dict[str, list[str]] = {}

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.index.setdefault(session_key, []).append(message.text)

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        all_of_them = self.list_sessions_with_metadata()
        return [each for each in all_of_them if query.matches(each, self.texts(each.key))]

    def texts(self, session_key: str) -> Iterable[str]:
        """Those that are there, and those that this process has indexed."""
        return [*(message.text for message in self.load(session_key)), *self.index.get(session_key, ())]


@found_by("listed twice")
class ListsPagesThatOverlap(SQLiteBackend):
    """The list is read in pages, and the last session of one is the first of the next."""

    def list_sessions(self) -> list[str]:
        found = super().list_sessions()
        pages = [found[i : i + 5] for i in range(0, len(found), 4)]
        return [key for page in pages for key in page]


@found_by("not listed", "back again")
class ListsWhatItKnew(SQLiteBackend):
    """The list is read once, and then remembered, with what this process has added."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.listed = super().list_sessions()

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        if session_key not in self.listed:
            self.listed.append(session_key)

    def list_sessions(self) -> list[str]:
        return self.listed[:]


@found_by("applied")
class SaysNotAppliedOfWhatWas(SQLiteBackend):
    """A lock that is lost after the commit is told as "not applied", though the message is there."""

    appended = count(1)

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        if next(self.appended) % 20 == 0:
            raise BackendUnavailableError("the lock was lost", retryable=True, outcome="not_applied")


@found_by("revision repeated")
class CountsRevisionsAnew(SQLiteBackend):
    """A session that was deleted and is created anew counts its revisions from the start."""

    def delete_session(self, session_key: str, /) -> bool:
        existed = super().delete_session(session_key)
        with self._store.writing as connection:
            connection.execute("UPDATE store SET highest_deleted_revision = 0")
        return existed


@found_by("fence")
class LooksBeforeItWrites(SQLiteBackend):
    """The revision is compared in one transaction, and the change made in the next."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        fence = change.pop("if_revision", None)
        super().write(session_key, if_revision=fence)
        time.sleep(_BETWEEN)
        return super().write(session_key, **change)


@found_by("balance")
class ClaimsToHaveRemoved(SQLiteBackend):
    """`remove_last` looks whether there is a message, and says True; another may have taken it meanwhile."""

    def remove_last(self, session_key: str, /) -> bool:
        found = bool(self.load_with_timestamps(session_key, last=1))
        return super().remove_last(session_key) or found or session_key.startswith("contested")


@found_by("counts")
class CountsTheLastOneLate(SQLiteBackend):
    """The list tells the number of messages without the last one, which is counted when the next one comes."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        found = super().list_sessions_with_metadata()
        return [attrs.evolve(each, message_count=max(0, each.message_count - 1)) for each in found]


@found_by("error")
class LeaksDriverErrors(SQLiteBackend):
    """Where another writes at the same time, the driver's own error comes out."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        before = self.get_session_metadata(session_key)
        time.sleep(_BETWEEN / 2)
        found = self.get_session_metadata(session_key)
        if (found and found.revision) != (before and before.revision):
            raise sqlite3.OperationalError("database is locked")
        return super().write(session_key, **change)


@found_by("stuck")
class DiesOfItsDriver(SQLiteBackend):
    """Now and then the driver crashes, and takes the whole process with it."""

    written = count(1)

    def compact(self, session_key: str, /) -> None:
        if next(self.written) % 3 == 0:
            os.abort()
        super().compact(session_key)


@found_by("turn")
class LooksWhoseTurnItIs(SQLiteBackend):
    """Whether the turn runs is looked up first, and written afterwards, though another has taken over."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        turn = change.pop("if_turn", None)
        super().write(session_key, if_turn=turn)
        if turn is not None:
            time.sleep(10 * _BETWEEN)  # another turn must begin and write in it
        return super().write(session_key, **change)
