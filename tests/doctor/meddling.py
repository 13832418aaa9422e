"""A store that somebody else uses between any two calls of the doctor's."""

from collections.abc import Callable
from itertools import count
from typing import Any

from sessionkit import ChatMessage, SessionContext
from sessionkit_memory import MemoryBackend

Meddler = Callable[[MemoryBackend, int], object]


def _says(backend: MemoryBackend, number: int) -> None:
    backend.append("a", ChatMessage("assistant", f"word{number}"))


def _takes_back(backend: MemoryBackend, number: int) -> None:
    if number % 2:
        backend.remove_last("a")
    else:
        backend.append("a", ChatMessage("user", f"word{number} {number}"))


def _comes_and_goes(backend: MemoryBackend, number: int) -> None:
    if number % 2:
        backend.delete_session("c")
    else:
        backend.append("c", ChatMessage("user", f"word{number}"))


def _starts_afresh(backend: MemoryBackend, number: int) -> None:
    backend.delete_session("a")
    backend.append("a", ChatMessage("user", f"word{number}"))


def _takes_turns(backend: MemoryBackend, number: int) -> None:
    if number % 2:
        backend.set_turn_state("a", f"turn{number - 1}", "idle")
    else:
        backend.begin_turn("a", f"turn{number}")


def _renames(backend: MemoryBackend, number: int) -> None:
    backend.set_session_name("a", f"name{number}")
    backend.set_session_context("a", SessionContext(f"channel{number}", attributes={"number": number}))


def _lives(backend: MemoryBackend, _number: int) -> None:
    backend.set_session_state("a", "running", "turn")


def _overtakes(backend: MemoryBackend, number: int) -> None:
    backend.append(("a", "b")[number % 2], ChatMessage("user", f"word{number}"))


MEDDLERS: dict[str, Meddler] = {
    meddler.__name__.strip("_"): meddler
    for meddler in (_says, _takes_back, _comes_and_goes, _starts_afresh, _takes_turns, _renames, _lives, _overtakes)
}
"""What others do, each time it is called; the number tells how often it was."""


class Meddled:
    """A backend, and somebody else who uses it after each call."""

    def __init__(self, meddler: Meddler, times: float) -> None:
        self.__wrapped__ = MemoryBackend()
        self.__wrapped__.append("a", ChatMessage("user", "begun"))
        self.__wrapped__.append("b", ChatMessage("user", "another"))
        self._meddler, self._times, self._numbers = meddler, times, count()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        if name.startswith("_") or not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            given = found(*args, **options)
            number = next(self._numbers)
            if number < self._times:
                self._meddler(self.__wrapped__, number)
            return given

        return call
