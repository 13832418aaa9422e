"""The operating system's errors, said in ours."""

import errno
import os
from pathlib import Path

import pytest

from sessionkit.os_errors import unavailable


@pytest.mark.parametrize(
    ("number", "hint", "retryable"),
    [
        (errno.ENOSPC, "free some space", False),
        (errno.EACCES, "mode=ro", False),
        (errno.EMFILE, "too many files open", True),
        (errno.EIO, "", False),
        (errno.EAGAIN, "", True),
    ],
)
def test_an_error_says_where_why_and_what_to_do(number: int, hint: str, *, retryable: bool) -> None:
    """The path and the system's own words, a hint where there is one, and whether trying again may help."""
    error = unavailable(OSError(number, os.strerror(number)), Path("/store/file"))
    assert str(error).startswith(f"/store/file: {os.strerror(number)}")
    assert hint in str(error)
    assert (error.retryable, error.outcome) == (retryable, "not_applied")


def test_the_outcome_is_the_callers_to_know() -> None:
    """Whether something was written is passed on; an error without a number keeps its words."""
    error = unavailable(OSError("odd"), "file", "unknown")
    assert (str(error), error.retryable, error.outcome) == ("file: odd", False, "unknown")
