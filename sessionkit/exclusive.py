"""A lock of threads that knows whether its holder is still there; for authors of backends.

Ctrl-C may strike anywhere: after a lock has been taken and before the ``try`` that lets go of it, or on the first line
of the method that would. No arrangement of ``try`` closes every such gap, and what is not let go of would stay locked
for ever. So whoever takes this lock leaves the frame that it works for, in one step that can't be interrupted; and
whoever finds it taken by a frame that is over inherits it. That is somebody of the same process: until then a file lock
that the interrupted call held keeps other processes out.
"""

import math
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from types import FrameType

frame_at = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- a tenth of what `inspect` takes
"""The frame of the call so many levels up."""

_LONG = 0.005  # seconds after which a waiter's turn has come
_LOOK = 0.05  # seconds until a waiter looks again by itself, should nobody have woken it


class Exclusive(ABC):
    """What is used in turns. Its holder is the frame of a call that is no generator's, or any object for a fork."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody holds it: at first, and in a forked child, whose other threads are gone."""
        self.holder: dict[None, object] = {}  # at most one; `setdefault` takes and notes in one step
        self.waiting: deque[tuple[object, threading.Lock, float]] = deque()  # who, woken by what, since when
        self._inheriting = threading.Lock()

    def take(self, user: object, timeout: float = math.inf) -> bool:
        """Hold it, after whoever does; whether that was had in time. Who holds it already may ask again.

        Not after a call of this very thread, which a signal handler has interrupted and which can't end before.
        """
        started = time.monotonic()
        gate = threading.Lock()
        gate.acquire()
        waiter = (user, gate, started)
        try:
            self.waiting.append(waiter)
            while self.holder.setdefault(None, user) is not user and not self._inherited(user):
                left = started + timeout - time.monotonic()
                if left <= 0 or self.is_held_below(frame_at(1)):
                    return self.holder.get(None) is user  # whom it may have been given to in this very moment
                gate.acquire(timeout=min(left, _LOOK))
                if waiter not in self.waiting:  # called, but somebody was quicker
                    self.waiting.appendleft(waiter)
        finally:
            with suppress(ValueError):
                self.waiting.remove(waiter)
        return True

    def is_held_below(self, frame: FrameType | None) -> bool:
        """Whether a call that has led to this one holds it."""
        holder = self.holder.get(None)
        while frame is not None:
            if frame is holder:
                return True
            frame = frame.f_back
        return False

    def let_go(self, user: object) -> None:
        """Hold it no more, and wait for it no more; nothing where somebody else does, or nobody."""
        for waiter in [waiter for waiter in list(self.waiting) if waiter[0] is user]:
            with suppress(ValueError):
                self.waiting.remove(waiter)  # which an interrupted `take` may have left
        if self.holder.get(None) is user:
            self.pass_on()

    def pass_on(self) -> None:
        """Let go of it, and wake who has waited longest; for the holder.

        Who has waited long is given it: else who has just let go of it, and need not wake up, would be quicker to take
        it again, for ever. Given at once to each in turn, it would rest while they wake up.
        """
        waiter = self._next() if self.waiting else None  # asked here too, as nearly always nobody waits
        if waiter is not None and time.monotonic() - waiter[2] > _LONG:
            self.holder[None] = waiter[0]  # while it is ours to give: later he may have had it, and let go of it
        else:
            self.holder.clear()
            if waiter is None and self.waiting:
                waiter = self._next()  # who has come meanwhile
        if waiter is not None:
            with suppress(RuntimeError):  # it is awake
                waiter[1].release()

    def _next(self) -> tuple[object, threading.Lock, float] | None:
        """Who has waited longest, and waits to be woken no more."""
        if not self.waiting:
            return None
        with suppress(IndexError):  # who gave up in this moment
            return self.waiting.popleft()
        return None

    @abstractmethod
    def recover(self) -> None:
        """Bring in order what a holder that is over may have left."""

    def _inherited(self, user: object) -> bool:
        old = self.holder.get(None)
        if not isinstance(old, FrameType) or not _is_over(old):
            return False
        with self._inheriting:  # which lets go of a lock of the interpreter's own without a gap
            if self.holder.get(None) is not old:
                return False
            self.holder[None] = user
        self.recover()
        return True


def _is_over(frame: FrameType) -> bool:
    """Whether the call has ended. Its variables are cleared then, for a traceback too; those of one that runs can't."""
    try:
        frame.clear()
    except RuntimeError:
        return False
    return True
