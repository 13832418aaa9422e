"""The lists of a whole store: each session once, in order, and what the calls about one session say."""

from collections import Counter
from collections.abc import Iterator

import attrs

from sessionkit.doctor.asking import Patient, as_list
from sessionkit.errors import InvalidSessionKeyError
from sessionkit.keys import check_session_key
from sessionkit.models import RUNNING, Finding, SessionMetadata, by_activity

_LOOKS = 4

_MOST = 50
"""How many sessions to tell of; where there are more, all of them are wrong for the same reason."""


@attrs.frozen
class Lists:
    """What the lists gave at a look: the keys to go on with, and what is wrong."""

    keys: list[str]
    findings: list[Finding]


def look_at_lists(patient: Patient) -> Lists:
    """Read the lists until two looks agree on what is wrong; sessions that come and go meanwhile count for nothing."""
    lists = _look(patient)
    agreed = lists.findings
    for _ in range(_LOOKS - 1):
        if not agreed:
            break
        lists = _look(patient)
        before, agreed = agreed, [one for one in agreed if one in lists.findings]
        if agreed == before:
            break
    return Lists(lists.keys, agreed)


def look_at_turns(patient: Patient, running: set[str]) -> Iterator[Finding]:
    """`list_running_sessions` against the states that the sessions have."""
    if not patient.is_native("list_running_sessions"):
        return
    answer = patient.ask("list_running_sessions", damage="corrupt-session")
    listed = {metadata.key for metadata in as_list(answer.value)}
    for key in sorted(running ^ listed):
        # Looked at again, between two looks at the session that give the same: turns end and begin all the time.
        before: SessionMetadata | None = patient.ask("get_session_metadata", key).value
        is_listed = key in {metadata.key for metadata in as_list(patient.ask("list_running_sessions").value)}
        if before is None or before != patient.ask("get_session_metadata", key).value:
            continue
        if is_listed is not (before.state == RUNNING):
            what = "is listed as running, and is not" if is_listed else "is running, and not among the running sessions"
            yield Finding("listing", f"the session {what}", key)


def _look(patient: Patient) -> Lists:
    before = patient.ask("list_sessions_with_metadata", damage="corrupt-session")
    between = patient.ask("list_sessions", damage="corrupt-session")
    after = patient.ask("list_sessions_with_metadata", damage="corrupt-session")
    found = [*before.findings, *(one for one in between.findings if one not in before.findings)]
    keys, first, last = (as_list(answer.value) for answer in (between, before, after))
    if any(answer.value is None for answer in (before, between, after)):
        return Lists(list(dict.fromkeys(keys)), found)
    names = [metadata.key for metadata in last]
    found += _repeated("list_sessions", keys)
    found += _repeated("list_sessions_with_metadata", names)
    for key in keys:
        try:
            check_session_key(key)
        except (InvalidSessionKeyError, TypeError):
            found.append(Finding("listing", "list_sessions() gives what can't be a session key"))
    # What both lists of metadata tell alike did not change while the keys were listed.
    still = {metadata.key: metadata for metadata in first if metadata in last}
    found += [Finding("listing", "list_sessions() leaves the session out", key) for key in still.keys() - set(keys)]
    gone = set(keys) - {metadata.key for metadata in first} - set(names)
    found += [Finding("listing", "list_sessions_with_metadata() leaves the session out", key) for key in sorted(gone)]
    found += _order(patient, keys, first, last)
    found += _looked_up(patient, last)
    return Lists([key for key in dict.fromkeys(keys) if _is_key(key)], found)


def _repeated(method: str, keys: list[str]) -> Iterator[Finding]:
    for key, times in Counter(keys).items():
        if times > 1:
            yield Finding("listing", f"{method}() gives the session {times} times", key)


def _is_key(key: object) -> bool:
    try:
        check_session_key(key)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- asked because it may be none
    except (InvalidSessionKeyError, TypeError):
        return False
    return True


def _order(
    patient: Patient, keys: list[str], first: list[SessionMetadata], last: list[SessionMetadata]
) -> Iterator[Finding]:
    """Those without times may stand in any order."""
    timed = [metadata for metadata in last if metadata.last_activity]
    if timed != sorted(timed, key=by_activity):
        yield Finding("order", "list_sessions_with_metadata() is not in the order of activity")
    is_whole = patient.is_native("get_session_metadata") and timed == last
    if is_whole and first == last and keys != [metadata.key for metadata in last]:
        yield Finding("order", "list_sessions() and list_sessions_with_metadata() are in different orders")


def _looked_up(patient: Patient, listed: list[SessionMetadata]) -> Iterator[Finding]:
    """Each session of the list by itself, where a backend has code of its own for that."""
    if not patient.is_native("get_session_metadata"):
        return
    different = 0
    for metadata in listed:
        # What fails here, the look at the session itself tells of.
        answer = patient.ask("get_session_metadata", metadata.key) if _is_key(metadata.key) else None
        if answer is None or answer.findings or answer.value == metadata:
            continue
        what = _difference(patient, metadata.key)
        if what:
            yield Finding("listing", what, metadata.key)
            different += 1
        if different == _MOST:
            return


def _difference(patient: Patient, key: str) -> str | None:
    """How the list and the look at the session differ, between two looks that give the same."""
    for _ in range(_LOOKS):
        before = patient.ask("get_session_metadata", key).value
        listed = {metadata.key: metadata for metadata in as_list(patient.ask("list_sessions_with_metadata").value)}
        if before == patient.ask("get_session_metadata", key).value:
            if key not in listed or before == listed[key]:
                return None
            if before is None:
                return "the session is listed, but can't be looked up"
            return "the list tells something else of the session than a look at it"
    return None
