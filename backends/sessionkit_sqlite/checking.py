"""Whether everything in the file is in order, and mending what is not: `sessionkit.SupportsCheck`.

In steps, each in a transaction of its own, so that others can go on: the files, the structure of the database, what
belongs to no session, then the sessions a few at a time, each with all of its messages, and at last the index. In
memory is no more than one message and the findings of one step. A repair takes the place of a writer for each step that
found something, and only then; others wait meanwhile.
"""

import sqlite3
from collections.abc import Callable, Iterator

from sessionkit.errors import BackendUnavailableError, CorruptSessionError
from sessionkit.models import Finding
from sessionkit_sqlite.check_files import check_files
from sessionkit_sqlite.check_index import check_index, check_index_itself
from sessionkit_sqlite.check_orphans import check_orphans
from sessionkit_sqlite.check_sessions import Sessions
from sessionkit_sqlite.check_structure import RESCUE, check_structure, is_unsound
from sessionkit_sqlite.connected import Connected
from sessionkit_sqlite.failures import shown
from sessionkit_sqlite.rows import text_or_bytes, transaction
from sessionkit_sqlite.store import Store

Step = Callable[[sqlite3.Connection, bool], list[Finding]]


def check_store(store: Store, *, repair: bool) -> Iterator[Finding]:
    """`sessionkit.SupportsCheck.check` of an open store.

    Raises:
        BackendUnavailableError: it is to be repaired, and was opened with mode=ro; or what any call raises.
    """
    if repair and store.mode == "ro":
        msg = f"{store.name} was opened with mode=ro, so nothing can be repaired"
        raise BackendUnavailableError(msg)
    return _findings(store, repair)


def _findings(store: Store, repair: bool) -> Iterator[Finding]:  # noqa: FBT001 -- a step's is one too
    yield from check_files(store.path, repair=repair)
    found = _step(store, check_structure, repair)
    yield from found
    if is_unsound(found):
        repair = False  # what is written into damaged pages makes it worse
    yield from _step(store, check_orphans, repair)
    number: int | None = None
    while True:
        sessions = Sessions(number)
        yield from _step(store, sessions, repair)
        number = sessions.last
        if number is None:
            break
    if store.mode == "rw":
        yield from _step(store, check_index_itself, repair, by=store.writing)
    yield from _step(store, check_index, repair)


def _step(store: Store, step: Step, repair: bool, *, by: Connected | None = None) -> list[Finding]:  # noqa: FBT001 -- as above
    """What a step finds; done again by a writer where something is to be mended."""
    try:
        found = _within(by or store.looking, step, "DEFERRED", mend=False)
        if repair and any(finding.severity == "problem" for finding in found):
            found = _within(store.writing, step, "IMMEDIATE", mend=True)
    except CorruptSessionError as error:
        what = f"what the file holds can't be read any further; {RESCUE}: {error}"
        return [Finding("structure", what, where=shown(store.path))]
    return found


def _within(connected: Connected, step: Step, kind: str, *, mend: bool) -> list[Finding]:
    with connected as connection, transaction(connection, kind):
        connection.text_factory = text_or_bytes
        try:
            return step(connection, mend)
        finally:
            connection.text_factory = str
