"""Big stores, built by public calls, once in a run: many sessions with one message each, and many messages.

Beside each store on disk stands the file of its floor, which holds the same.
"""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast

import attrs

from benchmarks.corpus import RARE, generated
from benchmarks.floors_many import BareSearch, BareSessions
from benchmarks.measure import Run
from benchmarks.stores import SQLITE, Store
from sessionkit import ChatMessage, SessionMetadata, SupportsRestore, TimestampedMessage, extend

RUNNING, STUCK = 50, 10
"""In how many sessions a turn runs, and how many of these have had no heartbeat for the longest time of all."""

RARE_MESSAGES = 25
"""How many messages hold the rare word, however many there are."""

FLOOR = "floor.db"
_BUILT = "built"

_SPAN = timedelta(days=90)
_STRIDE = 7_919  # a prime, so that steps of it meet each session of a block once
_BLOCK = 10_000
_BATCH = 1_000
_DIFFERENT = 10_000  # from so many messages all others are made
_MESSAGE = ChatMessage.user("And when does it come?")
WORD = "come"
"""What all messages of a store of many sessions hold."""


@attrs.frozen
class Sessions:
    """A store of many sessions, whose activity is spread evenly over ninety days.

    Those that were made later are more recently active, but the newest 10,000 were not made in the order of their
    activity, nor the 10,000 before them: a page's sessions stand in many places of a table.

    Attributes:
        folder: where the store is, and the file of its floor.
        count: how many sessions.
        built: when the newest was active.
    """

    folder: Path
    count: int
    built: datetime

    @property
    def floor(self) -> BareSessions:
        """The same in a bare table; to be closed."""
        return BareSessions(self.folder / FLOOR)

    def since(self, oldest: int) -> datetime:
        """Since when all have been active but the oldest so many."""
        return self.built - _SPAN / self.count * (self.count - oldest - 0.5)


def sessions(run: Run, store: Store, nominal: int, *, all_running: bool = False) -> Sessions:
    """A store of so many sessions, as far as the scale allows; to be left as it is."""
    count = run.size(nominal)
    folder = run.shared / f"{store.name}-sessions-{count}{'-running' if all_running else ''}"

    def build(part: Path) -> None:
        moment = datetime.now(UTC)
        running = count if all_running else RUNNING
        _build_sessions(part, store, (_described(number, count, moment, running) for number in range(count)))
        (part / _BUILT).write_text(moment.isoformat())

    _once(folder, build)
    return Sessions(folder, count, datetime.fromisoformat((folder / _BUILT).read_text()))


def messages(run: Run, store: Store, nominal: int) -> Path:
    """The folder of a store of so many messages, as far as the scale allows, a hundred a session, all indexed.

    The file of its floor is there too; to be left as it is.
    """
    count = run.size(nominal)
    folder = run.shared / f"{store.name}-messages-{count}"

    def build(part: Path) -> None:
        with store.open(part) as backend, closing(BareSearch(part / FLOOR)) as floor:
            floor.connection.execute("BEGIN")
            for number, batch in enumerate(_sessions_of_messages(count)):
                extend(backend, f"session/{number}", batch)
                floor.fill(number, f"session/{number}", [message.text for message in batch])
            floor.connection.execute("COMMIT")
            floor.connection.execute("INSERT INTO terms (terms) VALUES ('optimize')")
            backend.compact("session/0")

    _once(folder, build)
    return folder


@cache
def without_rare() -> tuple[ChatMessage, ...]:
    """The generated messages, but for those with the rare word."""
    return tuple(message for message in generated(_DIFFERENT).messages if RARE not in message.text)


def _once(folder: Path, build: Callable[[Path], None]) -> None:
    """Build it elsewhere where it isn't there: what a failure leaves is never taken for a store."""
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    build(part)
    part.rename(folder)


def _build_sessions(folder: Path, store: Store, described: Iterator[SessionMetadata]) -> None:
    line = json.dumps(_MESSAGE.to_dict())
    with store.open(folder) as backend, closing(BareSessions(folder / FLOOR)) as floor:
        restore = cast("SupportsRestore", backend).restore
        while batch := list(itertools.islice(described, _BATCH)):
            for metadata in batch:
                restore(metadata.key, [TimestampedMessage(_MESSAGE, metadata.created_at)], metadata)
            if store is SQLITE:
                floor.fill(batch, line)
        floor.index()
        backend.compact(_key(0))  # which indexes the rest


def _described(number: int, count: int, newest: datetime, running: int) -> SessionMetadata:
    """What the session of that number is: of the running ones, some are the oldest, the others newer than most."""
    rank = _rank(number, count)
    active = newest - _SPAN / count * rank
    apart = 5 if running < count // 5 else 1
    runs = rank >= count - STUCK or (rank % apart == 0 and rank < (running - STUCK) * apart)
    return SessionMetadata(
        key=_key(number),
        created_at=active - timedelta(hours=1),
        last_activity=active,
        message_count=1,
        turn_count=0,
        tool_call_count=0,
        name=f"Where parcel {number} is",
        agent_alias=f"agent-{number % 7}",
        channel_id=f"channel-{number % 11}",
        room_id=f"room-{number % 1_009}",
        sender_id=f"sender-{number % 10_007}",
        state="running" if runs else "idle",
        turn_id=f"turn-{number}" if runs else None,
        turn_started_at=active - timedelta(minutes=1) if runs else None,
        heartbeat_at=active if runs else None,
        attributes={"language": "en", "unread": number % 5, "tags": ["parcels", "ferries"]},
        revision=3,
    )


def _rank(number: int, count: int) -> int:
    """How many sessions are newer: the later they were made the fewer, but in each block in another order."""
    begins = number // _BLOCK * _BLOCK
    size = min(_BLOCK, count - begins)
    return count - 1 - begins - number * _STRIDE % size


def _key(number: int) -> str:
    return f"agent/{number}"


def _sessions_of_messages(count: int) -> Iterator[list[ChatMessage]]:
    """The generated messages again and again, each tool call with an id of its own, and a rare word here and there."""
    every = max(1, count // RARE_MESSAGES)
    numbered = enumerate(itertools.islice(itertools.cycle(without_rare()), count))
    made = (_varied(message, number, rare=number % every == every // 2) for number, message in numbered)
    while batch := list(itertools.islice(made, BareSearch.PER_SESSION)):
        yield batch


def _varied(message: ChatMessage, number: int, *, rare: bool) -> ChatMessage:
    if rare:
        return ChatMessage.user(f"Who knows what {RARE} means?", timestamp=message.timestamp)
    if not message.tool_calls:
        return message
    (call,) = message.tool_calls
    arguments = json.loads(call.arguments) | {"id": f"{number * _STRIDE:010x}"}
    return attrs.evolve(message, tool_calls=(attrs.evolve(call, arguments=json.dumps(arguments)),))
