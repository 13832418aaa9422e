"""What an agent uses of its conversations, over any backend: sessions, turns, windows and memory."""

from sessionkit.history.streams import AnswerStream
from sessionkit.history.turns import Turn, turn

__all__ = [
    "AnswerStream",
    "Turn",
    "turn",
]
