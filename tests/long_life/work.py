"""The mixed work of one process: what agents do to a store, at full speed, with a bounded number of live sessions."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from sessionkit import ChatMessage, SessionContext, SessionQuery, ToolCall

_WORDS = (
    *("the", "parcel", "is", "late", "and", "nobody", "knows", "where", "it"),
    *("might", "be", "東京", "Straße", "refund", "ticket", "please", "wait"),
)


class Worker:
    """One thread's work on its own sessions, and on one that all threads and processes share.

    Args:
        limits: how many live sessions it has at most, and how many messages a session has, roughly, before it is
            cleared or deleted.
    """

    def __init__(self, backend: Any, name: str, seed: int, limits: tuple[int, int]) -> None:
        self.backend = backend
        self.sessions, self.messages = limits
        self.chance = random.Random(seed)  # noqa: S311 -- a seed makes a run like another
        self.fresh = (f"{name}/{number}" for number in itertools.count())
        self.eternal = f"{name}/eternal"
        self.live: dict[str, int] = {}
        self.operations = 0
        self.ways: list[tuple[int, Callable[[], object]]] = [
            (40, self._append),
            (12, self._growing_answer),
            (4, self._tool_call),
            (4, self._remove),
            (2, self._clear),
            (3, self._new),
            (8, self._turn),
            (10, self._read),
            (5, self._search),
            (2, self._list),
            (2, self._describe),
            (1, self._compact),
            (1, self._shared),
            (1, self._stale),
        ]

    def fill(self) -> None:
        """Have as many sessions as it may, so that there is nothing left to grow into."""
        self.backend.append(self.eternal, ChatMessage.user(self._text()))
        self.live[self.eternal] = 1
        for _ in range(self.sessions - 1):
            self._new()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        weights = [weight for weight, _ in self.ways]
        calls = [call for _, call in self.ways]
        while not stop.is_set():
            for call in self.chance.choices(calls, weights, k=32):
                call()
                self.operations += 1

    def _key(self) -> str:
        """The session that lives as long as the thread, a live one, or a new one where there is none."""
        if self.chance.random() < 0.25:
            return self.eternal
        return self.chance.choice(list(self.live)) if self.live else self._new()

    def _text(self) -> str:
        return " ".join(self.chance.choices(_WORDS, k=self.chance.choice((3, 12, 60))))

    def _grown(self, key: str, count: int) -> None:
        """A session that has become long is cleared, or deleted."""
        self.live[key] = self.live.get(key, 0) + count
        if self.live[key] > self.chance.uniform(0.5, 1.5) * self.messages:
            if key == self.eternal or self.chance.random() < 0.5:
                self.backend.clear_messages(key)
                self.live[key] = 0
            else:
                self._delete(key)

    def _delete(self, key: str) -> None:
        del self.live[key]
        self.backend.delete_session(key)

    def _new(self) -> str:
        while len(self.live) >= self.sessions:
            self._delete(next(key for key in self.live if key != self.eternal))
        key = next(self.fresh)
        self.live[key] = 0
        self.backend.write(key, append=[ChatMessage("user", self._text())], attributes={"kind": "new"})
        return key

    def _append(self) -> None:
        key = self._key()
        self.backend.append(key, ChatMessage.user(self._text()))
        self._grown(key, 1)

    def _growing_answer(self) -> None:
        key, text = self._key(), ""
        self.backend.append(key, ChatMessage("assistant", text))
        for _ in range(12):
            text += " " + self._text()
            self.backend.update_last(key, ChatMessage("assistant", text))
        self._grown(key, 1)

    def _tool_call(self) -> None:
        key = self._key()
        call = ToolCall("1", "find", '{"parcel": 7}')
        self.backend.write(
            key,
            append=[ChatMessage("assistant", tool_calls=(call,)), ChatMessage("tool", self._text(), tool_call_id="1")],
        )
        self._grown(key, 2)

    def _remove(self) -> None:
        self.backend.remove_last(self._key())

    def _clear(self) -> None:
        key = self._key()
        self.backend.clear_messages(key)
        self.live[key] = 0

    def _turn(self) -> None:
        key = self._key()
        self.backend.begin_turn(key, "turn")
        self.backend.append(key, ChatMessage("user", self._text()))
        self.backend.set_session_state(key, "running", "turn")
        self.backend.write(key, append=[ChatMessage("assistant", self._text())], attributes={"n": self.operations})
        self.backend.set_session_state(key, "idle")
        self._grown(key, 2)

    def _read(self) -> None:
        key = self._key()
        self.backend.load(key)
        self.backend.load_with_timestamps(key, last=10)
        self.backend.load_first(key, 3)
        self.backend.get_session_metadata(key)

    def _search(self) -> None:
        words = " ".join(self.chance.choices([*_WORDS, "absent"], k=self.chance.choice((1, 2))))
        self.backend.search(SessionQuery(words, limit=20))

    def _list(self) -> None:
        self.backend.list_sessions_with_metadata()
        self.backend.list_running_sessions()
        self.backend.list_stuck_sessions(60)

    def _describe(self) -> None:
        key = self._key()
        self.backend.set_session_name(key, self._text()[:40])
        self.backend.set_session_context(key, SessionContext("channel", attributes={"step": self.operations}))

    def _compact(self) -> None:
        self.backend.compact(self._key())

    def _shared(self) -> None:
        """A session that everybody writes to, and that is cleared by whoever finds it long."""
        self.backend.append("shared", ChatMessage("user", self._text()))
        metadata = self.backend.get_session_metadata("shared")
        if metadata is not None and metadata.message_count > self.messages:
            self.backend.clear_messages("shared")

    def _stale(self) -> None:
        self.backend.cleanup_stale(1)


def read_for_ever(backend: Any, stop: threading.Event) -> None:
    """Read, so that reads overlap all the time where several do it; the sessions are others'."""
    while not stop.is_set():
        for metadata in backend.search(SessionQuery("parcel", limit=50)):
            backend.load(metadata.key)


def wait_for_ever(backend: Any, stop: threading.Event) -> None:
    """Read once a second: open for ever, and mostly idle."""
    while not stop.wait(1):
        backend.list_sessions()


def counted(backend: Any) -> tuple[int, int]:
    """How many sessions and messages are live."""
    listed = backend.list_sessions_with_metadata()
    return len(listed), sum(metadata.message_count for metadata in listed)


def started(target: Callable[..., None], *arguments: Any) -> threading.Thread:
    """A thread that runs that, and does not keep the process from ending."""
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def ended(threads: list[threading.Thread], seconds: float) -> bool:
    """Whether all threads end within that time."""
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
