"""Every system call by which this process changes a folder's tree, written down in order; and a death in one of them.

The functions of `os` are replaced for as long as it records. That none escaped is proven at the end of each run: what
was written down, done again, gives the very tree that there is (`Recorder.check`).
"""

import fcntl
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.power.disk import Disk, Event, Name, Sync, Tree, Truncate, Write

_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(os, name)
    for name in (
        "open", "write", "pwrite", "writev", "pwritev", "truncate", "ftruncate", "fsync", "fdatasync", "rename",
        "replace", "unlink", "remove", "mkdir", "chmod", "fchmod",
    )
}  # fmt: skip
_REFUSED = ("link", "symlink", "rmdir", "mkfifo", "mknod", "copy_file_range", "sendfile", "posix_fallocate")


class KilledError(BaseException):
    """The process has died, as by SIGKILL: nothing that is done from now on changes anything."""


class Recorder:
    """What was done to the tree under `top`, by the events of `tests.power.disk`.

    Attributes:
        events: all so far.
        dies_at: the process dies in the event of that number, a write having got halfway; None: it lives on.
    """

    def __init__(self, top: Path) -> None:
        self.top = str(top)
        self.events: list[Event] = []
        self.dies_at: int | None = None
        self._dead = False
        self._numbers = {self.top: 0}
        self._descriptors: dict[int, int] = {}
        self._count = 0

    @contextmanager
    def recording(self) -> Generator[None]:
        """Record for as long as this lasts. A process that died is followed by the next one."""
        self._dead = False
        self._descriptors.clear()
        for name in _REAL:
            setattr(os, name, getattr(self, f"_{name}"))
        refused = {name: getattr(os, name) for name in _REFUSED}
        for name in _REFUSED:
            setattr(os, name, self._refuse)
        try:
            yield
        finally:
            for name, real in (_REAL | refused).items():
                setattr(os, name, real)
            self.dies_at = None

    def write_back(self) -> None:
        """Everything gets to the disk, as it does by itself some time after it was written."""
        for number in range(self._count + 1):
            self.events.append(Sync(number))

    def check(self) -> None:
        """That nothing changed the tree unrecorded."""
        disk = Disk()
        for event in self.events:
            disk.pass_event(event)
        assert disk.everything() == tree_at(Path(self.top)), "something changed the files unseen"

    def _happens(self, event: Event) -> bool:
        """Whether it does, and the process lives on."""
        if self._dead:
            raise KilledError
        if len(self.events) == self.dies_at:
            self._dead = True
            return False
        self.events.append(event)
        return True

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise AssertionError("a call that this recorder does not know")

    def _number(self, path: Any) -> int | None:
        return self._numbers.get(str(Path(path).absolute()))

    def _ours(self, path: Any) -> str | None:
        """The path, where it is one below the top."""
        full = str(Path(path).absolute())
        return full if full.startswith(f"{self.top}/") else None

    def _new(self, path: str, *, is_folder: bool = False) -> None:
        self._count += 1
        parent = self._numbers[str(Path(path).parent)]
        if not self._happens(Name(parent, Path(path).name, self._count, is_folder=is_folder)):
            raise KilledError
        self._numbers[path] = self._count

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        assert dir_fd is None
        assert not flags & os.O_TRUNC
        full = self._ours(path)
        created = full is not None and bool(flags & os.O_CREAT) and not os.path.lexists(full)
        if created and full is not None:
            self._new(full)
        descriptor: int = _REAL["open"](path, flags, mode)
        number = self._number(path)
        if number is None:
            self._descriptors.pop(descriptor, None)
        else:
            self._descriptors[descriptor] = number
        return descriptor

    def _written(self, descriptor: int, offset: int, data: bytes) -> None:
        number = self._descriptors.get(descriptor)
        if number is None or not data:
            return
        if not self._happens(Write(number, offset, data)):
            half = data[: len(data) // 2]
            if half:
                _REAL["pwrite"](descriptor, half, offset)  # which appends, too, where the file is open for that
                self.events.append(Write(number, offset, half))
            raise KilledError

    def _write(self, descriptor: int, data: Any) -> int:
        if descriptor in self._descriptors:
            appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
            offset = os.fstat(descriptor).st_size if appends else os.lseek(descriptor, 0, os.SEEK_CUR)
            self._written(descriptor, offset, bytes(data))
        count: int = _REAL["write"](descriptor, data)
        assert descriptor not in self._descriptors or count == len(data)
        return count

    def _pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        self._written(descriptor, offset, bytes(data))
        count: int = _REAL["pwrite"](descriptor, data, offset)
        return count

    def _writev(self, descriptor: int, buffers: Any) -> int:
        return self._write(descriptor, b"".join(map(bytes, buffers)))

    def _pwritev(self, descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
        assert not flags
        return self._pwrite(descriptor, b"".join(map(bytes, buffers)), offset)

    def _ftruncate(self, descriptor: int, size: int) -> None:
        number = self._descriptors.get(descriptor)
        if number is not None and not self._happens(Truncate(number, size)):
            raise KilledError
        _REAL["ftruncate"](descriptor, size)

    def _truncate(self, path: Any, size: int) -> None:
        number = path if isinstance(path, int) else self._number(path)
        if number is not None and not self._happens(Truncate(number, size)):
            raise KilledError
        _REAL["truncate"](path, size)

    def _fsync(self, descriptor: int) -> None:
        number = self._descriptors.get(descriptor)
        if number is not None and not self._happens(Sync(number)):
            raise KilledError
        # The disk is ours; to wait for the real one would only take long.

    _fdatasync = _fsync

    def _replace(self, source: Any, target: Any) -> None:
        old, new = self._ours(source), self._ours(target)
        if old is not None and new is not None:
            folder = self._numbers[str(Path(new).parent)]
            assert folder == self._numbers[str(Path(old).parent)], "from one folder to another is not modelled"
            event = Name(folder, Path(new).name, self._numbers[old], instead_of=Path(old).name)
            if not self._happens(event):
                raise KilledError
            self._numbers[new] = self._numbers.pop(old)
        _REAL["replace"](source, target)

    _rename = _replace

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        assert dir_fd is None
        full = self._ours(path)
        if full is not None and os.path.lexists(full):
            if not self._happens(Name(self._numbers[str(Path(full).parent)], Path(full).name, None)):
                raise KilledError
            del self._numbers[full]
        _REAL["unlink"](path)

    _remove = _unlink

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        assert dir_fd is None
        full = self._ours(path)
        if full is not None and not os.path.lexists(full) and str(Path(full).parent) in self._numbers:
            self._new(full, is_folder=True)
        _REAL["mkdir"](path, mode)

    def _chmod(self, path: Any, mode: int, **options: Any) -> None:
        if self._dead:
            raise KilledError
        _REAL["chmod"](path, mode, **options)

    def _fchmod(self, descriptor: int, mode: int) -> None:
        if self._dead:
            raise KilledError
        _REAL["fchmod"](descriptor, mode)


def tree_at(folder: Path) -> Tree:
    """What there is."""
    return {
        entry.name: tree_at(entry) if stat.S_ISDIR(entry.lstat().st_mode) else entry.read_bytes()
        for entry in folder.iterdir()
    }


def put_tree(tree: Tree, folder: Path) -> None:
    """Make the folder hold that, and nothing else."""
    for entry in list(folder.iterdir()) if folder.exists() else ():
        if entry.is_dir():
            put_tree({}, entry)
            entry.rmdir()
        else:
            entry.unlink()
    folder.mkdir(exist_ok=True)
    for name, content in tree.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            put_tree(content, folder / name)
