"""Arguments that are not checked, or that a driver chokes on."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

import attrs

from sessionkit import (
    ConflictError,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    SessionState,
    TimestampedMessage,
)
from tests.mutants.declared import Change, Memory, caught_by


@caught_by("arguments.last")
class TakesNegativeLast(Memory):
    """A negative `last` gives all messages but the oldest."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        if last is not None and last < 0:
            return super().load_with_timestamps(session_key)[-last:]
        return super().load_with_timestamps(session_key, last=last)


@caught_by("arguments.ttl")
class TakesNegativeTtl(Memory):
    """A negative time to live deletes everything."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        if ttl_hours < 0:
            return sum(map(self.delete_session, self.list_sessions()))
        return super().cleanup_stale(ttl_hours)


@caught_by("arguments.threshold")
class TakesNegativeThresholds(Memory):
    """A negative threshold lists whoever runs."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(max(0, threshold_secs))


@caught_by("arguments.state")
class TakesTheEmptyState(Memory):
    """An empty state clears the state."""

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        super().set_session_state(session_key, state or "idle", turn_id)


@caught_by("arguments.stuck-after")
class TakesNegativeStuckAfter(Memory):
    """A negative `stuck_after` is taken for none."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        if stuck_after is not None and stuck_after < 0:
            stuck_after = None
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)


@caught_by("arguments.surrogates")
class ReplacesSurrogatesInNames(Memory):
    """A lone surrogate in a name is replaced by a question mark."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name.encode(errors="replace").decode())


@caught_by("arguments.threshold")
class TakesNanForAThreshold(Memory):
    """`if threshold < 0`: NaN is not negative, and nobody is stuck for longer than that."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        return super().list_stuck_sessions(float("inf") if threshold_secs != threshold_secs else threshold_secs)  # noqa: PLR0124 -- only NaN is not itself


@caught_by("arguments.turn-id")
class BeginsTheEmptyTurn(Memory):
    """A turn without an id begins, and every other one without an id is taken for the same."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        if turn_id == "":
            self.set_session_state(session_key, "running", "")
            return SessionState("running", "")
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)


@caught_by("arguments.turn-id")
class ReplacesSurrogatesInTurns(Memory):
    """A lone surrogate in a turn id is replaced by a question mark."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        known = turn_id.encode(errors="replace").decode() if isinstance(turn_id, str) else turn_id
        return super().begin_turn(session_key, known, stuck_after=stuck_after)


@caught_by("arguments.surrogates")
class SetsContextFieldByField(Memory):
    """The fields of a context are stored one by one: those before the one that is refused stay."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        if isinstance(context, SessionContext) and self._found(session_key):
            with suppress(ValueError, TypeError):
                super().set_session_context(session_key, SessionContext(context.channel_id))
        super().set_session_context(session_key, context)


@caught_by("arguments.types")
class SearchesForNone(Memory):
    """None is taken for a query of everything."""

    def search(self, query: SessionQuery | None, /) -> list[SessionMetadata]:
        return super().search(SessionQuery() if query is None else query)


@caught_by("arguments.types", raises=(AttributeError,))
class FallsOverOddContexts(Memory):
    """A context that is a dict is looked into before anybody asks what it is."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        said = SessionContext(context.channel_id, context.room_id, context.sender_id, context.attributes)
        super().set_session_context(session_key, said)


@caught_by("arguments.types", raises=(ConflictError,))
class TakesTextsForRevisions(Memory):
    """The column's affinity turns "1" into 1, and a fence of another type may hold."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        wanted: Any = change.get("if_revision")
        change["if_revision"] = int(wanted) if isinstance(wanted, str) else wanted
        return super().write(session_key, **change)


@caught_by("arguments.types", raises=(ConflictError,))
class ComparesTurnsOfAnyType(Memory):
    """A turn id that is a number is compared with those that are texts, and is none of them."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        wanted: Any = change.get("if_turn")
        change["if_turn"] = str(wanted) if isinstance(wanted, int) else wanted
        return super().write(session_key, **change)


@caught_by("arguments.types")
class RestoresOddRevisions(Memory):
    """A revision of 3.0 is stored as it comes, where the next reader looks for a whole number."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        if isinstance(metadata, SessionMetadata) and isinstance(metadata.revision, float):
            metadata = attrs.evolve(metadata, revision=int(metadata.revision))
        super().restore(session_key, messages, metadata)


@caught_by("arguments.types")
class RestoresTimesAsTexts(Memory):
    """A time that is a text is parsed by guess."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        created: Any = getattr(metadata, "created_at", None)
        if isinstance(created, str):
            metadata = attrs.evolve(metadata, created_at=datetime.fromisoformat(created).replace(tzinfo=UTC))
        super().restore(session_key, messages, metadata)


def _bound(number: float) -> None:
    """Bind a parameter of 63 bits, as drivers do."""
    if isinstance(number, int) and number >= 2**63:
        msg = "Python int too large to convert to SQLite INTEGER"
        raise OverflowError(msg)


@caught_by("timestamps.last", raises=(OverflowError,))
class OverflowsOnHugeLast(Memory):
    """`LIMIT ?` takes 63 bits, and the driver's error comes out bare."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        _bound(last or 0)
        return super().load_with_timestamps(session_key, last=last)


@caught_by("search.offset-and-limit", raises=(OverflowError,))
class OverflowsOnHugeOffset(Memory):
    """`LIMIT ? OFFSET ?` take 63 bits, and the driver's error comes out bare."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        _bound(getattr(query, "offset", 0))
        return super().search(query)


@caught_by("cleanup.without-times", raises=(OverflowError,))
class OverflowsOnHugeTtl(Memory):
    """`now - timedelta(hours=ttl)` knows neither infinity nor a time before the year 1."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        with suppress(TypeError, ValueError):
            _ = datetime.now(UTC) - timedelta(hours=ttl_hours)
        return super().cleanup_stale(ttl_hours)


@caught_by("stuck.longer-than", raises=(OverflowError,))
class OverflowsOnHugeThreshold(Memory):
    """`now - timedelta(seconds=threshold)` knows neither infinity nor a time before the year 1."""

    def list_stuck_sessions(self, threshold_secs: float, /) -> list[SessionMetadata]:
        with suppress(TypeError, ValueError):
            _ = datetime.now(UTC) - timedelta(seconds=threshold_secs)
        return super().list_stuck_sessions(threshold_secs)


@caught_by("begin_turn.taken", raises=(OverflowError,))
class OverflowsOnHugeStuckAfter(Memory):
    """`timedelta(seconds=stuck_after)` knows no infinity."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        with suppress(TypeError, ValueError):
            _ = timedelta(seconds=stuck_after or 0)
        return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
