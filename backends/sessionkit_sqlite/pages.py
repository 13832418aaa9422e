"""The pages of a SQLite file, read without SQLite: for a file that it refuses, or whose trees are damaged.

What is read is the file as its last complete commit left it, the write-ahead log's included. Nothing is believed: every
number is looked at before it is used, and a page that is not what it should be is damaged, not an error. The format is
SQLite's own, as https://www.sqlite.org/fileformat2.html has it.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"SQLite format 3\0"
LEAF, INTERIOR = 0x0D, 0x05
_SIZES = (2048, 4096, 1024, 8192, 512, 16384, 32768, 65536)  # ours first
_LOG_HEADER, _FRAME_HEADER = 32, 24
_LONGEST = 2**31  # bytes of a row, as SQLite has it
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_U32 = 0xFFFFFFFF


class DamagedError(Exception):
    """A page, or a row on it, is not what it should be."""


class Pages:
    """The pages, counted from 1; to be closed.

    Attributes:
        size: of a page, in bytes.
        count: how many pages there are.
        has_header: whether the file begins as every SQLite file does.
        header: how it begins, after the log's last complete commit.
        lost_bytes: how many bytes of the log follow that.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        log = Path(f"{path}-wal")
        self._log: BinaryIO | None = log.open("rb") if log.exists() else None
        self._frames: dict[int, int] = {}
        header = self._file.read(100).ljust(100, b"\0")
        self.has_header = header[:16] == MAGIC
        self.size = self._page_size(header)
        self._usable = self.size - (header[20] if self.has_header and header[20] < self.size // 8 else 0)
        self.lost_bytes = 0
        length = os.fstat(self._file.fileno()).st_size
        self.count = max(-(-length // self.size), self._read_log())
        self.header = header
        with suppress(DamagedError):
            self.header = self.page(1)[:100]

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._log is not None:
            self._log.close()

    def page(self, number: int) -> bytes:
        """A page as it is now.

        Raises:
            DamagedError: there is none. Where the file ends within the page, the rest is zeroes, as it is for SQLite.
        """
        offset = self._frames.get(number)
        if offset is not None and self._log is not None:
            self._log.seek(offset)
            return self._log.read(self.size)
        if not 0 < number <= self.count:
            raise DamagedError
        self._file.seek((number - 1) * self.size)
        data = self._file.read(self.size)
        if not data:
            raise DamagedError
        return data.ljust(self.size, b"\0")

    def kind(self, number: int) -> int:
        """The first byte of the page's tree header; 0 where it can't be read."""
        try:
            return self.page(number)[100 if number == 1 else 0]
        except DamagedError:
            return 0

    def children(self, number: int) -> list[tuple[int, int | None]]:
        """Of an interior page, each child with the highest row id that it may hold; None for the last.

        Raises:
            DamagedError: it is none.
        """
        data, start = self._tree_page(number, INTERIOR)
        found: list[tuple[int, int | None]] = []
        latest = -(2**63)
        for offset in _cells(data, start + 12, start):
            child = _u32(data, offset)
            highest, _ = _varint(data, offset + 4)
            highest = _signed(highest)
            if not 0 < child <= self.count or highest < latest:
                raise DamagedError
            latest = highest
            found.append((child, highest))
        return [*found, (_u32(data, start + 8), None)]

    def rows(self, number: int) -> Iterator[tuple[int, list[Any] | None]]:
        """Of a leaf of a table, the id and the values of each row; None instead where they are damaged.

        Raises:
            DamagedError: it is none.
        """
        data, start = self._tree_page(number, LEAF)
        for offset in _cells(data, start + 8, start):
            try:
                length, at = _varint(data, offset)
                row, at = _varint(data, at)
            except DamagedError:
                continue
            try:
                yield _signed(row), _values(self._payload(data, at, length))
            except (DamagedError, struct.error, IndexError):
                yield _signed(row), None

    def free(self) -> set[int]:
        """The pages that are known to be free: those of the list that the header begins, where there is one.

        Where the header is lost, those that any page lists which looks like a part of such a list.
        """
        found: set[int] = set()
        if not self.has_header:
            for number in range(2, self.count + 1):
                found.update(self._trunk(number)[1])
            return found
        next = _u32(self.header, 32)  # noqa: A001 -- what it is
        while next and next not in found:
            found.add(next)
            next, leaves = self._trunk(next)  # noqa: A001 -- likewise
            found.update(leaves)
        return found

    def _trunk(self, number: int) -> tuple[int, list[int]]:
        """The next page of the list of free pages, and the free pages that this one lists; none where it is no such."""
        try:
            data = self.page(number)
        except DamagedError:
            return 0, []
        next, count = _u32(data, 0), _u32(data, 4)  # noqa: A001 -- likewise
        if next > self.count or not 0 < count <= self._usable // 4 - 2:
            return (next if count == 0 and next <= self.count else 0), []
        leaves = [_u32(data, 8 + 4 * each) for each in range(count)]
        sound = all(1 < leaf <= self.count for leaf in leaves) and len(set(leaves)) == len(leaves)
        return (next, [number, *leaves]) if sound else (0, [])

    def _tree_page(self, number: int, kind: int) -> tuple[bytes, int]:
        data, start = self.page(number), 100 if number == 1 else 0
        if data[start] != kind:
            raise DamagedError
        return data, start

    def _payload(self, data: bytes, at: int, length: int) -> bytes:
        """The bytes of a row, those on overflow pages too."""
        most = self._usable - 35
        if length > _LONGEST:
            raise DamagedError
        if length <= most:
            return _exactly(data[at : at + length], length)
        least = (self._usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (self._usable - 4)
        here = here if here <= most else least
        parts, left = [_exactly(data[at : at + here], here)], length - here
        next, seen = _u32(data, at + here), set[int]()  # noqa: A001 -- what it is
        while left:
            if next in seen:
                raise DamagedError
            seen.add(next)
            page = self.page(next)
            part = page[4 : 4 + min(left, self._usable - 4)]
            parts.append(part)
            left -= len(part)
            next = _u32(page, 0)  # noqa: A001 -- likewise
        return b"".join(parts)

    def _page_size(self, header: bytes) -> int:
        if self.has_header:
            size = int.from_bytes(header[16:18], "big")
            size = 65536 if size == 1 else size
            if size in _SIZES:
                return size
        if self._log is not None:
            size = int.from_bytes(self._log.read(12)[8:12], "big")
            if size in _SIZES:
                return size
        return max(_SIZES, key=self._rows_of_size)

    def _rows_of_size(self, size: int) -> int:
        """How many rows can be read if pages have that size: of any other, parts of pages are taken for pages."""
        self.size = self._usable = size
        self.count = os.fstat(self._file.fileno()).st_size // size
        found = 0
        for number in range(2, min(self.count, 10_000) + 1):
            with suppress(DamagedError):
                found += sum(values is not None for _, values in self.rows(number))
        return found

    def _read_log(self) -> int:
        """Find the pages of the log's complete commits; how many pages the file has after the last of them, or 0."""
        if self._log is None:
            return 0
        self._log.seek(0)
        header = self._log.read(_LOG_HEADER)
        length = os.fstat(self._log.fileno()).st_size
        self.lost_bytes = length
        if len(header) < _LOG_HEADER or header[:3] != b"\x37\x7f\x06" or header[3] not in {0x82, 0x83}:
            return 0
        order = ">" if header[3] & 1 else "<"
        sums = _checksum(header[:24], (0, 0), order)
        if sums != struct.unpack(">II", header[24:32]):
            return 0
        waiting: dict[int, int] = {}
        pages, at = 0, _LOG_HEADER
        while len(frame := self._log.read(_FRAME_HEADER + self.size)) == _FRAME_HEADER + self.size:
            number, after, *salts_and_sums = struct.unpack(">IIIIII", frame[:_FRAME_HEADER])
            sums = _checksum(frame[:8] + frame[_FRAME_HEADER:], sums, order)
            if struct.pack(">II", *salts_and_sums[:2]) != header[16:24] or sums != tuple(salts_and_sums[2:]):
                break
            waiting[number] = at + _FRAME_HEADER
            at += len(frame)
            if after:
                self._frames.update(waiting)
                waiting.clear()
                pages, self.lost_bytes = after, length - at
        return pages


def _cells(data: bytes, array: int, start: int) -> Iterator[int]:
    """Where the cells of a tree page are.

    Raises:
        DamagedError: there can't be so many.
    """
    count = int.from_bytes(data[start + 3 : start + 5], "big")
    if array + 2 * count > len(data):
        raise DamagedError
    for each in range(count):
        offset = int.from_bytes(data[array + 2 * each : array + 2 * each + 2], "big")
        if array + 2 * count <= offset < len(data):
            yield offset


def _values(payload: bytes) -> list[Any]:
    """The columns of a row. A text that is no UTF-8 is bytes."""
    length, at = _varint(payload, 0)
    values: list[Any] = []
    content = length
    while at < length:
        kind, at = _varint(payload, at)
        if kind in _INTEGERS:
            size = _INTEGERS[kind]
            value: Any = int.from_bytes(_exactly(payload[content : content + size], size), "big", signed=True)
        elif kind == 7:  # noqa: PLR2004 -- SQLite's number of a float
            size = 8
            (value,) = struct.unpack(">d", payload[content : content + 8])
        elif kind >= 12:  # noqa: PLR2004 -- and from here on, of bytes and texts
            size = (kind - 12) // 2
            value = _exactly(payload[content : content + size], size)
            value = _text(value) if kind & 1 else value
        elif kind in {0, 8, 9}:
            size, value = 0, {0: None, 8: 0, 9: 1}[kind]
        else:
            raise DamagedError
        content += size
        values.append(value)
    return values


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise DamagedError
    return data


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of 1 to 9 bytes, and where the next one is."""
    value = 0
    for each in range(9):
        if at + each >= len(data):
            raise DamagedError
        byte = data[at + each]
        if each == 8:  # noqa: PLR2004 -- the ninth has all its bits
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 -- the last one
            return value, at + each + 1
    raise DamagedError


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _u32(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise DamagedError
    return int.from_bytes(data[at : at + 4], "big")


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """That of the log: over pairs of words, cumulative."""
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & _U32
        second = (second + two + first) & _U32
    return first, second
