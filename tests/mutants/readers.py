"""What is two steps where it must be one, for threads that read meanwhile; each waits between them."""

from collections.abc import Iterable
from typing import Unpack

import attrs

from sessionkit import ChatMessage, SessionMetadata, SessionQuery, TimestampedMessage
from tests.mutants.declared import Change, Memory, TwoStepUpdates, caught_by
from tests.mutants.slow import SlowMemory, pause


@caught_by("threads.updates")
class UpdatesInTwoSteps(TwoStepUpdates, Memory):
    """The old message is removed and the new one added; a reader between sees neither."""


@caught_by("threads.readers-see-a-prefix")
class ReadsFromALaggingReplica(SlowMemory):
    """Every second read goes to a replica, which lacks the newest messages."""

    reads = 0

    def load(self, session_key: str, /) -> list[ChatMessage]:
        messages = super().load(session_key)
        self.reads += 1
        return messages[:-2] if self.reads % 2 and len(messages) > 2 else messages


@caught_by("threads.lists", raises=(RuntimeError,))
class ListsWithoutTheLock(SlowMemory):
    """The sessions are listed while others come and go: `dictionary changed size during iteration`."""

    def list_sessions(self) -> list[str]:
        self._check_open()
        listed: list[str] = []
        for key in self._sessions:
            pause()
            listed.append(key)
        return listed


@caught_by("threads.lists")
class ListsPageByPage(SlowMemory):
    """The list is read in pages of two: where a session goes meanwhile, another one is skipped."""

    def list_sessions(self) -> list[str]:
        listed: list[str] = []
        while page := super().list_sessions()[len(listed) : len(listed) + 2]:
            listed += page
            pause()
        return listed


@caught_by("threads.search-one-moment")
class SearchesInTwoSteps(SlowMemory):
    """`search` reads the metadata at one moment and the messages at the next, which need not go together."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        listed = self.list_sessions_with_metadata()
        pause()
        texts = {found.key: [message.text for message in self.load(found.key)] for found in listed}
        return query.page(found for found in listed if query.matches(found, texts[found.key]))


@caught_by("threads.batches")
class WritesInTwoSteps(Memory):
    """`write` drops first and appends afterwards; a reader between sees neither the old nor the new."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        added = [message for message in change.pop("append", ()) if self._encoded(message)]
        revision = super().write(session_key, **change)
        pause()
        return super().write(session_key, append=added) if added else revision


@caught_by("threads.clear-at-once")
class ClearsOneByOne(Memory):
    """`clear_messages` removes message by message; a reader sees some of them."""

    def clear_messages(self, session_key: str, /) -> int:
        removed = 0
        while self.remove_last(session_key):
            removed += 1
            pause()
        return removed


@caught_by("threads.batches")
class TailsByPosition(SlowMemory):
    """The newest are read by their positions, from a length of the moment before."""

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        stored = super().load_with_timestamps(session_key)
        if last is None:
            return stored
        newest = super().load_with_timestamps(session_key, last=last)  # which refuses what is no number of messages
        pause()
        positions = slice(len(stored) - len(newest), len(stored))
        return super().load_with_timestamps(session_key)[positions]


@caught_by("threads.clear-at-once")
class ClearsWhatItCounted(Memory):
    """The messages are counted first and removed afterwards: two threads count the same ones."""

    def clear_messages(self, session_key: str, /) -> int:
        count = len(self.load(session_key))
        pause()
        super().clear_messages(session_key)
        return count


@caught_by("threads.delete-at-once")
class DeletesOneByOne(Memory):
    """`delete_session` removes message by message; a reader sees some of them."""

    def delete_session(self, session_key: str, /) -> bool:
        while self.remove_last(session_key):
            pause()
        return super().delete_session(session_key)


@caught_by("threads.delete-at-once")
class DeletesWhatWasThere(Memory):
    """Whether the session exists is looked up first: two threads are told that they have deleted it."""

    def delete_session(self, session_key: str, /) -> bool:
        existed = self._found(session_key) is not None
        pause()
        super().delete_session(session_key)
        return existed


@caught_by("threads.restore-at-once")
class RestoresOneByOne(Memory):
    """`restore` writes the session first, and then message by message; a reader sees some of them."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        session = self._found_or_new(session_key)
        restored, session.messages = session.messages, []
        for message in restored:
            pause()
            session.messages.append(message)


@caught_by("threads.restore-at-once")
class RestoresWhatWasNotThere(Memory):
    """Whether the key exists is looked up first: the second of two threads restores over the first."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        missing = self._found(session_key) is None
        pause()
        if missing:
            self.delete_session(session_key)
        super().restore(session_key, messages, metadata)


@caught_by("threads.lists")
class ListsCountsLater(SlowMemory):
    """The list reads how many messages there are, and then how many of them are turns."""

    def list_sessions_with_metadata(self) -> list[SessionMetadata]:
        listed = super().list_sessions_with_metadata()
        pause()
        turns = {later.key: later.turn_count for later in super().list_sessions_with_metadata()}
        return [attrs.evolve(each, turn_count=turns.get(each.key, each.turn_count)) for each in listed]
