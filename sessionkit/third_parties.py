"""Backends that other distributions bring, found without what takes longer to import than all of sessionkit."""

import errno
import os
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from sessionkit.os_errors import unavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "sessionkit.backends"
"""Where third parties' distributions name their factories, the entry point's name being the scheme."""

_METADATA = (".dist-info", "egg-info")  # in an egg that is a folder itself, the latter without a dot
_FILE = "entry_points.txt"
_NOT_THERE = (FileNotFoundError, PermissionError)
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)


def entry_points() -> "tuple[EntryPoint, ...]":
    """All that distributions have registered.

    Raises:
        BackendUnavailableError: their metadata can't be read.
    """
    try:
        if not _may_be_any():
            return ()
        from importlib.metadata import entry_points as found  # noqa: PLC0415 -- half as dear as all of sessionkit

        return tuple(found(group=ENTRY_POINT_GROUP))
    except OSError as error:
        raise unavailable(error, "the metadata of the installed distributions") from error


def _may_be_any() -> bool:
    """Whether any distribution mentions the group; True too where only `importlib.metadata` can say."""
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return True
    return any(_mentions_group(entry or ".") for entry in sys.path)


def _mentions_group(entry: str) -> bool:
    """Whether a distribution in this entry of the path mentions the group; True where only a better look can say."""
    try:
        names = os.listdir(entry)  # noqa: PTH208 -- pathlib takes several times as long, as for `open` below
        return any(_mentioned_in(f"{entry}/{name}/{_FILE}") for name in names if name.lower().endswith(_METADATA))
    except _NOT_THERE:
        return False
    except (OSError, ValueError) as error:  # an archive, or whatever else may stand there
        if isinstance(error, OSError) and error.errno in _NO_MORE_FILES:
            raise
        return True


def _mentioned_in(path: str) -> bool:
    with suppress(*_NOT_THERE, NotADirectoryError), open(path, "rb") as file:  # noqa: PTH123 -- see above
        return ENTRY_POINT_GROUP.encode() in file.read()
    return False
