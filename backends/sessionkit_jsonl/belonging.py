"""Whose a file is: what is not ours is told of, and never changed."""

import json
import os
import stat
from pathlib import Path

from sessionkit.errors import CorruptSessionError
from sessionkit.private import FOLDER
from sessionkit_jsonl import files, names
from sessionkit_jsonl.floor import NAME
from sessionkit_jsonl.lines import HEADER
from sessionkit_jsonl.window import Window

_MARK = b'"~":{'


def is_store(path: str) -> bool:
    """Whether the folder is a store's: made for its owner only, as ours are, or with something in it that is ours.

    Any folder may be named in a URL by mistake, a home folder or one that everybody uses.
    """
    if not stat.S_IMODE(Path(path).stat().st_mode) & ~FOLDER:
        return True
    found = sorted(entry.name for entry in Path(path).iterdir())
    return NAME in found or any(is_ours(f"{path}/{name}") for name in found if names.SUFFIX in name)


def is_ours(path: str) -> bool:
    """Whether anything in the file was written by us; not where it is no regular file."""
    data = _contents(path)
    return HEADER in data or _MARK in data


def is_another_programs(data: bytes) -> bool:
    """Whether that is somebody else's JSON, of which no line is ours: nothing that damage could have made of ours."""
    return HEADER not in data and _MARK not in data and any(map(_is_object, data.splitlines()))


def _contents(path: str) -> bytes:
    try:
        descriptor = files.open_session(path, files.READ)
    except (OSError, CorruptSessionError):
        return b""
    try:
        return Window(descriptor, os.fstat(descriptor).st_size).everything()
    finally:
        os.close(descriptor)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
