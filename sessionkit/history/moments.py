"""Messages and metadata of one moment, which take two calls to read, while others may write."""

from collections.abc import Callable
from typing import TypeVar

from sessionkit.models import SessionMetadata
from sessionkit.protocol import SessionBackend

_Found = TypeVar("_Found")


def at_one_moment(
    store: SessionBackend, session_key: str, read: Callable[[], _Found], *, tries: int = 8
) -> tuple[SessionMetadata | None, _Found]:
    """What is known of a session, and what `read` finds in it: both of one revision.

    Costs a reading and two `SessionBackend.get_session_metadata`, and one more of each where others wrote meanwhile.
    Somebody who writes all the time must not keep a reader here: after the last try, the metadata are those from before
    the reading, so that a write with ``if_revision`` of theirs is refused.

    Args:
        store: where the session is; without revisions, all that it gives is taken for one moment.
        session_key: the session.
        read: reads of it whatever is wanted; called up to `tries` times.
        tries: how often to read at most, 1 or more.

    Returns:
        The metadata, None where there is no session; and what was found.
    """
    after = store.get_session_metadata(session_key)
    while True:
        before = after
        found = read()
        after = store.get_session_metadata(session_key)
        tries -= 1
        if tries < 1 or _revision(before) == _revision(after):
            return before, found


def _revision(metadata: SessionMetadata | None) -> int | None:
    """Which state of the session it is; 0 is no session at all, as in `SupportsWrite.write`."""
    return 0 if metadata is None else metadata.revision
