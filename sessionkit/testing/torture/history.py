"""What the writers did, as their logs tell it: each step announced before it begins, and answered once it has returned.

A log is a file opened to append. What was written to it stays though the writer is killed, so a step that was announced
and not answered was in flight, and a line that was not finished was never said.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from sessionkit import BackendUnavailableError, BackendURL, BackendURLError
from sessionkit.testing._worker import Step

READS = frozenset(("open", "close", "look", "search", "list", "list with metadata", "revision"))
"""The steps that change nothing."""


class NoLogError(Exception):
    """What was done is not known: a process could not write it down, or is itself broken."""


@attrs.frozen
class Failure:
    """What a call raised.

    Attributes:
        kind: the name of its class.
        outcome: of `sessionkit.BackendUnavailableError`, whether the call may have been applied.
        retryable: of the same, whether the call may succeed later.
        text: its message.
    """

    kind: str
    outcome: str | None
    retryable: bool
    text: str


@attrs.frozen
class Did:
    """One step of one process.

    Attributes:
        slot: which of the processes that run side by side.
        life: of which life of that process, as its name tells.
        key: the session; empty where the step concerns the store.
        step: what was done.
        begun: when it was announced, in seconds.
        ended: when it was answered; None where it was in flight when the process was killed.
        result: what the call returned.
        failure: what it raised.
    """

    slot: int
    life: str
    key: str
    step: Step
    begun: float
    ended: float | None = None
    result: Any = None
    failure: Failure | None = None

    @property
    def is_read(self) -> bool:
        """Whether it can have changed nothing."""
        return self.step.operation in READS

    @property
    def succeeded(self) -> bool:
        """Whether it has returned."""
        return self.ended is not None and self.failure is None

    @property
    def in_doubt(self) -> bool:
        """Whether nobody can say if it was applied: it was in flight, or the backend does not know either."""
        return self.ended is None or (self.failure is not None and self.failure.outcome == "unknown")

    def __str__(self) -> str:
        """For people: who did what, and what came of it."""
        operation, value, drop, added, revision, turn = self.step
        said = [f"drop {drop}"] * (operation == "write" and drop > 0) + ([f"add {' '.join(added)}"] if added else [])
        said += [value] * (not added and bool(value))
        said += [f"if revision {revision}"] * (revision is not None) + [f"if turn {turn}"] * (turn is not None)
        if self.ended is None:
            outcome = "in flight when it was killed"
        elif self.failure:
            outcome = f"{self.failure.kind}{f' ({self.failure.outcome})' if self.failure.outcome else ''}"
        else:
            outcome = f"acknowledged{'' if self.is_read or self.result is None else f', gave {self.result!r}'}"
        return f"{self.life}: {operation}({', '.join(said)}): {outcome}"


class Log:
    """What one process writes down of itself."""

    def __init__(self, path: Path, url: str) -> None:
        self._url = url
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def announce(self, key: str, step: Step) -> None:
        """Before it begins."""
        self._say("begun", key, step)

    def answer(self, result: object) -> None:
        """Once it has returned."""
        self._say("gave", result)

    def fail(self, error: Exception) -> None:
        """Where it has raised."""
        outcome, retryable = None, False
        if isinstance(error, BackendUnavailableError):
            outcome, retryable = error.outcome, error.retryable
        self._say("raised", type(error).__name__, outcome, retryable, without_secret(str(error), self._url))

    def confess(self, trouble: str) -> None:
        """That this process itself, and not the store, is broken."""
        self._say("broken", trouble)

    def _say(self, *line: object) -> None:
        raw = json.dumps([time.monotonic(), *line]).encode() + b"\n"
        try:
            is_whole = os.write(self._descriptor, raw) == len(raw)
        except OSError as error:
            raise NoLogError(str(error)) from error
        if not is_whole:
            raise NoLogError("no space is left")


def read_log(path: Path, *, slot: int, life: str) -> list[Did]:
    """What a process did, in its order.

    Raises:
        NoLogError: it was the process itself that broke, and not the store.
    """
    done: list[Did] = []
    if not path.exists():  # it was killed before it could begin
        return done
    for line in path.read_bytes().split(b"\n")[:-1]:
        at, kind, *rest = json.loads(line)
        if kind == "begun":
            key, step = rest
            done.append(Did(slot, life, key, Step(*step), at))
        elif kind == "gave":
            done[-1] = attrs.evolve(done[-1], ended=at, result=rest[0])
        elif kind == "raised":
            done[-1] = attrs.evolve(done[-1], ended=at, failure=Failure(*rest))
        else:
            raise NoLogError(rest[0])
    return done


def without_secret(text: str, url: str) -> str:
    """A text that somebody else wrote, without the password of the URL."""
    try:
        password = BackendURL.parse(url).password
    except BackendURLError:
        return text
    for secret in filter(None, (password, password and quote(password, safe=""))):
        text = text.replace(secret, "***")
    return text


def described(done: Sequence[Did], *, most: int = 8) -> list[str]:
    """The last of them, for people."""
    return [str(each) for each in done[-most:]]
