"""Turns of stores on disk: what is two steps to other processes, what a kill leaves of them, and what opening does."""

import time
from pathlib import Path
from typing import Unpack

from sessionkit import SessionState
from sessionkit_jsonl import JSONLBackend
from sessionkit_sqlite import SQLiteBackend
from tests.mutants.declared import Change, TwoStepTurnStates, caught_by

_BETWEEN = 0.005
"""How many seconds pass between two steps, so that another process or a kill surely comes in between."""


@caught_by("processes.turns-apart", on_disk=True)
class SetsTurnStatesUnderItsOwnLock(TwoStepTurnStates, SQLiteBackend):
    """Whether the turn runs is looked up first, and its state set afterwards, though another has taken over."""

    between = _BETWEEN


@caught_by("processes.turns-apart", "threads.turns-apart", on_disk=True)
class FencesTurnsUnderItsOwnLock(JSONLBackend):
    """Whether the turn runs is looked up first, and written sooner or later, though another has taken over."""

    hurried = False

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        if change.get("if_turn") is not None:
            super().write(session_key, if_turn=change.get("if_turn"))
            self.hurried = not self.hurried
            time.sleep(0 if self.hurried else _BETWEEN)
            change["if_turn"] = None
        return super().write(session_key, **change)


@caught_by("processes.taken-over", on_disk=True)
class RemembersItsTurns(SQLiteBackend):
    """Whoever has begun a turn is believed to hold it, until the same object begins another."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.held: dict[str, str | None] = {}

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        self.held[session_key] = state.turn_id
        return state

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        if self.held.get(session_key) == turn_id:
            self.set_session_state(session_key, state, turn_id)
        return super().set_turn_state(session_key, turn_id, state)


@caught_by("reopen.turns", "kill.leaves-the-turn", on_disk=True)
class EndsTurnsAtOpening(SQLiteBackend):
    """Whoever opens the store takes the turns that run for those of a process that has died, and ends them."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        for metadata in self.list_running_sessions():
            self.set_session_state(metadata.key, "error", metadata.turn_id)


@caught_by("kill.acknowledged-survives", on_disk=True)
class EndsInParts(SQLiteBackend):
    """The turn's id is cleared in one transaction and the state set in the next: a kill leaves a turn of nobody's."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        revision = super().set_turn_state(session_key, turn_id, "running")
        if state == "running":
            return revision
        self.set_session_state(session_key, "running")
        time.sleep(_BETWEEN)
        self.set_session_state(session_key, state, turn_id)
        return self.write(session_key)
