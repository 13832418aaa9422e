"""One conversation as an object, awaited."""

from typing import Any

from sessionkit.aio.backend import AsyncBackend, synchronous
from sessionkit.aio.threads import awaited
from sessionkit.history.conversation import ConversationSession
from sessionkit.protocol import CoreBackend


class AsyncConversationSession:
    """`sessionkit.history.ConversationSession`, awaited: a ``Session`` of the OpenAI Agents SDK.

    Args:
        backend: any, awaited or not, that offers `SupportsWrite`. It is not closed.
        session_id: the session key; the session is created by the first item.

    Attributes:
        sync: the synchronous one.
        session_id: the session key.
        session_settings: None, as there are none.
    """

    session_settings: Any = None

    def __init__(self, backend: AsyncBackend | CoreBackend, session_id: str) -> None:
        self.sync = ConversationSession(synchronous(backend), session_id)
        self.session_id = session_id

    def __repr__(self) -> str:
        return f"Async{self.sync!r}"

    get_items = awaited(ConversationSession.get_items)
    get_messages = awaited(ConversationSession.get_messages)
    add_items = awaited(ConversationSession.add_items)
    pop_item = awaited(ConversationSession.pop_item)
    clear_session = awaited(ConversationSession.clear_session)
