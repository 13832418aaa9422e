"""The conformance suite: proves that a backend keeps the contract.

Subclass `SessionBackendSuite`, write one method, and let pytest run it::

    from sessionkit.testing import SessionBackendSuite

    class TestMyBackend(SessionBackendSuite):
        def make_backend(self):
            return MyBackend()          # fresh and empty at each call

Each test checks one promise of the contract and has a stable id, such as ``append.keeps-order``. Its docstring says
what is required, and after "If this fails" what to look at first.

Hooks: ``make_backend`` must be written, each of the others brings the promises that need it.

- ``make_backend(self)`` gives a fresh, empty backend at each call: any object with the four required methods.
- ``dispose(self, backend)`` gives back what another hook gave. It calls ``close``, if there is one.
- ``settle(self)`` waits until lists and searches show what was written, for a store that answers late.
- ``reopen(self, backend)`` opens the store of a backend anew; the backend was closed, if it can be. For what outlives
  the object.
- ``address(self, backend)`` gives a URL with which another process opens the store by `sessionkit.open_backend`, so its
  scheme must be built in or an installed entry point. For other processes, forks, kills and, if there is a password in
  it, secrets.
- ``read_only(self, backend)`` opens the store so that it can only be read.
- ``hold_lock(self, backend, session_key)`` gives a context manager within which somebody else holds the lock, and which
  gives the store opened so as to wait for it very shortly.
- ``corrupt(self, backend, session_key)`` damages the stored record of a message, and gives a function that tells
  whether what it has become is still in the store.
- ``wreck(self, backend)`` makes the store unusable.

What can be set, as attributes of the class:

- ``examples``: how many cases Hypothesis tries of each property.
- ``clock``: the finest difference of time that the store tells apart, in seconds.
- ``appends``: how many messages each concurrent writer appends.
- ``kills``: how often a writing process is killed. Each takes about half a second; where your pytest ends long tests,
  mark the class to allow for it.

`URLBackendSuite` has the hooks written for whatever a URL opens, except those that must know how the store keeps its
data: ``hold_lock``, ``corrupt`` and ``wreck``. Without a test file, ``python -m sessionkit.testing URL`` runs it and
prints a report, with ``--json`` for machines.

Grades: a promise is one of

- **kept**;
- **broken**;
- kept by **a default** that works, where the backend left one of its methods to `sessionkit.SessionBackend`;
- **not offered**, neither a pass nor a failure, where `sessionkit.capabilities` declares that the backend can't, or a
  hook is missing.

What is declared must hold: to offer in silence what does nothing is broken, and so is doing what was declared
unsupported. Some of the contract no test can ask of every store, above all what a call costs and what survives a power
cut; the report names it as not covered.

A subclass can't replace a test of the suite, unless it marks its own ``pytest.mark.xfail(reason=...)``; the report then
says broken. `run_promise` checks one promise without pytest.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

for _needed in ("hypothesis", "pytest"):
    if find_spec(_needed) is None:
        msg = f"the suite needs {_needed}; install it with: pip install 'sessionkit[testing]'"
        raise ImportError(msg, name=__name__)  # of this name, so that ``python -m`` prints one line

if TYPE_CHECKING:  # imported when the first of them is asked for: `sessionkit.testing.torture` starts without
    from sessionkit.testing.suite import (
        Grade,
        Promise,
        SessionBackendSuite,
        promise,
        promise_of,
        promises_of,
    )
    from sessionkit.testing.suite.by_url import URLBackendSuite

__all__ = [
    "Grade",
    "Promise",
    "SessionBackendSuite",
    "URLBackendSuite",
    "promise",
    "promise_of",
    "promises_of",
    "run_promise",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "sessionkit.testing.suite.by_url" if name == "URLBackendSuite" else "sessionkit.testing.suite"
    return getattr(import_module(place), name)


def run_promise(suite: "SessionBackendSuite", promise_id: str) -> "Grade":
    """Check one promise in this process; what breaks it is raised.

    Returns:
        `Grade.KEPT`, `Grade.DEFAULT` or `Grade.NOT_OFFERED`.

    Raises:
        KeyError: no test of the suite has that id.
        AssertionError: the promise is broken; so it is by whatever else the backend raises.
    """
    import pytest  # noqa: PLC0415 -- with the suite, which the caller has imported

    from sessionkit.testing.suite import Grade, promises_of  # noqa: PLC0415 -- likewise

    kept = promises_of(type(suite))[promise_id]
    try:
        with suite.graded(kept) as (backend, grade):
            getattr(suite, kept.test)(backend)
            return grade
    except pytest.skip.Exception:
        return Grade.NOT_OFFERED
