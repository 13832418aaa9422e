"""The end of a session, as the one turn knows it that writes there.

Others may write meanwhile, outside of any turn, such as a user who goes on typing; and a write that raises may have
been made all the same. So a message is replaced only where it is known to be this turn's own: by what was written, or
may have been, and where.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sessionkit.errors import ConflictError
from sessionkit.history.moments import at_one_moment
from sessionkit.history.tails import tails
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import SessionMetadata

if TYPE_CHECKING:
    from sessionkit.history.turns import Turn

Told = Callable[[SessionMetadata | None], Mapping[str, JSON]]
"""The attributes to write with messages, given what is known of the session where others have changed it."""

_TRIES = 100
_LOOK_BACK = 8


def nothing_told(_metadata: SessionMetadata | None) -> Mapping[str, JSON]:
    """No attributes."""
    return {}


class Tail:
    """What a turn writes, one message after the other, of which the newest may grow."""

    def __init__(
        self, turn: "Turn", *, revision: int | None = None, count: int = 0, stale: ChatMessage | None = None
    ) -> None:
        """At first nothing is its own.

        Args:
            turn: the turn.
            revision: the session's, if it is known.
            count: how many messages it has at that revision.
            stale: its newest message, if what is written first is to take its place.
        """
        self._turn = turn
        self._revision = revision
        self._is_alone = True
        self._count = count
        # What may stand in the store as the message that grows, and where; the last is what was written last.
        self._grows: tuple[tuple[int, ChatMessage], ...] = () if stale is None else ((count - 1, stale),)
        # At the known revision, where it stands, if it does, and what others have written behind it.
        self._place = None if stale is None else count - 1
        self._behind: list[ChatMessage] = []

    @property
    def revision(self) -> int | None:
        """The session's by the last write; None where it is not known, or others have written as well."""
        return self._revision if self._is_alone else None

    @property
    def is_here(self) -> bool:
        """Whether this is the process whose turn it is, and not one that was forked from it."""
        return self._turn.is_here

    def put(self, messages: Sequence[ChatMessage], told: Told = nothing_told) -> bool:
        """Write messages, in the place of what grows, or else at the end; from now on the last of them grows.

        What others have written behind it stays behind it; where somebody has removed it, the end is its place.

        Returns:
            True: it is stored.

        Raises:
            ConflictError: the turn was taken over, or others wrote first, a hundred times in a row.
        """
        for _ in range(_TRIES):
            others = None if self._revision is not None and self._is_alone else self._look()[0]
            if self._try(messages, told(None if self._is_alone else others)):
                return True
            self._turn.heartbeat()  # raises where it was another turn that wrote
            self._is_alone = False
        msg = f"others wrote to {self._turn.key!r} first, {_TRIES} times in a row; try again"
        raise ConflictError(msg)

    def settle(self) -> None:
        """What grew has ended: the next message comes behind it."""
        self._grows, self._place, self._behind = (), None, []

    def holds(self, message: ChatMessage) -> bool:
        """Whether the message is what stands in the store as the one that grows."""
        _, found = self._look()
        return found is not None and found == message

    def flush(self) -> None:
        """Nothing is held back."""

    def _try(self, messages: Sequence[ChatMessage], attributes: Mapping[str, JSON]) -> bool:
        """Make the write; False where somebody else has changed the session."""
        revision, place, behind = self._revision, self._place if messages else None, self._behind
        newest = (self._count if place is None else place) + len(messages) - 1
        # Known again when the write has returned: where it raises, it may have been made, or be made even later.
        self._revision = None
        if messages:
            self._grows = (*self._grows, (newest, messages[-1]))
        try:
            self._revision = self._turn.write(
                drop_last=0 if place is None else 1 + len(behind),
                append=messages if place is None else [*messages, *behind],
                attributes=attributes,
                if_revision=revision,
            )
        except ConflictError:
            return False
        self._count += len(messages) - (place is not None)
        if messages:
            self._grows, self._place = self._grows[-1:], newest
        return True

    def _look(self) -> tuple[SessionMetadata | None, ChatMessage | None]:
        """Find out how the session stands; what is known of it, and the message that grows, as it is found there."""
        metadata, found = at_one_moment(self._turn.store, self._turn.key, self._find)
        self._count, self._place, message, self._behind = found
        self._revision = None if metadata is None else metadata.revision
        return metadata, message

    def _find(self) -> tuple[int, int | None, ChatMessage | None, list[ChatMessage]]:
        """How many messages there are; where the one that grows stands, if it does, and what stands behind it."""
        store, key = self._turn.store, self._turn.key
        metadata = store.get_session_metadata(key)
        count = 0 if metadata is None else metadata.message_count
        if self._grows:
            last = max(count - min(place for place, _ in self._grows), _LOOK_BACK)
            for tail, whole in tails(store, key, last):
                start = count - len(tail)
                place = self._place_in(tail, start)
                if place is not None:
                    return count, place, tail[place - start], tail[place - start + 1 :]
                if whole:
                    break
        return count, None, None, []

    def _place_in(self, tail: list[ChatMessage], start: int) -> int | None:
        """Where it stands in these messages, of which the first is that many messages from the beginning.

        Where it was written; else, as others may have changed what stands before it, where its equal is found. One
        without a timestamp may have equals that are not it.
        """
        for place, message in reversed(self._grows):
            if 0 <= place - start < len(tail) and tail[place - start] == message:
                return place
        known = [message for _, message in self._grows if message.timestamp is not None]
        return next((start + i for i in reversed(range(len(tail))) if tail[i] in known), None)


class Draft:
    """`Tail` for what is to be stored at the end, in one write; without a tail, never.

    Attributes:
        messages: what is held back.
        is_here: always.
    """

    is_here = True

    def __init__(self, tail: Tail | None) -> None:
        self.messages: list[ChatMessage] = []
        self._grows = False
        self._told: Told = nothing_told
        self._tail = tail

    @property
    def revision(self) -> int | None:
        """`Tail.revision`."""
        return None if self._tail is None else self._tail.revision

    def put(self, messages: Sequence[ChatMessage], told: Told = nothing_told) -> bool:
        """`Tail.put`, later: it is not stored yet."""
        if self._grows and messages:
            del self.messages[-1:]
        self.messages.extend(messages)
        self._grows = self._grows or bool(messages)
        self._told = told
        return False

    def settle(self) -> None:
        """`Tail.settle`."""
        self._grows = False

    def holds(self, message: ChatMessage) -> bool:
        """`Tail.holds`."""
        return self._grows and self.messages[-1] == message

    def flush(self) -> None:
        """Store it all."""
        if self._tail is not None and (self.messages or self._told(None)):
            self._tail.put(self.messages, self._told)
