"""Unicode's script of a character, from its table of scripts (Scripts.txt) rather than from the characters' names."""

import unicodedata
from bisect import bisect_right
from itertools import pairwise

# Han, Hiragana, Katakana and Hangul, of Unicode 15 and later; then the two sound marks that Hiragana and Katakana
# share, which the table calls common to both.
_RANGES = sorted(
    [
        *[(0x2E80, 0x2E99), (0x2E9B, 0x2EF3), (0x2F00, 0x2FD5), (0x3005, 0x3005), (0x3007, 0x3007), (0x3021, 0x3029)],
        *[(0x3038, 0x303B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFA6D), (0xFA70, 0xFAD9), (0x16FE2, 0x16FE3)],
        *[(0x16FF0, 0x16FF6), (0x20000, 0x2A6DF), (0x2A700, 0x2EE5D), (0x2F800, 0x2FA1D), (0x30000, 0x33479)],
        *[(0x3041, 0x3096), (0x309D, 0x309F), (0x1B001, 0x1B11F), (0x1B132, 0x1B132), (0x1B150, 0x1B152)],
        *[(0x30A1, 0x30FA), (0x30FD, 0x30FF), (0x31F0, 0x31FF), (0x32D0, 0x32FE), (0x3300, 0x3357)],
        *[(0xFF66, 0xFF6F), (0xFF71, 0xFF9D), (0x1AFF0, 0x1AFFE), (0x1B000, 0x1B000), (0x1B120, 0x1B122)],
        *[
            (0x1B155, 0x1B155),
            (0x1B164, 0x1B167),
            (0x302E, 0x302F),
            (0x1100, 0x11FF),
            (0x3131, 0x318E),
            (0x3200, 0x321E),
        ],
        *[(0x3260, 0x327E), (0xA960, 0xA97C), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FB), (0xFFA0, 0xFFDC)],
        *[(0x30FC, 0x30FC), (0xFF70, 0xFF70)],
    ]
)
_STARTS = [start for start, _ in _RANGES]


def is_unspaced(character: str) -> bool:
    """Whether it is a character of a term, and of a script that is written without spaces."""
    at = bisect_right(_STARTS, ord(character)) - 1
    return at >= 0 and ord(character) <= _RANGES[at][1] and (is_word(character) or character == "\u3007")


def is_word(character: str) -> bool:
    """A letter, mark, digit or underscore."""
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character == "_"


def terms(text: str, *, query: bool = False) -> set[str]:
    """The contract's sentence, a character at a time."""
    runs: list[list[str]] = [[]]
    kind: bool | None = None
    for character in unicodedata.normalize("NFKC", text).casefold():
        before, kind = kind, is_unspaced(character) or (False if is_word(character) else None)
        if kind is not before:
            runs.append([])
        if kind is not None:
            runs[-1].append(character)
    found: set[str] = set()
    for run in filter(None, runs):
        if not is_unspaced(run[0]):
            found.add("".join(run))
            continue
        pairs = {one + other for one, other in pairwise(run)}
        found |= pairs
        if not (query and pairs):
            found.update(run)
    return found
