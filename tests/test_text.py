"""What a search term is: the contract's sentence, clause by clause, and against a slow reading of it."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sessionkit import tokenize
from sessionkit.text import TERMS_VERSION, query_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", set()),
        ("Hello, hello WORLD!", {"hello", "world"}),
        ("snake_case kebab-case", {"snake_case", "kebab", "case"}),
        ("it's 3.14 4x4", {"it", "s", "3", "14", "4x4"}),
        ("_ __", {"_", "__"}),
        ("Straße STRASSE", {"strasse"}),
        ("\ufb01n \u2160\u2161 \uff21\uff22\uff11", {"fin", "iii", "ab1"}),
        ("A\u0308 \u00c4", {"\u00e4"}),
        ("q\u0307 e\u0301\u0302", {"q\u0307", "\u00e9\u0302"}),
        ("हिन्दी", {"हिन्दी"}),
        ("١٢٣", {"١٢٣"}),
        ("½ ² ①", {"1", "2"}),
        ("\u09f4 \U00010107 \u3021", set()),  # numbers that are neither digits nor letters
        ("naïve café", {"naïve", "café"}),
        ("Ночь ΣΊΣΥΦΟΣ", {"ночь", "σίσυφοσ"}),
        ("日本語", {"日", "本", "語", "日本", "本語"}),
        ("日", {"日"}),
        (
            "カタ・カナ \uff65 \u30a0",
            {"カ", "タ", "ナ", "カタ", "カナ"},
        ),  # dots and hyphens between words are no letters
        (
            "\U0001b002\u3042 \u4eba\u303b",
            {"\U0001b002", "\u3042", "\U0001b002\u3042", "\u4eba", "\u303b", "\u4eba\u303b"},
        ),
        ("カタカナ", {"カ", "タ", "ナ", "カタ", "タカ", "カナ"}),
        ("한국어 test", {"한", "국", "어", "한국", "국어", "test"}),
        ("ﾊﾝ", {"ハ", "ン", "ハン"}),
        ("日x本", {"日", "x", "本"}),
        ("x日本y", {"x", "日", "本", "日本", "y"}),
        ("日 本", {"日", "本"}),
        ("人々\u3007", {"人", "々", "\u3007", "人々", "々\u3007"}),
        ("😀 👍🏽 🇫🇷", set()),
        ("✈\ufe0f", {"\ufe0f"}),  # a variation selector is a mark
        ("a😀b", {"a", "b"}),
        ('"a" OR b* NEAR(c, %d%)', {"a", "or", "b", "near", "c", "d"}),
        ("a\0b\ud800c", {"a", "b", "c"}),
    ],
)
def test_terms_are_those_of_the_contract(text: str, terms: set[str]) -> None:
    """NFKC, casefold, runs of letters, marks, digits and underscore; unspaced scripts as characters and pairs."""
    assert tokenize(text) == terms


@pytest.mark.parametrize(
    ("keyword", "terms"),
    [
        ("", set()),
        ("?! 😀", set()),
        ("Hello World", {"hello", "world"}),
        ("日", {"日"}),
        ("日本", {"日本"}),
        ("日本語 nihon", {"日本", "本語", "nihon"}),
        ("日 本語", {"日", "本語"}),
    ],
)
def test_a_query_asks_for_the_pairs_only(keyword: str, terms: set[str]) -> None:
    """Two or more characters of an unspaced script are sought next to each other; a single one by itself."""
    assert query_terms(keyword) == terms


def is_unspaced(character: str) -> bool:
    """Whether Unicode's own name of the character says that it is Han, Hiragana, Katakana or Hangul."""
    scripts = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "HENTAIGANA", "KATAKANA", "HANGUL")
    marks = ("IDEOGRAPHIC ITER", "VERTICAL IDEOGRAPHIC ITER", "OLD CHINESE", "VIETNAMESE ALTERNATE READING MARK")
    name = unicodedata.name(character, "")
    is_term = unicodedata.category(character) in TERM_CATEGORIES
    return (is_term and name.startswith(scripts + marks)) or name == "IDEOGRAPHIC NUMBER ZERO"


def slowly(text: str, *, query: bool = False) -> set[str]:
    """The contract's sentence read character by character."""
    runs: list[str] = [""]
    for character in unicodedata.normalize("NFKC", text).casefold():
        unspaced = is_unspaced(character)
        if not (unspaced or character == "_" or unicodedata.category(character) in TERM_CATEGORIES):
            runs.append("")
        elif runs[-1] and is_unspaced(runs[-1][-1]) is not unspaced:
            runs.append(character)
        else:
            runs[-1] += character
    terms: set[str] = set()
    for run in filter(None, runs):
        pairs = {left + right for left, right in pairwise(run)}
        if not is_unspaced(run[0]):
            terms.add(run)
        elif query and pairs:
            terms |= pairs
        else:
            terms |= {*run} | pairs
    return terms


TERM_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd"}


@given(st.text() | st.text("aB_ 9日本ーかﾊ한é\u0308😀.\0\u00a0\u3000\n", max_size=20))
@example("ß" * 3 + "日本")
def test_tokenizing_is_what_a_slow_reading_gives(text: str) -> None:
    """For any text, lone surrogates and unassigned characters included."""
    assert tokenize(text) == slowly(text)
    assert query_terms(text) == slowly(text, query=True)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_takes_a_short_way_to_the_same_terms(text: str) -> None:
    """A character outside of ASCII sends the text the long way; it adds no term here."""
    assert tokenize(text) == tokenize(text + "\u2026") - tokenize("\u2026")
    assert tokenize(text) == query_terms(text)


@given(st.text())
def test_a_text_matches_a_query_for_itself(text: str) -> None:
    """What a query asks for is among what the same text holds."""
    assert query_terms(text) <= tokenize(text)


def test_the_version_tells_of_the_unicode_database() -> None:
    """A stored index is stale where another Python would make other terms."""
    assert unicodedata.unidata_version in TERMS_VERSION
