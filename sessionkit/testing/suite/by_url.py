"""The suite for whatever a URL opens."""

from typing import Any
from uuid import uuid4

import pytest

from sessionkit import BackendURL, BackendURLError, CoreBackend, OpenBackend, open_backend
from sessionkit.testing.suite import SessionBackendSuite

PLACE = "{store}"
"""What stands in a URL for the fresh name of a store."""


class URLBackendSuite(SessionBackendSuite):
    """The suite for a URL: set `url`, with ``{store}`` where the name of a store stands.

    At each call of `make_backend` a fresh name takes the place of ``{store}``. Stores are not removed afterwards: give
    a folder or a server that is.

    Without ``{store}`` only a URL that names no place at all is accepted, such as ``memory://``, and nothing outlives
    such a backend. A scheme may open a place of its own for it all the same, as a bare ``postgresql://`` opens whatever
    the environment names. Only the sessions that are there already tell: a store that lists any is refused before
    anything is written, an empty one is used.
    """

    url: str
    """Such as ``sqlite:////tmp/stores/{store}.db``."""

    def make_backend(self) -> OpenBackend:
        """A store of a fresh name. A URL that is refused, or a store that holds sessions, ends the run."""
        try:
            url = fresh_url(self.url)
            return self._remember(url, open_fresh(url))
        except BackendURLError as error:
            pytest.exit(str(error), returncode=2)

    def reopen(self, backend: Any) -> CoreBackend | None:
        """The same URL once more."""
        url = self.address(backend)
        return None if url is None else self._remember(url, open_backend(url))

    def address(self, backend: Any) -> str | None:
        """The URL, where it names a place."""
        return next(url for opened, url in self._urls if opened is backend) if PLACE in self.url else None

    def read_only(self, backend: Any) -> CoreBackend | None:
        """The same URL with ``mode=ro``, where the scheme has that option."""
        url = self.address(backend)
        if url is None:
            return None
        try:
            return open_backend(f"{url}{'&' if '?' in url else '?'}mode=ro")
        except BackendURLError:
            return None

    def _remember(self, url: str, backend: OpenBackend) -> OpenBackend:
        self._urls.append((backend, url))
        return backend

    @property
    def _urls(self) -> list[tuple[object, str]]:
        urls: list[tuple[object, str]] = self.__dict__.setdefault("_opened", [])
        return urls


def fresh_url(url: str) -> str:
    """The URL with a fresh name in it.

    Raises:
        BackendURLError: it is no URL, or could reach sessions that exist.
    """
    fresh = url.replace(PLACE, f"sessionkit_{uuid4().hex}")
    parsed = BackendURL.parse(fresh)
    if fresh == url and any((parsed.host, parsed.port, parsed.username, parsed.path, parsed.query)):
        msg = f"{parsed} names a place that may hold sessions; put {PLACE} into the URL, for a fresh name per test"
        raise BackendURLError(msg)
    return fresh


def open_fresh(url: str) -> OpenBackend:
    """Open a store that must be empty, or nothing of it is ours to change.

    Raises:
        BackendURLError: it holds sessions.
    """
    backend = open_backend(url)
    if backend.list_sessions():
        backend.close()
        msg = f"{BackendURL.parse(url)} holds sessions; the suite writes to empty stores only"
        raise BackendURLError(msg)
    return backend
