"""Warnings that point at the caller's line."""

import inspect
from typing import Any

import pytest

from sessionkit.warn import warn_caller

DEEP = "def deep(depth): warn('text', UserWarning) if depth == 0 else [deep(depth - 1) for _ in 'x']"


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_warning_points_past_the_package_that_warns(depth: int) -> None:
    """However many frames of the warning package lie between, the line is that of whoever called into it."""
    package: dict[str, Any] = {"warn": warn_caller, "__name__": "package.inner"}
    exec(DEEP, package)  # noqa: S102 -- a function of another package
    with pytest.warns(UserWarning, match="text") as caught:
        package["deep"](depth)
    frame = inspect.currentframe()
    assert frame is not None
    assert (caught[0].filename, caught[0].lineno) == (__file__, frame.f_lineno - 3)
