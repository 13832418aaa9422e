"""A search index that is behind what it indexes."""

from collections.abc import Iterable, Iterator
from typing import Unpack

from sessionkit import ChatMessage, SessionMetadata, SessionQuery, TimestampedMessage, check_session_key
from tests.mutants.declared import Change, Memory, caught_by


class _Indexed(Memory):
    """Searches what it noted of each message, and not the messages; whoever forgets to note is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.index: dict[str, list[str]] = {}

    def entries(self, session_key: str) -> list[str]:
        """What is noted of a session."""
        check_session_key(session_key)
        return self.index.get(session_key, [])

    def reindex(self, session_key: str) -> None:
        """Bring the entries of a session up to date."""
        self.index[session_key] = [message.text for message in self.load(session_key)]

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.reindex(session_key)

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        updated = super().update_last(session_key, message)
        self.reindex(session_key)
        return updated

    def remove_last(self, session_key: str, /) -> bool:
        removed = super().remove_last(session_key)
        self.reindex(session_key)
        return removed

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        self.reindex(session_key)
        return removed

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        revision = super().write(session_key, **change)
        self.reindex(session_key)
        return revision

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.reindex(session_key)

    def delete_session(self, session_key: str, /) -> bool:
        deleted = super().delete_session(session_key)
        self.index.pop(session_key, None)
        return deleted

    def _texts(self, session_key: str) -> Iterator[str]:
        yield from self.index.get(session_key, ())


@caught_by("search.after-update_last")
class UpdateLeavesTheIndex(_Indexed):
    """A replaced message is still found by its old text."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.entries(session_key)[-1:]
        updated = super().update_last(session_key, message)
        self.index[session_key] += before
        return updated


@caught_by("search.after-update_last")
class UpdateIsNotIndexed(_Indexed):
    """A streaming answer is found by its first piece only."""

    def update_last(self, session_key: str, message: ChatMessage, /) -> bool:
        before = self.entries(session_key)
        updated = super().update_last(session_key, message)
        self.index[session_key] = before
        return updated


@caught_by("search.after-remove_last")
class RemovalLeavesTheIndex(_Indexed):
    """A removed message is still found."""

    def remove_last(self, session_key: str, /) -> bool:
        before = self.entries(session_key)
        removed = super().remove_last(session_key)
        self.index[session_key] = before
        return removed


@caught_by("search.after-clear_messages")
class ClearingLeavesTheIndex(_Indexed):
    """Cleared messages are still found."""

    def clear_messages(self, session_key: str, /) -> int:
        before = self.entries(session_key)
        removed = super().clear_messages(session_key)
        self.index[session_key] = before
        return removed


@caught_by("search.after-delete_session")
class DeletionLeavesTheIndex(_Indexed):
    """A deleted session's entries come back with the next session of that key."""

    def delete_session(self, session_key: str, /) -> bool:
        before = self.entries(session_key)
        deleted = super().delete_session(session_key)
        self.index[session_key] = before
        return deleted

    def reindex(self, session_key: str) -> None:
        before = self.entries(session_key)
        super().reindex(session_key)
        self.index[session_key] += [text for text in before if text not in self.index[session_key]]


@caught_by("search.after-cleanup")
class CleanupLeavesTheIndex(_Indexed):
    """What is cleaned up leaves its entries behind, which come back with the next session of that key."""

    def cleanup_stale(self, ttl_hours: float, /) -> int:
        before = dict(self.index)
        deleted = super().cleanup_stale(ttl_hours)
        self.index = before
        return deleted

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        before = self.entries(session_key)
        super().append(session_key, message)
        self.index[session_key] = [*before, message.text]


@caught_by("search.after-delete_session")
class FindsDeletedSessions(Memory):
    """The index names sessions that are no more, and search gives what it names."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[tuple[SessionMetadata, list[str]]] = []

    def delete_session(self, session_key: str, /) -> bool:
        if metadata := self.get_session_metadata(session_key):
            self.deleted.append((metadata, list(self._texts(session_key))))
        return super().delete_session(session_key)

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        gone = [metadata for metadata, texts in self.deleted if query.terms and query.matches(metadata, texts)]
        return super().search(query) + gone


@caught_by("search.after-write")
class BatchesAreNotIndexed(_Indexed):
    """What `write` appends is never indexed."""

    def write(self, session_key: str, /, **change: Unpack[Change]) -> int:
        before = self.entries(session_key)
        revision = super().write(session_key, **change)
        self.index[session_key] = before
        return revision


@caught_by("search.after-restore")
class RestoredAreNotIndexed(_Indexed):
    """Restored messages are never indexed."""

    def restore(self, session_key: str, messages: Iterable[TimestampedMessage], metadata: SessionMetadata, /) -> None:
        super().restore(session_key, messages, metadata)
        self.index[session_key] = []


@caught_by("search.after-append")
class IndexesInBatches(_Indexed):
    """A message is found only once the next batch of ten is indexed."""

    def _texts(self, session_key: str) -> Iterator[str]:
        texts = list(super()._texts(session_key))
        yield from texts[: len(texts) // 10 * 10]


@caught_by("search.after-thousands")
class IndexHoldsTheNewest(_Indexed):
    """The index keeps the newest 200 messages of a session."""

    def _texts(self, session_key: str) -> Iterator[str]:
        yield from list(super()._texts(session_key))[-200:]


@caught_by("search.odd-texts")
class IndexesTheBeginning(Memory):
    """Only the first 10,000 characters of a message are searched."""

    def _texts(self, session_key: str) -> Iterator[str]:
        return (text[:10_000] for text in super()._texts(session_key))


@caught_by("search.odd-texts")
class IndexStopsAtNul(Memory):
    """The index reads a text up to its first NUL."""

    def _texts(self, session_key: str) -> Iterator[str]:
        return (text.partition("\0")[0] for text in super()._texts(session_key))
