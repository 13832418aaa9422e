"""The oldest messages: others than those, more than those, as they once were, or with other times."""

import attrs

from sessionkit import ChatMessage, TimestampedMessage
from sessionkit.clock import now, to_datetime
from tests.mutants.declared import Memory, caught_by


@caught_by("first.oldest")
class FirstIsLast(Memory):
    """`load_first` gives the newest messages."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        super().load_first(session_key, count)
        return super().load_with_timestamps(session_key, last=count)


@caught_by("first.oldest")
class FirstIsOneTooMany(Memory):
    """The beginning is off by one."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        return super().load_first(session_key, count + (count > 0))


@caught_by("first.oldest")
class FirstTakesZeroForAll(Memory):
    """`LIMIT 0` was left out, so that none asked for is all."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found = super().load_first(session_key, count)
        return found if count else self.load_with_timestamps(session_key)


@caught_by("first.oldest")
class FirstIsTurnedRound(Memory):
    """The oldest messages are given as the newest were read: turned round."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        return super().load_first(session_key, count)[::-1]


@caught_by("first.oldest")
class FirstReadsOneBlock(Memory):
    """What doesn't stand in the first block of the session's storage is not read."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found: list[TimestampedMessage] = []
        size = 0
        for stored in super().load_first(session_key, count):
            size += len(str(stored.message.content))
            if size > 8192:
                break
            found.append(stored)
        return found


@caught_by("first.no-more-than-there-are", raises=(OverflowError,))
class FirstOverflows(Memory):
    """The count goes to the driver as it comes, which takes no integer of more than 63 bits."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        if count >= 2**63:
            msg = "Python int too large to convert to SQLite INTEGER"
            raise OverflowError(msg)
        return super().load_first(session_key, count)


@caught_by("first.unknown", "reading.creates-nothing")
class FirstCreatesTheSession(Memory):
    """To ask for the first messages of an unknown session creates it."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found = super().load_first(session_key, count)
        self.record(session_key)
        return found


class _Remembers(Memory):
    """Keeps what `load_first` once gave, by session, for as long as nothing that it knows of has changed it."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, list[TimestampedMessage]] = {}

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found = super().load_first(session_key, count)
        known = self.first.get(session_key, [])
        if len(known) < len(found):
            known = self.first[session_key] = found
        return known[:count]


@caught_by("first.after-removal")
class FirstNeverGoes(_Remembers):
    """The first messages are thought to stand for ever: those that were removed are still given."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        self.first.pop(session_key, None)
        return super().update_last(session_key, message)


@caught_by("first.after-replacement")
class FirstNeverChanges(_Remembers):
    """Only a removal makes the first messages others: one that was replaced is given as it was."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        if len(self.load(session_key)) < len(self.first.get(session_key, [])):
            del self.first[session_key]
        return super().load_first(session_key, count)


@caught_by("first.times")
class FirstStampsWhenRead(Memory):
    """`created_at` is when the first messages were read."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        moment = to_datetime(now())
        return [attrs.evolve(stored, created_at=moment) for stored in super().load_first(session_key, count)]


@caught_by("first.times")
class FirstStampsTheReplacement(Memory):
    """`load_first` takes the time of a message from the row that replaced it."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: dict[str, int] = {}

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        replaced = super().update_last(session_key, message)
        self.replaced[str(message.content)] = now()
        return replaced

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        return [
            attrs.evolve(stored, created_at=to_datetime(self.replaced[text]))
            if (text := str(stored.message.content)) in self.replaced
            else stored
            for stored in super().load_first(session_key, count)
        ]


@caught_by("first.shares-nothing")
class FirstIsShared(Memory):
    """What `load_first` gave is given again until the session changes, with what the caller has made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[tuple[str, int | None, int], list[TimestampedMessage]] = {}

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found = super().load_first(session_key, count)
        metadata = self.get_session_metadata(session_key)
        revision = None if metadata is None else metadata.revision
        return self.given.setdefault((session_key, revision, count), found)


@caught_by("arguments.first")
class TakesNegativeFirst(Memory):
    """A negative count gives all messages but the newest."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        if isinstance(count, int) and count < 0:
            return self.load_with_timestamps(session_key)[:count]
        return super().load_first(session_key, count)


@caught_by("arguments.types")
class TakesTrueForOne(Memory):
    """True is counted as one message."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        return super().load_first(session_key, int(count) if isinstance(count, bool) else count)


@caught_by("threads.batches")
class FirstIsReadOneByOne(Memory):
    """The first messages are read one by one, each at a moment of its own."""

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        found = super().load_first(session_key, count)
        for i in range(len(found)):
            found[i : i + 1] = super().load_first(session_key, i + 1)[i:]
        return found
