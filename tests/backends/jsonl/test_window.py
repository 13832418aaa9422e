"""A file is the same lines from wherever it is read, in blocks of whatever size, and is not read over and over."""

import random
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessionkit_jsonl import files, window
from sessionkit_jsonl.window import BrokenChainError, Window


@contextmanager
def opened(path: Path, data: bytes) -> Generator[Window]:
    """A window on a file of those bytes."""
    path.write_bytes(data)
    with path.open("rb") as file:
        yield Window(file.fileno(), len(data))


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """Each line and where it begins."""
    found, at = list[tuple[int, bytes]](), 0
    for line in data.splitlines(keepends=True):
        found.append((at, line.removesuffix(b"\n")))
        at += len(line)
    return found


def some_data(chance: random.Random) -> bytes:
    """Short lines and long ones, blank ones among them; the last is not always terminated."""
    lines = [b"ab "[:1] * chance.choice([0, 0, 1, 3, 7, 16, 40]) for _ in range(chance.randrange(9))]
    return b"".join(line + b"\n" for line in lines) + b"z" * chance.choice([0, 0, 1, 5, 20])


@pytest.mark.parametrize(("block", "short"), [(1, 1), (3, 8), (8, 4), (16, 4)])
def test_the_lines_are_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, short: int
) -> None:
    """Forwards, backwards from the end or any line, one by one, and the one before: whatever was asked first."""
    monkeypatch.setattr(window, "_BLOCK", block)
    monkeypatch.setattr(window, "_SHORT", short)
    chance = random.Random(block)  # noqa: S311 -- no secret
    for _ in range(30):
        data = some_data(chance)
        lines = lines_of(data)
        with opened(tmp_path / "file", data) as whole:
            assert whole.is_terminated is (not data or data.endswith(b"\n"))
            assert list(whole.lines_forward()) == lines
        with opened(tmp_path / "file", data) as whole:
            assert list(whole.lines_backward()) == [each for each in reversed(lines) if each[1].strip()]
            assert whole.everything() == data
        with opened(tmp_path / "file", data) as whole:
            for at, line in chance.sample(lines, len(lines)):
                assert whole.line(at) == line
                above = [each for each in lines if each[0] < at and each[1].strip()]
                assert list(whole.lines_backward(at)) == above[::-1]
                begins, before = whole.line_before(at)
                if above and begins is not None:
                    assert (begins, before) == above[-1]
                elif above:
                    assert above[-1][1].endswith(before)
            beginnings = {at for at, _ in lines}
            for at in {*range(len(data) + 2)} - beginnings:
                with pytest.raises(BrokenChainError):
                    whole.line(at)


def test_walking_backwards_reads_each_byte_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines there are, and however long one is; and the last lines alone cost little."""
    monkeypatch.setattr(window, "_BLOCK", 64)
    read = list[int]()
    plain = files.read

    def counting(descriptor: int, start: int, end: int) -> bytes:
        read.append(end - start)
        return plain(descriptor, start, end)

    monkeypatch.setattr(files, "read", counting)
    for data in (b"x" * 15 + b"\n", b"x" * 3_000 + b"\n"):
        with opened(tmp_path / "file", data * (48_000 // len(data))) as whole:
            read.clear()
            next(whole.lines_backward())
            assert sum(read) <= 4 * max(64, len(data))
            read.clear()
            list(whole.lines_backward())
            assert sum(read) < 3 * whole.size
            assert len(read) < 40
