"""A process of its own for each proof: limits, rights, clocks and signal handlers are the whole process's."""

import faulthandler
import os
import pickle
import select
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class DiedError(AssertionError):
    """The process did not come to its end: it hung, it was killed, or something was raised that nobody expected."""


def run(function: Callable[[], T], *, deadline: float) -> T:
    """What the function gives, in a forked child.

    Raises:
        DiedError: it took longer than that many seconds, and where it stood then; it died; or what it raised.
    """
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as said:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of forking beside threads
            child = os.fork()
        if child == 0:
            os.close(reader)
            _in_child(function, writer, said.fileno())
        os.close(writer)
        answer = _read(reader, time.monotonic() + deadline)
        os.close(reader)
        if not answer:
            os.kill(child, signal.SIGABRT)  # and it says where it stood
        os.waitpid(child, 0)
        said.seek(0)
        words = said.read().decode(errors="replace")
    if not answer:
        msg = f"it hung, or died without a word, within {deadline:g} seconds\n{words}"
        raise DiedError(msg)
    error, result = pickle.loads(answer)  # noqa: S301 -- of our own child
    if error:
        raise DiedError(error)
    return result  # type: ignore[no-any-return]


def _in_child(function: Callable[[], object], writer: int, said: int) -> None:
    faulthandler.enable(said)
    try:
        answer = pickle.dumps(("", function()))
    except BaseException:  # noqa: BLE001 -- handed over, whatever it is
        answer = pickle.dumps((traceback.format_exc(), None))
    try:
        while answer:
            answer = answer[os.write(writer, answer) :]
    finally:
        os._exit(0)


def _read(descriptor: int, until: float) -> bytes:
    """All that is written, if the end comes in time."""
    parts: list[bytes] = []
    while (left := until - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            part = os.read(descriptor, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return b""


def fill_gaps(folder: Path) -> list[int]:
    """Open files until no number below the highest is free; the descriptors, the highest last."""
    highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    held = [os.open(folder, os.O_RDONLY)]
    while held[-1] < highest:
        held.append(os.open(folder, os.O_RDONLY))
    return held
