"""Choices, made of the bytes of an input: what a fuzzer changes, a grammar follows.

Every byte string makes some choices, so that none is wasted; where it ends, each further choice is the first one.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

HOSTILE = (
    "\0\x01\x1b\x7f\x85\xa0\xad\u0130\u0131\u0149\u017f\u01c5\u0301\u0308\u0345\u0387\u03a3\u03c2\u05d0\u0660\u0661"
    "\u0940\u094d\u0e33\u1100\u1161\u11a8\u1e9e\u200b\u200d\u2028\u2029\u202e\u2126\u2160\u2460\u3000\u3005\u3007\u302e"
    "\u3031\u303b\u3042\u304b\u3099\u309f\u30a0\u30ab\u30fb\u30fc\u3131\u3200\u3300\u4e00\u65e5\u672c\uac00\ud55c\uf900"
    "\ufb01\ufdfa\ufe0f\ufeff\uff21\uff5f\uff66\uff76\uff9e\uffdc\ufffd\uffff\U00016fe2\U0001b000\U0001b002\U0001d400"
    "\U0001f468\U0001f600\U00020000\U0002f800\U000e0100\U0010ffff"
)
"""Characters that folding, normalising, splitting and escaping treat in some way of their own."""


class Source:
    """What is left of an input."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes no choice has used yet."""
        return max(0, len(self._data) - self._at)

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def below(self, limit: int) -> int:
        """A number from 0 up to but not including `limit`."""
        number = self.byte()
        if limit > 256:
            number = number << 16 | self.byte() << 8 | self.byte()
        return number % limit

    def chance(self, one_in: int) -> bool:
        """Once in so many times; never at the end."""
        return self.below(one_in) == one_in - 1

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def take(self, count: int) -> bytes:
        """The next bytes, as many as there are."""
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def character(self) -> str:
        """ASCII, one with a nature of its own, or any other."""
        kind = self.byte()
        if kind < 160:
            return chr(kind & 0x7F)
        if kind < 240:
            return HOSTILE[(kind << 8 | self.byte()) % len(HOSTILE)]
        code = self.below(0x110000 - 0x800)
        return chr(code if code < 0xD800 else code + 0x800)

    def text(self, longest: int = 12) -> str:
        """A text without a lone surrogate."""
        return "".join(self.character() for _ in range(self.below(longest + 1)))
