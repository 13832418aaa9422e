"""The files of a store: whether others may read them, and whether any was left over."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sessionkit.models import Finding
from sessionkit.private import FILE
from sessionkit_sqlite.failures import shown

_LEFT_OVER = re.compile(r"\.sessionkit-[0-9a-f]{16}")
_OLD = 60  # seconds after which an empty file is nobody's who is just making a store


def check_files(path: Path, *, repair: bool) -> Iterator[Finding]:
    """Permissions wider than the owner's, and empty files that a crash left; both are mended."""
    for file in (path, *(Path(f"{path}{beside}") for beside in ("-wal", "-shm", "-lock"))):
        with suppress(FileNotFoundError):
            mode = file.stat().st_mode & 0o777
            if mode & ~FILE:
                if repair:
                    file.chmod(FILE)
                yield Finding(
                    "permissions",
                    f"others may use {shown(file)}: its mode is {mode:o}",
                    where=shown(file),
                    repaired=f"its mode is {FILE:o} now" if repair else None,
                )
    for file in path.parent.iterdir():
        with suppress(FileNotFoundError):
            status = file.lstat()
            if _LEFT_OVER.fullmatch(file.name) and status.st_size == 0 and time.time() - status.st_mtime > _OLD:
                if repair:
                    file.unlink()
                what = f"{shown(file)} is an empty file that was left over when a store was made"
                yield Finding("orphan", what, where=shown(file), repaired="it was removed" if repair else None)
