"""Where agents keep their conversations: one contract, interchangeable backends, and the suite that proves them.

Pick a backend by URL::

    import sessionkit

    with sessionkit.open_backend("sqlite:///chats.db") as backend:
        backend.append("user/1", sessionkit.ChatMessage.user("Hello"))
        print(backend.load("user/1"))

Write one by subclassing `SessionBackend` and giving it four methods; prove it with `sessionkit.testing`. What every
backend promises stands in `sessionkit.protocol`. Importing this package imports no backend.
"""

from sessionkit.codec import decode_message, encode_message
from sessionkit.defaults import Capabilities, Support, capabilities, extend, with_defaults
from sessionkit.errors import (
    BackendClosedError,
    BackendUnavailableError,
    BackendURLError,
    ConfigurationError,
    ConflictError,
    CorruptRecordWarning,
    CorruptSessionError,
    InvalidMessageError,
    InvalidSessionKeyError,
    SessionKitError,
    TurnTakenError,
    UnknownSessionError,
    UnsupportedFeatureWarning,
    UnsupportedOperationError,
)
from sessionkit.keys import check_session_key
from sessionkit.messages import JSON, ChatMessage, TimestampedMessage, ToolCall, Usage
from sessionkit.models import Finding, SessionContext, SessionMetadata, SessionQuery, SessionState
from sessionkit.protocol import (
    CoreBackend,
    OpenBackend,
    SessionBackend,
    SupportsCheck,
    SupportsFirst,
    SupportsRestore,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
)
from sessionkit.registry import BackendURL, open_backend, register_backend
from sessionkit.text import tokenize

__all__ = [
    "JSON",
    "BackendClosedError",
    "BackendURL",
    "BackendURLError",
    "BackendUnavailableError",
    "Capabilities",
    "ChatMessage",
    "ConfigurationError",
    "ConflictError",
    "CoreBackend",
    "CorruptRecordWarning",
    "CorruptSessionError",
    "Finding",
    "InvalidMessageError",
    "InvalidSessionKeyError",
    "OpenBackend",
    "SessionBackend",
    "SessionContext",
    "SessionKitError",
    "SessionMetadata",
    "SessionQuery",
    "SessionState",
    "Support",
    "SupportsCheck",
    "SupportsFirst",
    "SupportsRestore",
    "SupportsTurnState",
    "SupportsTurns",
    "SupportsWrite",
    "TimestampedMessage",
    "ToolCall",
    "TurnTakenError",
    "UnknownSessionError",
    "UnsupportedFeatureWarning",
    "UnsupportedOperationError",
    "Usage",
    "capabilities",
    "check_session_key",
    "decode_message",
    "encode_message",
    "extend",
    "open_backend",
    "register_backend",
    "tokenize",
    "with_defaults",
]
