"""Which first lines are half of a creation that a power cut undid, and which belong to a session that was whole."""

import pytest

from sessionkit_jsonl.holes import half_created
from sessionkit_jsonl.lines import parse

HEADER = b'{"sessionkit":1,"session":{"key":"s","created_at":1763600000000000}}\n'
HOLE = bytes(30) + HEADER[30:]
BLANK = bytes(len(HEADER) - 1) + b"\n"
BY_HAND = b'{"role":"system","content":"by hand"}\n'
NAMED = b'{"~":{"rev":1,"at":1763600000000000,"n":0},"session":{"key":"s","created_at":1763600000000000}}\n'
JUNK = b"what can't be read\n"


def about(header: bytes) -> bytes:
    """A first message whose header begins where that line of the file does."""
    return b'{"role":"user","content":"x","~":{"rev":1,"at":1763600000000000,"n":1,"meta":@' + header + b"@}}\n"


FIRST = about(b"0")
OF_THE_THIRD = about(b"2")
FILES: dict[str, tuple[list[bytes], set[int]]] = {
    "all is there": ([HEADER, FIRST], set()),
    "half": ([HOLE, FIRST], {1}),
    "half, of zeroes alone": ([BLANK, FIRST], {1}),
    "gone on with": ([HOLE, FIRST, FIRST], set()),
    "gone on with by hand": ([HOLE, FIRST, BY_HAND], set()),
    "gone on with by a record": ([HOLE, FIRST, NAMED], set()),
    "created again": ([HOLE, FIRST, HEADER, OF_THE_THIRD], {1}),
    "created again, to the header": ([HOLE, FIRST, HEADER], {1}),
    "created again and gone on with": ([HOLE, FIRST, HEADER, OF_THE_THIRD, OF_THE_THIRD], {1}),
    "what can't be read before a second hole": ([JUNK, JUNK, HOLE, OF_THE_THIRD], {3}),
    "half above, and a whole one before": ([HEADER, FIRST, HOLE, OF_THE_THIRD], set()),
    "half below what somebody wrote": ([BY_HAND, JUNK, HOLE, OF_THE_THIRD], set()),
    "two halves": ([HOLE, FIRST, HOLE, OF_THE_THIRD], set()),
    "two halves, and gone on with": ([HOLE, FIRST, HOLE, OF_THE_THIRD, OF_THE_THIRD], set()),
    "no hole": ([JUNK, FIRST], set()),
    "another header was meant": ([HOLE, OF_THE_THIRD], set()),
    "what stands between": ([HOLE, JUNK, FIRST], set()),
    "a message stands between": ([HOLE, BY_HAND, FIRST], set()),
    "a line with all that the header says": ([HOLE, NAMED.replace(b'"n":0', b'"n":0,"meta":@0@')], set()),
    "by hand after a hole": ([HOLE, BY_HAND], set()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_first_line_is_half_a_creation(name: str) -> None:
    """Where the line before it is its header, with a hole, and nobody knew of it who wrote what follows."""
    lines, expected = FILES[name]
    begins: list[int] = []
    data = b""
    for line in lines:
        begins.append(len(data))
        at, here = line.partition(b"@")[::2]
        if here:
            which, rest = here.split(b"@")
            line = at + str(begins[int(which)] if int(which) < len(begins) else 7).encode() + rest  # noqa: PLW2901
        assert (parse(line.removesuffix(b"\n")) is None) is (b"\0" in line or line == JUNK)
        data += line
    assert half_created(data) == {begins[number] for number in expected}
