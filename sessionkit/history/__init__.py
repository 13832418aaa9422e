"""What an agent uses of its conversations, over any backend: sessions, turns, windows and memory.

An agent that keeps what it says, in a session that it can go on with after a crash::

    from sessionkit.history import SessionHistory

    history = SessionHistory(backend)
    session = history.run("Where is my parcel?", respond=agent)
    session = history.continue_session(session.session_id, "And when does it come?", respond=agent)

Beneath it, each of use by itself: `turn` and its streams, `window`, `fork`, `Memory` for an agent that has none, and
`ConversationSession`, one conversation as an object. What a backend must offer for each is said there; where it does
not, `sessionkit.UnsupportedOperationError` names what is missing. Importing this package imports no backend.
"""

from sessionkit.history.answering import OnText, Piece, Respond, Said
from sessionkit.history.config import HistoryConfig
from sessionkit.history.conversation import ConversationSession
from sessionkit.history.forking import fork
from sessionkit.history.history import SessionHistory
from sessionkit.history.memory import Memory, RememberingAgent
from sessionkit.history.options import ExchangeOptions
from sessionkit.history.session import AggregatedUsage, Session, SessionSummary
from sessionkit.history.streams import AnswerStream
from sessionkit.history.turns import Turn, turn
from sessionkit.history.windows import window
from sessionkit.speaking import ITEM_ROLE

__all__ = [
    "ITEM_ROLE",
    "AggregatedUsage",
    "AnswerStream",
    "ConversationSession",
    "ExchangeOptions",
    "HistoryConfig",
    "Memory",
    "OnText",
    "Piece",
    "RememberingAgent",
    "Respond",
    "Said",
    "Session",
    "SessionHistory",
    "SessionSummary",
    "Turn",
    "fork",
    "turn",
    "window",
]
