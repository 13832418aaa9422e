"""How things stand after a line of a session's file, and one message of it."""

from collections.abc import Callable

import attrs
import msgspec
from msgspec import UNSET

from sessionkit.clock import EARLIEST
from sessionkit.codec import decode_message
from sessionkit.record import SessionRecord
from sessionkit_jsonl.lines import Line, Snapshot, attributes_of


@attrs.define
class Standing:
    """How things stand after some line of a file.

    Attributes:
        exists: whether there was anything but headers.
        last_activity: of the last mark.
        foreign: whether somebody else's messages stand after the last mark.
        newest: where the line with the newest message begins.
        snapshot: the latest one, its line beginning at `snapshot_at`.
        dead: roughly how many bytes nobody needs any more.
        low: that of the last mark; 0 where that one is not where it was written.
        unreadable: whether nothing exists, and a line could not be read that is more than what crashes leave of a
            session's creation.
    """

    exists: bool = False
    revision: int = 0
    last_activity: int | None = None
    message_count: int = 0
    turn_count: int = 0
    tool_call_count: int = 0
    foreign: bool = False
    newest: int | None = None
    snapshot: Snapshot | None = None
    snapshot_at: int | None = None
    dead: int = 0
    low: int | None = None
    unreadable: bool = False

    def pass_line(self, offset: int, line: Line, length: int) -> None:
        """Go past a line that begins at `offset`."""
        if line.snapshot is not None:
            self.snapshot, self.snapshot_at = line.snapshot, offset
        mark = line.mark
        if mark is not None:
            self.revision, self.last_activity = mark.revision, mark.last_activity
            self.message_count, self.turn_count = mark.message_count, mark.turn_count
            self.tool_call_count = mark.tool_call_count
            self.newest = offset if line.messages else mark.previous
            self.dead = mark.dead + (0 if line.messages else length)
            self.low = mark.low if mark.position == offset else 0
            self.exists, self.foreign = True, False
        elif line.messages:
            message = decode_message(line.messages[0])
            self.revision += 1
            self.message_count += 1
            self.turn_count += message.is_turn
            self.tool_call_count += message.tool_call_count
            self.newest = offset
            self.exists = self.foreign = True

    def record(self, modified: Callable[[], int]) -> SessionRecord:
        """As the rules of sessions know it; `modified`, when the file was, tells the times that nobody wrote down."""
        active = self.last_activity
        if active is None or self.foreign:
            active = max(modified(), EARLIEST if active is None else active)
        snapshot = self.snapshot
        counts = (self.message_count, self.turn_count, self.tool_call_count)
        if snapshot is None:
            return SessionRecord(active, active, self.revision, *counts)
        return SessionRecord(
            snapshot.created_at,
            active,
            self.revision,
            *counts,
            snapshot.name,
            snapshot.agent_alias,
            snapshot.channel_id,
            snapshot.room_id,
            snapshot.sender_id,
            snapshot.state,
            snapshot.turn_id,
            snapshot.turn_started_at,
            snapshot.heartbeat_at,
            attributes_of(snapshot),
        )


class Entry(msgspec.Struct, frozen=True):
    """A message in a file; a Struct, because `load` makes one for each.

    Attributes:
        ordinal: how many there were before it.
        raw: its JSON.
        created_at: when it was stored; None where nobody wrote it down.
        at: where its line begins.
        previous: where the line with the message before it begins.
        size: roughly how many bytes it takes.
    """

    ordinal: int
    raw: bytes
    created_at: int | None
    at: int
    previous: int | None
    size: int


def entry_of(line: Line, index: int, ordinal: int, *, at: int, previous: int | None, length: int) -> Entry:
    """One of the messages of a line, by its place among them."""
    created_at = None
    if line.mark is not None:
        created_at = line.mark.last_activity if line.mark.created_at is UNSET else line.mark.created_at
    own = len(line.messages)
    return Entry(ordinal, line.messages[index], created_at, at, at if index else previous, length // own)
