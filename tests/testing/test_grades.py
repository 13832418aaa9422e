"""Grades: honest for a backend that has four methods, and for one that says of itself what is not so."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from sessionkit import ChatMessage, CoreBackend, SessionMetadata
from sessionkit.testing import Grade, SessionBackendSuite, promises_of, run_promise
from tests.toys import KeepingBackend, KeepingDictBackend


def suite_of(kind: type[CoreBackend]) -> SessionBackendSuite:
    """The suite on backends of that class."""

    class Suite(SessionBackendSuite):
        examples = 5

        def make_backend(self) -> CoreBackend:
            return kind()

    return Suite()


@pytest.mark.parametrize("kind", [KeepingDictBackend, KeepingBackend])
def test_four_methods(kind: type[CoreBackend]) -> None:
    """KeepingDictBackend methods keep what they can, defaults do the rest or are not offered, and nothing is broken."""
    suite = suite_of(kind)
    grades = {promise_id: run_promise(suite, promise_id) for promise_id in promises_of(type(suite))}
    assert {
        "append.keeps-order": Grade.KEPT,
        "update_last.replaces-newest": Grade.DEFAULT,
        "update_last.keeps-created-at": Grade.NOT_OFFERED,
        "search.word": Grade.DEFAULT,
        "delete.forgets-messages": Grade.DEFAULT,
        "delete.forgets-session": Grade.NOT_OFFERED,
        "name.set-and-get": Grade.NOT_OFFERED,
        "list.most-recent-first": Grade.NOT_OFFERED,
        "write.one-change": Grade.NOT_OFFERED,
        "reopen.messages": Grade.NOT_OFFERED,
        "processes.one-session": Grade.NOT_OFFERED,
        "unsupported.warns": Grade.KEPT,
        "model.agrees": Grade.KEPT,
    }.items() <= grades.items()
    assert min(Counter(grades.values())[grade] for grade in (Grade.KEPT, Grade.DEFAULT, Grade.NOT_OFFERED)) > 20


def test_a_native_method_that_does_nothing_is_broken() -> None:
    """To override a method is to offer it: one that does nothing is broken, not "not offered"."""

    class Silent(KeepingBackend):
        def set_session_name(self, session_key: str, name: str, /) -> None:
            """Do nothing."""

    class Forgetful(Silent):
        def get_session_name(self, session_key: str, /) -> str | None:
            """Know the names that are keys."""
            return session_key if session_key in self.sessions else None

    with pytest.raises(AssertionError, match="session_name"):
        run_promise(suite_of(Silent), "capabilities.pairs")
    assert run_promise(suite_of(Forgetful), "capabilities.pairs") is Grade.KEPT
    with pytest.raises(AssertionError):
        run_promise(suite_of(Forgetful), "name.set-and-get")


def test_a_native_method_that_warns_is_broken() -> None:
    """What warns that it is unsupported is not offered, so it must not be declared."""

    class Calling(KeepingBackend):
        def set_session_name(self, session_key: str, name: str, /) -> None:
            """Call the default."""
            super().set_session_name(session_key, name)

    with pytest.raises(AssertionError, match="declared native, and warns"):
        run_promise(suite_of(Calling), "unsupported.warns")


class Wrapping(KeepingBackend):
    """Passes calls on to a backend that has no names, so that it can't be declared to have any."""

    def __init__(self) -> None:
        super().__init__()
        self.__wrapped__ = KeepingBackend()


def test_a_setter_that_pretends_is_broken() -> None:
    """What is not declared must warn: doing nothing in silence is pretending."""

    class Pretending(Wrapping):
        def set_session_name(self, session_key: str, name: str, /) -> None:
            """Do nothing."""

    with pytest.raises(AssertionError, match="declared unsupported, and does not warn"):
        run_promise(suite_of(Pretending), "unsupported.warns")


def test_an_undeclared_change_is_broken() -> None:
    """What is declared unsupported must change nothing."""

    class Secretive(Wrapping):
        def set_session_name(self, session_key: str, name: str, /) -> None:
            """Keep the name in a message."""
            self.append(session_key, ChatMessage("system", name))

    with pytest.raises(AssertionError, match="declared unsupported, and changes something"):
        run_promise(suite_of(Secretive), "unsupported.answers-nothing")


def test_half_of_the_times_is_broken() -> None:
    """A store that gives some times must give all of them; without any, what needs them is not offered."""

    class Half(KeepingBackend):
        created: datetime | None = datetime(2024, 1, 1, tzinfo=UTC)

        def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
            """With a creation, and no activity."""
            return SessionMetadata(session_key, created_at=self.created) if session_key in self.sessions else None

    class Timeless(Half):
        created = None

    with pytest.raises(AssertionError, match="keeps every one of them"):
        run_promise(suite_of(Half), "metadata.times")
    assert run_promise(suite_of(Timeless), "metadata.times") is Grade.NOT_OFFERED


def test_unknown_promise() -> None:
    """An id that no test has is a KeyError."""
    with pytest.raises(KeyError):
        run_promise(suite_of(KeepingDictBackend), "made-up")
