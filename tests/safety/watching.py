"""Watching a folder while something happens in it: who else could have read what was there, in any moment."""

import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

OTHERS = 0o077
"""The rights of everybody but the owner."""

_MAKERS = {"posix", "_io", "io", "sqlite3", "_sqlite3"}
"""Whose functions, and whose objects' methods, make files."""


@contextmanager
def watched(folder: Path) -> Generator[set[str]]:
    """What in the folder was open to others in any moment of the block, as ``mode path``.

    Each time that a function written in C has returned, all modes are looked at: between two of them nobody else is
    let in by Python. It is said of whatever is younger than the block, the folder itself excepted.
    """
    before = {path for path, _ in _modes(folder)}
    found: set[str] = set()

    def look(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_return" and (function.__module__ or type(function.__self__).__module__) in _MAKERS:
            found.update(f"{mode:o} {path}" for path, mode in _modes(folder) if mode & OTHERS and path not in before)

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


@contextmanager
def umask(mask: int) -> Generator[None]:
    """With that umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _modes(folder: Path | str) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(mode):
            yield entry.path, stat.S_IMODE(mode)
        if stat.S_ISDIR(mode):
            yield from _modes(entry.path)
