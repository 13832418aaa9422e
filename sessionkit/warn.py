"""Warnings that point at the caller's own line; for authors of backends.

How many frames lie between a warning and the line that asked for what it is about differs from call to call and from
one Python to the next, so that no fixed ``stacklevel`` is right.
"""

import inspect
import warnings
from types import FrameType


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line that is neither sessionkit's nor in the package that calls this."""
    this = inspect.currentframe()
    frame = None if this is None else this.f_back
    own = {"sessionkit", _package(frame)}
    level = 2
    while frame is not None and _package(frame) in own:
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _package(frame: FrameType | None) -> str:
    name = "" if frame is None else frame.f_globals.get("__name__", "")
    return str(name).partition(".")[0]
