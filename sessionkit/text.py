"""What text of a message is searched, and what a search term is, the same on every backend.

NFKC, casefold, then runs of letters, marks, digits and underscore. Han, Hiragana, Katakana and Hangul are written
without spaces, so each run of theirs is taken as its single characters and its adjacent pairs; a query of two or more
such characters asks for the pairs.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

TERMS_VERSION = f"2/{unicodedata.unidata_version}"
"""Differs wherever `tokenize` may give other terms for some text, so that a stored index knows when it is stale."""

_ASCII_TERM = re.compile(r"[a-z0-9_]+")

# After translation by `_MARKED`: an unspaced run has each character between two NULs, any other run stands bare.
_RUN = re.compile("((?:\0[^\0]\0)+)|[^ \0]+")


class _Marked(dict[int, str]):
    """For `str.translate`: keeps what belongs to a term, marks unspaced scripts, makes a space of all else."""

    _UNSPACED = (
        "CJK UNIFIED IDEOGRAPH",
        "CJK COMPATIBILITY IDEOGRAPH",
        "IDEOGRAPHIC ITERATION MARK",
        "VERTICAL IDEOGRAPHIC ITERATION MARK",
        "IDEOGRAPHIC NUMBER ZERO",
        "OLD CHINESE",
        "VIETNAMESE ALTERNATE READING MARK",
        "HIRAGANA",
        "HENTAIGANA",
        "KATAKANA",
        "HANGUL",
    )

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        category = unicodedata.category(character)
        if not (category[0] in "LM" or category == "Nd" or character in "_\N{IDEOGRAPHIC NUMBER ZERO}"):
            marked = " "  # punctuation too that is named after a script: the middle dot of Katakana
        elif unicodedata.name(character, "").startswith(self._UNSPACED):
            marked = f"\0{character}\0"
        else:
            marked = character
        self[codepoint] = marked
        return marked


_MARKED = _Marked()


def searchable_text(content: Any, calls: Iterable[tuple[str, str]]) -> str:
    """`sessionkit.ChatMessage.text`, from a message's content and the names and arguments of its calls."""
    parts: list[str] = []
    if isinstance(content, str):
        parts.append(content)
    elif content is not None:
        _block_texts(content, parts)
    for call in calls:
        parts += call
    return "\n".join(parts)


def _block_texts(blocks: Iterable[Any], parts: list[str]) -> None:
    for block in blocks:
        if not isinstance(block, dict):
            continue
        texts = [block.get("text")]
        if block.get("type") == "tool_use":
            texts.append(block.get("name"))
            if "input" in block:
                texts.append(msgspec.json.encode(block["input"]).decode())
        elif block.get("type") == "tool_result":
            content: Any = block.get("content")
            if isinstance(content, list):
                _block_texts(content, parts)
            texts.append(content)
        parts += [text for text in texts if isinstance(text, str)]


def tokenize(text: str) -> frozenset[str]:
    """Every term that the text holds; none where there is no letter, mark, digit or underscore in it.

    A backend that keeps an index of them stores `TERMS_VERSION` with it. Any text is taken, at the cost of a pass over
    it: about 0.1 ms for 160 words that are not ASCII, a tenth of that for those that are.
    """
    if text.isascii():
        return frozenset(_ASCII_TERM.findall(text.lower()))
    # No term and no normalisation reaches across a space, so only the words that need it go the dear way.
    plain: list[str] = []
    others: list[str] = []
    for word in text.split():
        (plain if word.isascii() else others).append(word)
    terms = set(_ASCII_TERM.findall(" ".join(plain).lower()))
    for word, unspaced in _runs(" ".join(others)):
        if word:
            terms.add(word)
        terms.update(unspaced, _pairs(unspaced))
    return frozenset(terms)


@lru_cache(maxsize=64)
def query_terms(keyword: str) -> frozenset[str]:
    """Every term that a message must hold to match the keyword; empty where the keyword has none."""
    terms: set[str] = set()
    for word, unspaced in _runs(keyword):
        if word:
            terms.add(word)
        terms.update(_pairs(unspaced) or unspaced)
    return frozenset(terms)


def _runs(text: str) -> list[tuple[str, str]]:
    """Each run as ``(word, "")``, or as ``("", characters)`` where it is of an unspaced script."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_MARKED)
    return [("", run[0][1::3]) if run[1] else (run[0], "") for run in _RUN.finditer(folded)]


def _pairs(characters: str) -> list[str]:
    return [characters[i : i + 2] for i in range(len(characters) - 1)]
