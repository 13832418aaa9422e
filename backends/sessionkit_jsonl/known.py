"""What the files of a folder said at the last look, so that a list opens only those that have changed since."""

import os

from sessionkit.record import SessionRecord

Stamp = tuple[int, int, int, int]
"""A file's number, its size, and when it and what is known of it were changed last, in nanoseconds."""

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change gives a file another time, however coarse the clock of its file system is."""

_MOST = 50_000
"""Of how many sessions the records are kept: some 50 MB, besides their attributes."""


class Known:
    """The records of sessions by the names of their files, each as long as nothing happens to its file.

    A file that was changed just now is read each time, for the next change could give it the same time, and were it
    deleted and created anew, the same number and size.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[Stamp, str, SessionRecord]] = {}

    def get(self, name: str, stamp: Stamp) -> tuple[str, SessionRecord] | None:
        """The session's key and its record, not to be changed; None where the file is not known as it is now."""
        known = self._records.get(name)
        return known[1:] if known is not None and known[0] == stamp else None

    def keep(self, name: str, stamp: Stamp, since: int, key: str, record: SessionRecord) -> None:
        """Know it from now on; `stamp` was taken at `since` or later, and before the file was read."""
        if max(stamp[2:]) < since - _SETTLED and (len(self._records) < _MOST or name in self._records):
            self._records[name] = (stamp, key, record)

    def keep_only(self, names: set[str]) -> None:
        """Forget the files that are gone."""
        for name in self._records.keys() - names:
            self._records.pop(name, None)


def stamp_of(status: os.stat_result) -> Stamp:
    """What differs once the file was written to, or replaced."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
