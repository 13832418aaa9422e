"""The contract that every backend keeps, version 1: what may be called, and what each call promises.

`CoreBackend` is what a backend must write: four methods. `SessionBackend` adds eighteen more, each with a body that
works through the four or, where they can't, warns and answers as if nothing were known. A class that subclasses
`SessionBackend` and writes the four inherits the eighteen; an object that merely has the four is made whole by
`sessionkit.with_defaults`. What grows later grows as an optional protocol, as `SupportsWrite`, `SupportsTurns` and
`SupportsRestore` did.

What holds for all methods:

- **Keys** are text of 1 to 1,024 UTF-8 bytes without NUL, compared code point by code point. Anything else is
  `InvalidSessionKeyError`, before anything is touched.
- **Texts** besides messages, which are names, aliases, fields of contexts, states and turn ids, take up to 64 KiB, and
  attributes up to 64 MiB of JSON. Beyond that it is a `ValueError`, before anything is touched. What was stored before
  there was a limit is read all the same, and `restore` takes texts of any length.
- **Nothing is lost.** What goes into `append` comes out of `load` equal. What can't be stored exactly is
  `InvalidMessageError`, and nothing is stored. Neither side shares objects.
- **A session exists** from its first append or setter until it is deleted. Clearing what is not there, an empty
  context and writing no message create nothing.
- **Activity** is a session's creation and every change to its messages or its state, heartbeats included. Names,
  aliases and contexts are not activity. The times of a session never run backwards, even where the clock does.
- **Counts** equal what counting `load` gives: messages; turns, which are assistant messages whose content is not None;
  tool calls, which are `tool_calls` and ``tool_use`` blocks.
- **Arguments** out of range (a negative limit, offset, ttl, threshold or last; an empty state; a lone surrogate in a
  text) are `ValueError`, those of another type than declared `TypeError`, and nothing is changed.
- **Costs** are those of the built-in backends: "flat" is the same however much the session and the store hold; lists
  cost a little for each session and read no message.
- **Durability**: when a writing call returns, what it wrote survives the death of the process, memory excepted.
- **Concurrency**: every method may be called from any thread and, for stores on disk or a server, from any number of
  processes, before and after a fork. Each write to one session is atomic, and a call that starts after a write has
  returned sees it. Concurrent appends all arrive, once, each writer's in its order. Waiting for a lock ends, after a
  time that is an option, in `BackendUnavailableError`.
- **Reading never writes**, so that a store can be read where it may not be written.
- After ``close()`` every call is `BackendClosedError`.

`session_key`, `message` and the other leading arguments are positional-only, options are keyword-only; the `turn_id` of
`SessionBackend.set_session_state` may be given either way.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import attrs

from sessionkit.clock import from_datetime, now
from sessionkit.errors import UnsupportedFeatureWarning
from sessionkit.keys import check_count, check_not_negative, check_session_key, check_state
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage
from sessionkit.models import (
    Finding,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    SessionState,
    by_activity,
    check_query,
)
from sessionkit.warn import warn_caller

_LAST = (math.inf, "")


def _warn(backend: object, method: str) -> None:
    name = type(getattr(backend, "__wrapped__", backend)).__name__
    msg = f"{name} does not support {method}(): override {name}.{method}() to offer it"
    warn_caller(msg, UnsupportedFeatureWarning)


def _texts(backend: "CoreBackend", session_key: str) -> Iterator[str]:
    """The texts of a session, which is loaded when the first of them is asked for."""
    for message in backend.load(session_key):
        yield message.text


def _derived(backend: "SessionBackend", session_key: str, messages: list[TimestampedMessage]) -> SessionMetadata:
    """What the messages tell, and the backend's own methods."""
    state = backend.get_session_state(session_key)
    times = [stored.created_at for stored in messages if stored.created_at is not None]
    heartbeats = [state.heartbeat_at] if state is not None and state.heartbeat_at is not None else []
    return SessionMetadata(
        session_key,
        created_at=min(times, default=None),
        last_activity=max(times + heartbeats, default=None),
        message_count=len(messages),
        turn_count=sum(stored.message.is_turn for stored in messages),
        tool_call_count=sum(stored.message.tool_call_count for stored in messages),
        name=backend.get_session_name(session_key),
        agent_alias=backend.get_session_agent_alias(session_key),
        **({} if state is None else attrs.asdict(state)),
    )


@runtime_checkable
class CoreBackend(Protocol):
    """**Protocol:** the four methods that every backend writes."""

    __slots__ = ()

    @abstractmethod
    def load(self, session_key: str, /) -> list[ChatMessage]:
        """All messages, oldest first; ``[]`` for an unknown session. Costs what they are to read and decode."""
        ...

    @abstractmethod
    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """Add one message at the end; create the session if need be. Flat cost at any length.

        Raises:
            InvalidMessageError: the message can't be stored exactly; nothing was.
        """
        ...

    @abstractmethod
    def remove_last(self, session_key: str, /) -> bool:
        """Remove the newest message; False where there is none. The session stays. Flat cost."""
        ...

    @abstractmethod
    def list_sessions(self) -> list[str]:
        """Every session key once, most recently active first, ties by key. Without activity times: in any order."""
        ...


class SessionBackend(CoreBackend, Protocol):
    """**Protocol:** the four required methods and eighteen provided ones.

    A default that needs what the four can't give warns at each call with `UnsupportedFeatureWarning`, naming the class
    and the method to override, and answers as if nothing were known. Ask `sessionkit.capabilities` which they are.
    """

    __slots__ = ()

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        """As `load`, with when each message was stored; ``last=n`` only the newest n, oldest first, at a cost of n.

        The default slices `load`, at the cost of all of it, and gives each message's own ``timestamp``.

        Raises:
            TypeError: `last` is no whole number.
            ValueError: it is negative.
        """
        check_session_key(session_key)
        if last is not None:
            check_count(last, "last")
        messages = self.load(session_key)
        if last is not None:
            messages = messages[max(0, len(messages) - last) :]
        return [TimestampedMessage(message, message.timestamp) for message in messages]

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        """Replace the newest message, as for a streaming answer that grows, keeping its ``created_at``.

        False where there is none. Readers and crashes see the old or the new message, never neither. Flat cost.

        The default is `remove_last` and `append`, at the cost of a `load`: not atomic. Where the new message can't be
        appended it appends the old one again.

        Raises:
            InvalidMessageError: the message can't be stored exactly; the old one stays.
        """
        from sessionkit.codec import encode_message  # noqa: PLC0415 -- only backends without their own pay for it

        encode_message(message)
        newest = self.load_with_timestamps(session_key, last=1)
        if not newest or not self.remove_last(session_key):
            return False
        try:
            self.append(session_key, message)
        except Exception:  # whatever the backend refuses it for, such as a limit of its own
            self.append(session_key, newest[0].message)
            raise
        return True

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        """One value a session, in the order of `list_sessions`. No message is read.

        The default derives each as `get_session_metadata` does. Those without a time come last, as `list_sessions` has
        them.
        """
        found = [self.get_session_metadata(key) or _derived(self, key, []) for key in self.list_sessions()]
        return sorted(found, key=lambda metadata: by_activity(metadata) if metadata.last_activity else _LAST)

    def compact(self, session_key: str, /) -> None:
        """Reclaim space, drop what is superseded, set corrupt records aside (never delete them).

        `load` is the same before and after. The default does nothing.
        """
        check_session_key(session_key)

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        """Delete every session whose last activity is more than `ttl_hours` hours ago; return how many.

        Looks again before it deletes each. The default goes through metadata and `delete_session`, looking twice but
        not atomically; a session without times is never stale.

        Raises:
            ValueError: `ttl_hours` is negative.
        """
        check_not_negative(ttl_hours, "ttl_hours")
        oldest = now() - ttl_hours * 3_600_000_000

        def is_stale(metadata: SessionMetadata | None) -> bool:
            if metadata is None or metadata.last_activity is None:
                return False
            return from_datetime(metadata.last_activity) < oldest

        return sum(
            is_stale(self.get_session_metadata(metadata.key)) and self.delete_session(metadata.key)
            for metadata in self.list_sessions_with_metadata()
            if is_stale(metadata)
        )

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        """The sessions that the query finds, most recently active first, ties by key; then ``offset``, then ``limit``.

        A message matches when it holds every term of the keyword; a session matches when one of its messages does and
        all filters hold. The same answer on every backend. The default scans every message.
        """
        check_query(query)
        return query.page(
            metadata
            for metadata in self.list_sessions_with_metadata()
            if query.matches(metadata, _texts(self, metadata.key))
        )

    def clear_messages(self, session_key: str, /) -> int:
        """Remove all messages at once, keep the session and its metadata; return how many there were.

        The default is `remove_last` until there is none: not atomic.
        """
        check_session_key(session_key)
        removed = 0
        while self.remove_last(session_key):
            removed += 1
        return removed

    def delete_session(self, session_key: str, /) -> bool:
        """Remove the session and everything about it, search entries and what was set aside too; True if it existed.

        A later `append` starts afresh. The default clears the messages, and gives True if the session was listed.
        """
        check_session_key(session_key)
        existed = session_key in self.list_sessions()
        self.clear_messages(session_key)
        return existed

    def set_session_name(self, session_key: str, name: str, /) -> None:  # noqa: ARG002 -- only one that keeps it needs it
        """Give the session a human-readable name; ``""`` clears it. Flat cost. The default warns."""
        check_session_key(session_key)
        _warn(self, "set_session_name")

    def get_session_name(self, session_key: str, /) -> str | None:
        """The session's name; None where there is none or no session. Flat cost. The default knows none."""
        check_session_key(session_key)
        return None

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:  # noqa: ARG002 -- only one that keeps it needs it
        """Say which agent owns the session; ``""`` clears it. Flat cost. The default warns."""
        check_session_key(session_key)
        _warn(self, "set_session_agent_alias")

    def get_session_agent_alias(self, session_key: str, /) -> str | None:
        """The agent that owns it; None where there is none or no session. Flat cost. The default knows none."""
        check_session_key(session_key)
        return None

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:  # noqa: ARG002 -- only one that keeps it needs it
        """Say where the session belongs. None leaves a field, ``""`` clears it. Flat cost.

        ``attributes`` merge key by key at the top level; a None value removes its key. The default warns.

        Raises:
            InvalidMessageError: an attribute can't be stored exactly.
        """
        check_session_key(session_key)
        _warn(self, "set_session_context")

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        """All that is known of the session; None for an unknown one. Flat cost.

        The default derives it from all messages and their timestamps, and has the name, the alias and the state that
        the backend's own methods give: None where there is no message.
        """
        messages = self.load_with_timestamps(session_key)
        return _derived(self, session_key, messages) if messages else None

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        """Say what the session is doing: any non-empty text; ``idle``, ``running`` and ``error`` are the known ones.

        ``running`` with another `turn_id` than before starts a turn: ``turn_started_at`` and ``heartbeat_at`` are now.
        With the same one it is a heartbeat: only ``heartbeat_at`` is now. Any other state clears both. `turn_id` is
        stored as given. Flat cost. The default warns.

        Raises:
            ValueError: the state is empty.
        """
        check_session_key(session_key)
        check_state(state, turn_id)
        _warn(self, "set_session_state")

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        """What it is doing, at first ``idle``; None for an unknown session. Flat cost. The default knows none."""
        check_session_key(session_key)
        return None

    def list_running_sessions(self) -> list[SessionMetadata]:
        """The sessions whose state is ``running``, newest turn first, ties by key. The default warns and knows none."""
        _warn(self, "list_running_sessions")
        return []

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        """The running sessions without a heartbeat for longer than `threshold_secs` seconds, the longest first.

        The default warns, and knows none.

        Raises:
            ValueError: the threshold is negative.
        """
        check_not_negative(threshold_secs, "threshold_secs")
        _warn(self, "list_stuck_sessions")
        return []


@runtime_checkable
class SupportsWrite(Protocol):
    """**Protocol:** several changes of one session as one."""

    __slots__ = ()

    @abstractmethod
    def write(
        self,
        session_key: str,
        /,
        *,
        drop_last: int = 0,
        append: Iterable[ChatMessage] = (),
        attributes: Mapping[str, JSON] = {},
        if_revision: int | None = None,
        if_turn: str | None = None,
    ) -> int:
        """Drop the newest `drop_last` messages, append all of `append`, merge `attributes`; return the new revision.

        All of it or nothing. Writing nothing creates nothing, and returns the present revision (0 where there is no
        session).

        Raises:
            ConflictError: the session's revision is not `if_revision` (0: the session must not exist), or the turn
                that runs in it is not `if_turn`.
            ValueError: there are fewer than `drop_last` messages, or it is negative.
            InvalidMessageError: a message or an attribute can't be stored exactly.
        """
        ...


@runtime_checkable
class SupportsTurns(Protocol):
    """**Protocol:** one turn at a time in a session."""

    __slots__ = ()

    @abstractmethod
    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        """Make the session running under `turn_id`, unless another turn runs whose heartbeat is too young.

        Too young is less than `stuck_after` seconds old; with None, of any age. Returns the state that holds now, ours
        or theirs: compare its ``turn_id``. Atomic; creates the session if need be; for the turn that runs already, a
        heartbeat.

        Raises:
            ValueError: `turn_id` is empty, or `stuck_after` negative.
        """
        ...


@runtime_checkable
class SupportsTurnState(Protocol):
    """**Protocol:** a turn's own signs of life and its end, which must not touch a turn that has taken over."""

    __slots__ = ()

    @abstractmethod
    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        """`SessionBackend.set_session_state`, but only while `turn_id` is the turn that runs; return the revision.

        ``running`` is a heartbeat; any other state ends the turn. Atomic, and a flat cost.

        Raises:
            ConflictError: another turn runs, or none; nothing was changed, and nothing created.
            ValueError: `turn_id` or the state is empty.
        """
        ...


@runtime_checkable
class SupportsFirst(Protocol):
    """**Protocol:** how a session begins."""

    __slots__ = ()

    @abstractmethod
    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """The oldest `count` messages, oldest first, at a cost of them; ``[]`` for an unknown session.

        They are the first ones of `SessionBackend.load_with_timestamps`, which are all where there are no more.

        Raises:
            TypeError: `count` is no whole number.
            ValueError: it is negative.
        """
        ...


@runtime_checkable
class SupportsRestore(Protocol):
    """**Protocol:** a session put back as it was."""

    __slots__ = ()

    @abstractmethod
    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        """Write a whole session: its messages with their times, and its metadata, state and all.

        The counts are those of the messages, and `session_key` is the key, whatever `metadata` says. Times that are
        missing are taken from their neighbours.

        Raises:
            ConflictError: the key exists.
            InvalidMessageError: a message or an attribute can't be stored exactly.
        """
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """**Protocol:** a look at what the other methods can't see: files, pages, indexes, what belongs to no session."""

    __slots__ = ()

    @abstractmethod
    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        """What is wrong with the store, as it is found; nothing where all is well. `sessionkit.doctor` asks for it.

        Only reads, unless ``repair=True``: then it mends what it can, and says of each finding what was done. No
        message that could be read before is lost; what can't be read is set aside, never deleted. After a repair
        another check finds no problem any more, or says why it stays. A store in use is no finding. Costs about what
        reading the whole store does, in memory no more than one session at a time.
        """
        ...


class OpenBackend(SessionBackend, Protocol):
    """**Protocol:** a backend that can be closed, as `sessionkit.open_backend` gives it; usable in ``with``."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back what the backend holds. Idempotent; any other call after it is `BackendClosedError`."""
        ...

    @abstractmethod
    def __enter__(self) -> Self:
        """The backend itself."""
        ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close it."""
        ...


REQUIRED = ("load", "append", "remove_last", "list_sessions")
"""The names of the four."""

PROVIDED = tuple(name for name in vars(SessionBackend) if not name.startswith("_"))
"""The names of the eighteen."""

OPTIONAL_PROTOCOLS: Mapping[str, str] = {
    "SupportsWrite": "write",
    "SupportsTurns": "begin_turn",
    "SupportsTurnState": "set_turn_state",
    "SupportsFirst": "load_first",
    "SupportsRestore": "restore",
    "SupportsCheck": "check",
}
"""The optional protocols, and the one method of each."""
