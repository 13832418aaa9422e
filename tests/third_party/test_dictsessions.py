"""The whole test of a third party's backend: every promise of sessionkit's contract that it makes."""

from dictsessions import DictBackend

from sessionkit.testing import SessionBackendSuite


class TestDictBackend(SessionBackendSuite):
    """The suite, on a fresh backend for each test."""

    def make_backend(self) -> DictBackend:
        """The one method that an author writes."""
        return DictBackend()
