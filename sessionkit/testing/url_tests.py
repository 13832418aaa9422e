"""What ``python -m sessionkit.testing`` has pytest collect."""

from sessionkit.testing.suite.by_url import URLBackendSuite


class TestBackend(URLBackendSuite):
    """The suite on the URL that `sessionkit.testing.plugin` was given."""
