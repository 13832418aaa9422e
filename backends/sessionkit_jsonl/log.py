"""One session's file, open for writing: locked, looked at, changed by one record."""

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from typing import NoReturn

from msgspec import UNSET, UnsetType

from sessionkit.codec import decode_message
from sessionkit.errors import CorruptSessionError, InvalidMessageError, SessionKitError
from sessionkit.locks import release
from sessionkit.messages import ChatMessage
from sessionkit.record import SessionRecord, check_drop
from sessionkit.record_backend import T
from sessionkit_jsonl import files
from sessionkit_jsonl.compaction import content, is_due, known_time, mended_times, snapshot_of
from sessionkit_jsonl.floor import RevisionFloor, is_believable
from sessionkit_jsonl.lines import (
    BEGINNING,
    LARGEST,
    Mark,
    UnknownVersionError,
    header_line,
    is_beginning,
    parse,
    record_line,
)
from sessionkit_jsonl.reading import newest_first
from sessionkit_jsonl.standing import Entry
from sessionkit_jsonl.using import acquire_file
from sessionkit_jsonl.view import SessionView, decoded, scan_file
from sessionkit_jsonl.window import BrokenChainError, Window

Made = int | UnsetType | None
"""When a line's messages were stored; unset where that is when the line was, None where nobody knows."""

_REVISION = re.compile(rb'"rev":\s*(\d{1,19})\b')


class SessionLog:
    """The descriptor of a session's file, and how things stand at its end for as long as nobody else writes.

    Everything but `lock` and `close` needs the lock. Not for two threads at once. What puts another file in the place
    of this one, or none, closes this one.

    Attributes:
        key: the session key.
        record: what is known of the session, to be changed by its own methods before `commit`; None where there is
            no session.
    """

    _descriptor = -1  # until it is open, for `__del__`

    def __init__(self, path: str, key: str, flags: int, *, sync: bool) -> None:
        self.key = key
        self.record: SessionRecord | None = None
        self._path = path
        self._sync = sync
        self._descriptor = files.open_session(path, flags)
        status = os.fstat(self._descriptor)
        self._inode, self._device = status.st_ino, status.st_dev
        self._size = self._size_looked_at = -1  # nobody knows before it is locked
        self._modified = self._modified_looked_at = 0
        self._count = 0
        self._low: int | None = None
        self._newest: int | None = None
        self._snapshot_at: int | None = None
        self._dead = 0
        self._dead_when_tried = 0
        self._prefix = b""
        self._torn = False
        self._has_other_names = False
        self._surely_there = False
        self._since = 0.0

    def close(self, _close: Callable[[int], None] = os.close) -> None:
        """Give back the descriptor, and the lock with it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            _close(descriptor)  # a default, as `os` may be empty already when the interpreter ends

    def __del__(self) -> None:
        self.close()

    def lock(self, timeout: float, since: float) -> bool:
        """Take the lock; False where the file is not the one at its path any more, so that it must be opened anew.

        Waiting, for this lock and any other until the next call, ends `timeout` seconds after `since`.
        """
        descriptor = self._descriptor
        if descriptor < 0:
            return False
        self._since = since
        acquire_file(descriptor, self._path, timeout=timeout, since=since, log=self)
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return False
        self._size, self._modified = status.st_size, status.st_mtime_ns
        self._has_other_names = status.st_nlink > 1
        return status.st_ino == self._inode and status.st_dev == self._device

    def finish(self) -> None:
        """Let go of the lock, unless it went with the file; undo the creation of a file that nothing came of."""
        if self._descriptor < 0:
            return
        if self._size == 0:
            files.remove_empty(self._path)
            self.close()
        else:
            release(self._descriptor)

    def look(self) -> SessionRecord | None:
        """How things stand, read anew only where somebody else has written since.

        Raises:
            CorruptSessionError: nothing in the file can be read, or it is another session's.
        """
        if self._size != self._size_looked_at or self._modified > self._modified_looked_at:
            self.record = None
            window = Window(self._descriptor, self._size)
            view = SessionView(self._path, self.key, self._descriptor, window)
            self.record = view.record
            self._count, self._low = view.standing.message_count, view.standing.low
            self._newest, self._snapshot_at = view.standing.newest, view.standing.snapshot_at
            self._dead = min(view.standing.dead, self._size)
            self._prefix = b"" if window.is_terminated else b"\n"
            last = next(window.lines_backward(), (0, b""))[1]
            self._torn = bool(last) and parse(last) is None and (bool(self._prefix) or is_beginning(last))
            self._size_looked_at, self._modified_looked_at = self._size, self._modified
            self._surely_there = False
        return self.record

    def highest_deleted(self, floor: RevisionFloor) -> int:
        """What a new session's revisions have to be above; waits no longer than the call that has the lock may."""
        return floor.read(self._since)

    def begin(self, floor: RevisionFloor) -> SessionRecord:
        """The session's record: a new one where there is none, above the revisions of all that were deleted."""
        record = self.look()
        if record is None:
            record = self.record = SessionRecord.new(self.highest_deleted(floor))
            self._snapshot_at = None
        elif self._snapshot_at is None:
            record.revision = max(record.revision, self.highest_deleted(floor))
        return record

    def edit(self, floor: RevisionFloor, change: Callable[[SessionRecord], T]) -> T:
        """Change what is known of the session besides its messages, and write that down if anything is different."""
        is_new = self.look() is None
        record = self.begin(floor)
        before = copy(record)
        result = change(record)
        if is_new or record != before:
            self.commit(record, snapshot=True)
        return result

    def pop(self, record: SessionRecord) -> int | None:
        """Take the newest message away, with the next `commit`; returns when it was stored, if that is known."""
        entry, message = self._newest_message(record.message_count)
        record.message_count = entry.ordinal
        record.count(0, -message.is_turn, -message.tool_call_count)
        self._newest = entry.previous
        self._dead += entry.size
        return known_time(message, entry.created_at)

    def drop(self, record: SessionRecord, count: int) -> None:
        """Take the newest messages away, with the next `commit`.

        Raises:
            ValueError: fewer than the record counts can be read, and fewer than `count`.
        """
        for dropped in range(count):
            try:
                self.pop(record)
            except CorruptSessionError:
                if not dropped:
                    raise  # it says better what to do
                record.message_count = dropped
                check_drop(self.key, record, count)

    def pop_all(self, record: SessionRecord) -> None:
        """Take all messages away, with the next `commit`."""
        record.clear_counts()
        self._newest = None
        self._dead = self._size

    def commit(
        self, record: SessionRecord, messages: Sequence[bytes] = (), *, snapshot: bool = False, created_at: Made = UNSET
    ) -> None:
        """Write down the record as it is now, and these messages, which it counts already.

        All in one line, so that it is all there or not at all; with a new snapshot if asked for.

        Raises:
            BackendUnavailableError: it could not be written; close this object, whose record is ahead of the file.
            CorruptSessionError: damage has the counts run beyond what can be written; likewise.
        """
        count, turns, calls = record.message_count, record.turn_count, record.tool_call_count
        if record.revision > LARGEST or count > LARGEST or turns > LARGEST or calls > LARGEST:
            self._refuse(max(record.revision, count, turns, calls))
        if turns < 0 or calls < 0:  # what was taken away was never counted
            turns, calls = max(0, turns), max(0, calls)
        size, prefix = self._size, self._prefix
        if self._snapshot_at is None:
            self._snapshot_at = size + len(prefix)
            prefix += header_line(snapshot_of(self.key, record))
            snapshot = False
        at = size + len(prefix)
        if snapshot:
            self._snapshot_at = at
        left = count - len(messages)
        if left < self._count and at >= BEGINNING:
            self._keep_low(count, left)
        self._count = count
        mark = Mark(
            record.revision,
            record.last_activity,
            count,
            turns,
            calls,
            at,
            self._newest,
            self._snapshot_at,
            created_at,
            self._dead,
            self._low,
            self._torn,
        )
        line = record_line(mark, messages, snapshot_of(self.key, record) if snapshot else None)
        data = prefix + line if prefix else line
        if self._has_other_names:  # hard links: what is elsewhere, as a backup, stays as it is
            files.replace(self._path, files.read(self._descriptor, 0, size) + data, sync=self._sync)
            self.close()
            return
        if self._sync and not self._surely_there:
            self._sync_what_is_there()
        files.append(self._descriptor, self._path, data, size=size, sync=self._sync)
        self._size = self._size_looked_at = at + len(line)
        self._modified_looked_at = time.time_ns()  # what was changed later is somebody else's; asking would cost more
        self._prefix, self._torn = b"", False
        if messages:
            self._newest = at
        else:
            self._dead += len(line)
        if self._dead:
            self._compact_if_due(record)

    def compact(self, record: SessionRecord) -> None:
        """Write the file anew, where that sets anything aside, gains space, or mends what marks say of messages."""
        found = scan_file(self._path, self.key, Window(self._descriptor, self._size))
        readable, bad = decoded(found.live)
        times = [known_time(message, entry.created_at) for entry, message in readable]
        anew = self._anew(record, readable, times)
        aside = found.unreadable + found.torn + bad
        if aside or len(anew) < self._size or len(readable) != record.message_count or self._low is not None:
            self._put_in_place(anew, aside)

    def mend(self, floor: RevisionFloor) -> str:
        """Write the file anew by what all of it says, whatever its last line does; says what was done.

        Where nothing in it can be read, all of it is set aside, and there is no session any more.
        """
        window = Window(self._descriptor, self._size)
        found = scan_file(self._path, self.key, window)
        if not found.standing.exists:
            self.record = None  # of an earlier look: what is written there may tell of a higher revision
            self._raise_floor(floor)
            if self._size:
                files.set_aside(self._path, window.everything())
            files.remove_session(self._path, sync=self._sync, keep_aside=True)
            self.close()
            return "set aside: there is no session in it" if self._size else "removed: there is nothing in it"
        record = found.standing.record(lambda: files.modified(self._descriptor))
        readable, bad = decoded(found.live)
        times = mended_times(readable)
        said = [entry.created_at is not None for entry, _ in readable]
        known = [time for time, ours in zip(times, said, strict=True) if ours and time is not None]
        record.last_activity = max([record.last_activity, record.created_at, *known])
        self._put_in_place(self._anew(record, readable, times), found.unreadable + found.torn + bad)
        return "written anew, with right counts; what could not be read is set aside"

    def _anew(
        self, record: SessionRecord, readable: Sequence[tuple[Entry, ChatMessage]], times: Sequence[int | None]
    ) -> bytes:
        if record.revision > LARGEST:
            self._refuse(record.revision)
        messages = ((entry.raw, message, time) for (entry, message), time in zip(readable, times, strict=True))
        return content(self.key, record, messages)

    def _put_in_place(self, anew: bytes, aside: list[tuple[int, bytes]]) -> None:
        files.replace(self._path, anew, aside=b"".join(raw + b"\n" for _, raw in sorted(aside)), sync=self._sync)
        self.close()

    def _compact_if_due(self, record: SessionRecord) -> None:
        if is_due(self._dead, self._size) and self._dead >= 2 * self._dead_when_tried:
            self._dead_when_tried = self._dead
            with suppress(SessionKitError, OSError, MemoryError):  # the record is written, whatever is in the way
                self.compact(record)

    def restore(self, record: SessionRecord, messages: Iterable[tuple[bytes, ChatMessage, int]]) -> None:
        """Make the file that of a whole session."""
        files.replace(self._path, content(self.key, record, messages), sync=self._sync)
        self.close()

    def delete(self, floor: RevisionFloor) -> None:
        """Remove the file and what was set aside beside it; needs no `look`, so that a damaged file can go too."""
        self._raise_floor(floor)
        files.remove_session(self._path, sync=self._sync)
        self.close()

    def _raise_floor(self, floor: RevisionFloor) -> None:
        if self.record is None:
            claimed = map(int, _REVISION.findall(Window(self._descriptor, self._size).everything()))
            revision = max(filter(is_believable, claimed), default=0)
        else:
            revision = self.record.revision
        if revision:
            floor.raise_to(revision, self._since)

    def _sync_what_is_there(self) -> None:
        """Wait for what somebody else wrote, and for the file's name: they may not have, or may have died before."""
        with files.OSErrors(self._path):
            if self._size:
                os.fsync(self._descriptor)
            files.sync_folder(self._path)
        self._surely_there = True

    def _keep_low(self, count: int, left: int) -> None:
        """With the next line there are so many messages, of which `left` stood before."""
        if (count < self._count or left < self._count - 1) and (self._low is None or left < self._low):
            self._low = left

    def _refuse(self, count: int) -> NoReturn:
        """To write a mark that could not be read again; only a damaged one leads there."""
        msg = f"{self._path} counts to {count}: its last lines are damaged; mend them, or try compact()"
        raise CorruptSessionError(msg, session_key=self.key, where=self._path)

    def _newest_message(self, count: int) -> tuple[Entry, ChatMessage]:
        window = Window(self._descriptor, self._size)
        try:
            for entry in newest_first(window, self._newest, count):
                return entry, decode_message(entry.raw)
        except (BrokenChainError, InvalidMessageError, UnknownVersionError):
            pass  # the whole file tells what there is, or what is wrong
        found = scan_file(self._path, self.key, window)
        readable, _ = decoded(entry for entry in found.live if entry.ordinal < count)
        if not readable:
            msg = f"none of the messages in {self._path} can be read; compact() sets them aside"
            raise CorruptSessionError(msg, session_key=self.key, where=self._path)
        return readable[-1]
