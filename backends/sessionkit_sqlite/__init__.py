"""Sessions in one SQLite file: any number of threads and processes, search, nothing to install.

- `sessionkit_sqlite.schema`: what the file holds, and how it migrates.
- `sessionkit_sqlite.store`: connections, locks, forks, and the mapping of SQLite's errors.
- `sessionkit_sqlite.place`, `sessionkit_sqlite.log`: whether the open files are still the ones at their path, and how
  large the write-ahead log may become.
- `sessionkit_sqlite.checking`, `sessionkit_sqlite.rescue`: whether everything is in order, and a new store of a
  damaged one.
- `sessionkit_sqlite.exclusive`: the lock of a connection, which no Ctrl-C leaves locked.
- `sessionkit_sqlite.terms`: the full-text index, which is filled late.
- `sessionkit_sqlite.backend`: the methods of the contract.
"""

from sessionkit_sqlite.backend import SQLiteBackend
from sessionkit_sqlite.urls import open_url

__all__ = ["SQLiteBackend", "open_url"]
