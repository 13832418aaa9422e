"""A change of the memory backend that is interrupted has happened as a whole, or not at all, wherever that strikes."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from sessionkit import ChatMessage
from sessionkit_memory import MemoryBackend, backend, kept
from tests.backends.sqlite import test_exclusive

X, NEW = ChatMessage("user", "x"), ChatMessage("assistant", "new")
OURS = {backend.__file__, kept.__file__}
CHANGES: dict[str, Callable[[MemoryBackend], object]] = {
    "append": lambda store: store.append("k", NEW),
    "create": lambda store: store.append("another", NEW),
    "update_last": lambda store: store.update_last("k", NEW),
    "remove_last": lambda store: store.remove_last("k"),
    "clear": lambda store: store.clear_messages("k"),
    "write": lambda store: store.write("k", drop_last=2, append=[NEW, NEW], attributes={"a": 1}),
    "drop": lambda store: store.write("k", drop_last=3),
    "name": lambda store: store.set_session_name("k", "name"),
}


def told(store: MemoryBackend) -> list[Any]:
    """All that it holds, but for times."""
    return [
        (found.key, found.name, found.message_count, found.turn_count, dict(found.attributes), store.load(found.key))
        for found in sorted(store.list_sessions_with_metadata(), key=lambda found: found.key)
    ]


def filled() -> MemoryBackend:
    """A store with a session of four messages."""
    store = MemoryBackend()
    for number in range(4):
        store.append("k", ChatMessage("user", f"x{number}"))
    return store


@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupt_at_any_step_leaves_all_or_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is changed next is changed as ever."""
    monkeypatch.setattr(test_exclusive, "OURS", OURS)
    before = told(filled())
    whole = filled()
    CHANGES[name](whole)
    after = 0
    for after in count():
        store = filled()
        struck = test_exclusive.interrupted(lambda: CHANGES[name](store), after)  # noqa: B023 -- called at once
        found = told(store)
        assert found in ([before, told(whole)] if struck else [told(whole)])
        again = store.load("k")
        store.append("k", X)
        assert store.load("k") == [*again, X]
        if not struck:
            break
    assert after > 3
