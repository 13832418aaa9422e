"""Where a target's files are: in memory where the machine has such a place, for there are very many of them."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it


@contextmanager
def folder() -> Generator[Path]:
    """A new folder, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="sessionkit-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield made
    finally:
        shutil.rmtree(made)
