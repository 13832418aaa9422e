"""One session: does it load, do all ways to read it agree, do its counts and times fit its messages?"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import attrs

from sessionkit.clock import now, to_datetime
from sessionkit.codec import encode_message
from sessionkit.doctor.asking import Patient, as_list
from sessionkit.messages import ChatMessage, TimestampedMessage
from sessionkit.models import Finding, SessionMetadata, SessionState

_AHEAD = timedelta(days=1)
"""Clocks differ; by more than that, somebody's was wrong, or the time is."""

_MENDED_BY_COMPACTING = ("corrupt-message", "torn-record", "counts", "index")


def mark_of(patient: Patient, key: str) -> Callable[[], object]:
    """Gives what changes whenever the session's messages, attributes or state do."""
    if patient.is_native("get_session_metadata"):

        def mark() -> object:
            metadata: SessionMetadata | None = patient.ask("get_session_metadata", key).value
            return metadata if metadata is None or metadata.revision is None else metadata.revision

    else:

        def mark() -> object:
            return tuple(map(encode_message, as_list(patient.ask("load", key).value)))

    return mark


def look_at(patient: Patient, key: str, stored: list[TimestampedMessage]) -> list[Finding]:
    """What is wrong with the session at a look; `stored` is filled with its messages.

    A list of them is all that is held at a time, twice over: once from each of the two ways to read them.
    """
    known = patient.ask("get_session_metadata", key)
    found = [*known.findings]
    loaded = patient.ask("load_with_timestamps", key)
    stored[:] = as_list(loaded.value)
    found += [one for one in loaded.findings if one not in found]
    if loaded.value is not None:
        found += _other_ways(patient, key, [kept.message for kept in stored], found)
    # Whether the counts mean what can't be read too is not for a look to say; once mended, they must fit.
    if known.value is not None and not found:
        found += _counts(key, known.value, stored)
    if patient.is_native("load_with_timestamps"):
        found += _times(key, known.value, stored)
    if known.value is not None:
        found += _said_twice(patient, key, known.value)
    return found


def compact(patient: Patient, key: str, found: list[Finding]) -> Iterator[Finding]:
    """The findings once more, after the session was compacted, where that is known to mend such ones."""
    if not patient.is_native("compact") or not any(one.kind in _MENDED_BY_COMPACTING for one in found):
        yield from found
        return
    mark = mark_of(patient, key)
    before, readable = mark(), as_list(patient.ask("load", key).value)
    compacting = patient.ask("compact", key)
    yield from compacting.findings
    kept, after = as_list(patient.ask("load", key).value), mark()
    if kept != readable and before == after:
        yield Finding("structure", "compact() changes what load() gives; it must not be called any more", key)
    stored: list[TimestampedMessage] = []
    left = patient.agreed(key, mark, lambda: look_at(patient, key, stored))
    places = {(one.kind, one.where) for one in left}
    for one in found:
        if (one.kind, one.where) in places:
            yield attrs.evolve(one, what=f"{one.what} (compacting the session did not mend it)")
        elif one.kind in _MENDED_BY_COMPACTING:
            yield attrs.evolve(one, repaired="the session was compacted, which sets aside what can't be read")
        else:
            yield one
    known = {(one.kind, one.where) for one in found}
    yield from (one for one in left if (one.kind, one.where) not in known)


def _other_ways(patient: Patient, key: str, messages: list[ChatMessage], told: list[Finding]) -> Iterator[Finding]:
    """Whatever else reads the messages must give the same ones."""
    loading = patient.ask("load", key)
    yield from (one for one in loading.findings if one.kind not in {other.kind for other in told})
    if loading.value is None:
        return
    if loading.value != messages:
        amounts = f"{len(as_list(loading.value))} and {len(messages)} messages"
        yield Finding("listing", f"load() and load_with_timestamps() give different messages: {amounts}", key)
    for count in sorted({1, 7, len(messages) // 2 + 1}):
        ways: list[tuple[str, Any, list[ChatMessage]]] = []
        if patient.is_native("load_with_timestamps"):
            newest = patient.ask("load_with_timestamps", key, last=count)
            ways.append((f"load_with_timestamps(last={count})", newest, messages[-count:]))
        if patient.offers("SupportsFirst"):
            ways.append((f"load_first({count})", patient.ask("load_first", key, count), messages[:count]))
        for name, answer, wanted in ways:
            if answer.value is not None and [kept.message for kept in as_list(answer.value)] != wanted:
                yield Finding("listing", f"{name} gives other messages than load()", key)


def _counts(key: str, metadata: SessionMetadata, stored: list[TimestampedMessage]) -> Iterator[Finding]:
    counted = {
        "message_count": len(stored),
        "turn_count": sum(kept.message.is_turn for kept in stored),
        "tool_call_count": sum(kept.message.tool_call_count for kept in stored),
    }
    wrong = [
        f"{name} is {getattr(metadata, name)}, counting gives {number}"
        for name, number in counted.items()
        if getattr(metadata, name) != number
    ]
    if wrong:
        yield Finding("counts", "; ".join(wrong), key)


def _times(key: str, metadata: SessionMetadata | None, stored: list[TimestampedMessage]) -> Iterator[Finding]:
    """Times that run backwards; those that a message claims for itself are its own affair."""
    times = [
        kept.created_at for kept in stored if kept.created_at is not None and kept.created_at != kept.message.timestamp
    ]
    back = sum(later < earlier for earlier, later in pairwise(times))
    if back:
        times_of = "one message was" if back == 1 else f"{back} messages were"
        yield Finding("order", f"{times_of} stored before the one that precedes it", key)
    if metadata is None or metadata.last_activity is None:
        return
    if times and metadata.last_activity < times[-1]:
        yield Finding("order", "the session was last active before its newest message was stored", key)
    if metadata.created_at is not None and metadata.last_activity < metadata.created_at:
        yield Finding("order", "the session was last active before it was created", key)
    if metadata.last_activity > to_datetime(now()) + _AHEAD:
        what = f"the session was last active in the future, at {metadata.last_activity:%Y-%m-%d %H:%M} UTC"
        yield Finding("order", what, key, severity="note")


def _said_twice(patient: Patient, key: str, metadata: SessionMetadata) -> Iterator[Finding]:
    """The name, the owner and the state, which calls of their own give too."""
    state = SessionState(metadata.state or "", metadata.turn_id, metadata.turn_started_at, metadata.heartbeat_at)
    for method, wanted in (
        ("get_session_name", metadata.name),
        ("get_session_agent_alias", metadata.agent_alias),
        ("get_session_state", state),
    ):
        if not patient.is_native(method) or not patient.is_native("get_session_metadata"):
            continue
        answer = patient.ask(method, key)
        if not answer.findings and _without_life(answer.value) != _without_life(wanted):
            yield Finding("listing", f"{method}() gives something else than get_session_metadata()", key)


def _without_life(value: Any) -> Any:
    """A heartbeat changes no revision, and may come between two calls."""
    return attrs.evolve(value, heartbeat_at=None) if isinstance(value, SessionState) else value
