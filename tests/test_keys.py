"""What a session key may be, and what any other argument."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import InvalidSessionKeyError, check_session_key
from sessionkit.keys import (
    check_count,
    check_not_negative,
    check_state,
    check_text,
    check_turn_id,
    shown,
)

LEGAL = [
    "a",
    " ",
    "a/../b",
    "../../etc/passwd",
    "CON",
    "Ä",
    "A\u0308",
    "\n",
    "\x7f",
    "\U0010ffff",
    ".",
    "%00",
    "x" * 1024,
]


@pytest.mark.parametrize("key", [*LEGAL, "ä" * 512, "\U0001f600" * 256])
def test_any_text_of_up_to_1024_bytes_is_a_key(key: str) -> None:
    """However it looks to a file system, a shell or a query."""
    check_session_key(key)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", "can't be empty"),
        ("x" * 1025, "at most 1024 UTF-8 bytes, this one 1025"),
        ("x" * 2000, "at most 1024 UTF-8 bytes, this one 2000"),
        ("ä" * 513, "at most 1024 UTF-8 bytes, this one 1026"),
        ("\U0001f600" * 257, "at most 1024 UTF-8 bytes, this one 1028"),
        ("a\0b", "can't hold NUL"),
        ("ä\0", "can't hold NUL"),
        ("ab\ud800", r"lone surrogate \(at position 2\)"),
        (b"key", "is text, not bytes"),
        (None, "is text, not NoneType"),
        (5, "is text, not int"),
    ],
)
def test_anything_else_is_refused(key: Any, error: str) -> None:
    """With what is wrong, in one printable line."""
    with pytest.raises(InvalidSessionKeyError, match=error) as caught:
        check_session_key(key)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@given(st.text())
def test_the_limit_counts_bytes(key: str) -> None:
    """A text is a key exactly where it has 1 to 1,024 bytes and no NUL."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = 0
    if 1 <= size <= 1024 and "\0" not in key:
        check_session_key(key)
        return
    with pytest.raises(InvalidSessionKeyError):
        check_session_key(key)


def test_other_texts_may_be_empty_long_and_hold_nul() -> None:
    """Names, aliases, contexts and states are whatever UTF-8 can hold."""
    for text in ("", "\0", "x" * 5000, "ä"):
        check_text(text, "a name")


@pytest.mark.parametrize("character", ["x", "ä", "\U0001f600"])
def test_any_other_text_takes_up_to_64_kilobytes(character: str) -> None:
    """Of UTF-8: just as many pass, one more does not, however many times too many there are."""
    most = character * (65_536 // len(character.encode()))
    check_text(most, "a name")
    for text in (most + "x", most + "\ud800", most * 100, "ä" + "x" * 65_535, "\ud800" * 65_536):
        with pytest.raises(ValueError, match=r"a name .*65536|a name can't hold a lone surrogate"):
            check_text(text, "a name")


@pytest.mark.parametrize(
    ("text", "kind", "error"),
    [
        (None, TypeError, "a name is text, not NoneType"),
        (b"x", TypeError, "a name is text, not bytes"),
        ("\ud800", ValueError, "a name can't hold a lone surrogate"),
    ],
)
def test_what_is_no_text_is_refused(text: Any, kind: type[Exception], error: str) -> None:
    """The error names what it was meant for."""
    with pytest.raises(kind, match=error):
        check_text(text, "a name")


@given(st.text())
def test_a_text_is_shown_in_one_short_line(text: str) -> None:
    """Whatever it holds, an error that shows it can be printed anywhere."""
    literal = shown(text)
    assert literal.isascii()
    assert literal.isprintable()
    assert len(literal) <= 80
    if len(text) < 8:
        assert literal == ascii(text)


def test_what_fits_is_shown_in_full() -> None:
    """Up to 80 characters with its quotes; of what is longer, the most of it that leaves room for three dots."""
    assert shown("x" * 78) == f"'{'x' * 78}'"
    assert shown("x" * 79) == f"'{'x' * 76}..."
    assert shown("x" * 80) == shown("x" * 81) == shown("x" * 79)
    assert shown("\n" * 39) == "'" + "\\n" * 39 + "'"


@pytest.mark.parametrize("value", [0, 1, 0.0, float("inf")])
def test_zero_and_more_are_in_range(value: float) -> None:
    """For times and thresholds; a count is whole besides."""
    check_not_negative(value, "it")
    if isinstance(value, int):
        check_count(value, "it")


@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("-inf")])
def test_less_than_zero_is_out_of_range(value: float) -> None:
    """And so is what is no number."""
    with pytest.raises(ValueError, match="it must be 0 or more"):
        check_not_negative(value, "it")


def test_less_than_none_is_no_count() -> None:
    """As for any number."""
    with pytest.raises(ValueError, match="it must be 0 or more, not -1"):
        check_count(-1, "it")


@pytest.mark.parametrize("value", ["x", None, [], b"1", True, 1 + 0j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    """By its type; nor is it a count."""
    with pytest.raises(TypeError, match=f"it is a number, not {type(value).__name__}"):
        check_not_negative(value, "it")
    with pytest.raises(TypeError, match=f"it is a whole number, not {type(value).__name__}"):
        check_count(value, "it")


@pytest.mark.parametrize("value", [1.5, 1.0, float("nan"), float("inf")])
def test_a_fraction_is_no_count(value: Any) -> None:
    """Though its part might be none."""
    with pytest.raises(TypeError, match="it is a whole number, not float"):
        check_count(value, "it")


@pytest.mark.parametrize(
    ("check", "kind", "error"),
    [
        (lambda: check_state("", None), ValueError, "a state can't be empty"),
        (lambda: check_state("\ud800", None), ValueError, "a state can't hold a lone surrogate"),
        (lambda: check_state(None, None), TypeError, "a state is text, not NoneType"),  # type: ignore[arg-type]
        (lambda: check_state("idle", 5), TypeError, "a turn id is text, not int"),  # type: ignore[arg-type]
        (lambda: check_turn_id(""), ValueError, "a turn id can't be empty"),
        (lambda: check_turn_id(None), TypeError, "a turn id is text, not NoneType"),  # type: ignore[arg-type]
    ],
)
def test_states_and_turns_are_texts(check: Callable[[], None], kind: type[Exception], error: str) -> None:
    """A state and the turn that begins are not empty; a turn that is merely stored may be, or be none at all."""
    check_state("anything", "")
    check_state("anything", None)
    check_turn_id("anything")
    with pytest.raises(kind, match=error):
        check()
