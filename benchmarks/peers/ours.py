"""sessionkit, through the same adapter as its peers: with SQLite and with JSONL, each with and without a sync."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.peer import Peer
from sessionkit import ChatMessage, OpenBackend, SessionMetadata, SessionQuery, extend, open_backend


class Ours(Peer):
    """One of our stores on disk.

    Attributes:
        scheme: of its URL.
        options: what stands in the URL's query.
    """

    scheme: ClassVar[str]
    options: ClassVar[str] = ""

    _backend: OpenBackend

    def convert(self, message: ChatMessage) -> ChatMessage:
        """It takes our messages."""
        return message

    def text(self, stored: ChatMessage) -> str:
        """As our search sees it."""
        return stored.text

    async def open(self, folder: Path) -> None:
        """Open the store by its URL."""
        self._backend = open_backend(f"{self.scheme}:///{folder / self.scheme}{self.options}")

    async def append(self, key: str, message: ChatMessage) -> None:
        """`append`."""
        self._backend.append(key, message)

    async def extend(self, key: str, messages: Sequence[ChatMessage]) -> None:
        """`sessionkit.extend`: all or none."""
        extend(self._backend, key, messages)

    async def load(self, key: str) -> Sequence[ChatMessage]:
        """`load`."""
        return self._backend.load(key)

    async def last(self, key: str, count: int) -> Sequence[ChatMessage]:
        """`load_with_timestamps`, whose messages are taken out as a caller would."""
        return [found.message for found in self._backend.load_with_timestamps(key, last=count)]

    async def replace_last(self, key: str, message: ChatMessage) -> None:
        """`update_last`."""
        self._backend.update_last(key, message)

    async def remove_last(self, key: str) -> None:
        """`remove_last`."""
        self._backend.remove_last(key)

    async def list_sessions(self) -> Sequence[str]:
        """`list_sessions`."""
        return self._backend.list_sessions()

    async def page(self, count: int) -> Sequence[SessionMetadata]:
        """`search` without a keyword."""
        return self._backend.search(SessionQuery(limit=count))

    async def search(self, word: str) -> Sequence[str]:
        """`search`."""
        return [found.key for found in self._backend.search(SessionQuery(word, limit=20))]

    async def close(self) -> None:
        """`close`."""
        self._backend.close()


class SQLite(Ours):
    """SQLite as it comes: WAL, `synchronous=NORMAL`."""

    name = "sessionkit-sqlite"
    syncs = False
    modules = ("sessionkit", "sessionkit_sqlite")
    scheme = "sqlite"


class SQLiteFull(Ours):
    """SQLite that waits for the disk."""

    name = "sessionkit-sqlite-full"
    syncs = True
    modules = ("sessionkit", "sessionkit_sqlite")
    scheme = "sqlite"
    options = "?synchronous=full"


class JSONL(Ours):
    """JSONL as it comes."""

    name = "sessionkit-jsonl"
    syncs = False
    modules = ("sessionkit", "sessionkit_jsonl")
    scheme = "jsonl"


class JSONLSync(Ours):
    """JSONL that waits for the disk."""

    name = "sessionkit-jsonl-fsync"
    syncs = True
    modules = ("sessionkit", "sessionkit_jsonl")
    scheme = "jsonl"
    options = "?fsync=true"


PEERS = (SQLite, SQLiteFull, JSONL, JSONLSync)
