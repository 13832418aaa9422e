"""Messages out of order, lost, or shared with the caller."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar, Unpack

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    SessionMetadata,
    TimestampedMessage,
    check_session_key,
    decode_message,
)
from tests.mutants.declared import Change, Memory, caught_by

T = TypeVar("T")


@caught_by("append.keeps-order")
class OrdersByText(Memory):
    """Positions are compared as texts, so that 10 comes before 2."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = super().load(session_key)
        return [messages[i] for i in sorted(range(len(messages)), key=str)]


@caught_by("load.unknown-is-empty", "reading.creates-nothing")
class LoadCreates(Memory):
    """Reading goes through get-or-create, so that asking for a session makes one."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        self.record(session_key)
        return super().load(session_key)


@caught_by("append.shares-nothing", "update_last.shares-nothing", "write.shares-nothing", "restore.shares-nothing")
class KeepsCallersObjects(Memory):
    """What is loaded are the very objects that were appended."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[bytes, ChatMessage] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return [self.given[stored.raw] for stored in self._messages(session_key)]

    def _encoded(self, message: ChatMessage) -> bytes:
        raw = super()._encoded(message)
        self.given[raw] = message
        return raw


@caught_by("load.shares-nothing")
class CachesDecodedMessages(Memory):
    """A cache of decoded messages gives the same objects to everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded: dict[bytes, ChatMessage] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        raws = [stored.raw for stored in self._messages(session_key)]
        return [self.decoded.setdefault(raw, decode_message(raw)) for raw in raws]


@caught_by("load.shares-nothing")
class KeepsTheTailDecoded(Memory):
    """The newest messages are kept decoded for the next turn, which gets the same objects."""

    def __init__(self) -> None:
        super().__init__()
        self.tail: dict[object, list[TimestampedMessage]] = {}

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        found = super().load_with_timestamps(session_key, last=last)
        if last and found:
            return list(self.tail.setdefault((session_key, last, self.record(session_key).revision), found))
        return found


@caught_by("load.shares-nothing")
class GivesItsOwnList(Memory):
    """`load` gives the list that the store itself goes on with."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: dict[tuple[str, int], list[ChatMessage]] = {}

    def load(self, session_key: str, /) -> list[ChatMessage]:
        if self._found(session_key) is None:
            return []
        version = session_key, self.record(session_key).revision
        return self.loaded.setdefault(version, super().load(session_key))


@caught_by("append.equal-messages-are-two")
class UpsertsById(Memory):
    """The message's id is a unique column: a second message of that id is ignored."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        self._encoded(message)
        if message.id is None or message.id not in {stored.id for stored in self.load(session_key)}:
            super().append(session_key, message)


@caught_by("append.other-sessions-unchanged")
class MixesNeighbours(Memory):
    """Messages are looked up by a prefix of the key, so that a session also shows another one's."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = super().load(session_key)
        for key in list(self._sessions):
            if key != session_key and key.startswith(session_key[0]):
                messages += super().load(key)
        return messages


@caught_by("append.refuses-not-json")
class SwallowsErrors(Memory):
    """A failed write is logged and forgotten: the caller believes that it is stored."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        with suppress(InvalidMessageError):
            super().append(session_key, message)


@caught_by("append.refuses-not-json")
class CreatesBeforeChecking(Memory):
    """The session's row is written before the message is encoded, and stays when that fails."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        self.record(session_key)
        super().append(session_key, message)


@caught_by("messages.too-large-refused")
class TakesAnySize(Memory):
    """The limit of a message's size is not enforced."""

    def __init__(self) -> None:
        super().__init__(max_message_bytes=2**40)


class _AnySize(Memory):
    """With a way to store messages of any size."""

    def unlimited(self, write: Callable[[], T]) -> T:
        """What it gives, with no limit of a message's size."""
        limit, self._max_message_bytes = self._max_message_bytes, 2**40
        try:
            return write()
        finally:
            self._max_message_bytes = limit


@caught_by("update_last.too-large-refused")
class UpdatesToAnySize(_AnySize):
    """The limit is that of `append`; a streaming answer grows beyond it."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        return self.unlimited(lambda: super(UpdatesToAnySize, self).update_last(session_key, message))


@caught_by("write.too-large-refused")
class WritesAnySize(_AnySize):
    """The limit is that of `append`; a batch has none."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        return self.unlimited(lambda: super(WritesAnySize, self).write(session_key, **change))


@caught_by("restore.too-large-refused")
class RestoresAnySize(_AnySize):
    """The limit is that of `append`; what was stored elsewhere is stored here."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        self.unlimited(lambda: super(RestoresAnySize, self).restore(session_key, messages, metadata))


@caught_by("messages.large")
class LimitsLines(Memory):
    """A line longer than the buffer of 64 KiB is cut there."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        if len(self._encoded(message)) > 2**20 and isinstance(message.content, str):
            message = ChatMessage(message.role, message.content[: 2**16])
        super().append(session_key, message)
