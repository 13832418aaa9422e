"""The in-memory backend keeps the contract."""

from sessionkit.testing import SessionBackendSuite
from sessionkit_memory import MemoryBackend


class TestMemory(SessionBackendSuite):
    """The conformance suite."""

    def make_backend(self) -> MemoryBackend:
        """A new store at each call."""
        return MemoryBackend()
