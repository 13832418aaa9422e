"""A window on an open file, for reading backwards from its end and at places that lines refer to."""

from collections.abc import Iterator

from sessionkit_jsonl import files

_BLOCK = 8192
_SHORT = 4096


class BrokenChainError(Exception):
    """A line refers to a place where no such line is."""


class Window:
    """An open file of a known size, read in blocks around the places that are asked for."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._start = size
        self._data = b""

    @property
    def is_terminated(self) -> bool:
        """Whether the last line has its newline."""
        return self.size == 0 or self._bytes(self.size - 1, self.size) == b"\n"

    def everything(self) -> bytes:
        """The whole file."""
        self._cover(0, self.size)
        return self._data

    def line(self, offset: int) -> bytes:
        """The line that begins there, without its newline.

        Raises:
            BrokenChainError: no line begins there.
        """
        if offset >= self.size or (offset and self._bytes(offset - 1, offset) != b"\n"):
            raise BrokenChainError
        reach = _BLOCK
        while True:
            end = min(self.size, offset + reach)
            self._cover(offset, end)
            found = self._data.find(b"\n", offset - self._start)
            if found >= 0:
                return self._data[offset - self._start : found]
            if end == self.size:
                return self._data[offset - self._start :]
            reach *= 2

    def lines_backward(self, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Each line that begins before `end`, or in the whole file, the last one first; blank ones left out."""
        offset = self.size + (not self.is_terminated) if end is None else end
        while offset > 0:
            offset = self._line_start(offset - 1)
            line = self.line(offset)
            if line.strip():
                yield offset, line

    def lines_forward(self) -> Iterator[tuple[int, bytes]]:
        """Each line and where it begins, the first one first."""
        offset, reach = 0, 3 * _BLOCK
        while offset < self.size:
            data = self._bytes(offset, min(reach, self.size))
            whole = data if reach >= self.size else data[: data.rfind(b"\n") + 1]
            for raw in whole.removesuffix(b"\n").split(b"\n") if whole else ():
                yield offset, raw
                offset += len(raw) + 1
            reach *= 2

    def line_before(self, offset: int) -> tuple[int | None, bytes]:
        """The last line that ends before `offset`, and where it begins; of a long one its end alone, and None."""
        start = max(0, offset - _SHORT)
        raw = self._bytes(start, offset).rstrip()
        found = raw.rfind(b"\n")
        if found < 0 and start > 0:
            return None, raw
        return start + found + 1, raw[found + 1 :]

    def _line_start(self, newline: int) -> int:
        """Where the line begins that a newline at `newline` ends."""
        if self._start < newline <= self._start + len(self._data):
            found = self._data.rfind(b"\n", 0, newline - self._start)  # without reading more
            if found >= 0:
                return self._start + found + 1
        reach = _BLOCK
        while True:
            start = max(0, newline - reach)
            self._cover(start, min(newline, self.size))
            found = self._data.rfind(b"\n", start - self._start, newline - self._start)
            if found >= 0:
                return self._start + found + 1
            if start == 0:
                return 0
            reach *= 2

    def _bytes(self, start: int, end: int) -> bytes:
        self._cover(start, end)
        return self._data[start - self._start : end - self._start]

    def _cover(self, start: int, end: int) -> None:
        """Have at least these bytes in memory."""
        held = self._start + len(self._data)
        if self._start <= start and end <= held:
            return
        if start < self._start <= end <= held:
            # Backwards, twice as far each time, so that walking through a whole file stays linear.
            further = max(0, start - max(_BLOCK, len(self._data)))
            self._data = files.read(self._descriptor, further, self._start) + self._data
            self._start = further
        else:
            self._start = max(0, start - _BLOCK)
            self._data = files.read(self._descriptor, self._start, end)
