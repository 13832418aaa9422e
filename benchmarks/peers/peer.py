"""What every contender of the comparison is driven through, and which of the operations it can do.

All of it is awaited, inside one event loop that runs already, so that an asynchronous peer is not charged with starting
a loop at each call. A peer whose calls are synchronous is called directly: that costs it a coroutine that never waits,
less than a tenth of a microsecond, which the floor pays as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from sessionkit import ChatMessage

APPEND, EXTEND, LOAD, LAST, REPLACE, REMOVE, LIST, PAGE, SEARCH = OPERATIONS = (
    "append",
    "extend",
    "load",
    "last",
    "replace_last",
    "remove_last",
    "list_sessions",
    "page",
    "search",
)
"""What is measured: the names of a peer's methods."""


class CannotError(Exception):
    """An operation that a peer's API doesn't offer, and why."""


class Peer(ABC):
    """A store that is compared, through its public API only.

    Four of the operations need not be there: a subclass says in `cannot` why its API doesn't offer one. An operation
    counts as possible where calls of the API give its result, at whatever cost: reading all messages for the
    last 50, or clearing a session and writing it anew. `remarks` says so. Only `extend` is one call by what it is:
    several of them are appends.

    Attributes:
        name: by which the rows are called.
        packages: the distributions that it comes with; it takes part where all are installed.
        modules: where its class is: what a program imports that uses it.
        syncs: whether each append waits for the disk; ``python -m benchmarks.peers.syncs`` counts.
        cannot: the operations that its API doesn't offer, and why.
        remarks: what an operation does that its figure alone doesn't say.
        loses: what of a message the peer's own messages have no field for.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]]
    syncs: ClassVar[bool]
    cannot: ClassVar[Mapping[str, str]] = {}
    remarks: ClassVar[Mapping[str, str]] = {}
    loses: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> list[str]:
        """The distributions that it needs and that aren't installed."""
        return [package for package in cls.packages if not _installed(package)]

    @abstractmethod
    def convert(self, message: ChatMessage) -> Any:
        """The message as the peer takes it; not timed."""

    @abstractmethod
    def text(self, stored: Any) -> str:
        """The searchable text of a message that came back: its content, the names and arguments of its tool calls."""

    def holds(self, stored: Any, word: str) -> bool:
        """Whether a message that came back has the word in its searchable text; the fastest way to look."""
        return word in self.text(stored)

    @abstractmethod
    async def open(self, folder: Path) -> None:
        """Open the store in that folder, or create it."""

    async def attach(self, key: str) -> None:  # noqa: B027 -- most need nothing
        """What a program does once to go on with a session that may be there; not timed."""

    async def prepare(self, key: str, messages: Sequence[Any]) -> None:
        """Put messages behind those of a session by the fastest public way; not timed."""
        if EXTEND not in self.cannot:
            await self.extend(key, messages)
            return
        for message in messages:
            await self.append(key, message)

    @abstractmethod
    async def append(self, key: str, message: Any) -> None:
        """Put a message at the end of a session."""

    async def extend(self, key: str, messages: Sequence[Any]) -> None:  # noqa: ARG002 -- for those who can
        """Put several there with one call."""
        raise CannotError(self.cannot[EXTEND])

    @abstractmethod
    async def load(self, key: str) -> Sequence[Any]:
        """All messages of a session, oldest first."""

    @abstractmethod
    async def last(self, key: str, count: int) -> Sequence[Any]:
        """The newest so many of them, oldest first."""

    @abstractmethod
    async def replace_last(self, key: str, message: Any) -> None:
        """Put a message in the place of the newest one."""

    @abstractmethod
    async def remove_last(self, key: str) -> None:
        """Remove the newest message."""

    async def list_sessions(self) -> Sequence[Any]:
        """Every session once."""
        raise CannotError(self.cannot[LIST])

    async def page(self, count: int) -> Sequence[Any]:  # noqa: ARG002 -- for those who can
        """The so many most recently active sessions."""
        raise CannotError(self.cannot[PAGE])

    async def search(self, word: str) -> Sequence[str]:  # noqa: ARG002 -- for those who can
        """The keys of the sessions with a message that holds the word, at most 20."""
        raise CannotError(self.cannot[SEARCH])

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections."""

    async def scan(self, keys: Sequence[str], word: str) -> list[str]:
        """Search for those who can't: load every session, and look into each of its messages."""
        return [key for key in keys if any(self.holds(stored, word) for stored in await self.load(key))][:20]


def within(word: str, value: Any) -> bool:
    """Whether any string within dicts and lists holds the word."""
    if isinstance(value, str):
        return word in value
    if isinstance(value, dict):
        pairs: dict[str, Any] = value
        return any(within(word, each) for each in pairs.values())
    if isinstance(value, list):
        values: list[Any] = value
        return any(within(word, each) for each in values)
    return False


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
