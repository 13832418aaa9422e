"""What a process and a store take at a moment, as the system tells it."""

import os
import resource
from pathlib import Path

Sample = dict[str, float]
"""What was measured, by its name; ``seconds`` is when, since the run began."""

_PAGE = resource.getpagesize()
_MIB = 1024 * 1024


def process_sample(pid: int) -> Sample:
    """The memory, open files and threads of a process.

    Raises:
        OSError: it has ended.
    """
    proc = Path(f"/proc/{pid}")
    rss = int((proc / "statm").read_text().split()[1]) * _PAGE
    return {
        "memory": rss / _MIB,
        "handles": len(os.listdir(proc / "fd")),  # noqa: PTH208 -- a name that goes meanwhile is no error
        "threads": len(os.listdir(proc / "task")),  # noqa: PTH208 -- likewise
    }


def store_sample(store: Path) -> Sample:
    """The size of a store on disk: a SQLite file and its log, or a folder's files and the largest of them."""
    if not store.exists():
        return {}  # nobody has come to creating it
    if store.is_dir():
        sizes = [size for entry in os.scandir(store) if (size := _size(Path(entry.path))) is not None]
        return {"folder": sum(sizes) / _MIB, "largest file": max(sizes, default=0) / _MIB, "files": len(sizes)}
    log = _size(Path(f"{store}-wal")) or 0
    return {"database": (_size(store) or 0) / _MIB, "log": log / _MIB, "files": len(list(store.parent.iterdir()))}


def _size(path: Path) -> int | None:
    """None where the file has gone meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
