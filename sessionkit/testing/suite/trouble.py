"""Where not all is well: a store that may not be written, locked by others, damaged, unusable, or with a password."""

import logging
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from sessionkit import (
    BackendUnavailableError,
    BackendURL,
    CorruptRecordWarning,
    OpenBackend,
    SessionKitError,
    SessionQuery,
    open_backend,
)
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, refuses, texts
from sessionkit.testing.suite.honesty import CALLS
from sessionkit.testing.suite.keys import BY_KEY
from sessionkit.testing.suite.promises import promise

_WRITING = (
    *("append", "remove_last", "update_last", "clear_messages", "delete_session"),
    *("set_session_name", "set_session_agent_alias", "set_session_context", "set_session_state"),
    *("SupportsWrite", "SupportsTurns", "SupportsTurnState"),
)
"""What can't but write to a session that has a message, and in which the turn "t" runs."""

_NOWHERE = 9
"""The port of the discard service, which hardly any machine runs."""


class TroublePromises(SuiteBase):
    """What holds all the same; for suites that have the hook that makes the trouble."""

    @promise("read-only.live")
    def test_reading_what_a_writer_has_open(self, backend: Backend) -> None:
        """A store can be read where it may not be written, while a writer is live: every list, search and message, and
        what is written meanwhile.

        If this fails: the `read_only` hook opened something else, or a snapshot.
        """
        fill(backend, "a", "one", "two")
        with self.opened_by(self.read_only, backend) as reader:
            for text in ("three", "four"):
                assert self._all_of(reader) == self._all_of(backend)
                fill(backend, "a", text)
                fill(backend, text, "two")

    @promise("read-only.at-rest")
    def test_reading_what_nobody_has_open(self, backend: Backend) -> None:
        """A store can be read where it may not be written, while nobody else has it open.

        If this fails: opening it to read must need no recovery, migration or lock file.
        """
        fill(backend, "a", "one", "two")
        before = self._all_of(backend)
        self.close(backend)
        with self.opened_by(self.read_only, backend) as reader:
            assert self._all_of(reader) == before

    @promise("read-only.refuses-writing")
    def test_writing_where_only_reading_is_allowed(self, backend: Backend) -> None:
        """Whatever writes to a store that was opened to be read is a `BackendUnavailableError`, and changes nothing.

        If this fails: refuse it before anything is touched; the driver's own refusal must not come out bare.
        """
        self._begin(backend)
        before = self._all_of(backend)
        with self.opened_by(self.read_only, backend) as reader:
            for name in self._offered(reader, _WRITING):
                with refuses(BackendUnavailableError, f"{name}, where nothing may be written,"):
                    BY_KEY[name](reader, "a")
            with refuses(BackendUnavailableError):
                fill(reader, "new", "one")
        assert self._all_of(backend) == before

    @promise("waiting.ends")
    def test_waiting_for_a_lock_ends(self, backend: Backend) -> None:
        """Waiting for a lock ends, after a time that is an option, in `BackendUnavailableError`: retryable, and nothing
        was applied.

        If this fails: look for a driver's error, a write that is given up in silence, or one that goes on without the
        lock. A wait without an end hangs here.
        """
        self._begin(backend)
        before = self._all_of(backend)
        holding = self.hold_lock(self.given(backend), "a")
        if holding is None:
            self.not_offered("hold_lock() of the suite")
        with holding as made, self.whole(made) as waiting:
            for name in self._offered(waiting, _WRITING):
                with pytest.raises(BackendUnavailableError) as caught:
                    BY_KEY[name](waiting, "a")
                assert (caught.value.retryable, caught.value.outcome) == (True, "not_applied"), name
        assert self._all_of(backend) == before
        fill(backend, "a", "three")
        assert texts(backend.load("a")) == ["one", "two", "three"]

    @promise("compact.sets-corrupt-aside", native=("compact",))
    def test_compact_sets_corrupt_records_aside(self, backend: Backend) -> None:
        """`compact` sets corrupt records aside and never deletes them; `load` is the same before and after, and the
        session goes on.

        If this fails: keep what can't be read, as it is, where `load` does not look.
        """
        is_kept = self._corrupted(backend, "a")
        with _corruption_allowed():
            before = texts(backend.load("a"))
            assert len(before) == 2, "one damaged record is one message lost"
            for _ in range(2):
                backend.compact("a")
                assert texts(backend.load("a")) == before
                assert is_kept(), "what could not be read is gone"
        fill(backend, "a", "four")
        assert texts(backend.load("a")) == [*before, "four"]
        if self.is_native(backend, "get_session_metadata"):
            assert metadata_of(backend, "a").message_count == 3

    @promise("delete.forgets-what-was-set-aside", native=("compact", "delete_session"))
    def test_delete_forgets_what_was_set_aside(self, backend: Backend) -> None:
        """`delete_session` removes what `compact` has set aside of the session, too.

        If this fails: a deleted session leaves nothing that somebody could read.
        """
        is_kept = self._corrupted(backend, "a")
        with _corruption_allowed():
            backend.compact("a")
            assert backend.delete_session("a") is True
        assert not is_kept()
        assert backend.load("a") == []

    @promise("errors.never-bare")
    def test_a_wrecked_store(self, backend: Backend) -> None:
        """A driver's or the system's own error never reaches a caller bare: where the store can't be used any more, a
        call answers, or raises a `SessionKitError`; so does opening it.

        If this fails: find what the driver can raise there, and chain it as the cause of one of ours.
        """
        fill(backend, "a", "one", "two")
        if not self.wreck(self.given(backend)):
            self.not_offered("wreck() of the suite")
        with _corruption_allowed():
            answered = [_answers(partial(CALLS[name], backend), name) for name in self._offered(backend, CALLS)]
            self.close(backend)
            answered.append(_answers(lambda: self.dispose(self.reopen(self.given(backend))), "opening the store"))
        assert not all(answered), "wreck() of the suite did no harm"

    @promise("secrets.never-shown")
    def test_no_password_is_shown(self, backend: Backend) -> None:
        """No password stands in any message, repr, warning or log: neither while the store is used, nor after `close`,
        nor where it can't be reached.

        If this fails: name the store by `str` of its `BackendURL`, and chain no cause that repeats the connection's
        parameters.
        """
        url = BackendURL.parse(self.url_of(backend))
        if not url.password:
            self.not_offered("a password in the URL of the suite")
        said: list[str] = []
        with _overheard(said):
            for place in (url, attrs.evolve(url, host="127.0.0.1", port=_NOWHERE)):
                try:
                    opened = open_backend(place)
                except SessionKitError as error:
                    said += traceback.format_exception(error)
                else:
                    said += self._used(opened)
        for secret in {url.password, quote(url.password, safe="")}:
            assert not [text for text in said if secret in text], "the password is shown"

    def _used(self, backend: OpenBackend) -> list[str]:
        """What a backend says of itself, and in its errors, open and closed."""
        said: list[str] = []
        for _ in range(2):
            said += [repr(backend), str(backend)]
            for name in self._offered(backend, CALLS):
                try:
                    CALLS[name](backend)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- only what it offers
                except SessionKitError as error:
                    said += traceback.format_exception(error)
            backend.close()
        return said

    def _offered(self, backend: Any, names: Any) -> list[str]:
        return [name for name in names if self.offers(backend, name)]

    def _begin(self, backend: Backend) -> None:
        """Two messages, and where it is offered, a turn."""
        fill(backend, "a", "one", "two")
        if self.offers(backend, "set_session_state"):
            backend.set_session_state("a", "running", "t")

    def _corrupted(self, backend: Backend, key: str) -> Callable[[], bool]:
        """Three messages, one of which can't be read any more; gives whether what it has become is still there."""
        fill(backend, key, "one", "two", "three")
        is_kept = self.corrupt(self.given(backend), key)
        if is_kept is None:
            self.not_offered("corrupt() of the suite")
        assert is_kept(), "corrupt() of the suite does not find what it has made"
        return is_kept

    def _all_of(self, backend: Backend) -> list[Any]:
        """Everything that reading tells."""
        self.settle()
        return [
            backend.load("a"),
            backend.load_with_timestamps("a", last=1),
            backend.list_sessions(),
            backend.list_sessions_with_metadata(),
            backend.get_session_metadata("a"),
            backend.search(SessionQuery("two")),
            *(backend.load_first("a", 1) if self.offers(backend, "SupportsFirst") else ()),
        ]


def _answers(call: Callable[[], object], what: str) -> bool:
    """Whether it answers; not where it raises an error of ours, and any other must not be."""
    try:
        call()
    except SessionKitError:
        return False
    except Exception as error:  # noqa: BLE001 -- it is what is looked for
        pytest.fail(f"{what} raised {error!r}")
    return True


@contextmanager
def _corruption_allowed() -> Generator[None]:
    """What was damaged on purpose may be warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        yield


class _Ear(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@contextmanager
def _overheard(said: list[str]) -> Generator[None]:
    """Everything that is logged or warned of, at any level."""
    root, ear = logging.getLogger(), _Ear(said)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.NOTSET)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        said += [str(warning.message) for warning in caught]
    finally:
        root.setLevel(level)
        root.removeHandler(ear)
