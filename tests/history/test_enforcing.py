"""Keeping no more than so many sessions: which ones go, and which never do."""

from collections.abc import Callable
from typing import Any

import pytest

from sessionkit import OpenBackend
from sessionkit.history.history import SessionHistory
from sessionkit.history.session import Session
from tests.history.sessions import SAID, keys, watched


@pytest.fixture
def history(backend: OpenBackend) -> SessionHistory:
    """A history in each kind of store."""
    return SessionHistory(backend)


def test_the_oldest_are_deleted(history: SessionHistory) -> None:
    """By their activity, until so many are left."""
    for name in "abcde":
        history.create_session(Session(name))
    history.append_messages("a", [SAID])
    assert history.enforce_max_sessions() == 0
    assert history.enforce_max_sessions(5) == 0
    assert history.enforce_max_sessions(3) == 2
    assert keys(history) == ["a", "e", "d"]
    assert history.enforce_max_sessions(1) == 2
    assert keys(history) == ["a"]


def test_a_running_session_is_never_deleted(history: SessionHistory, backend: OpenBackend) -> None:
    """The next older ones are; where all are running, more are left."""
    for name in "abcd":
        history.create_session(Session(name))
    for name in "ac":
        backend.set_session_state(name, "running", "t")
    history.append_messages("b", [SAID])
    history.append_messages("d", [SAID])
    assert history.enforce_max_sessions(3) == 1
    assert keys(history) == ["d", "c", "a"]
    assert history.enforce_max_sessions(1) == 1
    assert keys(history) == ["c", "a"]
    assert history.enforce_max_sessions(1) == 0


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda backend: backend.set_session_state("a", "running", "t"), id="turn"),
        pytest.param(lambda backend: backend.append("a", SAID), id="message"),
    ],
)
def test_what_comes_alive_just_then_is_spared(meddle: Callable[[Any], None]) -> None:
    """Each is looked at again before it is deleted; the next one goes in its place."""
    backend, history = watched()
    for name in "abc":
        history.create_session(Session(name))
    backend.after["list_sessions_with_metadata"] = lambda: meddle(backend.__wrapped__)
    assert history.enforce_max_sessions(2) == 1
    assert set(keys(history)) == {"a", "c"}


def test_what_others_delete_meanwhile_is_not_made_up_for() -> None:
    """As many as were too many are gone, and those that were deleted here are counted."""
    backend, history = watched()
    for name in "abcd":
        history.create_session(Session(name))
    backend.after["list_sessions_with_metadata"] = lambda: backend.__wrapped__.delete_session("a")
    assert history.enforce_max_sessions(2) == 1
    assert keys(history) == ["d", "c"]


@pytest.mark.parametrize(("most", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_limit_that_is_none(most: Any, kind: type[Exception], history: SessionHistory) -> None:
    """Is refused, and nothing is deleted."""
    history.create_session(Session())
    with pytest.raises(kind, match="max_sessions"):
        history.enforce_max_sessions(most)
    assert history.session_count() == 1
