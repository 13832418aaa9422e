"""What befalls bytes: flipped, cut, duplicated, zeroed, swapped, inserted, at places chosen by chance."""

import random
from collections.abc import Callable
from pathlib import Path

import attrs

_FEW, _MANY = 16, 4096


@attrs.frozen
class Damage:
    """What was done: to which file, how, and where."""

    file: str
    kind: str
    at: int
    size: int


def _flip_a_bit(data: bytearray, at: int, _size: int, chance: random.Random) -> None:
    data[at] ^= 1 << chance.randrange(8)


def _flip_bytes(data: bytearray, at: int, size: int, chance: random.Random) -> None:
    for place in range(at, min(at + size, len(data))):
        data[place] ^= chance.randrange(1, 256)


def _cut_off(data: bytearray, at: int, _size: int, _chance: random.Random) -> None:
    del data[at:]


def _cut_out(data: bytearray, at: int, size: int, _chance: random.Random) -> None:
    del data[at : at + size]


def _duplicate(data: bytearray, at: int, size: int, _chance: random.Random) -> None:
    data[at:at] = data[at : at + size]


def _zero(data: bytearray, at: int, size: int, _chance: random.Random) -> None:
    size = min(size, len(data) - at)
    data[at : at + size] = bytes(size)


def _swap(data: bytearray, at: int, size: int, chance: random.Random) -> None:
    other = chance.randrange(len(data))
    first, second = data[at : at + size], data[other : other + size]
    size = min(len(first), len(second))
    data[at : at + size], data[other : other + size] = second[:size], first[:size]


def _insert(data: bytearray, at: int, size: int, chance: random.Random) -> None:
    data[at:at] = chance.randbytes(size)


Change = Callable[[bytearray, int, int, random.Random], None]

KINDS: dict[str, Change] = {
    change.__name__.strip("_").replace("_", "-"): change
    for change in (_flip_a_bit, _flip_bytes, _cut_off, _cut_out, _duplicate, _zero, _swap, _insert)
}
"""By name, what can be done to the bytes at a place, over some length."""


def damage(folder: Path, chance: random.Random) -> Damage:
    """Do one of them to one of the files of a store, each as likely as it is large, but no small one never."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    [file] = chance.choices(files, [file.stat().st_size + 500 for file in files])
    data = bytearray(file.read_bytes())
    kind = chance.choice(sorted(KINDS))
    at = chance.randrange(len(data))
    size = int(chance.choice((1, chance.uniform(1, _FEW), chance.uniform(1, _MANY))))
    if size > _FEW and chance.random() < 1 / 2:  # as disks and file systems do it: whole blocks
        at, size = at // 512 * 512, (size // 512 + 1) * 512
    KINDS[kind](data, at, size, chance)
    file.write_bytes(data)
    return Damage(str(file.relative_to(folder)), kind, at, size)
