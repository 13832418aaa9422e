"""Turns that give no sign of life: found, and with a repair ended, unless they wake up meanwhile."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import attrs

from sessionkit.clock import now, to_datetime
from sessionkit.doctor.asking import Patient, as_list
from sessionkit.errors import ConflictError
from sessionkit.models import RUNNING, Finding, SessionMetadata

_ENDED = "error"


def look_for_stuck(patient: Patient, stuck_after: float, *, repair: bool) -> Iterator[Finding]:
    """The sessions that are stuck, and whether the list of them is what their heartbeats say."""
    if not patient.is_native("list_stuck_sessions"):
        return
    yield from _forgotten(patient, stuck_after)
    for metadata in as_list(patient.ask("list_stuck_sessions", stuck_after, damage="corrupt-session").value):
        since = metadata.heartbeat_at
        what = f"its turn has given no sign of life for {stuck_after:g} seconds" + (
            f", the last at {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
        )
        stuck = Finding("stuck", what, metadata.key)
        if repair:
            ended = _end(patient, metadata.key, stuck_after)
            if ended is not None:
                yield attrs.evolve(stuck, repaired=ended) if ended else stuck
        else:
            yield stuck


def _end(patient: Patient, key: str, stuck_after: float) -> str | None:
    """End the turn; None where it has ended, or shown itself alive; "" where the backend offers no safe way.

    It is taken over first, which only works while it is still stuck: so nobody's turn is ended who is at work.
    """
    if not (patient.offers("SupportsTurns") and patient.offers("SupportsTurnState")):
        return ""
    mine = f"sessionkit.doctor:{uuid.uuid4().hex}"
    before: SessionMetadata | None = patient.ask("get_session_metadata", key).value
    if before is None or before.state != RUNNING:
        return None
    try:
        taken = patient.backend.begin_turn(key, mine, stuck_after=stuck_after)
        if taken.turn_id != mine:
            return None
        patient.backend.set_turn_state(key, mine, _ENDED)
    except ConflictError:  # somebody else has taken it over
        return None
    return f"the turn was ended, with the state {_ENDED!r}"


def _forgotten(patient: Patient, stuck_after: float) -> Iterator[Finding]:
    """Those that run without a heartbeat for longer, and are not in the list of them."""
    oldest = to_datetime(now()) - timedelta(seconds=min(stuck_after, 1e9))
    running = as_list(patient.ask("list_running_sessions", damage="corrupt-session").value)
    silent = [metadata for metadata in running if metadata.heartbeat_at is not None and metadata.heartbeat_at < oldest]
    listed = {metadata.key for metadata in as_list(patient.ask("list_stuck_sessions", stuck_after).value)}
    for metadata in silent:
        if metadata.key not in listed and patient.ask("get_session_metadata", metadata.key).value == metadata:
            yield Finding("listing", "its turn gives no sign of life, and it is not among the stuck", metadata.key)
