"""Stores that lose, mix or invent something when processes are killed or meet, which torture must find.

Some wait for a moment, so that a kill or another process surely comes in between.
"""

import json
import os
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Unpack

import attrs

from sessionkit import (
    JSON,
    BackendUnavailableError,
    ChatMessage,
    decode_message,
    encode_message,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED, REQUIRED
from sessionkit_jsonl import JSONLBackend
from sessionkit_sqlite import SQLiteBackend
from tests.mutants.declared import Change, found_by

_BETWEEN = 0.002
"""How many seconds pass between two steps."""

_METHODS = {*REQUIRED, *PROVIDED, *OPTIONAL_PROTOCOLS.values(), "close"} - {"append"}
"""All that is called of a backend, but the one method."""


@found_by("lost")
class BuffersAppends(JSONLBackend):
    """Appends are gathered, and written three at a time or before the session is used otherwise: a kill loses some."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.buffered: dict[str, list[ChatMessage]] = {}

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        encode_message(message)
        self.buffered.setdefault(session_key, []).append(message)
        if len(self.buffered[session_key]) >= 3:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered."""
        buffered, self.buffered = self.buffered, {}
        for session_key, messages in buffered.items():
            super().write(session_key, append=messages)

    def __getattribute__(self, name: str) -> object:
        if name in _METHODS:
            super().__getattribute__("flush")()
        return super().__getattribute__(name)


@found_by("lost")
class AcknowledgesBeforeWriting(SQLiteBackend):
    """The last append is written when the next call comes: it was acknowledged before it was there."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.waiting: list[tuple[str, ChatMessage]] = []

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        encode_message(message)
        self.catch_up()
        self.waiting.append((session_key, message))

    def catch_up(self) -> None:
        """Write what waits."""
        while self.waiting:
            super().append(*self.waiting.pop())

    def __getattribute__(self, name: str) -> object:
        if name in _METHODS:
            super().__getattribute__("catch_up")()
        return super().__getattribute__(name)


@found_by("batch torn", "half done")
class WritesBatchesInTurn(JSONLBackend):
    """A batch is appended message by message, so that others come in between."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = list(change.get("append", ()))
        change["append"] = added[:1]
        revision = super().write(session_key, **change)
        for message in added[1:]:
            time.sleep(_BETWEEN)
            revision = super().write(session_key, append=[message])
        return revision


class _OneFile:
    """The four methods on one JSON file, which is read and written back whole."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, list[str]]:
        """What is in it."""
        sessions: dict[str, list[str]] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return sessions

    def put(self, sessions: dict[str, list[str]]) -> None:
        """Put the new file in the place of the old one."""
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        beside.write_text(json.dumps(sessions))
        beside.replace(self.path)

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return [decode_message(raw) for raw in self.read().get(session_key, ())]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        raw = encode_message(message).decode()
        sessions = self.read()
        sessions.setdefault(session_key, []).append(raw)
        self.put(sessions)

    def remove_last(self, session_key: str, /) -> bool:
        sessions = self.read()
        if not sessions.get(session_key):
            return False
        sessions[session_key].pop()
        self.put(sessions)
        return True

    def list_sessions(self) -> list[str]:
        return list(self.read())


@found_by("lost")
class RewritesWithoutALock(_OneFile):
    """The whole file is read, changed and written back: of two writers at once, one has written for nothing."""


@found_by("error")
class RewritesInPlace(_OneFile):
    """The file is truncated and written anew: who reads it meanwhile, or after a kill, finds half of it."""

    def put(self, sessions: dict[str, list[str]]) -> None:
        self.path.write_text(json.dumps(sessions))


@found_by("out of order")
class SortsByTime(JSONLBackend):
    """Messages are given in the order of their times, which are those of a clock that ticks once a second."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        stored = self.load_with_timestamps(session_key)
        stored.sort(key=lambda each: (each.created_at and each.created_at.replace(microsecond=0), each.message.text))
        return [each.message for each in stored]


@found_by("twice")
class RetriesWhatHasHappened(SQLiteBackend):
    """Where the newest message is not the one that was appended, it is appended again: another's came in between."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        time.sleep(_BETWEEN)
        newest = self.load_with_timestamps(session_key, last=1)
        if [each.message for each in newest] != [message]:
            super().append(session_key, message)


@found_by("name lost")
class CompactsTheNameAway(JSONLBackend):
    """`compact` writes the messages anew, and not the name."""

    def compact(self, session_key: str, /) -> None:
        super().compact(session_key)
        if self.get_session_name(session_key):
            self.set_session_name(session_key, "")


@found_by("invented", "lost")
class WritesToTheLastSession(SQLiteBackend):
    """The session of a statement that was prepared before is used now and then: the message lands in another one."""

    last = ""
    appended = count(1)

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        other = self.last if self.last and next(self.appended) % 20 == 0 else session_key
        self.last = session_key
        super().append(other, message)


@found_by("not opened")
class LeavesItsLockBehind(SQLiteBackend):
    """Opening counts who is in, and closing counts down; who was killed is in for ever, until there is no room."""

    def __init__(self, path: str | Path) -> None:
        places = [Path(f"{path}-in-{i}") for i in range(6)]
        for place in places:
            try:
                place.touch(exist_ok=False)
            except FileExistsError:
                continue
            self.place = place
            super().__init__(path)
            return
        raise BackendUnavailableError("too many have it open")

    def close(self) -> None:
        super().close()
        self.place.unlink(missing_ok=True)


@found_by("stuck")
class WaitsForTheDead(SQLiteBackend):
    """A lock file is made before each append, and removed after it; who was killed in between holds it for ever."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.lock = Path(f"{path}-appending")

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        while True:
            try:
                self.lock.touch(exist_ok=False)
                break
            except FileExistsError:
                time.sleep(_BETWEEN)
        super().append(session_key, message)
        self.lock.unlink()


@found_by("torn")
class StreamsItsMessages(SQLiteBackend):
    """A message is stored with the first part of its text, and completed in a second step."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, attrs.evolve(message, content=message.text[:20]))
        time.sleep(_BETWEEN)
        self.update_last(session_key, message)


@found_by("half done")
class ReplacesInTwoSteps(SQLiteBackend):
    """`update_last` removes the old message, and appends the new one: a kill in between leaves neither."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        encode_message(message)
        if not self.remove_last(session_key):
            return False
        time.sleep(_BETWEEN)
        self.append(session_key, message)
        return True


@found_by("half done")
class MergesLate(SQLiteBackend):
    """The attributes of a `write` are merged after its messages, by a statement of their own: a kill loses them."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        attributes: Mapping[str, JSON] = change.pop("attributes", {})
        super().write(session_key, **change)
        time.sleep(_BETWEEN)
        return super().write(session_key, attributes=attributes)
