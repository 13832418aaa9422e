"""The stores on disk that are measured, and filling them. A further store is one more line."""

from pathlib import Path

import attrs

from benchmarks.measure import Run
from sessionkit import OpenBackend, open_backend


@attrs.frozen
class Store:
    """A store: its URL's scheme, which is also the name that its rows begin with."""

    name: str

    def url(self, folder: Path) -> str:
        """What opens it, in that folder, from any process."""
        return f"{self.name}:///{folder / self.name}"

    def open(self, folder: Path) -> OpenBackend:
        """The store in that folder; the same one each time."""
        return open_backend(self.url(folder))


SQLITE = Store("sqlite")
JSONL = Store("jsonl")
ON_DISK = (SQLITE, JSONL)

SHALLOW = 100
"""How many messages a short session has."""


def fill(backend: OpenBackend, run: Run, key: str, start: int, stop: int) -> None:
    """Append the messages from `start` up to `stop`."""
    messages = run.corpus.messages
    for number in range(start, stop):
        backend.append(key, messages[number % len(messages)])
