"""One conversation as an object, awaited."""

from typing import Any

import pytest

from sessionkit.aio import AsyncBackend, AsyncConversationSession
from sessionkit.history import ConversationSession
from sessionkit_memory import MemoryBackend

pytestmark = pytest.mark.anyio

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "seven"},
]


async def test_items_come_back_as_they_were() -> None:
    """Whatever its items, they are kept, popped and cleared as by the synchronous one, in a store of either kind."""
    backend = MemoryBackend()
    for store in (backend, AsyncBackend(backend)):
        conversation = AsyncConversationSession(store, "s")
        await conversation.add_items(ITEMS)
        assert await conversation.get_items() == ITEMS == ConversationSession(backend, "s").get_items()
        assert [message.content for message in await conversation.get_messages()] == ["hi"]
        assert await conversation.get_items(limit=1) == ITEMS[-1:]
        assert await conversation.pop_item() == ITEMS[-1]
        await conversation.clear_session()
        assert await conversation.get_items() == []


async def test_it_has_what_agents_ask_a_session_for() -> None:
    """It has the id, and settings that say nothing, which the protocol of the OpenAI Agents SDK asks for."""
    conversation = AsyncConversationSession(MemoryBackend(), "s")
    assert (conversation.session_id, conversation.session_settings) == ("s", None)
    public = {name for name in vars(ConversationSession) if name[0] != "_"}
    assert public <= {name for name in dir(conversation) if name[0] != "_"}
