"""Asking for windows, as the tests of them do."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from sessionkit import ChatMessage
from sessionkit.history.windows import window
from tests.history.dialogues import length

untimed = settings(deadline=None)

limits = st.none() | st.integers(0, 30)
"""Numbers of messages or of tokens, and none."""


def asked(messages: Any, most: int | None, tokens: int | None, *key: str) -> list[ChatMessage] | None:
    """The window; None where the system messages alone are too many."""
    try:
        return window(messages, *key, max_messages=most, max_tokens=tokens, count_tokens=length)
    except ValueError as error:
        if "system messages" not in str(error):
            raise
        return None
