"""Everything that SQLite does to the files of a folder, observed in SQLite itself: each write, truncation and sync.

SQLite reaches files through a table of functions, its VFS. This puts functions of our own into that table, and into
the one of each file that is opened, which call the real ones and write down what was done and in which order. What is
durable when is therefore nothing that is assumed: a commit that was not synced is not in the record as synced.
"""

import _sqlite3
import ctypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.power.disk import Event, Name, Sync, Truncate, Write

_LOG = "-wal"
_INT, _LONG, _POINTER, _TEXT = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p, ctypes.c_char_p
_OPEN = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)  # SQLite keeps the name's address
_DELETE = ctypes.CFUNCTYPE(_INT, _POINTER, _TEXT, _INT)
_WRITE = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, _LONG)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _POINTER, _LONG)
_SYNC = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)


class _VFS(ctypes.Structure):
    """The beginning of ``sqlite3_vfs``."""

    _fields_ = (
        ("version", _INT),
        ("size_of_file", _INT),
        ("longest_path", _INT),
        ("next", _POINTER),
        ("name", _TEXT),
        ("data", _POINTER),
        ("open", _OPEN),
        ("delete", _DELETE),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``."""

    _fields_ = (
        ("version", _INT),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", _POINTER * 13),
    )


class _File(ctypes.Structure):
    """``sqlite3_file``."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


def default_vfs() -> Any:
    """The table that connections use; None where the library can't be looked into."""
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        find = library.sqlite3_vfs_find
    except (AttributeError, OSError):
        return None
    find.restype = ctypes.POINTER(_VFS)
    return find(None).contents


def _fixed(kind: Any, function: Any) -> Any:
    """The function itself, whatever becomes of the field that it was read from."""
    return kind(ctypes.cast(function, _POINTER).value)


class Recorder:
    """What is done to the files of a folder while `recording`, by whatever connection of this process."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self._folder = f"{folder}/"
        self._numbers: dict[str, int] = {}  # of the files that there are, by their names
        self._open: dict[int, tuple[str, int]] = {}
        self._highest = 0
        self._kept: list[Any] = []  # what SQLite calls must stay where it is
        self._methods: dict[int, _Methods] = {}
        self._named: set[str] = set()  # logs whose name has not been synced

    @contextmanager
    def recording(self) -> Generator[None]:
        """Until the end of this, and of every connection that was opened meanwhile."""
        vfs = default_vfs()
        real_open, real_delete = _fixed(_OPEN, vfs.open), _fixed(_DELETE, vfs.delete)

        def open_file(table: Any, name: int | None, file: int, flags: int, given: Any) -> int:
            code: int = real_open(table, name, file, flags, given)
            path = "" if name is None else ctypes.string_at(name).decode()
            if code == 0 and path.startswith(self._folder):
                self._opened(path[len(self._folder) :], file)
            return code

        def delete(table: Any, name: bytes, sync: int) -> int:
            code: int = real_delete(table, name, sync)
            short = name.decode()[len(self._folder) :]
            if code == 0 and self._numbers.pop(short, None) is not None:
                self.events.append(Name(0, short, None))
                if sync:
                    self.events.append(Sync(0))
            return code

        vfs.open, vfs.delete = _OPEN(open_file), _DELETE(delete)
        self._kept += [vfs.open, vfs.delete]
        try:
            yield
        finally:
            vfs.open, vfs.delete = real_open, real_delete

    def last_sync(self, cut: int) -> int:
        """After how many events the log was last synced, of the first `cut` ones; 0 where it never was."""
        logs = {each.file for each in self.events if isinstance(each, Name) and each.name.endswith(_LOG)}
        for count in range(cut, 0, -1):
            event = self.events[count - 1]
            if isinstance(event, Sync) and event.file in logs:
                return count
        return 0

    def _opened(self, name: str, file: int) -> None:
        if name not in self._numbers:
            self._highest += 1
            self._numbers[name] = self._highest
            self._named.add(name)
            self.events.append(Name(0, name, self._highest))
        self._open[file] = name, self._numbers[name]
        contents = _File.from_address(file)
        address = ctypes.addressof(contents.methods.contents)
        if address not in {ctypes.addressof(table) for table in self._methods.values()}:
            if address not in self._methods:
                self._methods[address] = self._watched(contents.methods.contents)
            contents.methods = ctypes.pointer(self._methods[address])

    def _watched(self, real: _Methods) -> _Methods:
        table = _Methods.from_buffer_copy(real)
        write, truncate, sync = real.write, real.truncate, real.sync

        def on_write(file: int, data: int, length: int, offset: int) -> int:
            content = ctypes.string_at(data, length)
            return self._noted(write(file, data, length, offset), lambda number: Write(number, offset, content), file)

        def on_truncate(file: int, size: int) -> int:
            return self._noted(truncate(file, size), lambda number: Truncate(number, size), file)

        def on_sync(file: int, flags: int) -> int:
            code = self._noted(sync(file, flags), Sync, file)
            name, _ = self._open[file]
            if name in self._named and not name.endswith(".db"):  # with its first sync goes one of the folder
                self._named.discard(name)
                self.events.append(Sync(0))
            return code

        table.write, table.truncate, table.sync = _WRITE(on_write), _TRUNCATE(on_truncate), _SYNC(on_sync)
        self._kept += [table.write, table.truncate, table.sync]
        return table

    def _noted(self, code: int, event: Callable[[int], Event], file: int) -> int:
        if code == 0:
            self.events.append(event(self._open[file][1]))
        return code
