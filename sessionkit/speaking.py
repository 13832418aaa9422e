"""Who speaks in a message, and in what nothing is said: the roles and content blocks that several parts must know."""

SYSTEM_ROLES = frozenset(("system", "developer"))
"""The roles that instruct the model."""

ITEM_ROLE = "sessionkit.item"
"""The reserved role of a message whose content is one item that is no message of its own."""

THINKING = ("thinking", "redacted_thinking")
"""The types of Anthropic's blocks in which nothing is said."""
