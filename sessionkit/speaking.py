"""Who speaks in a message and what is said in it: the roles and content blocks that several parts must know."""

from sessionkit.messages import JSON

SYSTEM_ROLES = frozenset(("system", "developer"))
"""The roles that instruct the model."""

ITEM_ROLE = "sessionkit.item"
"""The reserved role of a message whose content is one item that is no message of its own."""

THINKING = ("thinking", "redacted_thinking")
"""The types of Anthropic's blocks in which nothing is said."""

_SAYING = ("text", "output_text")
"""The types of blocks in which something is."""


def spoken(content: str | list[dict[str, JSON]] | None) -> str:
    """What the content says, without what it thinks, calls or shows."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = [block.get("text") for block in content if isinstance(block, dict) and block.get("type") in _SAYING]
    return "".join(text for text in texts if isinstance(text, str))
