"""What mutants are made of that are about a moment: they wait in it, so that chance has no part in it."""

import time
from typing import ClassVar, Unpack

from sessionkit import ChatMessage, SessionState
from sessionkit.clock import from_datetime, now
from sessionkit.record_backend import RecordBackend
from tests.mutants.declared import Change, Memory


def pause() -> None:
    """Let other threads come in between."""
    time.sleep(0.0005)


class SlowMemory(Memory):
    """Takes its time to write, so that what others do falls in between; not wrong by itself."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        pause()

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        revision = super().write(session_key, **change)
        pause()
        return revision


class TwoStepTakeovers(RecordBackend):
    """`begin_turn` looks whether the turn that runs is stuck, and takes it over whatever has happened since."""

    between: ClassVar[float] = 0.0005
    """How many seconds pass between the two."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = self.get_session_state(session_key)
        if state is None or state.heartbeat_at is None or not stuck_after or stuck_after < 0:
            return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        stuck = now() - from_datetime(state.heartbeat_at) >= stuck_after * 1_000_000
        time.sleep(self.between)
        return super().begin_turn(session_key, turn_id, stuck_after=0 if stuck else stuck_after)
