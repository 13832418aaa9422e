"""What a backend says of itself, and closing."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from sessionkit import (
    BackendClosedError,
    SessionQuery,
    Support,
    UnsupportedFeatureWarning,
    capabilities,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, refuses, texts
from sessionkit.testing.suite.keys import BY_KEY
from sessionkit.testing.suite.promises import promise


def _of_a(call: Callable[[Backend, Any], Any], backend: Backend) -> Any:
    return call(backend, "a")


CALLS: dict[str, Callable[[Backend], Any]] = {
    **{name: partial(_of_a, call) for name, call in BY_KEY.items()},
    "list_sessions": lambda backend: backend.list_sessions(),
    "list_sessions_with_metadata": lambda backend: backend.list_sessions_with_metadata(),
    "cleanup_stale": lambda backend: backend.cleanup_stale(1),
    "search": lambda backend: backend.search(SessionQuery("hello")),
    "list_running_sessions": lambda backend: backend.list_running_sessions(),
    "list_stuck_sessions": lambda backend: backend.list_stuck_sessions(60),
    "SupportsCheck": lambda backend: list(backend.check()),
}
"""A call of each of the 22 methods, and of each optional protocol, on the session "a", by its name.

`sessionkit.testing.suite.keys.BY_KEY` has those with a key, for any key.
"""

_SILENT = frozenset(("get_session_name", "get_session_agent_alias", "get_session_state"))
"""Their defaults answer None without a warning: that nothing is known is an answer."""


class HonestyPromises(SuiteBase):
    """`capabilities`, warnings and `close`."""

    @promise("unsupported.warns")
    def test_what_is_unsupported_warns(self, backend: Backend) -> None:
        """A default never pretends: what the backend declares unsupported warns at each call, naming the class and the
        method.

        If this fails: do not override a method to do nothing; leave it to the default, or do it.
        """
        given = self.given(backend)
        made = type(getattr(given, "__wrapped__", given)).__name__  # opened by URL, it comes wrapped
        for name, support in capabilities(backend).methods.items():
            for _ in range(2):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    CALLS[name](backend)
                said = [str(w.message) for w in caught if issubclass(w.category, UnsupportedFeatureWarning)]
                if support is not Support.UNSUPPORTED:
                    assert said == [], f"{name} is declared {support.value}, and warns"
                elif name not in _SILENT:
                    assert len(said) == 1, f"{name} is declared unsupported, and does not warn at each call"
                    assert name in said[0]
                    assert made in said[0]

    @promise("unsupported.answers-nothing")
    def test_what_is_unsupported_answers_nothing(self, backend: Backend) -> None:
        """What the backend declares unsupported answers as if nothing were known, and changes nothing.

        If this fails: what works must be declared: override the method in the class.
        """
        fill(backend, "a", "one")
        for name, support in capabilities(backend).methods.items():
            if support is not Support.UNSUPPORTED:
                continue
            before = backend.get_session_metadata("a")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnsupportedFeatureWarning)
                assert CALLS[name](backend) == ([] if name.startswith("list_") else None), name
            assert backend.get_session_metadata("a") == before, f"{name} is declared unsupported, and changes something"
        assert texts(backend.load("a")) == ["one"]
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("capabilities.complete")
    def test_capabilities_are_complete(self, backend: Backend) -> None:
        """`capabilities` tells of each of the 18 provided methods, and which optional protocols are there; all of them
        can be called.

        If this fails: a wrapper must pass on what it wraps, no more and no less.
        """
        declared = capabilities(backend)
        assert set(declared.methods) == set(PROVIDED)
        assert declared.protocols <= set(OPTIONAL_PROTOCOLS)
        for name, method in OPTIONAL_PROTOCOLS.items():
            assert callable(getattr(backend, method, None)) is (name in declared.protocols), name
        for name in PROVIDED:
            assert callable(getattr(backend, name)), name

    @promise("capabilities.pairs")
    def test_what_can_be_set_can_be_got(self, backend: Backend) -> None:
        """What the backend offers to set it offers to get: a name, an alias, a state; and a context by its metadata.

        If this fails: a setter that nobody can see the work of may as well do nothing.
        """
        methods = capabilities(backend).methods
        for name in ("session_name", "session_agent_alias", "session_state"):
            setting, getting = methods[f"set_{name}"], methods[f"get_{name}"]
            assert (setting is Support.UNSUPPORTED) is (getting is Support.UNSUPPORTED), name
        if methods["set_session_context"] is not Support.UNSUPPORTED:
            assert methods["get_session_metadata"] is Support.NATIVE

    @promise("close.idempotent", needs=("close",))
    def test_close_twice(self, backend: Backend) -> None:
        """`close` is idempotent.

        If this fails: a second call does nothing.
        """
        fill(backend, "a", "one")
        for _ in range(3):
            backend.close()

    @promise("close.then-error", needs=("close",))
    def test_calls_after_close(self, backend: Backend) -> None:
        """A call of any method after `close` is `BackendClosedError`.

        If this fails: no driver's error, no empty answer, and no opening anew.
        """
        fill(backend, "a", "one")
        backend.close()
        for name, call in CALLS.items():
            if self._is_own(backend, name):
                with refuses(BackendClosedError, f"{name} after close()"):
                    call(backend)

    def _is_own(self, backend: Backend, name: str) -> bool:
        """Whether the backend's own code, or a default that calls it, answers."""
        if name in OPTIONAL_PROTOCOLS:
            return name in capabilities(backend).protocols
        support = capabilities(backend).methods.get(name, Support.NATIVE)
        return support is Support.NATIVE or (support is Support.DEFAULT and name != "compact")
