"""Sessions in memory, private to one object: for tests, throw-away agents, and the short model of every other backend.

Messages are kept encoded, so that what is stored shares nothing with the caller and is refused where any other
backend would refuse it. One lock guards everything.
"""

from sessionkit_memory.backend import MemoryBackend, open_url

__all__ = ["MemoryBackend", "open_url"]
