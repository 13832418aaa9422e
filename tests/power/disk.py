"""A disk that keeps what it was told to keep: what may be on it once the power is gone.

POSIX promises little, and this disk keeps no more: what was written to a file is there once that file was synced, a
name in a folder once that folder was. Of all that was not synced any part may be there and any other be missing, in any
order: a write whole, in part, or as zeroes because the file's size came first; a new name without the data behind it.
(Within one folder, of two changes of one name the later one wins; to rename is one change.)
"""

from collections.abc import Iterator
from itertools import product
from random import Random

import attrs

BLOCK = 64
"""What reaches the disk as a whole, in bytes; far smaller than in life, so that short lines have several."""


@attrs.frozen
class Write:
    """These bytes were put into a file at that place."""

    file: int
    offset: int
    data: bytes


@attrs.frozen
class Truncate:
    """A file was given that size."""

    file: int
    size: int


@attrs.frozen
class Name:
    """A name in a folder was given to a file, new or from under another name in it, or to none."""

    folder: int
    name: str
    file: int | None
    instead_of: str | None = None
    is_folder: bool = False


@attrs.frozen
class Sync:
    """A file's content, or a folder's names, were waited for."""

    file: int


Event = Write | Truncate | Name | Sync

Names = dict[str, int]
Tree = dict[str, "bytes | Tree"]

LOST, WHOLE, SIZE, FRONT, BACK, SIDES, WAYS = range(7)
"""What may have become of a write: nothing, all, zeroes, its first block, all but that, or all but its second one."""


class Disk:
    """All that was ever done to one folder's tree, up to some event: what is surely there, and what may be.

    Files and folders have numbers, as they have inodes; 0 is the top, which is there and empty in the beginning.
    """

    def __init__(self) -> None:
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, Names] = {0: {}}
        self._unsynced: list[Event] = []

    def pass_event(self, event: Event) -> None:
        """Go past what was done next."""
        if not isinstance(event, Sync):
            self._unsynced.append(event)
            if isinstance(event, Name) and event.is_folder and event.file is not None:
                self._folders[event.file] = {}  # which does no harm where its own name is lost
            return
        kept = [each for each in self._unsynced if _place(each) == event.file]
        rest = [each for each in self._unsynced if _place(each) != event.file]
        for each in kept:
            _apply(self._files, self._folders, each, WHOLE)
        self._unsynced = rest

    def everything(self) -> Tree:
        """What there is as long as the power is on."""
        return self._tree([WHOLE] * len(self._unsynced))

    def with_one_more(self, event: Event) -> Tree:
        """The same, once that has happened too."""
        self._unsynced.append(event)
        try:
            return self.everything()
        finally:
            self._unsynced.pop()

    def after_cuts(self, most: int, random: Random) -> Iterator[Tree]:
        """What there may be when the power goes now: every combination, or so many of them, the extremes included."""
        options = [[LOST, WHOLE] if isinstance(each, Name | Truncate) else list(range(WAYS)) for each in self._unsynced]
        combinations = 1
        for each in options:
            combinations *= len(each)
            if combinations > most:
                yield from self._some(options, most, random)
                return
        for chosen in product(*options):
            yield self._tree(list(chosen))

    def _some(self, options: list[list[int]], most: int, random: Random) -> Iterator[Tree]:
        length = len(options)
        yield self._tree([LOST] * length)
        for _ in range(max(0, most - 1)):
            daring = random.random()  # from nearly all there to hardly anything
            yield self._tree([WHOLE if random.random() < daring else random.choice(each) for each in options])

    def _tree(self, chosen: list[int]) -> Tree:
        files = dict(self._files)
        folders = {number: dict(names) for number, names in self._folders.items()}
        for event, how in zip(self._unsynced, chosen, strict=True):
            if how != LOST:
                _apply(files, folders, event, how)
        return _tree_of(files, folders, 0)


def _place(event: Event) -> int:
    return event.folder if isinstance(event, Name) else event.file


def _apply(files: dict[int, bytes], folders: dict[int, Names], event: Event, how: int) -> None:
    if isinstance(event, Name):
        names = folders[event.folder]
        if event.instead_of is not None and names.get(event.instead_of) == event.file:
            del names[event.instead_of]
        if event.file is None:
            names.pop(event.name, None)
        else:
            names[event.name] = event.file
    elif isinstance(event, Truncate):
        files[event.file] = files.get(event.file, b"")[: event.size].ljust(event.size, b"\0")
    elif isinstance(event, Write):
        content = files.get(event.file, b"")
        end = event.offset + len(event.data)
        before = content.ljust(end, b"\0")  # what was there stays where the new is not; where nothing was, zeroes are
        first, last = _reached(event, how)
        new = before[: event.offset + first] + event.data[first:last] + before[event.offset + last :]
        if how == SIDES:
            hole = event.offset + _first_block(event)
            new = new[:hole] + before[hole : hole + BLOCK] + new[hole + BLOCK :]
        files[event.file] = new if how != FRONT else new[: max(len(content), event.offset + last)]


def _reached(event: Write, how: int) -> tuple[int, int]:
    """Which of the written bytes are there; where some are not, a block of the file ends, if one does within."""
    length, cut = len(event.data), _first_block(event)
    return {SIZE: (0, 0), FRONT: (0, cut), BACK: (cut, length)}.get(how, (0, length))


def _first_block(event: Write) -> int:
    """How many of the bytes are in the same block of the file as the first one."""
    return min(len(event.data), BLOCK - event.offset % BLOCK)


def _tree_of(files: dict[int, bytes], folders: dict[int, Names], number: int) -> Tree:
    return {
        name: _tree_of(files, folders, file) if file in folders else files.get(file, b"")
        for name, file in folders[number].items()
    }
