"""What every part of the suite stands on: the hooks that an author writes, and how a promise is graded."""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar, cast
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from sessionkit import (
    ChatMessage,
    CoreBackend,
    SessionBackend,
    SessionMetadata,
    Support,
    SupportsCheck,
    SupportsFirst,
    SupportsRestore,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
    TimestampedMessage,
    capabilities,
    with_defaults,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS
from sessionkit.testing._powers import is_native, offers
from sessionkit.testing.suite.promises import Promise, keep_promise, promise_of

Answer = TypeVar("Answer")


class Backend(
    SessionBackend,
    SupportsWrite,
    SupportsTurns,
    SupportsTurnState,
    SupportsFirst,
    SupportsRestore,
    SupportsCheck,
    Protocol,
):
    """What a test is given: all that can be offered. A test runs only where the parts that it needs are offered."""

    def close(self) -> None:
        """Give back what the backend holds."""


class Grade(Enum):
    """How well a promise is kept."""

    KEPT = "kept"
    BROKEN = "broken"
    DEFAULT = "default"
    NOT_OFFERED = "not offered"


class SuiteBase:
    """The hooks and attributes that an author may set; `make_backend` is the only one that must be."""

    examples: ClassVar[int] = 25
    """How many cases Hypothesis tries of each property."""

    clock: ClassVar[float] = 0.000_001
    """The finest difference of time that the store tells apart, in seconds."""

    appends: ClassVar[int] = 50
    """How many messages each concurrent writer appends."""

    kills: ClassVar[int] = 10
    """How often a writing process is killed, at about half a second each."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a test that replaces one of the suite's without saying why."""
        super().__init_subclass__(**options)
        for name, test in vars(cls).items():
            kept = promise_of(getattr(super(cls, cls), name, None))
            if kept is None:
                continue
            reasons = [mark.kwargs.get("reason") for mark in getattr(test, "pytestmark", ()) if mark.name == "xfail"]
            if not any(reasons):
                msg = f"{cls.__name__}.{name} replaces the check of {kept.id!r}: mark it pytest.mark.xfail(reason=...)"
                raise TypeError(msg)
            keep_promise(test, kept)

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def make_backend(self) -> CoreBackend:
        """A fresh, empty backend at each call. The one hook to write."""
        msg = f"{type(self).__name__} needs make_backend(self), giving a fresh, empty backend at each call"
        raise NotImplementedError(msg)

    def reopen(self, backend: Any) -> CoreBackend | None:
        """The store of `backend`, which was closed where it can be, opened anew. None: it is gone with the object."""
        del backend
        return None

    def address(self, backend: Any) -> str | None:
        """A URL with which another process opens the store by `sessionkit.open_backend`. None: it can't."""
        del backend
        return None

    def dispose(self, backend: Any) -> None:
        """Give back what another hook gave; closes it, where it can be closed."""
        close = getattr(backend, "close", None)
        if callable(close):
            close()

    def settle(self) -> None:
        """Wait until lists and searches show what was written; for a store that answers late."""

    # -- hooks that make trouble ---------------------------------------------------------------------------------------

    def read_only(self, backend: Any) -> CoreBackend | None:
        """The store of `backend`, which may be open or closed, opened so that nothing can be written to it.

        None: it can't be. Best where the store itself refuses writers, such as a folder without the right to write.
        """
        del backend
        return None

    def hold_lock(self, backend: Any, session_key: str) -> AbstractContextManager[CoreBackend] | None:
        """Within the block somebody else holds the lock that a writer to the session must wait for.

        The block is given the store of `backend`, opened once more with as short a wait as its option allows. None:
        nobody ever waits.
        """
        del backend, session_key
        return None

    def corrupt(self, backend: Any, session_key: str) -> Callable[[], bool] | None:
        """Damage the stored record of one message of the session, not the newest, so that it can't be read.

        Gives a function that tells whether what the record has become is still anywhere in the store. None: it can't
        be done.
        """
        del backend, session_key
        return None

    def wreck(self, backend: Any) -> bool:
        """Make the store of `backend` unusable while it is open: stop its server, or overwrite its file.

        False: it can't be done.
        """
        del backend
        return False

    # -- grading -------------------------------------------------------------------------------------------------------

    @pytest.fixture(name="backend")
    def _backend(self, request: pytest.FixtureRequest) -> Generator[Backend]:
        """A fresh backend made whole; skips where the promise of the test is not offered."""
        with self.graded(promise_of(request.function)) as (backend, grade):
            request.node.user_properties.append(("sessionkit_grade", grade.value))
            yield backend

    @contextmanager
    def graded(self, kept: Promise | None) -> Generator[tuple[Backend, Grade]]:
        """A fresh backend, and the grade that the promise gets if its test passes."""
        with self.fresh() as backend:
            yield backend, self._grade(backend, kept) if kept else Grade.KEPT

    def _grade(self, backend: Backend, kept: Promise) -> Grade:
        declared = capabilities(backend)
        grade = Grade.KEPT
        for need in (*kept.needs, *kept.native):
            if need == "close":
                offered = callable(getattr(backend, "close", None))
            elif need == "times":
                offered = self.keeps_times(backend)
            elif need in OPTIONAL_PROTOCOLS:
                offered = need in declared.protocols
            else:
                support = declared.methods[need]
                offered = support is not Support.UNSUPPORTED
                if support is Support.DEFAULT:
                    grade = Grade.DEFAULT
                    offered = need not in kept.native
            if not offered:
                self.not_offered(need)
        return grade

    @staticmethod
    def not_offered(what: str) -> NoReturn:
        """End the test: the backend does not offer what it is about. Neither a pass nor a failure."""
        pytest.skip(f"not offered: {what}")

    def offers(self, backend: SessionBackend, name: str) -> bool:
        """Whether the backend declares the method or the optional protocol; the four required methods always are."""
        return offers(capabilities(backend), name)

    def is_native(self, backend: SessionBackend, name: str) -> bool:
        """Whether the backend declares the method as its own."""
        return is_native(capabilities(backend), name)

    def keeps_times(self, backend: SessionBackend) -> bool:
        """Whether the store itself keeps times; one that gives some of them must give them all."""
        if not self.is_native(backend, "get_session_metadata"):
            return False
        with self.fresh() as other:
            other.append("a", say("a"))
            metadata = other.get_session_metadata("a")
            assert metadata is not None
            stored = other.load_with_timestamps("a")[0].created_at
            times = [metadata.created_at, metadata.last_activity]
            if self.is_native(other, "load_with_timestamps"):
                times.append(stored)
            assert all(times) or not any(times), "a store that keeps times keeps every one of them"
            return all(times)

    # -- backends ------------------------------------------------------------------------------------------------------

    @contextmanager
    def fresh(self) -> Generator[Backend]:
        """One more fresh backend, made whole, disposed of at the end."""
        with self.whole(self.make_backend()) as backend:
            yield backend

    @contextmanager
    def whole(self, made: CoreBackend) -> Generator[Backend]:
        """What a hook gave, made whole, disposed of at the end."""
        try:
            backend = with_defaults(made)
            self._made.append((backend, made))
            yield cast("Backend", backend)
        finally:
            self.dispose(made)

    @contextmanager
    def reopened(self, backend: Backend) -> Generator[Backend]:
        """The store of a backend, closed where it can be, opened anew."""
        self.close(backend)
        with self.opened_by(self.reopen, backend) as again:
            yield again

    @contextmanager
    def opened_by(self, hook: Callable[[Any], CoreBackend | None], backend: Backend) -> Generator[Backend]:
        """What a hook of the suite gives for a backend, made whole, disposed of at the end."""
        made = hook(self.given(backend))
        if made is None:
            self.not_offered(f"{hook.__name__}() of the suite")
        with self.whole(made) as whole:
            yield whole

    def close(self, backend: Backend) -> None:
        """Close the backend, where it can be closed."""
        close = getattr(self.given(backend), "close", None)
        if callable(close):
            close()

    def url_of(self, backend: Backend) -> str:
        """The URL with which another process opens the store."""
        url = self.address(self.given(backend))
        if url is None:
            self.not_offered("address() of the suite")
        return url

    @property
    def _made(self) -> list[tuple[object, CoreBackend]]:
        """Each backend made whole, and what it was made of, which is what the hooks know."""
        made: list[tuple[object, CoreBackend]] = self.__dict__.setdefault("_pairs", [])
        return made

    def given(self, backend: object) -> CoreBackend:
        """What the hooks know the backend by."""
        return next(made for whole, made in self._made if whole is backend)

    # -- what tests are written with -----------------------------------------------------------------------------------

    def tick(self) -> datetime:
        """Wait until the store's clock has surely moved on; returns a moment between before and after."""
        self._wait()
        moment = datetime.now(UTC)
        self._wait()
        return moment

    def told_apart(
        self, old: Callable[[], object], young: Callable[[], object], read: Callable[[float], Answer]
    ) -> Answer:
        """What `read` answers to a threshold in seconds that surely lies between the ages of what the two calls made.

        A machine may stand still at any moment, so the ages are measured afterwards; where the threshold did not lie
        between them, all three are called again with a longer pause, and must not mind.
        """
        for factor in (1, 4, 16, 64):
            threshold = factor * max(0.1, 10 * self.clock)
            old()
            time.sleep(2 * threshold)
            began = time.monotonic()
            young()
            answer = read(threshold)
            if time.monotonic() - began < threshold - 2 * self.clock:
                return answer
        return self.not_offered(f"an answer within {threshold:g} seconds")

    def _wait(self) -> None:
        until = time.time_ns() + int(self.clock * 1e9) + 1_000
        while time.time_ns() <= until:
            time.sleep(self.clock)

    def settled(self, read: Callable[[], Any]) -> Any:
        """What is read once the store has caught up."""
        self.settle()
        return read()

    def settings(self, **others: Any) -> settings:
        """Hypothesis' settings for one property: the same verdict at each run, and nothing left on disk."""
        return settings(
            max_examples=others.pop("max_examples", self.examples),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(cast("Iterable[HealthCheck]", HealthCheck)),
            **others,
        )


@contextmanager
def refuses(error: type[Exception], what: str = "the call") -> Generator[None]:
    """The block must raise that error. An error of encoding does not count as a `ValueError`: it came by accident."""
    try:
        yield
    except UnicodeError as raised:
        msg = f"{what} raised {raised!r}"
        raise AssertionError(msg) from raised
    except error:
        return
    pytest.fail(f"{what} raised no {error.__name__}")


@contextmanager
def clock_at(nanoseconds: int) -> Generator[None]:
    """Time stands still, for whoever reads it in this process."""
    with (
        mock.patch("time.time_ns", return_value=nanoseconds),
        mock.patch("time.time", return_value=nanoseconds / 1e9),
    ):
        yield


def whole_second() -> int:
    """A moment soon, in nanoseconds, that no store rounds; for `clock_at`."""
    return time.time_ns() // 1_000_000_000 * 1_000_000_000 + 2_000_000_000


def say(text: str = "hello", role: str = "user", **fields: Any) -> ChatMessage:
    """A message without a timestamp."""
    return ChatMessage(role, text, **fields)


def texts(messages: list[ChatMessage]) -> list[Any]:
    """The contents of messages."""
    return [message.content for message in messages]


def fill(backend: SessionBackend, key: str, *contents: str) -> None:
    """Append a message for each text."""
    for content in contents:
        backend.append(key, say(content))


def metadata_of(backend: SessionBackend, key: str) -> SessionMetadata:
    """The metadata of a session that must exist."""
    metadata = backend.get_session_metadata(key)
    assert metadata is not None, f"get_session_metadata({key!r}) knows no such session"
    return metadata


def told_of(backend: SessionBackend, key: str) -> list[Any]:
    """What reading tells of a session, to be compared before and after what must change nothing."""
    return [backend.load_with_timestamps(key), backend.get_session_metadata(key)]


def old_session(backend: Backend, key: str, *, hours: float, **fields: Any) -> SessionMetadata:
    """Restore a session of one message, last active that many hours ago; gives its metadata as restored."""
    then = datetime.now(UTC) - timedelta(hours=hours)
    known: dict[str, Any] = {"created_at": then, "last_activity": then, "message_count": 1, "state": "idle", **fields}
    metadata = SessionMetadata(key, **known)
    backend.restore(key, [TimestampedMessage(say("restored"), metadata.created_at)], metadata)
    return metadata
