"""What goes wrong with stores on disk, done to ours on purpose: the hooks that need to know their files."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sessionkit import BackendURL, OpenBackend, open_backend
from sessionkit.locks import acquire, release
from sessionkit.testing import URLBackendSuite
from sessionkit_jsonl.names import file_name

IMPATIENCE = 0.05
"""How many seconds to wait for a lock that is never let go of."""


_CUT = '{"role": "us'


class Trouble(ABC):
    """What can be done to the store at a path."""

    patience: ClassVar[str]
    """The option that says how long to wait for a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def lock(self, session_key: str) -> AbstractContextManager[None]:
        """Hold what a writer to the session must wait for."""

    @abstractmethod
    def corrupt(self, session_key: str) -> Callable[[], bool]:
        """Damage the record of the second message; gives whether what it has become is still there."""

    @abstractmethod
    def wreck(self) -> None:
        """Put rubbish in the place of the store."""


class JSONLTrouble(Trouble):
    """A folder of files."""

    patience = "lock_timeout"

    @contextmanager
    def lock(self, session_key: str) -> Generator[None]:
        """Lock the session's file."""
        with (self.path / file_name(session_key)).open("r+b") as file:
            acquire(file.fileno(), timeout=1)
            yield
            release(file.fileno())

    def corrupt(self, session_key: str) -> Callable[[], bool]:
        """Overwrite the start of a line, and lose its end."""
        file = self.path / file_name(session_key)
        lines = file.read_bytes().splitlines(keepends=True)
        damaged = lines[2] = b"#" + lines[2][1:-6] + b"\n"
        file.write_bytes(b"".join(lines))
        return lambda: any(damaged in each.read_bytes() for each in self.path.iterdir())

    def wreck(self) -> None:
        """Put a file where the folder was."""
        self.path.rename(self.path.with_name(f"{self.path.name}-away"))
        self.path.write_bytes(b"rubbish")


class SQLiteTrouble(Trouble):
    """A database."""

    patience = "busy_timeout"

    @contextmanager
    def lock(self, session_key: str) -> Generator[None]:
        """Be in the middle of a transaction."""
        del session_key
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def corrupt(self, session_key: str) -> Callable[[], bool]:
        """Cut a message's JSON short."""
        ids = "SELECT m.id FROM sessions JOIN messages AS m ON m.id >> 32 = number WHERE key = ? ORDER BY m.id"
        second = self._execute(ids, session_key)[1]
        self._execute("UPDATE messages SET message = ? WHERE id = ?", _CUT, *second)
        everywhere = "SELECT message FROM messages UNION ALL SELECT message FROM corrupt_messages"
        return lambda: (_CUT,) in self._execute(everywhere)

    def wreck(self) -> None:
        """Overwrite every file of it."""
        for file in self.path.parent.glob(f"{self.path.name}*"):
            if not file.name.endswith("-shm"):  # other connections have it in memory
                file.write_bytes(b"rubbish " * (file.stat().st_size // 8))

    def _execute(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()


class TroubledSuite(URLBackendSuite):
    """The suite on a URL, with the hooks that make trouble for what it opens."""

    trouble: Callable[[Path], Trouble]

    def hold_lock(self, backend: Any, session_key: str) -> AbstractContextManager[OpenBackend]:
        """Opened before it is locked."""
        return self._held(backend, session_key)

    def corrupt(self, backend: Any, session_key: str) -> Callable[[], bool]:
        """As `Trouble.corrupt`."""
        return self._of(backend).corrupt(session_key)

    def wreck(self, backend: Any) -> bool:
        """As `Trouble.wreck`."""
        self._of(backend).wreck()
        return True

    @contextmanager
    def _held(self, backend: Any, session_key: str) -> Generator[OpenBackend]:
        trouble = self._of(backend)
        waiting = open_backend(self.address(backend), **{trouble.patience: IMPATIENCE})
        with trouble.lock(session_key):
            yield waiting

    def _of(self, backend: Any) -> Trouble:
        return type(self).trouble(Path(BackendURL.parse(self.address(backend) or "").path))
