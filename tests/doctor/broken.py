"""Backends with one fault each, of the kind that real ones have, and as what the doctor must tell it."""

# ruff: noqa: D102 -- what each override does wrong stands in the docstring of its class

import inspect
import re
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import attrs

from sessionkit import (
    ChatMessage,
    CorruptRecordWarning,
    SessionMetadata,
    SessionQuery,
    SessionState,
    TimestampedMessage,
)
from sessionkit.clock import to_datetime
from sessionkit.messages import ToolCall
from sessionkit_memory import MemoryBackend

Kind = TypeVar("Kind", bound=type[MemoryBackend])

BROKEN: dict[str, tuple[type[MemoryBackend], str]] = {}
"""By the name of the fault: the backend, and the kind of the finding."""

SECRET = "xylograph"  # noqa: S105 -- a word that stands in every message, and in no finding
SILENT = to_datetime(1_500_000_000_000_000)
"""When the turn that is stuck gave its last sign of life."""


def found_as(kind: str) -> Callable[[Kind], Kind]:
    """Declare the class broken; the first line of its docstring says how."""

    def declare(broken: Kind) -> Kind:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", broken.__name__).lower()
        assert name not in BROKEN
        assert inspect.getdoc(broken)
        BROKEN[name] = (broken, kind)
        return broken

    return declare


def fill(backend: MemoryBackend) -> None:
    """Two sessions: one of several messages, calls and a state; and one that is stuck."""
    for number in range(6):
        backend.append("a", ChatMessage("user", f"{SECRET} question number{number}"))
        calls = [ToolCall(f"{number}", "look", f'{{"{SECRET}": {number}}}')]
        backend.append("a", ChatMessage("assistant", f"{SECRET} answer number{number}", tool_calls=calls))
    backend.set_session_name("a", "A name")
    turn = SessionMetadata("b", state="running", turn_id="gone", turn_started_at=SILENT, heartbeat_at=SILENT)
    backend.restore("b", [TimestampedMessage(ChatMessage("user", f"{SECRET} begun"), SILENT)], turn)


class _Counted(MemoryBackend):
    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        metadata = super().get_session_metadata(session_key)
        return metadata and self.told(metadata)

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return [self.told(metadata) for metadata in super().list_sessions_with_metadata()]

    def told(self, metadata: SessionMetadata) -> SessionMetadata:
        raise NotImplementedError


@found_as("counts")
class CountsOneTooMany(_Counted):
    """A removal that is not counted down."""

    def told(self, metadata: SessionMetadata) -> SessionMetadata:
        return attrs.evolve(metadata, message_count=metadata.message_count + 1)


@found_as("counts")
class CountsNoCalls(_Counted):
    """Tool calls are not counted."""

    def told(self, metadata: SessionMetadata) -> SessionMetadata:
        return attrs.evolve(metadata, tool_call_count=0)


@found_as("order")
class WasActiveBefore(_Counted):
    """Activity is when the session was created; what came since is none."""

    def told(self, metadata: SessionMetadata) -> SessionMetadata:
        assert metadata.created_at
        return attrs.evolve(metadata, last_activity=metadata.created_at - timedelta(1))


@found_as("index")
class IndexForgetsTheNewest(MemoryBackend):
    """The index lags: the newest message of each session is not in it."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return query.page(
            metadata
            for metadata in self.list_sessions_with_metadata()
            if query.matches(metadata, [message.text for message in self.load(metadata.key)[:-1]])
        )


@found_as("index")
class IndexTakesAnyTerm(MemoryBackend):
    """A search gives the sessions that hold all terms, each in some message."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return query.page(
            metadata
            for metadata in self.list_sessions_with_metadata()
            if query.matches(metadata, ["\n".join(message.text for message in self.load(metadata.key))])
        )


@found_as("index")
class IndexKeepsTheDeleted(MemoryBackend):
    """Asked of all sessions, the index finds words of one that is gone, by a number that another one has now."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return super().search(query) or ([] if query.key_prefix else self.list_sessions_with_metadata()[:1])


@found_as("listing")
class ListRepeats(MemoryBackend):
    """Two pages of the list overlap."""

    def list_sessions(self) -> list[str]:
        return [*super().list_sessions(), *super().list_sessions()[:1]]


@found_as("listing")
class ListForgets(MemoryBackend):
    """The list ends with its first page."""

    def list_sessions(self) -> list[str]:
        return super().list_sessions()[:1]


@found_as("listing")
class ListHoldsWhatIsGone(MemoryBackend):
    """A session is listed, and nobody knows it any more."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        return None if session_key == "a" else super().get_session_metadata(session_key)


@found_as("listing")
class ListIsOld(MemoryBackend):
    """The list is a table of its own, in which names are not changed."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return [attrs.evolve(metadata, name="old") for metadata in super().list_sessions_with_metadata()]


@found_as("listing")
class ListHoldsNoKeys(MemoryBackend):
    """A record without a key is listed as a session without a name."""

    def list_sessions(self) -> list[str]:
        return [*super().list_sessions(), ""]


@found_as("order")
class ListIsTurnedRound(MemoryBackend):
    """The list begins with what was active last of all."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        return super().list_sessions_with_metadata()[::-1]


@found_as("order")
class KeysAreSorted(MemoryBackend):
    """The keys are listed by name."""

    def list_sessions(self) -> list[str]:
        return sorted(super().list_sessions(), reverse=True)


@found_as("order")
class TimesRunBackwards(MemoryBackend):
    """The clock was set back, and nobody minded."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        stored = super().load_with_timestamps(session_key, last=last)
        return [attrs.evolve(kept, created_at=SILENT - timedelta(number)) for number, kept in enumerate(stored)]


@found_as("listing")
class LastIsOneShort(MemoryBackend):
    """The newest messages are one too few."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        stored = super().load_with_timestamps(session_key, last=last)
        return stored[1:] if last is not None else stored


@found_as("listing")
class FirstIsLast(MemoryBackend):
    """The oldest messages are the newest."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        return super().load_with_timestamps(session_key, last=count)


@found_as("listing")
class LoadIsCut(MemoryBackend):
    """One way to read a session ends with a page of it."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return super().load(session_key)[:5]


@found_as("listing")
class StateIsElsewhere(MemoryBackend):
    """The state is looked up in a place of its own, which is not written any more."""

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        return SessionState("idle") if super().get_session_state(session_key) else None


@found_as("listing")
class RunningIsForgotten(MemoryBackend):
    """Those that run are in a list of their own, which was lost."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return []


@found_as("listing")
class StuckIsForgotten(MemoryBackend):
    """Whoever is stuck is listed by when the turn began, and those of other years are not."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        super().list_stuck_sessions(threshold_secs)
        return []


@found_as("structure")
class LoadRaisesBare(MemoryBackend):
    """What is not as it was thought ends in an error of Python's own."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        if session_key == "a":
            msg = f"no column of {SECRET}"
            raise KeyError(msg)
        return super().load_with_timestamps(session_key, last=last)


@found_as("corrupt-message")
class OneIsCorrupt(_Counted):
    """A message can't be read, and compacting sets it aside."""

    def __init__(self) -> None:
        super().__init__()
        self.corrupt = True

    def told(self, metadata: SessionMetadata) -> SessionMetadata:
        return attrs.evolve(metadata, message_count=metadata.message_count + self.is_corrupt(metadata.key))

    def is_corrupt(self, session_key: str) -> bool:
        """Whether the session still has its corrupt message."""
        return self.corrupt and session_key == "a"

    def load(self, session_key: str, /) -> list[ChatMessage]:
        self.warn(session_key)
        return super().load(session_key)

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        self.warn(session_key)
        return super().load_with_timestamps(session_key, last=last)

    def warn(self, session_key: str) -> None:
        """Say so, as backends do."""
        if self.is_corrupt(session_key):
            warnings.warn("a message of 'a' was skipped, row 3", CorruptRecordWarning, stacklevel=3)

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        self.corrupt = False


@found_as("corrupt-message")
class CompactingChangesNothing(OneIsCorrupt):
    """A message can't be read, and compacting leaves it where it is."""

    def compact(self, session_key: str, /) -> None:
        MemoryBackend.compact(self, session_key)


@found_as("corrupt-message")
class CompactingDropsMore(OneIsCorrupt):
    """A message can't be read, and compacting drops what follows it."""

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        del self._sessions["a"].messages[3:]
        self._sessions["a"].record.message_count = 3
