"""An honest backend that is neither bare nor complete, so that what the suite takes for granted shows."""

import threading
from collections.abc import Iterable, Mapping

from sessionkit import ChatMessage, ConflictError, SessionBackend, SessionState, check_session_key, encode_message
from sessionkit.clock import now, to_datetime
from sessionkit.keys import check_count, check_state, check_turn_id
from sessionkit.messages import JSON
from sessionkit.models import IDLE, RUNNING
from sessionkit.record import check_attributes, sets_attributes
from tests.toys import KeepingDictBackend


class WritingBackend(KeepingDictBackend, SessionBackend):
    """The four methods, states, a turn's own too, and `write`; whose metadata are derived, and know no revision."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.highest = 0
        self.revisions: dict[str, int] = {}
        self.states: dict[str, SessionState] = {}

    def changed(self, session_key: str) -> None:
        """One revision more, of all that ever were."""
        self.highest += 1
        self.revisions[session_key] = self.highest

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        encode_message(message)
        with self.lock:
            super().append(session_key, message)
            self.changed(session_key)

    def remove_last(self, session_key: str, /) -> bool:
        with self.lock:
            removed = super().remove_last(session_key)
            if removed:
                self.changed(session_key)
            return removed

    def set_session_state(self, session_key: str, state: str, /, turn_id: str | None = None) -> None:
        check_session_key(session_key)
        check_state(state, turn_id)
        moment = to_datetime(now())
        with self.lock:
            self.sessions.setdefault(session_key, [])
            before = self.states.get(session_key)
            if before and before.state == state == RUNNING and before.turn_id == turn_id:
                self.states[session_key] = SessionState(state, turn_id, before.turn_started_at, moment)
                return
            times = (moment, moment) if state == RUNNING else ()
            self.states[session_key] = SessionState(state, turn_id, *times)
            self.changed(session_key)

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        check_session_key(session_key)
        with self.lock:
            return self.states.get(session_key, SessionState(IDLE)) if session_key in self.sessions else None

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        """`sessionkit.SupportsTurnState`."""
        check_session_key(session_key)
        check_turn_id(turn_id)
        check_state(state, turn_id)
        with self.lock:
            self.check_fences(session_key, None, turn_id)
            self.set_session_state(session_key, state, turn_id)
            return self.revisions[session_key]

    def write(
        self,
        session_key: str,
        /,
        *,
        drop_last: int = 0,
        append: Iterable[ChatMessage] = (),
        attributes: Mapping[str, JSON] = {},
        if_revision: int | None = None,
        if_turn: str | None = None,
    ) -> int:
        check_session_key(session_key)
        check_count(drop_last, "drop_last")
        check_attributes(attributes)
        added = [encode_message(message) for message in append]
        with self.lock:
            self.check_fences(session_key, if_revision, if_turn)
            messages = self.sessions.get(session_key, [])
            if drop_last > len(messages):
                msg = f"{session_key!r} has {len(messages)} messages"
                raise ValueError(msg)
            if added or drop_last or sets_attributes(attributes):
                self.sessions[session_key] = messages[: len(messages) - drop_last] + added
                self.changed(session_key)
            return self.revisions.get(session_key, 0)

    def check_fences(self, session_key: str, if_revision: int | None, if_turn: str | None) -> None:
        """What `write` must find, or raise."""
        if not isinstance(if_revision, int | None) or not isinstance(if_turn, str | None):
            msg = f"no fences: {if_revision!r}, {if_turn!r}"
            raise TypeError(msg)
        state = self.states.get(session_key, SessionState(IDLE))
        turn = state.turn_id if state.state == RUNNING else None
        if if_revision not in (None, self.revisions.get(session_key, 0)) or if_turn not in (None, turn):
            msg = f"{session_key!r} is at revision {self.revisions.get(session_key, 0)}, in turn {turn!r}"
            raise ConflictError(msg)
