"""A session's JSONL file of any bytes: every way of reading it agrees, it goes on, and nothing else is touched."""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from sessionkit import ChatMessage, CorruptRecordWarning, CorruptSessionError, SessionContext, SessionQuery, clock
from sessionkit_jsonl import JSONLBackend
from tests.fuzz.places import folder
from tests.fuzz.source import Source
from tests.fuzz.target import Outcomes, Target, check, outcome

KEY, OTHER = "s", "other"
_NEIGHBOUR = [ChatMessage("user", "of another session"), ChatMessage("assistant", "likewise")]
_NEW = ChatMessage("user", "new zzyzx")
_WHEN = 1_790_000_000_000_000

_MESSAGES = [
    ChatMessage("user", "hello"),
    ChatMessage("assistant", "hi there", id="1"),
    ChatMessage("assistant", None, extra={"~": {"rev": 1, "at": 0, "n": 9}}),
    ChatMessage("tool", "x" * 300, tool_call_id="1"),
    ChatMessage("assistant", [{"type": "tool_use", "name": "f", "input": {}}]),
]


def run(data: bytes) -> Outcomes:
    """The file as it comes, or a valid one with lines and bytes changed."""
    source = Source(data)
    raw = source.rest() if source.below(2) == 0 else _edited(source)
    with folder() as place, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (place / "s.jsonl").write_bytes(raw)
        (place / "other.jsonl").write_bytes(_OTHER_FILE)
        with JSONLBackend(place) as backend:
            found = _read(backend, raw) if _is_honest(raw) else _loaded(backend)
            if not _is_honest(raw):
                _changed(backend, can_be_read=found is not None)
            elif found is None:
                _refused(backend)
            else:
                _continued(backend, found)
            check(backend.load(OTHER) == _NEIGHBOUR, "another session was touched")
            _deleted(backend, place)
        check(all(issubclass(each.category, CorruptRecordWarning) for each in caught), "a warning is not one of ours")
    if found is None:
        return outcome("refused: a corrupt session")
    kind = "no session" if not found and not raw else "messages" if found else "no message"
    honest = "" if _is_honest(raw) else ", by marks that nobody wrote"
    return outcome(f"accepted: {kind}{', with a warning' if caught else ''}{honest}")


def _is_honest(raw: bytes) -> bool:
    """Whether each mark in it is one that we wrote, wherever it stands now: what else is wrong, its numbers are not."""
    return all(mark in _MARKS for mark in _MARK.findall(raw))


def _loaded(backend: JSONLBackend) -> list[ChatMessage] | None:
    """What is loaded where marks lie, which the tail alone can't notice; listing and the rest must end, at least."""
    try:
        messages = backend.load(KEY)
    except CorruptSessionError:
        return None
    for call in (backend.list_sessions, backend.list_sessions_with_metadata, lambda: backend.search(SessionQuery("a"))):
        call()
    with suppress(CorruptSessionError):
        backend.load_with_timestamps(KEY, last=2)
        backend.load_first(KEY, 2)
        backend.get_session_metadata(KEY)
    return messages


def _read(backend: JSONLBackend, raw: bytes) -> list[ChatMessage] | None:
    """What every way of reading finds; None where the session is refused."""
    listed = backend.list_sessions()
    try:
        messages = backend.load(KEY)
    except CorruptSessionError:
        check(KEY not in listed, "a session is listed that can't be loaded")
        return None
    check(backend.load(KEY) == messages, "a session is loaded otherwise the second time")
    check([each.message for each in backend.load_with_timestamps(KEY)] == messages, "times change what is loaded")
    for count in {0, 1, 2, len(messages), len(messages) + 1}:
        last = [each.message for each in backend.load_with_timestamps(KEY, last=count)]
        check(last == (messages[-count:] if count else []), f"the last {count} are not the last {count}")
        first = [each.message for each in backend.load_first(KEY, count)]
        check(first == messages[:count], f"the first {count} are not the first {count}")
    metadata = backend.get_session_metadata(KEY)
    check((metadata is not None) == (KEY in listed), "a session is listed and has no metadata, or the other way round")
    check(metadata is not None or not messages, "messages of no session")
    check([each.key for each in backend.list_sessions_with_metadata()] == listed, "the two lists differ")
    check([each.key for each in backend.search(SessionQuery())] == listed, "a search for all finds others")
    # Where its header can't be read, nobody can tell whose it is but by its name.
    is_others = raw.splitlines()[:1] == _OTHER_FILE.splitlines()[:1] and b'"key":"s"' not in raw
    check(not (is_others and messages), "another session's file is loaded")
    written = list(_objects(raw))
    check(all(_is_of(message, written) for message in messages), "a message is loaded that nobody wrote")
    for message in messages[:2]:
        found = backend.search(SessionQuery(message.text))
        check(KEY in [each.key for each in found], "a message that is loaded is not found")
    return messages


def _continued(backend: JSONLBackend, messages: list[ChatMessage]) -> None:
    """It goes on as if nothing were: appended to, compacted, replaced."""
    backend.append(KEY, _NEW)
    grown = [*messages, _NEW]
    check(backend.load(KEY) == grown, "after an append, what was loaded before is not there with it")
    check([each.message for each in backend.load_with_timestamps(KEY, last=1)] == [_NEW], "the newest is not the last")
    check([each.key for each in backend.search(SessionQuery("zzyzx"))] == [KEY], "what was appended is not found")
    backend.compact(KEY)
    check(backend.load(KEY) == grown, "compacting changes what is loaded")
    metadata = backend.get_session_metadata(KEY)
    check(metadata is not None and metadata.message_count == len(grown), "after compacting, the counts are wrong")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(backend.load(KEY) == grown, "after compacting, a warning is left")
        check(backend.update_last(KEY, _NEIGHBOUR[0]), "the last can't be replaced")
        check(backend.load(KEY) == [*messages, _NEIGHBOUR[0]], "a replacement is not there")
        check(backend.remove_last(KEY), "the last can't be removed")
        check(backend.load(KEY) == messages, "a removed message is still there, or another one gone")


def _changed(backend: JSONLBackend, *, can_be_read: bool) -> None:
    """Where marks lie: what changes the session raises nothing but ours, and `compact` leaves nothing to warn of."""
    try:
        backend.append(KEY, _NEW)
        backend.remove_last(KEY)
        backend.append(KEY, _NEW)
        backend.compact(KEY)
    except CorruptSessionError:
        check(not can_be_read, "a session that can be loaded can't be written")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(len(backend.load(KEY)) == len(backend.load_with_timestamps(KEY)), "times change what is loaded")


def _refused(backend: JSONLBackend) -> None:
    """A session that can't be read is so for every call that would need it, and not changed."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: backend.append(KEY, _NEW),
        lambda: backend.load_with_timestamps(KEY, last=1),
        lambda: backend.load_first(KEY, 1),
        lambda: backend.get_session_metadata(KEY),
        lambda: backend.compact(KEY),
    )
    for call in calls:
        try:
            call()
        except CorruptSessionError:
            continue
        check(False, "a session that can't be loaded is taken for a good one")  # noqa: FBT003 -- it is so


def _deleted(backend: JSONLBackend, place: Path) -> None:
    backend.delete_session(KEY)
    check(backend.load(KEY) == [] and KEY not in backend.list_sessions(), "a deleted session is there")
    left = [each.name for each in place.iterdir() if each.name.startswith("s.")]
    check(not left, f"deleting leaves {left}")


def _objects(raw: bytes) -> Iterator[dict[str, Any]]:
    """Every JSON object with a role that stands in the file: alone, in a list of messages, with and without a mark."""
    for line in raw.split(b"\n"):
        try:
            value = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            inner = value.get("messages")
            for each in (value, *(inner if isinstance(inner, list) else ())):
                if isinstance(each, dict) and isinstance(each.get("role"), str):
                    yield each
                    yield {name: member for name, member in each.items() if name != "~"}


def _is_of(message: ChatMessage, written: list[dict[str, Any]]) -> bool:
    return message.to_dict() in written


def _edited(source: Source) -> bytes:
    """A valid file with some edits, each of whole lines, bytes, or numbers."""
    lines = source.pick(FILES).splitlines(keepends=True)
    for _ in range(source.below(5)):
        if not lines:
            break
        at, to, way = source.below(len(lines)), source.below(len(lines) + 1), source.below(7)
        if way == 0:
            lines.insert(to, lines[at])
        elif way == 1:
            lines.insert(min(to, len(lines) - 1), lines.pop(at))
        elif way == 2:
            del lines[at]
        elif way == 3:
            lines[at] = lines[at][: source.below(len(lines[at]) + 1)]
        elif way == 4:
            lines.insert(to, source.pick(_FOREIGN))
        elif way == 5:
            position = source.below(max(1, len(lines[at]) - 1))
            lines[at] = lines[at][:position] + bytes([source.byte()]) + lines[at][position + 1 :]
        else:
            lines[at] = lines[at].replace(source.pick(_PARTS), source.pick(_PARTS), 1)
    raw = b"".join(lines)
    return raw[: source.below(len(raw) + 1)] if source.chance(4) else raw


_PARTS = (
    *(b'"rev":', b'"n":', b'"pos":', b'"prev":', b'"at":', b'"dead":', b'"~":', b'"role":', b'"meta":0', b'"meta":9'),
    *(b'"n":1', b'"n":2', b'"n":3', b'"rev":2', b'"rev":3', b'"rev":99', b'"s"', b'"other"', b'"sessionkit":1', b"\n"),
)

_FOREIGN = (
    b'{"role":"user","content":"by hand"}\n',
    b'{"content":"by hand","role":"system"}\n',
    b'{"role":"user","content":"no end"}',
    b'\xef\xbb\xbf{"role":"user","content":"with a mark of bytes"}\n',
    b'{"role":"user","content":"\\ud800"}\n',
    b'{"role":1}\n',
    b"[]\n",
    b"\n",
    b"\r\n",
    b"\0\0\0\0\0\0\0\0",
    b'{"sessionkit":2,"session":{}}\n',
    b'{"~":{"rev":5,"at":1790000000000000,"n":0}}\n',
    b'{"role":"user","~":{"rev":2,"at":1,"n":1,"pos":0},"content":"x"}\n',
    b'{"role":"user","content":"' + b"y" * 5_000 + b'"}\n',
)


def _histories() -> Iterator[bytes]:
    """Files as we write them."""
    ways: list[Callable[[Any], object]] = [
        lambda b: [b.append(KEY, message) for message in _MESSAGES],
        lambda b: [b.append(KEY, _MESSAGES[0]), b.update_last(KEY, _MESSAGES[1]), b.update_last(KEY, _MESSAGES[2])],
        lambda b: [b.append(KEY, _MESSAGES[0]), b.append(KEY, _MESSAGES[1]), b.remove_last(KEY), b.append(KEY, _NEW)],
        lambda b: [
            b.write(KEY, append=_MESSAGES, attributes={"a": [1]}),
            b.write(KEY, drop_last=2, append=_MESSAGES[:1]),
        ],
        lambda b: [b.append(KEY, _MESSAGES[0]), b.set_session_name(KEY, "n"), b.set_session_state(KEY, "running", "t")],
        lambda b: [b.write(KEY, append=_MESSAGES), b.update_last(KEY, _MESSAGES[0]), b.compact(KEY)],
        lambda b: [b.write(KEY, append=_MESSAGES), b.clear_messages(KEY), b.append(KEY, _MESSAGES[1])],
        lambda b: b.set_session_context(KEY, SessionContext("c", attributes={"x": None, "y": {"~": 1}})),
    ]
    for way in ways:
        with folder() as place, JSONLBackend(place) as backend:
            way(backend)
            yield (place / "s.jsonl").read_bytes()


def _other_file() -> bytes:
    with folder() as place, JSONLBackend(place) as backend:
        backend.write(OTHER, append=_NEIGHBOUR)
        return (place / "other.jsonl").read_bytes()


class _Clock:
    """The time, which stands still, so that files are the same in every run."""

    def time_ns(self) -> int:
        """In the place of `time.time_ns`."""
        return _WHEN * 1000


with mock.patch.object(clock, "time", _Clock()):
    FILES = list(_histories())
    _OTHER_FILE = _other_file()


_MARK = re.compile(rb'"~":\{[^{}]*\}?')
_MARKS = {mark for raw in (*FILES, _OTHER_FILE) for mark in _MARK.findall(raw)}


def seeds() -> list[bytes]:
    """Files as we and others write them, and some edits."""
    foreign = [
        b"".join(_FOREIGN[:3]),
        b"".join(_FOREIGN[:5]),
        b"",
        b"\n",
        FILES[0] + _FOREIGN[0],
        FILES[0][:-1],
        _OTHER_FILE,
    ]
    edited = [bytes([1, number, 3, *range(at, at + 24)]) for number in range(len(FILES)) for at in (0, 40, 130)]
    return [*(b"\0" + raw for raw in (*foreign, *FILES)), *edited]


WORDS = [
    *_PARTS,
    *_FOREIGN[:12],
    b"}",
    b'}}\n{"',
    b'"torn":true',
    b'"low":0',
    b'"made":null',
    b'"turns":9',
    b'"calls":9',
]

TARGET = Target(
    "jsonl",
    "every way of reading a session's file agrees, whatever its bytes; it goes on",
    run,
    seeds,
    WORDS,
    1_000,
    8_192,
)
