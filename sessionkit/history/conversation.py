"""One conversation as an object, which keeps any JSON objects: messages, and the items between them."""

from collections.abc import Iterable, Mapping
from typing import Any

from sessionkit.errors import ConflictError, InvalidMessageError
from sessionkit.history.needs import Store, require
from sessionkit.history.tails import tails
from sessionkit.keys import check_count, check_session_key
from sessionkit.messages import JSON, ChatMessage, fields_to_dict
from sessionkit.protocol import CoreBackend
from sessionkit.providers.answers import dumped
from sessionkit.speaking import ITEM_ROLE

_TRIES = 100


class ConversationSession:
    """One session as a list of items, oldest first: what a ``Session`` of the OpenAI Agents SDK does, synchronously.

    An item is a JSON object. One with a text ``role`` is stored as the message it is, so that whatever else reads the
    session understands it. Any other (a function call or its output, a hand-off, a reasoning item, an explicit null for
    a role) is the content of a message of the reserved role `ITEM_ROLE`. Both come back equal. Nothing is kept in the
    object but the two arguments, so several of them, in several processes, may be the same conversation.

    Args:
        backend: any that offers `SupportsWrite`; the built-in ones do. It is not closed.
        session_id: the session key; the session is created by the first item.

    Raises:
        InvalidSessionKeyError: the id is no key.
        UnsupportedOperationError: the backend has no ``write()``.

    Attributes:
        session_id: the session key.
        session_settings: None, as there are none; the protocol of the OpenAI Agents SDK asks for it.
    """

    session_settings: Any = None

    def __init__(self, backend: CoreBackend, session_id: str) -> None:
        check_session_key(session_id)
        self._store: Store = require(backend, "ConversationSession", "SupportsWrite")
        self.session_id = session_id

    def __repr__(self) -> str:
        return f"ConversationSession({self._store!r}, {self.session_id!r})"

    def get_items(self, limit: int | None = None) -> list[dict[str, JSON]]:
        """The items, oldest first; with `limit` only as many of the newest, at a cost of as many.

        Messages that came by other ways than `add_items` are items too: `ChatMessage.to_dict` of each.

        Raises:
            ValueError: `limit` is negative.
        """
        _check_limit(limit)
        return [_item(stored.message) for stored in self._store.load_with_timestamps(self.session_id, last=limit)]

    def get_messages(self, limit: int | None = None) -> list[ChatMessage]:
        """The items that are messages, oldest first; with `limit` only as many of the newest.

        Then it reads about as many items as it takes to find so many messages, four times at most.

        Raises:
            ValueError: `limit` is negative.
        """
        _check_limit(limit)
        if limit is None:
            return _messages(self._store.load(self.session_id))
        found: list[ChatMessage] = []
        for tail, _ in tails(self._store, self.session_id, max(limit, 1)):
            found = _messages(tail)
            if len(found) >= limit:
                break
        return found[max(0, len(found) - limit) :]

    def add_items(self, items: Iterable[object]) -> None:
        """Add the items at the end, in one write: all of them or none.

        Args:
            items: mappings, `ChatMessage` values, and any objects with ``model_dump()`` or ``to_dict()``, such as those
                that the SDKs of providers give: the ``output`` of OpenAI's Responses API, for one.

        Raises:
            InvalidMessageError: one of them is none of these, or can't be stored exactly; nothing was stored. An object
                that is wrapped may be nested two levels less deep than a message.
        """
        self._store.write(self.session_id, append=[_message(item) for item in items])

    def pop_item(self) -> dict[str, JSON] | None:
        """Remove the newest item and return it; None where there is none.

        It is the one that is removed, whoever else adds or removes items at the time: no two callers get the same.

        Raises:
            ConflictError: others have changed the session at each of 100 attempts; nothing was removed.
        """
        for _ in range(_TRIES):
            revision = self._store.write(self.session_id)  # of nothing: it gives the revision that it finds
            newest = self._store.load_with_timestamps(self.session_id, last=1)
            if not newest:
                return None
            item = _item(newest[0].message)
            try:
                self._store.write(self.session_id, drop_last=1, if_revision=revision)
            except ConflictError:
                continue
            return item
        msg = f"{self.session_id!r} was changed by others at each of {_TRIES} attempts to remove its newest item"
        raise ConflictError(msg)

    def clear_session(self) -> None:
        """Remove all items at once. The session stays, and so do its name and all else that is known of it."""
        self._store.clear_messages(self.session_id)


def _check_limit(limit: int | None) -> None:
    if limit is not None:
        check_count(limit, "limit")


def _message(item: object) -> ChatMessage:
    """The message that stands for an item."""
    if isinstance(item, ChatMessage) and item.role != ITEM_ROLE:
        return item
    item = dumped(item)
    if not isinstance(item, Mapping):
        msg = (
            f"an item is a JSON object, an object of a provider's SDK or a ChatMessage, not {type(item).__name__}; "
            "add_items() takes a list of them, such as response.output"
        )
        raise InvalidMessageError(msg)
    if item.get("role") != ITEM_ROLE and isinstance(item.get("role"), str):
        return ChatMessage.from_dict(item)
    return ChatMessage(ITEM_ROLE, [dict(item)])


def _item(message: ChatMessage) -> dict[str, JSON]:
    """The item that a message stands for; the message is the caller's own, and of no further use."""
    if message.role == ITEM_ROLE and isinstance(message.content, list) and len(message.content) == 1:
        return message.content[0]
    return fields_to_dict(message)


def _messages(messages: list[ChatMessage]) -> list[ChatMessage]:
    return [message for message in messages if message.role != ITEM_ROLE]
