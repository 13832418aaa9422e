"""Conversations as providers' APIs take them, and their answers as messages.

`to_openai` and `to_anthropic` take whole conversations, in whichever of the two shapes their messages are, mixed or
not; `sessionkit.ChatMessage.to_openai` and its siblings take one message. What goes out is what the API accepts,
converted where both have it; what can't be expressed is `sessionkit.InvalidMessageError`, which names it. Nothing here
imports a provider's SDK, and no message is changed.

What does not go out, as it is no content or belongs to another provider: the timestamp, ids, status, model, usage,
reasoning, tool metadata and unknown fields of a message; a participant's name, where Anthropic has none; and at OpenAI
thinking blocks, citations, marks for caches, and whether a tool's result is an error.
"""

from sessionkit.providers.anthropic import to_anthropic
from sessionkit.providers.openai import to_openai

__all__ = ["to_anthropic", "to_openai"]
