"""Messages out of order, lost, or shared with the caller."""

from contextlib import suppress

from sessionkit import ChatMessage, InvalidMessageError, check_session_key, decode_message
from tests.mutants.declared import Memory, caught_by


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


@caught_by("messages.large")
class LimitsLines(Memory):
    """A line longer than the buffer of 64 KiB is cut there."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        if len(self._encoded(message)) > 2**20 and isinstance(message.content, str):
            message = ChatMessage(message.role, message.content[: 2**16])
        super().append(session_key, message)
