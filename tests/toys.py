"""Backends of four methods over a dict, as somebody would write their first."""

from sessionkit import ChatMessage, SessionBackend, check_session_key, decode_message, encode_message


class DictBackend:
    """Has the four methods, and inherits nothing of sessionkit's."""

    def __init__(self) -> None:
        self.sessions: dict[str, list[bytes]] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        """Decoded anew at each call, so that nothing is shared."""
        check_session_key(session_key)
        return [decode_message(raw) for raw in self.sessions.get(session_key, ())]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """Encoded first, so that what is refused creates nothing."""
        check_session_key(session_key)
        raw = encode_message(message)
        self.sessions.setdefault(session_key, []).append(raw)

    def remove_last(self, session_key: str, /) -> bool:
        """In one step, whatever other threads remove."""
        check_session_key(session_key)
        try:
            self.sessions.get(session_key, []).pop()
        except IndexError:
            return False
        return True

    def list_sessions(self) -> list[str]:
        """Those with messages."""
        return [key for key, messages in self.sessions.items() if messages]


class InheritingBackend(DictBackend, SessionBackend):
    """The same, inheriting the eighteen."""


class KeepingDictBackend(DictBackend):
    """The same, keeping a session whose messages are gone, as the contract asks: it breaks no promise."""

    def list_sessions(self) -> list[str]:
        """All that were ever appended to."""
        return list(self.sessions)


class KeepingBackend(KeepingDictBackend, SessionBackend):
    """The same, inheriting the eighteen."""
