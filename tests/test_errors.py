"""The tree of errors: what a caller may catch, and what each error tells."""

import pickle

import pytest

import sessionkit
from sessionkit import (
    BackendUnavailableError,
    BackendURLError,
    CorruptSessionError,
    InvalidMessageError,
    InvalidSessionKeyError,
    SessionKitError,
    errors,
)

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_stands_under_the_root_and_is_exported(kind: type[Exception]) -> None:
    """`except SessionKitError` catches all errors, warnings are user warnings, and the docstring draws them."""
    assert issubclass(kind, UserWarning if kind.__name__.endswith("Warning") else SessionKitError)
    assert getattr(sessionkit, kind.__name__) is kind
    assert errors.__doc__
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", [InvalidSessionKeyError, InvalidMessageError, BackendURLError])
def test_what_a_caller_gave_wrong_is_a_value_error_too(kind: type[Exception]) -> None:
    """Code that knows nothing of sessionkit may catch `ValueError`."""
    assert issubclass(kind, ValueError)


def test_an_unavailable_backend_tells_whether_to_try_again() -> None:
    """By default it is no use, and nothing was written."""
    plain = BackendUnavailableError("no")
    assert (plain.retryable, plain.outcome) == (False, "not_applied")
    error = BackendUnavailableError("no", retryable=True, outcome="unknown")
    assert (str(error), error.retryable, error.outcome) == ("no", True, "unknown")


def test_a_corrupt_session_tells_which_and_where() -> None:
    """For a person to look at."""
    error = CorruptSessionError("bad", session_key="a", where="a.jsonl, line 3")
    assert (str(error), error.session_key, error.where) == ("bad", "a", "a.jsonl, line 3")
    assert (CorruptSessionError("bad").session_key, CorruptSessionError("bad").where) == (None, "")


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailableError("no", retryable=True, outcome="unknown"),
        CorruptSessionError("bad", session_key="a", where="b"),
        InvalidMessageError("bad"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error: SessionKitError) -> None:
    """As a worker of a pool sends them to its parent, attributes and all."""
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own pickle
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)
