"""Keeping no more than so many sessions: those whose activity is oldest go, but none in which a turn runs.

A session is deleted in a turn of our own, so that no other one begins between the last look and the deletion.
"""

import uuid
from contextlib import suppress
from enum import Enum, auto

import attrs

from sessionkit.clock import now, optional_microseconds
from sessionkit.defaults import supports
from sessionkit.errors import SessionKitError
from sessionkit.history.needs import Store
from sessionkit.models import IDLE, RUNNING, SessionMetadata, SessionQuery, SessionState
from sessionkit.protocol import SupportsTurns, SupportsTurnState

_OURS = "sessionkit.enforcing:"
"""What the ids of such turns begin with, so that others who enforce delete no further session in its place."""


_STUCK_AFTER = 60.0
"""Seconds after which one who enforces is known to have died."""


class _Fate(Enum):
    """What became of a session."""

    DELETED = auto()
    GONE = auto()  # by others
    SPARED = auto()


def keep_newest(store: Store, most: int, spare: str | None = None) -> int:
    """Delete the sessions with the oldest activity but `spare`, until `most` are left; how many were deleted.

    See `sessionkit.history.SessionHistory.enforce_max_sessions`, which promises the rest.
    """
    if not store.search(SessionQuery(offset=most, limit=1)):
        return 0
    listed = [known for known in store.list_sessions_with_metadata() if not _is_as_good_as_gone(known)]
    too_many = len(listed) - most
    deleted = 0
    for known in reversed(listed):
        if too_many <= 0:
            break
        fate = _Fate.SPARED if known.key == spare else _retire(store, known)
        too_many -= fate is not _Fate.SPARED
        deleted += fate is _Fate.DELETED
    return deleted


def _retire(store: Store, known: SessionMetadata) -> _Fate:
    """Delete the session if it is still the one that is known, and nobody runs a turn in it."""
    present = store.get_session_metadata(known.key)
    if present is None or _is_as_good_as_gone(present):
        return _Fate.GONE
    if present != known or (present.state == RUNNING and not _is_ours(present)):
        return _Fate.SPARED
    if supports(store, SupportsTurns) and supports(store, SupportsTurnState):
        return _retire_in_turn(store, known)
    return _delete(store, known.key)


def _retire_in_turn(store: Store, known: SessionMetadata) -> _Fate:
    """Delete it while no other turn can begin, or give it back the state that it had."""
    mine = f"{_OURS}{uuid.uuid4().hex}"
    try:
        holder = store.begin_turn(known.key, mine, stuck_after=_STUCK_AFTER if _is_ours(known) else None)
        if holder.turn_id != mine:
            return _Fate.GONE if _is_as_good_as_gone(holder) else _Fate.SPARED
        found = store.get_session_metadata(known.key)
        if found is None:
            return _Fate.GONE
        if found.turn_id == mine and _has_only_begun(known, found):
            return _delete(store, known.key)
        if found.turn_id == mine and _is_new(known, found):
            store.delete_session(known.key)
            return _Fate.GONE
    except BaseException:
        _give_back(store, known, mine)  # it may have begun
        raise
    _give_back(store, known, mine)
    return _Fate.SPARED


def _give_back(store: Store, known: SessionMetadata, mine: str) -> None:
    """Have the session in the state that it had, unless it was deleted or taken over, and so is nobody's to give."""
    state = IDLE if known.state in {None, RUNNING} else str(known.state)
    with suppress(SessionKitError):
        store.set_turn_state(known.key, mine, state)


def _is_ours(present: SessionMetadata | SessionState) -> bool:
    """Whether somebody is, or died while, deleting the session to make room."""
    return present.state == RUNNING and (present.turn_id or "").startswith(_OURS)


def _is_as_good_as_gone(present: SessionMetadata | SessionState) -> bool:
    """Whether somebody else is just about to delete the session."""
    silent = now() - (optional_microseconds(present.heartbeat_at) or 0)
    return _is_ours(present) and silent < _STUCK_AFTER * 1_000_000


def _delete(store: Store, session_key: str) -> _Fate:
    return _Fate.DELETED if store.delete_session(session_key) else _Fate.GONE


def _has_only_begun(known: SessionMetadata, found: SessionMetadata) -> bool:
    """Whether nothing has happened to the session but that a turn has begun, which is one change."""
    is_next = known.revision is None or found.revision == known.revision + 1
    return is_next and _lasting(found) == _lasting(known)


def _is_new(known: SessionMetadata, found: SessionMetadata) -> bool:
    """Whether it was gone, so that our turn created it: another session, with nothing in it."""
    return found.created_at != known.created_at and _lasting(found) == SessionMetadata(found.key, found.created_at)


def _lasting(metadata: SessionMetadata) -> SessionMetadata:
    """What a turn leaves as it is."""
    return attrs.evolve(
        metadata,
        last_activity=None,
        state=None,
        turn_id=None,
        turn_started_at=None,
        heartbeat_at=None,
        revision=None,
    )
