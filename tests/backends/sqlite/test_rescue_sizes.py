"""What a rescue must know of the file's pages where nothing says so: how large they are, and where they end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sessionkit import ChatMessage
from sessionkit_sqlite import SQLiteBackend
from sessionkit_sqlite.rescue import rescue_store

PAGE = 2048
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "the first page is lost": lambda data: bytes(PAGE) + data[PAGE:],
    "the last byte is lost": lambda data: data[:-1],
    "both are": lambda data: bytes(PAGE) + data[PAGE:-1],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("size", [50, 700, 1300, 1500, 3000])
def test_nothing_is_lost(path: Path, size: int, damage: str) -> None:
    """Whatever fills a page, also one message alone, every message comes back but that whose byte is lost."""
    with SQLiteBackend(path) as backend:
        for number in range(40):
            backend.append("a", ChatMessage.user(f"{number} " + "x" * (size + number % 7 * 10)))
        wanted = backend.load("a")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    told = list(rescue_store(path))
    assert not any("page 0 " in (each.where or "") for each in told)  # there is none: pages are numbered from 1
    with SQLiteBackend(path) as backend:
        [key] = backend.list_sessions()
        back = backend.load(key)
    assert [message for message in wanted if message in back] == back
    assert len(wanted) - len(back) <= ("last byte" in damage or damage == "both are")
