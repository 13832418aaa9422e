"""How a mutant is declared: a backend class, the promises that catch it, and its bug in the words of its docstring."""

import inspect
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, TypedDict, TypeVar

import attrs

from sessionkit import ChatMessage, CoreBackend, SessionState, encode_message
from sessionkit.messages import JSON
from sessionkit.models import RUNNING
from sessionkit.record import SessionRecord
from sessionkit.record_backend import RecordBackend
from sessionkit_memory import MemoryBackend

Kind = TypeVar("Kind", bound=type[CoreBackend])


@attrs.frozen
class Mutant:
    """One broken backend.

    Attributes:
        name: of its class, in words.
        kind: its class; made with no argument, or where it is on disk with the path to use.
        area: the module that it stands in.
        bug: what is wrong with it: the first paragraph of its docstring.
        promises: the ids of the promises that catch it, each by itself.
        raises: what the bug itself raises, where it is an exception; any other must show as a failed assertion.
        on_disk: whether other objects and processes see what one has written.
        violations: what torture finds, by kind; of those that no promise of the suite catches by itself.
    """

    name: str
    kind: type[CoreBackend]
    area: str
    bug: str
    promises: tuple[str, ...]
    raises: tuple[type[Exception], ...]
    on_disk: bool
    violations: tuple[str, ...] = ()


MUTANTS: dict[str, Mutant] = {}
"""Every mutant that has been declared, by name."""


def caught_by(
    *promises: str, raises: tuple[type[Exception], ...] = (), on_disk: bool = False
) -> Callable[[Kind], Kind]:
    """Declare the class a mutant.

    Raises:
        ValueError: its name is taken, it has no docstring, or nothing catches it.
    """

    def declare(kind: Kind) -> Kind:
        return _declare(kind, promises, raises=raises, on_disk=on_disk)

    return declare


def found_by(*violations: str) -> Callable[[Kind], Kind]:
    """Declare the class a mutant, made with its path, in which torture must find one of those kinds of violations.

    Raises:
        ValueError: as `caught_by`.
    """

    def declare(kind: Kind) -> Kind:
        return _declare(kind, (), on_disk=True, violations=violations)

    return declare


def _declare(
    kind: Kind,
    promises: tuple[str, ...],
    *,
    raises: tuple[type[Exception], ...] = (),
    on_disk: bool,
    violations: tuple[str, ...] = (),
) -> Kind:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind.__name__).lower()
    bug = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    if name in MUTANTS or not bug or not (promises or violations):
        msg = f"{kind.__qualname__} needs a name of its own, a docstring and a promise"
        raise ValueError(msg)
    area = kind.__module__.rpartition(".")[2]
    MUTANTS[name] = Mutant(name, kind, area, bug, promises, raises, on_disk, violations)
    return kind


class Change(TypedDict, total=False):
    """The options of `sessionkit.SupportsWrite.write`, for those who pass most of them on."""

    drop_last: int
    append: Iterable[ChatMessage]
    attributes: Mapping[str, JSON]
    if_revision: int | None
    if_turn: str | None


class Memory(MemoryBackend):
    """The unbroken backend, with a way to its records for those who break it."""

    def record(self, session_key: str) -> SessionRecord:
        """The session's own record, which the store keeps; creates the session."""
        return self._found_or_new(session_key).record

    def active(self, session_key: str) -> int | None:
        """When the session was last active; None for an unknown one."""
        session = self._found(session_key)
        return session.record.last_activity if session else None

    def was_active(self, session_key: str, before: int | None) -> None:
        """Put a session's last activity back to what it was."""
        if before is not None:
            self.record(session_key).last_activity = before


class _TwoSteps(RecordBackend):
    """What is one change in the unbroken backend that stands behind it in the bases, as two."""

    between: ClassVar[float] = 0.0005
    """How many seconds pass between the two, so that what others do, or a kill, surely falls there."""


class TwoStepTurns(_TwoSteps):
    """`begin_turn` looks whether a turn runs, and begins its own whatever has happened since."""

    def begin_turn(self, session_key: str, turn_id: str, /, *, stuck_after: float | None = None) -> SessionState:
        state = self.get_session_state(session_key)
        if state is not None and state.state == RUNNING:
            return super().begin_turn(session_key, turn_id, stuck_after=stuck_after)
        time.sleep(self.between)
        return super().begin_turn(session_key, turn_id, stuck_after=0)


class TwoStepTurnStates(_TwoSteps):
    """`set_turn_state` looks whether the turn runs, and sets its state whatever has happened since."""

    def set_turn_state(self, session_key: str, turn_id: str, state: str, /) -> int:
        found = self.get_session_state(session_key)
        if found is None or (found.state, found.turn_id) != (RUNNING, turn_id) or not state:
            return super().set_turn_state(session_key, turn_id, state)
        time.sleep(self.between)
        self.set_session_state(session_key, state, turn_id)
        metadata = self.get_session_metadata(session_key)
        return (metadata.revision or 0) if metadata else 0


class TwoStepUpdates(_TwoSteps):
    """`update_last` removes the old message, and then adds the new one."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        encode_message(message)
        if not self.remove_last(session_key):
            return False
        time.sleep(self.between)
        self.append(session_key, message)
        return True
