"""One turn at a time: who may write to a session while an answer is under way, and for how long.

A turn begins with `sessionkit.SupportsTurns.begin_turn`, writes with ``write(if_turn=...)`` and lives and ends by
`sessionkit.SupportsTurnState.set_turn_state`. Each of these asks, atomically, whether it is still the turn that runs;
so a process that was asleep while another took its turn over can change nothing any more, whatever it does next.
"""

import os
import platform
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sessionkit.errors import BackendUnavailableError, ConflictError, SessionKitError, TurnTakenError
from sessionkit.history.needs import Store, require
from sessionkit.history.streams import INTERVAL, AnswerStream
from sessionkit.history.tail import Tail
from sessionkit.keys import check_not_negative, check_session_key
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import IDLE, RUNNING, SessionState
from sessionkit.protocol import CoreBackend

ERROR = "error"
"""The state that a turn leaves which an exception has ended."""

HEARTBEAT = 10.0
"""Seconds between two signs of life of a turn."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_END_AGAIN = (0.05, 0.2, 0.5, None)


@contextmanager
def turn(
    backend: CoreBackend,
    session_key: str,
    /,
    *,
    wait: float = 0.0,
    stuck_after: float | None = None,
    heartbeat: float = HEARTBEAT,
) -> Generator["Turn"]:
    """Run a turn in a session: nobody else runs one there meanwhile, and what it writes is refused once it is lost.

    The session is created if need be. It is ``running`` until the body ends, then ``idle``, or ``error`` where the body
    raised. A thread gives signs of life, so that a long silent tool call does not look stuck; it is joined at the end.
    A process that forks in the body and ends there leaves the turn to its parent.

    Args:
        backend: any that offers `SupportsWrite`, `SupportsTurns` and `SupportsTurnState`; the built-in ones do.
        session_key: the session.
        wait: how many seconds to wait while another turn runs; it is asked again up to every 50 ms.
        stuck_after: take over a turn that has given no sign of life for as many seconds. Several times the `heartbeat`
            of whoever may hold it, or a turn is lost that was only slow. None: never.
        heartbeat: seconds between two signs of life.

    Raises:
        TurnTakenError: another turn runs, and neither has it ended in time nor was it stuck for long enough.
        ConflictError: at the end, where the turn was taken over while the body ran, and the body did not raise.
        UnsupportedOperationError: the backend can't; the message names what it lacks.
        ValueError: `wait` or `stuck_after` is negative, or `heartbeat` not above zero.
    """
    mine = Turn(backend, session_key, heartbeat=heartbeat)
    try:
        for pause in mine.begin(wait, stuck_after):
            time.sleep(pause)
        yield mine
        mine.end(IDLE)
    except BaseException as error:
        mine.give_up(error)
        raise


class Turn:
    """A turn that runs in a session; made by `turn`.

    Attributes:
        key: the session key.
        id: the turn's id, fresh for each: the host's name and the process's number, for whoever asks who holds it, and
            a random part.
        started_at: when it began, by the store's clock; None before.
        revision: the session's after the turn has ended; None before, or where it was not told.
    """

    def __init__(self, backend: CoreBackend, session_key: str, *, heartbeat: float) -> None:
        check_session_key(session_key)
        check_heartbeat(heartbeat)
        self.store: Store = require(backend, "turn()", "SupportsWrite", "SupportsTurns", "SupportsTurnState")
        self.key = session_key
        self.id = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex}"
        self.started_at: datetime | None = None
        self.revision: int | None = None
        self._heartbeat = _Heartbeat(self.heartbeat, heartbeat)
        self._process = os.getpid()
        self._may_run = False

    def __repr__(self) -> str:
        return f"<turn {self.id} in {self.key!r}>"

    def begin(self, wait: float, stuck_after: float | None) -> Generator[float]:
        """Begin it; gives how many seconds to sleep before each further attempt, while another turn runs.

        Raises:
            TurnTakenError: `wait` seconds have passed.
        """
        check_not_negative(wait, "wait")
        deadline = time.monotonic() + wait
        pause = _SHORTEST_PAUSE
        while True:
            self._may_run = True  # from here on, whatever becomes of the call
            holder = self.store.begin_turn(self.key, self.id, stuck_after=stuck_after)
            if holder.turn_id == self.id:
                self.started_at = holder.turn_started_at
                self._heartbeat.start()
                return
            self._may_run = False
            left = deadline - time.monotonic()
            if left <= 0:
                raise _taken(self.key, holder)
            yield min(pause, left)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @property
    def is_here(self) -> bool:
        """Whether this is the process that began it, and not one that was forked from it."""
        return os.getpid() == self._process

    def load(self, *, last: int | None = None) -> list[ChatMessage]:
        """The session's messages, oldest first; ``last=n`` only the newest n, at a cost of n."""
        if last is None:
            return self.store.load(self.key)
        return [stored.message for stored in self.store.load_with_timestamps(self.key, last=last)]

    def append(self, *messages: ChatMessage) -> int:
        """Add messages at the end, all or none; return the session's new revision.

        Raises:
            ConflictError: the turn has ended, or was taken over; nothing was changed.
            InvalidMessageError: one of them can't be stored exactly; nothing was.
        """
        return self.write(append=messages)

    def update_last(self, message: ChatMessage) -> int:
        """Put a message in the place of the newest one; return the session's new revision.

        Raises:
            ConflictError: the turn has ended, or was taken over; nothing was changed.
            ValueError: there is no message.
            InvalidMessageError: it can't be stored exactly; the old one stays.
        """
        return self.write(drop_last=1, append=[message])

    def write(
        self,
        *,
        drop_last: int = 0,
        append: Iterable[ChatMessage] = (),
        attributes: Mapping[str, JSON] = {},
        if_revision: int | None = None,
    ) -> int:
        """`SupportsWrite.write` in this turn's name; everything that a turn writes goes through it.

        Raises:
            ConflictError: the turn has ended, or was taken over; nothing was changed.
        """
        return self.store.write(
            self.key,
            drop_last=drop_last,
            append=append,
            attributes=attributes,
            if_revision=if_revision,
            if_turn=self.id,
        )

    def stream(self, *, interval: float = INTERVAL, **fields: Any) -> AnswerStream:
        """An answer that grows, to be used in ``with``; see `AnswerStream`.

        Args:
            interval: seconds; it is stored no more often than that.
            fields: further attributes of the message, such as ``model``.
        """
        return AnswerStream(Tail(self), interval=interval, **fields)

    def heartbeat(self) -> None:
        """Give a sign of life now, as the turn's thread does by itself; for those who must know that it is theirs.

        Raises:
            ConflictError: the turn has ended, or was taken over.
        """
        self.store.set_turn_state(self.key, self.id, RUNNING)

    def end(self, state: str) -> None:
        """End it in that state, such as ``waiting``; the end of the ``with`` then changes nothing any more.

        Where the store can't be reached just now, it is tried again within a second.

        Raises:
            ConflictError: it was taken over; nothing was changed.
            BackendUnavailableError: the store can't be reached: the session stays ``running``, without a sign of life.
        """
        if not self._may_run or not self.is_here:
            return  # in a forked process the turn is its parent's, and so is the thread
        self._heartbeat.stop()
        may_have_ended = False
        for pause in _END_AGAIN:
            try:
                self.revision = self.store.set_turn_state(self.key, self.id, state)
            except ConflictError:
                self._may_run = False
                if may_have_ended and self._has_ended(state):
                    return
                raise
            except BackendUnavailableError as error:
                if pause is None or not error.retryable:
                    raise
                may_have_ended = error.outcome == "unknown"
                time.sleep(pause)
            else:
                self._may_run = False
                return

    def _has_ended(self, state: str) -> bool:
        """Whether the session is in that state by this turn's end."""
        present = self.store.get_session_state(self.key)
        return present is not None and (present.state, present.turn_id) == (state, self.id)

    def give_up(self, error: BaseException) -> None:
        """End it in the state `ERROR`, where it may have begun; what keeps it from that goes into a note of `error`."""
        if not self._may_run:
            return
        try:
            self.end(ERROR)
        except SessionKitError as failure:
            if self.started_at is not None:
                error.add_note(f"and {self!r} could not be ended: {failure}")


def check_heartbeat(heartbeat: float) -> None:
    """Accept a time between two signs of life.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above zero, or more than any thread can wait.
    """
    check_not_negative(heartbeat, "heartbeat")
    if not 0 < heartbeat <= threading.TIMEOUT_MAX:
        msg = f"heartbeat must be above 0 seconds and at most {threading.TIMEOUT_MAX:.0f}"
        raise ValueError(msg)


class _Heartbeat:
    """A thread that gives signs of life, until it is stopped or told that there is nothing to live for."""

    def __init__(self, beat: Callable[[], object], interval: float) -> None:
        self._beat = weakref.WeakMethod(beat)  # so that it ends where its turn is forgotten
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sessionkit heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a sign that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            beat = self._beat()
            if beat is None:
                return
            try:
                beat()
            except BackendUnavailableError:
                pass  # the next one may get through; whoever writes meanwhile learns of it
            except SessionKitError:
                return  # the turn is lost or the backend closed, as the next write will say
            del beat


def _taken(session_key: str, holder: SessionState) -> TurnTakenError:
    """The error that says who runs a turn, since when, and what can be done."""
    silent = "" if holder.heartbeat_at is None else f", last heartbeat {_seconds_since(holder.heartbeat_at):.1f} s ago"
    msg = (
        f"turn {holder.turn_id!r} runs in {session_key!r} since {holder.turn_started_at}{silent}: "
        "wait= waits for its end, stuck_after= takes it over once it is silent for that long"
    )
    return TurnTakenError(
        msg,
        session_key=session_key,
        turn_id=holder.turn_id,
        since=holder.turn_started_at,
        heartbeat_at=holder.heartbeat_at,
    )


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
