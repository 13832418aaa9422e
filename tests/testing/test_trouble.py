"""What the suite does about machines that stand still, and about secrets, without a store that would need it."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from sessionkit import BackendURL, CoreBackend, SessionKitError, register_backend
from sessionkit.testing import Grade, SessionBackendSuite, URLBackendSuite, run_promise
from sessionkit_memory import MemoryBackend

SECRET = "xyzzy/plugh"  # noqa: S105 -- of nothing


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes only where somebody sleeps."""
    return Clock(monkeypatch)


def test_ages_that_a_pause_has_mixed_up(clock: Clock) -> None:
    """Where the machine stood still until the young was as old as the threshold, all is tried again."""
    made: list[tuple[str, float]] = []
    pauses = [0.1, 0.3, 1.5]

    def young() -> None:
        made.append(("young", clock.now))
        clock.sleep(pauses.pop(0))

    def ages(threshold: float) -> tuple[float, float, float]:
        (_, old), (_, new) = made[-2:]
        return clock.now - old, threshold, clock.now - new

    old, threshold, new = SessionBackendSuite().told_apart(lambda: made.append(("old", clock.now)), young, ages)
    assert old > threshold > new
    assert [name for name, _ in made] == ["old", "young"] * 2
    assert pauses == [1.5]


def test_ages_that_no_threshold_tells_apart(clock: Clock) -> None:
    """A store that answers too late at every try is neither right nor wrong: it is not offered."""
    with pytest.raises(pytest.skip.Exception, match="not offered: an answer within"):
        SessionBackendSuite().told_apart(lambda: None, lambda: clock.sleep(60), lambda _: "anything")


class Guarded(URLBackendSuite):
    """A backend that is opened with a password."""

    url = "guarded://somebody:xyzzy%2Fplugh@localhost/{store}"


def log_it(url: BackendURL) -> CoreBackend:
    """Log what was opened, at a level that nobody listens to by default."""
    logging.getLogger("guarded").debug("opened with %s", url.password)
    return MemoryBackend()


def warn_of_it(url: BackendURL) -> CoreBackend:
    """Warn of it."""
    warnings.warn(f"{url.password} is weak", stacklevel=2)
    return MemoryBackend()


def chain_it(url: BackendURL) -> CoreBackend:
    """Chain the driver's error, which repeats what it was given, where the server can't be reached."""
    if url.port:
        msg = "can't connect"
        raise SessionKitError(msg) from OSError(f"no route to host, tried {url.password}@{url.host}")
    return MemoryBackend()


def keep_it(url: BackendURL) -> CoreBackend:
    """Say nothing of it."""
    assert url.password == SECRET
    return MemoryBackend()


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[BackendURL], CoreBackend]], None]:
    """Have ``guarded://`` opened by a factory."""
    registered: dict[str, Any] = {}
    monkeypatch.setattr("sessionkit.registry._registered", registered)
    return lambda factory: register_backend("guarded", factory)


@pytest.mark.parametrize("factory", [log_it, chain_it])
def test_a_password_that_is_shown(
    guarded: Callable[[Callable[[BackendURL], CoreBackend]], None], factory: Callable[[BackendURL], CoreBackend]
) -> None:
    """A password in a log record, or in the cause of an error, is found."""
    guarded(factory)
    with pytest.raises(AssertionError, match="the password is shown"):
        run_promise(Guarded(), "secrets.never-shown")


@pytest.mark.filterwarnings("ignore:.* is weak")
def test_a_password_in_a_warning(guarded: Callable[[Callable[[BackendURL], CoreBackend]], None]) -> None:
    """A password in a warning is found."""
    guarded(warn_of_it)
    with pytest.raises(AssertionError, match="the password is shown"):
        run_promise(Guarded(), "secrets.never-shown")


def test_a_password_that_is_kept(guarded: Callable[[Callable[[BackendURL], CoreBackend]], None]) -> None:
    """A password that stands nowhere is kept; and a scheme without the option ``mode`` offers no reading only."""
    guarded(keep_it)
    assert run_promise(Guarded(), "secrets.never-shown") is Grade.KEPT
    assert run_promise(Guarded(), "read-only.live") is Grade.NOT_OFFERED
