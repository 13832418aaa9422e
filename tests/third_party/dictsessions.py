"""Sessions in a dict: a backend in four methods."""

from sessionkit import BackendURL, ChatMessage, SessionBackend, check_session_key, decode_message, encode_message


class DictBackend(SessionBackend):
    """Keeps each session as a list of encoded messages, so that it shares nothing with the caller."""

    def __init__(self) -> None:
        self._sessions: dict[str, list[bytes]] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        check_session_key(session_key)
        return [decode_message(raw) for raw in self._sessions.get(session_key, ())]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        raw = encode_message(message)  # refuses what could not come back equal, before anything is created
        self._sessions.setdefault(session_key, []).append(raw)

    def remove_last(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        try:
            self._sessions.get(session_key, []).pop()
        except IndexError:
            return False
        return True

    def list_sessions(self) -> list[str]:
        return list(self._sessions)


def open_url(url: BackendURL) -> DictBackend:
    """Open ``dict://``: a new, empty backend at each call."""
    del url  # names nothing that could be opened again
    return DictBackend()
