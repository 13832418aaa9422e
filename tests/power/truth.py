"""What was true of each session at every moment of a run, and whether what is found after a power cut is any of it."""

import warnings
from collections.abc import Iterable
from typing import Any

import attrs

from sessionkit import ChatMessage, CorruptRecordWarning, OpenBackend, SessionKitError

PROMISES = ("opens", "acknowledged", "true-state", "told", "foreign", "writes-on", "revision")
"""What is asked of each session after a cut, by the name under which `BrokenPromiseError` says what does not hold."""

PROBE = ChatMessage("user", "after the cut")


class BrokenPromiseError(AssertionError):
    """A promise that does not hold after a power cut, by its name in `PROMISES`."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


@attrs.frozen
class State:
    """All that the contract lets anybody see of a session; `metadata` None where there is none."""

    metadata: Any = None
    messages: tuple[Any, ...] = ()

    @property
    def revision(self) -> int:
        """0 where there is no session."""
        return 0 if self.metadata is None else self.metadata.revision

    def __str__(self) -> str:
        return "none" if self.metadata is None else f"revision {self.revision}, {len(self.messages)} messages"


@attrs.define
class Moment:
    """A state, after how many events the call began that brought it, and after how many it was sure to be on disk."""

    state: State
    began: int = -1
    durable: int | None = None


@attrs.define
class Truth:
    """The moments of each session of one run, the first one before it was ever created."""

    moments: dict[str, list[Moment]] = attrs.Factory(dict)

    def of(self, key: str) -> list[Moment]:
        """The moments of that session."""
        return self.moments.setdefault(key, [Moment(State(), durable=0)])

    def tell(self, key: str, state: State, *, began: int, durable: int | None) -> None:
        """What holds from now on; a call that changed nothing promises nothing."""
        moments = self.of(key)
        if moments[-1].state != state:
            moments.append(Moment(state, began, durable))

    def write_back(self, count: int) -> None:
        """What holds now is sure to be on the disk after so many events."""
        for moments in self.moments.values():
            if moments[-1].durable is None:
                moments[-1].durable = count

    def possible(self, key: str, cut: int) -> list[Moment]:
        """What may be found where the power went after so many events: from the last that was sure."""
        moments = [moment for moment in self.of(key) if moment.began < cut]
        sure = max(i for i, moment in enumerate(moments) if moment.durable is not None and moment.durable <= cut)
        return moments[sure:]

    def highest_revision(self, key: str, cut: int) -> int:
        """The highest that was acknowledged as durable by then."""
        return max(each.state.revision for each in self.of(key) if each.durable is not None and each.durable <= cut)


def state_of(backend: OpenBackend, key: str) -> State:
    """What anybody sees of the session."""
    messages = tuple(backend.load_with_timestamps(key))
    metadata = backend.get_session_metadata(key)
    assert metadata is None or metadata.message_count >= 0
    return State(metadata, messages)


def judge(backend: OpenBackend, truth: Truth, cut: int, *, strict: bool, keys: Iterable[str]) -> int:
    """Ask all `PROMISES` of these sessions in what a cut after so many events left; how often damage was told.

    Args:
        backend: opened on that.
        truth: what was true.
        cut: how many events there were.
        strict: whether every write was to survive. Where not, a part of a session may be missing from its middle, if
            reading it says so: a file system may lose one write and keep a later one.
        keys: of the sessions to ask for.

    Raises:
        BrokenPromiseError: one of them does not hold.
    """
    return sum(_judge_session(backend, truth, key, cut, strict=strict) for key in keys)


def _judge_session(backend: OpenBackend, truth: Truth, key: str, cut: int, *, strict: bool) -> bool:
    possible = truth.possible(key, cut)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = state_of(backend, key)
    except SessionKitError as error:
        raise BrokenPromiseError("opens", f"after {cut} events {key!r} can't be opened: {error}") from error
    damaged = any(issubclass(each.category, CorruptRecordWarning) for each in told)
    if all(found != moment.state for moment in possible):
        _explain(truth, key, found, possible, cut, excused=damaged and not strict)
    _go_on(backend, key, found, truth.highest_revision(key, cut) if strict else 0, cut)
    return damaged


def _explain(truth: Truth, key: str, found: State, possible: list[Moment], cut: int, *, excused: bool) -> None:
    """Say which promise is broken by a state that should not be; none, where losses are excused and were told."""
    written = [each.message for moment in truth.of(key) for each in moment.state.messages]
    messages = [each.message for each in found.messages]
    where = f"after {cut} events {key!r} has {found}, and could have: {'; '.join(str(each.state) for each in possible)}"
    if any(message not in written for message in messages):
        raise BrokenPromiseError("foreign", where)
    kept = [
        each.message for each in possible[0].state.messages if all(each in moment.state.messages for moment in possible)
    ]
    if any(message not in messages for message in kept) or (possible[0].state.metadata and not found.metadata):
        raise BrokenPromiseError("acknowledged", where)
    if any(found == moment.state for moment in truth.of(key)):
        raise BrokenPromiseError("acknowledged", f"{where}; it is an older state")
    if not excused:
        raise BrokenPromiseError("true-state" if messages == written[: len(messages)] else "told", where)


def _go_on(backend: OpenBackend, key: str, found: State, highest: int, cut: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            backend.append(key, PROBE)
            after = state_of(backend, key)
    except SessionKitError as error:
        raise BrokenPromiseError("writes-on", f"after {cut} events {key!r} takes no message: {error}") from error
    if [each.message for each in after.messages] != [*(each.message for each in found.messages), PROBE]:
        raise BrokenPromiseError("writes-on", f"after {cut} events {key!r} has {after} after one more than {found}")
    if after.revision <= max(found.revision, highest):
        raise BrokenPromiseError(
            "revision", f"after {cut} events {key!r} goes on at revision {after.revision}, and {highest} was given away"
        )
