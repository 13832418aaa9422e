"""The driver without dependencies: seeded mutations of seeds, and of each input whose outcome was a new one.

It is no match for a fuzzer that sees which lines an input reaches (`tests.fuzz.guided`), but it runs everywhere, the
same for the same seed, and within seconds.
"""

import random
from collections.abc import Callable

from tests.fuzz.target import Outcomes, Target

_POOL = 4_000


class Mutations:
    """Inputs, one after the other; `learn` after each."""

    def __init__(self, target: Target, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 -- a seed makes a failure happen again
        self._target = target
        self._pool = [bytes(seed) for seed in target.seeds()] or [b""]
        self._known: set[frozenset[str]] = set()
        self._given = 0
        self._ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._replace,
            self._insert,
            self._delete,
            self._duplicate,
            self._word,
            self._word,
            self._splice,
            self._line,
            self._number,
        )

    def next(self) -> bytes:
        """The seeds as they are first; then mutations of one of them, and now and then bytes without any sense."""
        self._given += 1
        if self._given <= len(self._pool):
            return self._pool[self._given - 1]
        chance = self._chance
        if chance.random() < 0.1:
            return chance.randbytes(chance.choice((0, 1, 4, 16, 64, 256)))
        data = bytearray(chance.choice(self._pool))
        for _ in range(chance.choice((1, 1, 2, 3, 5, 9))):
            chance.choice(self._ways)(data)
        return bytes(data[: self._target.largest])

    def learn(self, data: bytes, outcomes: Outcomes) -> None:
        """Keep an input that did what none before it did."""
        found = frozenset(outcomes)
        if found not in self._known:
            self._known.add(found)
            if len(self._pool) < _POOL:
                self._pool.append(data)

    def _span(self, data: bytearray, longest: int) -> tuple[int, int]:
        start = self._chance.randrange(len(data) + 1)
        return start, min(len(data), start + self._chance.randint(1, longest))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def _replace(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def _insert(self, data: bytearray) -> None:
        at = self._chance.randrange(len(data) + 1)
        data[at:at] = self._chance.randbytes(self._chance.choice((1, 1, 2, 4, 16)))

    def _delete(self, data: bytearray) -> None:
        start, end = self._span(data, self._chance.choice((1, 4, 64)))
        del data[start:end]

    def _duplicate(self, data: bytearray) -> None:
        start, end = self._span(data, self._chance.choice((4, 64, 512)))
        at = self._chance.randrange(len(data) + 1)
        data[at:at] = data[start:end]

    def _word(self, data: bytearray) -> None:
        if self._target.words:
            start, end = self._span(data, 8)
            if self._chance.random() < 0.5:
                end = start
            data[start:end] = self._chance.choice(self._target.words)

    def _splice(self, data: bytearray) -> None:
        other = self._chance.choice(self._pool)
        data[self._chance.randrange(len(data) + 1) :] = other[self._chance.randrange(len(other) + 1) :]

    def _line(self, data: bytearray) -> None:
        """Move, copy or take away a line."""
        lines = data.splitlines(keepends=True)
        if len(lines) > 1:
            at, to = self._chance.randrange(len(lines)), self._chance.randrange(len(lines))
            line = lines.pop(at) if self._chance.random() < 0.6 else lines[at]
            if self._chance.random() < 0.7:
                lines.insert(to, line)
            data[:] = b"".join(lines)

    def _number(self, data: bytearray) -> None:
        """Change a number, be it by one, to one that some machine or format has no room for."""
        digits = [at for at, byte in enumerate(data) if byte in b"0123456789"]
        if not digits:
            return
        start = end = self._chance.choice(digits)
        while end < len(data) and data[end] in b"0123456789":
            end += 1
        number = int(data[start:end][:30])
        near = (number + 1, number - 1, 0, -1, 2**53 + 1, 2**63, 2**64, 10**40, number * 10)
        data[start:end] = str(self._chance.choice(near)).encode()
