"""What is particular to sessions in memory: limits to the byte and the microsecond, and that close forgets."""

from datetime import timedelta

import pytest

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    SessionMetadata,
    TimestampedMessage,
    encode_message,
    open_backend,
)
from sessionkit.clock import to_datetime
from sessionkit_memory import MemoryBackend

NOW = 10**15


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> MemoryBackend:
    """An empty store, whose clock stands still."""
    for module in ("sessionkit_memory.backend", "sessionkit.record"):
        monkeypatch.setattr(f"{module}.now", lambda: NOW)
    return MemoryBackend()


def restored(backend: MemoryBackend, key: str, age: timedelta, state: str = "idle", beat: bool = False) -> None:  # noqa: FBT001, FBT002 -- a helper
    """A session that was last active so long ago."""
    moment = to_datetime(NOW) - age
    turn = moment if beat else None
    metadata = SessionMetadata(key, moment, moment, state=state, turn_started_at=turn, heartbeat_at=turn)
    backend.restore(key, [TimestampedMessage(ChatMessage("user", key), moment)], metadata)


@pytest.mark.parametrize("most", [-1, True, "1", None])
def test_a_limit_that_is_none_is_refused(most: object) -> None:
    """The error names the option."""
    with pytest.raises((ValueError, TypeError), match="max_message_bytes"):
        MemoryBackend(max_message_bytes=most)  # type: ignore[arg-type]


def test_the_limit_is_that_of_each_message() -> None:
    """To the byte, wherever messages come in."""
    message = ChatMessage("user", "ä" * 50)
    size = len(encode_message(message))
    backend = MemoryBackend(max_message_bytes=size)
    backend.append("k", message)
    larger = ChatMessage("user", "ä" * 50 + "x")
    metadata = SessionMetadata("other", to_datetime(NOW))
    for refused in (
        lambda: backend.append("k", larger),
        lambda: backend.update_last("k", larger),
        lambda: backend.write("k", append=[message, larger]),
        lambda: backend.restore("other", [TimestampedMessage(larger, None)], metadata),
    ):
        with pytest.raises(InvalidMessageError, match=f"{size + 1} bytes"):
            refused()
    assert backend.load("k") == [message]
    assert backend.list_sessions() == ["k"]


def test_what_is_just_as_old_as_the_limit_stays(backend: MemoryBackend) -> None:
    """A microsecond older is stale; an hour is 3,600 seconds."""
    restored(backend, "old", timedelta(hours=1000))
    restored(backend, "older", timedelta(hours=1000, microseconds=1))
    assert backend.cleanup_stale(1000) == 1
    assert backend.list_sessions() == ["old"]


def test_what_is_just_as_silent_as_the_threshold_is_not_stuck(backend: MemoryBackend) -> None:
    """A microsecond longer is."""
    restored(backend, "silent", timedelta(seconds=500), "running", beat=True)
    restored(backend, "more silent", timedelta(seconds=500, microseconds=1), "running", beat=True)
    restored(backend, "idle", timedelta(seconds=5000), "idle", beat=True)
    assert [session.key for session in backend.list_stuck_sessions(500)] == ["more silent"]


def test_close_forgets(backend: MemoryBackend) -> None:
    """The memory is given back, though somebody holds on to the store."""
    backend.append("k", ChatMessage("user"))
    backend.close()
    assert not backend._sessions


@pytest.mark.parametrize("backend_", [MemoryBackend(), open_backend("memory://")])
def test_it_says_what_it_is(backend_: object) -> None:
    """In its repr."""
    assert repr(backend_) == "MemoryBackend()"
