"""The file name of a session, and back: safe on every file system, and never the same for two keys.

- ``a-z 0-9 _ - . @ + = ,`` stand for themselves. Every other byte of the key's UTF-8 is ``%`` and two lower-case
  hexadecimal digits, upper-case letters included: ``A`` is ``%41``, so that file systems that ignore case or normalise
  Unicode see two names wherever there are two keys.
- A first character that would hide the file or make a name that Windows reserves (``.``, or the first of ``con``) is
  written as its byte too. Separators never stand for themselves, so no key leads out of the folder.
- A name of more than 120 characters is its first 56, ``~``, and the SHA-256 of the key: short enough for every file
  system, with room for the endings. The key itself stands in the file's header.

To drop in a file of one's own, name it like that: ``notes.jsonl`` is the session ``notes``.
"""

import hashlib
import os
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

SUFFIX = ".jsonl"
"""What the name of every session file ends in."""

_LONGEST = 120
_PREFIX = 56
_UNSAFE = re.compile(rb"[^a-z0-9_\-.@+=,]")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


@lru_cache(maxsize=4096)
def file_name(session_key: str) -> str:
    """The name, without its folder, of the file that keeps the session."""
    raw = session_key.encode()
    name = _UNSAFE.sub(_percent, raw).decode()
    if name[0] == "." or _RESERVED.match(name):
        name = f"%{ord(name[0]):02x}{name[1:]}"
    if len(name) > _LONGEST:
        name = f"{name[:_PREFIX]}~{hashlib.sha256(raw).hexdigest()}"
    return name + SUFFIX


def session_key(name: str) -> str | None:
    """The key of which `name` is the file name; None for a hashed name, whose key stands in the file.

    Raises:
        ValueError: it is the file name of no key; the message says which name would be.
    """
    stem = name.removesuffix(SUFFIX)
    if len(stem) == _PREFIX + 65 and stem[_PREFIX] == "~":
        return None
    key = unquote_to_bytes(os.fsencode(stem)).decode(errors="replace")
    if key and "\0" not in key and file_name(key) == name:
        return key
    wanted = f"; as {file_name(key)!r} it would be {key!r}" if key else ""
    msg = f"{name!r} is the file name of no session{wanted}"
    raise ValueError(msg)


def _percent(byte: re.Match[bytes]) -> bytes:
    return b"%%%02x" % byte[0][0]
