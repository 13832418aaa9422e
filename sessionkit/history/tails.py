"""Reading a session from its end, at a cost of what is looked for."""

from collections.abc import Iterator

from sessionkit.messages import ChatMessage
from sessionkit.protocol import SessionBackend


def tails(backend: SessionBackend, session_key: str, last: int) -> Iterator[tuple[list[ChatMessage], bool]]:
    """The newest `last` messages, oldest first, then twice as many, and so on, until it is all of them.

    Each comes with whether it is known to be all; the last one is. Who stops at what it looked for has read at most
    four times as many messages as it takes to find it, or `last`.
    """
    whole = False
    while not whole:
        tail = [stored.message for stored in backend.load_with_timestamps(session_key, last=last)]
        whole = len(tail) < last
        yield tail, whole
        last *= 2
