"""How a session begins: as all of its file says, and without reading all of it."""

import itertools
import json
import random
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sessionkit import ChatMessage, CorruptRecordWarning, CorruptSessionError
from sessionkit_jsonl import JSONLBackend, beginning, files, lines, log

KIB = 1024
LITTLE = 48 * KIB
"""What a look at both ends of a file may take, in bytes."""

Edit = Callable[[list[bytes], random.Random, bytes], list[bytes]]


def say(number: int, length: int = 100) -> ChatMessage:
    """One of many messages."""
    return ChatMessage("user", f"{number} {'x' * length}")


STEPS: list[Callable[[JSONLBackend, ChatMessage], object]] = [
    *[lambda backend, message: backend.append("s", message)] * 5,
    *[lambda backend, message: backend.update_last("s", message)] * 3,
    *[lambda backend, _: backend.set_session_state("s", "running", "t")] * 2,
    lambda backend, _: backend.set_session_state("s", "idle"),
    lambda backend, _: backend.remove_last("s"),
    lambda backend, message: backend.write("s", append=[message] * 3, attributes={"a": str(message.content)}),
    lambda backend, message: backend.write("s", drop_last=min(2, len(backend.load("s"))), append=[message] * 2),
    lambda backend, _: backend.load_first("s", 2),
]
SELDOM: list[Callable[[JSONLBackend], object]] = [
    lambda backend: backend.clear_messages("s"),
    lambda backend: backend.compact("s"),
    lambda backend: backend.delete_session("s"),
]


def a_block(given: list[bytes], chance: random.Random) -> slice:
    """Some lines in a row."""
    start = chance.randrange(len(given))
    return slice(start, start + chance.choice([1, 1, 2, 5, 20]))


def copied(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Some lines once more somewhere."""
    place = chance.randrange(len(given) + 1)
    return [*given[:place], *given[a_block(given, chance)], *given[place:]]


def repeated(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """One line many times somewhere."""
    place = chance.randrange(len(given) + 1)
    return [*given[:place], *[chance.choice(given)] * 30, *given[place:]]


def moved(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Some lines somewhere else."""
    block = a_block(given, chance)
    left = [*given[: block.start], *given[block.stop :]]
    place = chance.randrange(len(left) + 1)
    return [*left[:place], *given[block], *left[place:]]


def removed(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Some lines less."""
    block = a_block(given, chance)
    return [*given[: block.start], *given[block.stop :]]


def exchanged(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Two lines in each other's place, neighbours or of the same length, so that all others are where they were."""
    pairs = [(i, j) for i in range(len(given)) for j in range(i) if i == j + 1 or len(given[i]) == len(given[j])]
    for i, j in chance.sample(pairs, min(1, len(pairs))):
        given[i], given[j] = given[j], given[i]
    return given


def foreign(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Messages of somebody else between ours."""
    place = chance.randrange(len(given) + 1)
    return [*given[:place], *[b'{"role":"user","content":"by hand"}\n'] * chance.choice([1, 3]), *given[place:]]


def garbage(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """What can't be read between the lines, some of it as a crash leaves it."""
    place = chance.randrange(len(given) + 1)
    return [*given[:place], chance.choice([b"rubbish\n", b'{"role":"us\n', b"\n"]), *given[place:]]


def damaged(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Some bytes others."""
    content = bytearray(b"".join(given))
    for __ in range(chance.choice([1, 1, 4])):
        content[chance.randrange(len(content))] = chance.choice(b'#\xff\0{}"')
    return [bytes(content)]


def spelled(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """Some lines as other tools write them."""
    with suppress(ValueError):
        return [json.dumps(json.loads(line)).encode() + b"\n" if chance.random() < 0.5 else line for line in given]
    return given


def torn(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """A line half written."""
    return [*given, given[-1][: chance.randrange(len(given[-1]))]]


def cut(given: list[bytes], chance: random.Random, _: bytes) -> list[bytes]:
    """What came last lost."""
    content = b"".join(given)
    return [content[: chance.randrange(len(content))]]


EDITS: dict[str, Edit] = {
    "nothing": lambda given, _, __: given,
    "copied": copied,
    "repeated": repeated,
    "moved": moved,
    "removed": removed,
    "exchanged": exchanged,
    "sorted": lambda given, _, __: sorted(given),
    "reversed": lambda given, _, __: given[::-1],
    "foreign": foreign,
    "garbage": garbage,
    "damaged": damaged,
    "spelled": spelled,
    "torn": torn,
    "cut": cut,
    "twice": lambda given, _, __: given * 2,
    "below its past": lambda given, _, past: [past, *given],
    "above its past": lambda given, _, past: [*given, past],
}


def write_some(folder: Path, chance: random.Random) -> bytes:
    """Have two backends write by turns; gives what the file was in between."""
    file, past = folder / "s.jsonl", b""
    backends = [JSONLBackend(folder), JSONLBackend(folder)]
    for number in range(chance.choice([3, 10, 40])):
        with suppress(CorruptSessionError, ValueError):
            chance.choice(STEPS)(chance.choice(backends), say(number, chance.choice([0, 5, 300])))
            if chance.random() < 0.03:
                chance.choice(SELDOM)(chance.choice(backends))
        if file.exists() and chance.random() < 0.05:
            past = file.read_bytes()
    for backend in backends:
        backend.close()
    return past


@pytest.mark.parametrize("edit", EDITS)
def test_the_beginning_is_that_of_load(tmp_path: Path, first_told: list[int], edit: str) -> None:
    """Whatever was done to the lines, and whatever was written before and after: `first_told` looks at each reading."""
    chance = random.Random(edit)  # noqa: S311 -- a seed makes a failure happen again
    for number in range(40):
        folder = tmp_path / f"{number}"
        file = folder / "s.jsonl"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            for _ in range(chance.choice([1, 2, 3])):
                past = write_some(folder, chance)
                if file.exists() and file.stat().st_size:
                    given = file.read_bytes().splitlines(keepends=True)
                    file.write_bytes(b"".join(EDITS[edit](given, chance, past)))
                with suppress(CorruptSessionError), JSONLBackend(folder) as backend:
                    loaded = backend.load_with_timestamps("s")
                    for count in (0, 1, 2, len(loaded), len(loaded) + 1):
                        assert backend.load_first("s", count) == loaded[:count]
    assert first_told


def test_what_was_written_by_two_generations_is_told_apart(tmp_path: Path, file: Path) -> None:
    """A file below an older one of the same session begins as `load` says, also once we have gone on writing it.

    However it ends: with a message, one that was replaced, a heartbeat, or one too long to be looked at whole.
    """
    ends: list[Callable[[JSONLBackend], object]] = [
        lambda backend: backend.append("s", say(1)),
        lambda backend: backend.update_last("s", say(2)),
        lambda backend: backend.set_session_state("s", "running", "t"),
        lambda backend: backend.append("s", say(3, 9_000)),
    ]
    for end in ends:
        with JSONLBackend(tmp_path) as backend:
            backend.write("s", append=[ChatMessage("system", "old")])
            backend.write("s", append=[say(number) for number in range(9)])
            old = file.read_bytes()
            backend.clear_messages("s")
            backend.write("s", append=[ChatMessage("system", "new")])
            backend.compact("s")
            for number in range(9):
                backend.append("s", say(number))
            for _ in range(3):
                end(backend)
        file.write_bytes(old + file.read_bytes())
        for number in range(3):
            with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
                warnings.simplefilter("ignore", CorruptRecordWarning)
                assert backend.load_first("s", 1) == backend.load_with_timestamps("s")[:1]
                assert [stored.message.content for stored in backend.load_first("s", 1)] == ["new"]
                backend.append("s", say(number))
        file.unlink()


@pytest.mark.parametrize("what", ["batch", "foreign"])
def test_no_line_is_believed_without_one_that_follows(
    tmp_path: Path, file: Path, backend: JSONLBackend, what: str
) -> None:
    """One of another revision `load` leaves out, because what follows is below it: be it several messages, or above
    somebody else's, which have none.
    """
    for number in range(10):
        backend.append("s", say(number))
    if what == "batch":
        backend.write("s", append=[say(number) for number in range(10, 15)])
    else:
        backend.append("s", say(10))
        file.write_bytes(file.read_bytes() + b'{"role":"user","content":"by hand"}\n' * 4)
    for number in range(15, 30):
        backend.append("s", say(number))
    written = file.read_bytes().splitlines(keepends=True)
    written[11] = re.sub(rb'"rev":\d\d', b'"rev":99', written[11])
    file.write_bytes(b"".join(written))
    with JSONLBackend(tmp_path) as anew, warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        loaded = anew.load_with_timestamps("s")
        assert say(10) not in [stored.message for stored in loaded]
        for count in range(len(loaded) + 2):
            assert anew.load_first("s", count) == loaded[:count]


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each reading of a file took, where its beginning is as long as it is for everybody."""
    monkeypatch.setattr(beginning, "BEGINNING", lines.BEGINNING)
    monkeypatch.setattr(log, "BEGINNING", lines.BEGINNING)
    amounts: list[int] = []
    read = files.read

    def counted(descriptor: int, start: int, end: int) -> bytes:
        amounts.append(end - start)
        return read(descriptor, start, end)

    monkeypatch.setattr(files, "read", counted)
    return amounts


def converse(backend: JSONLBackend, turns: int) -> None:
    """What an agent writes: turns with signs of life, and answers that grow."""
    for turn in range(turns):
        backend.begin_turn("s", f"{turn}")
        backend.append("s", say(turn))
        backend.write("s", append=[say(turn), say(turn)], if_turn=f"{turn}")
        for length in (10, 60, 200):
            backend.update_last("s", say(turn, length))
            backend.set_turn_state("s", f"{turn}", "running")
        backend.set_turn_state("s", f"{turn}", "idle")


def cost(backend: JSONLBackend, amounts: list[int], count: int) -> int:
    """How many bytes it takes to read the first messages, which must be those of all."""
    expected = backend.load_with_timestamps("s")[:count]
    amounts.clear()
    assert backend.load_first("s", count) == expected
    return sum(amounts)


def test_the_first_cost_the_same_in_any_session(backend: JSONLBackend, file: Path, bytes_read: list[int]) -> None:
    """However much came after them: answers that grew, heartbeats, names, and whatever was undone of that."""
    for _ in range(4):
        converse(backend, 50)
        backend.remove_last("s")
        backend.write("s", drop_last=3, append=[say(0)])
        backend.set_session_name("s", "name")
        assert file.stat().st_size > 60 * KIB
        assert cost(backend, bytes_read, 3) < LITTLE


def test_more_of_the_first_cost_what_they_are(backend: JSONLBackend, file: Path, bytes_read: list[int]) -> None:
    """About twice as many bytes as there stand, at most, besides what every look costs."""
    for number in range(2_000):
        backend.append("s", say(number))
    size = file.stat().st_size
    assert cost(backend, bytes_read, 2_000) < size + LITTLE
    ends = list(itertools.accumulate(map(len, file.read_bytes().splitlines(keepends=True))))
    for count in (50, 200, 400, 600):
        assert cost(backend, bytes_read, count) < LITTLE + 2 * ends[count]


@pytest.mark.parametrize("undo", ["remove", "clear", "drop"])
def test_what_was_undone_early_costs_nothing_later(backend: JSONLBackend, bytes_read: list[int], undo: str) -> None:
    """While the file is short, whatever is removed leaves the first messages as cheap as ever."""
    backend.write("s", append=[say(number) for number in range(10)])
    if undo == "clear":
        backend.clear_messages("s")
    elif undo == "remove":
        for _ in range(9):
            backend.remove_last("s")
    else:
        backend.write("s", drop_last=10, append=[say(11)])
    converse(backend, 200)
    assert cost(backend, bytes_read, 20) < LITTLE


def test_what_was_removed_late_costs_until_it_is_compacted(
    backend: JSONLBackend, file: Path, bytes_read: list[int]
) -> None:
    """Fewer messages than were left are cheap; more, or as many, take all of the file until it is written anew."""
    for number in range(500):
        backend.append("s", say(number))
    for _ in range(400):
        backend.remove_last("s")
    for number in range(2_000):
        backend.append("s", say(number))
    size = file.stat().st_size
    assert cost(backend, bytes_read, 99) < LITTLE
    assert cost(backend, bytes_read, 100) >= size
    backend.compact("s")
    assert cost(backend, bytes_read, 100) < LITTLE


def test_what_was_torn_early_costs_nothing(tmp_path: Path, file: Path, bytes_read: list[int]) -> None:
    """A crash in the middle of a write, of the creation or any other, leaves the first messages as cheap as ever."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", say(0))
    header, record = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(header + record[:40])
    for number in range(3):
        with JSONLBackend(tmp_path) as backend:
            backend.append("s", say(number))
        with file.open("ab") as writing:
            writing.write(record[:50])
    with JSONLBackend(tmp_path) as backend:
        converse(backend, 200)
        assert cost(backend, bytes_read, 3) < LITTLE


def test_a_file_that_somebody_edited_is_read_as_a_whole(
    backend: JSONLBackend, file: Path, bytes_read: list[int]
) -> None:
    """Where lines are not where they were written nothing is known, whatever is written below, until it is anew."""
    for number in range(500):
        backend.append("s", say(number))
    file.write_bytes(file.read_bytes().replace(b'"content":"250 ', b'"content":"About 250 '))
    for number in range(2):
        assert cost(backend, bytes_read, 3) >= file.stat().st_size
        backend.append("s", say(number))
    backend.compact("s")
    assert cost(backend, bytes_read, 3) < LITTLE
