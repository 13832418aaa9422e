"""Whether the file that a connection has open is still the one at its path.

On POSIX an open file may be deleted, moved away or replaced, and whoever has it open goes on with what nobody else
will ever see; SQLite does not look in WAL mode. A look costs what a system call costs: the descriptor tells how many
names the file has and when its entry last changed, which deleting, replacing and renaming it alter, and else only a
checkpoint does. Only then, and now and then, the path itself is asked: which also tells of a folder that was moved.
"""

import os
from pathlib import Path

from sessionkit.errors import BackendUnavailableError
from sessionkit_sqlite.failures import shown

_fstat = os.fstat

# Closing a descriptor of this kind lets go of none of the locks that SQLite has on the file, as any other would.
_HARMLESS = getattr(os, "O_PATH", None)

LOOK_EVERY = 64
"""After so many uses, what can't be looked at each time is: of a file that seems unchanged, the path."""

Identity = tuple[int, int]


def identity(path: Path | str) -> Identity | None:
    """Which file stands at that path; None where there is none."""
    try:
        status = os.lstat(path)  # not what a link leads to: others would find the log of that beside it, and not ours
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def moved(path: Path) -> BackendUnavailableError:
    """The error for a file that is at its path no more."""
    what = "was deleted, moved or replaced while it was open, so this call did nothing"
    return BackendUnavailableError(f"{shown(path)} {what}; close this store, see to the file, and open it anew")


class Place:
    """The file at a path, from `hold` until `let_go`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: Identity | None = None
        self._name = os.fspath(path)
        self._descriptor: int | None = None
        self._links = self._changed = 0
        self._left = LOOK_EVERY

    def __del__(self) -> None:
        self.let_go()

    def hold(self) -> None:
        """Remember the file that is there now."""
        self.let_go()
        self.file = identity(self._name)
        if _HARMLESS is not None:
            self._descriptor = os.open(self._name, _HARMLESS | os.O_CLOEXEC)

    def let_go(self) -> None:
        """Forget it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def check(self) -> None:
        """Quickly.

        Raises:
            BackendUnavailableError: another file is at the path, or none.
        """
        self._left -= 1
        if self._descriptor is not None and self._left:
            status = _fstat(self._descriptor)
            if status.st_ctime_ns == self._changed and status.st_nlink == self._links:
                return
            self.check_path()
            self._changed, self._links = status.st_ctime_ns, status.st_nlink
        else:
            self.check_path()

    def check_path(self) -> None:
        """Whatever may have happened, be it to a folder further up.

        Raises:
            BackendUnavailableError: another file is at the path, or none.
        """
        self._left = LOOK_EVERY
        if identity(self._name) != self.file:
            raise moved(self.path)
