"""Real conversations to test and measure with, where there are any: they are no part of the project."""

import json
import os
from pathlib import Path
from typing import Any

FILE = Path(
    os.environ.get("SESSIONKIT_TEST_CONVERSATIONS")
    or Path(__file__).parents[2] / "shared" / "data" / "airline" / "sessions.jsonl"
)
"""What ``$SESSIONKIT_TEST_CONVERSATIONS`` names: a file as ``sessionkit import`` takes it, a conversation a line."""


def conversations() -> dict[str, list[dict[str, Any]]]:
    """The messages of each conversation, as OpenAI's, by session key; none where there is no file."""
    if not FILE.exists():
        return {}
    with FILE.open(encoding="utf-8") as file:
        return {line["session_key"]: line["messages"] for line in map(json.loads, file)}
