r"""The format: one file a session, append-only, one JSON object a line, UTF-8.

::

    {"sessionkit":1,"session":{"key":"support/7","created_at":1763600000000000}}
    {"role":"user","content":"Hello","~":{"rev":2,"at":1763600000000000,"n":1,"pos":77,"meta":0}}
    {"role":"assistant","content":"Hi","~":{"rev":3,"at":1763600000000900,"n":2,"turns":1,"pos":171,"prev":77,"meta":0}}
    {"~":{"rev":4,"at":1763600000001000,"n":1,"pos":288,"prev":77,"meta":0,"dead":117}}

- The **header** is the first line. ``session`` is a snapshot of what is known of the session besides its messages and
  counts. (Where we were the second to write to a file, the header stands before our first line.)
- A line with a ``role`` is a **message**, as `ChatMessage.to_dict` gives it, with our mark ``~`` as its last key.
- Any other line with a mark is a **record**: ``{"~": mark, "messages": [...], "session": {...}}``. ``messages`` has
  several messages that were written as one, or one that has a key ``~`` of its own; ``session`` is a new snapshot. With
  neither, messages were removed: in the example above, the last one.

A **mark** says how things stand after its line. So the last one tells everything, and nothing is ever read but tails;
and, of all that comes after the first messages, nothing but the tail by whoever wants those:

========== =============================================================================================
``rev``    the session's revision
``at``     its last activity, and when the line's messages were stored; microseconds since 1970-01-01 UTC
``n``      how many messages there are. The line's own are the last of them, and what stood in their place
           or after is gone: a line with one message that leaves ``n`` as it was replaces the last, a line
           with none and a smaller ``n`` removes
``turns``  how many of them are turns, and ``calls`` how many tools they call; 0 where absent
``pos``    where, in bytes, the line itself begins. Where it does not, something was put or taken away above it
``prev``   where, in bytes, the line with the message before the line's own begins; absent where there is none
``meta``   where the line with the latest snapshot begins
``made``   when the line's messages were stored, where that is not ``at``; null where nobody knows
``dead``   roughly how many bytes before this line nobody needs any more; 0 where absent. More than after the line
           before, where messages are removed or replaced
``low``    how many messages were left, at the least, by a line that removed some, or replaced any but the newest, and
           begins after the first 16 KiB; absent where none did, 0 where nobody knows
``torn``   true where the line before is what a crash left of a write that was never acknowledged; so are then
           the lines directly before that which begin an object and don't end it
========== =============================================================================================

A line with a role and no mark was written by somebody else and is one more message. A header without any line after it
is a session whose creation was not finished: there is none, nor where all that follows is the beginning of a line, or
several such creations. A last line without its newline counts if it is whole.

From line to line ``rev`` never falls; where it stays, ``n`` never falls, and grows where there are messages. Where that
does not hold, somebody moved or copied lines: the fewest that are out of place are left out, as if they could not be
read. So is another header further down, and a message that a line takes the place of without adding to ``dead``: its
writer did not know of it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from sessionkit.clock import EARLIEST, LATEST
from sessionkit.codec import decode_json, encode_json
from sessionkit.errors import CorruptSessionError, InvalidMessageError
from sessionkit.models import IDLE
from sessionkit.weighing import MAX_DEPTH, SURELY_FLAT, is_too_deep

VERSION = 1
MARK_KEY = "~"
NO_ATTRIBUTES = Raw(b"{}")

Time = Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

Order = tuple[int, int, bool]
"""A line's revision, its number of messages, and whether it holds none itself."""

BEGINNING = 16 * 1024
"""Of how many bytes all lines are read by whoever reads the first ones; see ``low``."""

LARGEST = 2**63 - 1
"""The largest `Count` that can be read, so none beyond it may be written."""

_KEY = b'"~":'
_ZERO = 0  # likewise by one byte
_TILDE = ord(MARK_KEY)  # to look for one byte takes a tenth of looking for several
_MARK = b',"~":{'
_MESSAGE = b'{"role":"'
_RECORD = b'{"~":'
HEADER = b'{"sessionkit":'
"""What the first line of a file starts with."""

_RECORD_KEYS = (b'"~"', b'"messages"', b'"session"')
_LEVELS = 2  # a message of a record stands in its list, and so do attributes in a snapshot
_BOM = b"\xef\xbb\xbf"


class Mark(
    msgspec.Struct,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={
        "revision": "rev",
        "last_activity": "at",
        "message_count": "n",
        "turn_count": "turns",
        "tool_call_count": "calls",
        "position": "pos",
        "previous": "prev",
        "snapshot": "meta",
        "created_at": "made",
    },
):
    """How things stand after a line; the fields are explained above, under their names in the file."""

    revision: Count
    last_activity: Time
    message_count: Count
    turn_count: Count = 0
    tool_call_count: Count = 0
    position: Count | None = None
    previous: Count | None = None
    snapshot: Count | None = None
    created_at: Time | UnsetType | None = UNSET
    dead: Count = 0
    low: Count | None = None
    torn: bool = False

    def order(self, messages: Sequence[bytes]) -> Order:
        """What grows from line to line, for one with these messages; equal it may stay only where there are none."""
        return self.revision, self.message_count, not messages


class Snapshot(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a session besides its messages and counts, by the names of `SessionRecord`."""

    key: str
    created_at: Time
    name: str | None = None
    agent_alias: str | None = None
    channel_id: str | None = None
    room_id: str | None = None
    sender_id: str | None = None
    state: str = IDLE
    turn_id: str | None = None
    turn_started_at: Time | None = None
    heartbeat_at: Time | None = None
    attributes: Raw = NO_ATTRIBUTES


class Line(msgspec.Struct):
    """A line, taken apart: its mark, its messages as JSON, its snapshot. Headers and foreign messages have no mark."""

    mark: Mark | None
    messages: Sequence[bytes]
    snapshot: Snapshot | None = None

    def may_follow(self, revision: int, message_count: int) -> bool:
        """Whether the line can stand somewhere below one after which that was how things stood."""
        return self.mark is None or self.mark.order(self.messages) > (revision, message_count, False)


class _Record(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename={"mark": "~"}):
    mark: Mark
    messages: list[Raw] = []
    session: Snapshot | None = None


class _Version(msgspec.Struct):
    sessionkit: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    sessionkit: int
    session: Snapshot


class UnknownVersionError(CorruptSessionError):
    """The header is of a format that is newer than this code."""


_encode = msgspec.json.Encoder().encode
_decode_mark = msgspec.json.Decoder(Mark).decode
_decode_record = msgspec.json.Decoder(_Record).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_header = msgspec.json.Decoder(_Header).decode


def header_line(snapshot: Snapshot) -> bytes:
    """The first line of a file, with its newline."""
    return _encode(_Header(VERSION, snapshot)) + b"\n"


def record_line(mark: Mark, messages: Sequence[bytes] = (), snapshot: Snapshot | None = None) -> bytes:
    """A message's line where one message allows it, else a record's; with its newline."""
    if len(messages) == 1 and snapshot is None and (_TILDE not in messages[0] or not _has_mark_key(messages[0])):
        return b'%b,"~":%b}\n' % (messages[0][:-1], _encode(mark))
    return _encode(_Record(mark, [Raw(message) for message in messages], snapshot)) + b"\n"


def parse(raw: bytes) -> Line | None:
    """The line without its newline, taken apart; None where it can't be read. A message is not looked into.

    Raises:
        UnknownVersionError: it is the header of a newer format.
    """
    try:
        if raw.startswith(_MESSAGE):
            at = raw.rfind(_MARK)
            if at > 0 and raw.endswith(b"}}") and _ZERO not in raw:
                # The mark ends the line. Such bytes inside of an inner object don't: one brace is left over.
                mark = _decode_mark(raw[at + 5 : -1])
                return Line(mark, (raw[:at] + b"}",)) if mark.message_count else None  # as `_checked` would
        elif _is_too_deep(raw):
            return None
        elif raw.startswith(_RECORD):
            # Two lines in one; to count is cheap, and a message may have such keys of its own.
            if any(raw.count(key) > 1 for key in _RECORD_KEYS) and _repeats_a_key(raw):
                return None
            return _from_record(raw)
        elif raw.startswith(HEADER):
            return _from_header(raw)
    except (ValueError, RecursionError):
        pass  # it may be ours, spelled otherwise by some tool, or somebody else's
    return _parse_slowly(raw)


def split_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line and where it begins, blank ones left out."""
    offset = 0
    for raw in data.split(b"\n"):
        if raw.strip():
            yield offset, raw
        offset += len(raw) + 1


def has_hole(raw: bytes) -> bool:
    """Whether part of the line, or of all lines, did not get to the disk: zeroes are there, and no JSON has one."""
    return _ZERO in raw


def mark_at_end(raw: bytes) -> Mark | None:
    """The mark of a message's line, of which `raw` is the end; None where it is not that."""
    at = raw.rfind(_MARK)
    try:
        return _decode_mark(raw[at + 5 : -1]) if at >= 0 and raw.endswith(b"}}") else None
    except ValueError:
        return None


def attributes_of(snapshot: Snapshot) -> Any:
    """The attributes of the session, in lists and dicts of their own."""
    return {} if snapshot.attributes is NO_ATTRIBUTES else decode_json(bytes(snapshot.attributes))


def is_unfinished_header(raw: bytes) -> bool:
    """Whether the line is what a crash may leave of a header."""
    return raw.startswith(HEADER) or HEADER.startswith(raw)


def is_beginning(raw: bytes) -> bool:
    """Whether the line is the beginning of some JSON and not all of it: what a crash leaves, and little else does."""
    # A number may have been cut where it can't end.
    return not _is_too_deep(raw) and (_ends_early(raw) or _ends_early(raw + b"0")) and not _is_whole(raw)


def _is_too_deep(raw: bytes) -> bool:
    """Whether it is so deep that it is none of ours, and that decoding it could end the process."""
    return len(raw) > SURELY_FLAT and is_too_deep(raw, MAX_DEPTH + _LEVELS)


def _ends_early(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except (UnicodeDecodeError, RecursionError):
        pass
    return False


def _is_whole(raw: bytes) -> bool:
    """Whether the standard library takes it: half of a surrogate is truncated to msgspec, wherever it stands."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_slowly(raw: bytes) -> Line | None:
    try:
        data = decode_json(raw.removeprefix(_BOM))
        if not isinstance(data, dict):
            return None
        if MARK_KEY in data and _repeats_a_key(raw.removeprefix(_BOM)):
            return None
        if isinstance(data.get("role"), str):
            mark = _as_mark(data.get(MARK_KEY))
            if mark is not None:
                del data[MARK_KEY]
            return _checked(Line(mark, (encode_json(data, "the line"),)))
        if "sessionkit" in data:
            return _from_header(encode_json(data, "the line"))
        return _from_record(encode_json(data, "the line"))
    except (InvalidMessageError, ValueError, RecursionError):
        return None


def _repeats_a_key(raw: bytes) -> bool:
    """Whether an object has a key twice: so may what is left where the end of one line and the start of the next go."""
    pairs = json.loads(raw, object_pairs_hook=list)
    return len({key for key, _ in pairs}) < len(pairs)


def _from_record(raw: bytes) -> Line | None:
    record = _decode_record(raw)
    return _checked(Line(record.mark, [bytes(message) for message in record.messages], record.session))


def _from_header(raw: bytes) -> Line | None:
    version = _decode_version(raw).sessionkit
    if version < 1:
        return None  # there never was one
    if version > VERSION:
        msg = f"its format is version {version}, and this sessionkit knows version {VERSION}: use a newer one"
        raise UnknownVersionError(msg)
    return _checked(Line(None, (), _decode_header(raw).session))


def _checked(line: Line) -> Line | None:
    """The line, unless it claims fewer messages than it holds, or attributes that are no JSON object."""
    if line.mark is not None and line.mark.message_count < len(line.messages):
        return None
    if line.snapshot is not None and not isinstance(attributes_of(line.snapshot), dict):
        return None
    return line


def _as_mark(value: Any) -> Mark | None:
    try:
        return msgspec.convert(value, Mark)
    except msgspec.ValidationError:
        return None


def _has_mark_key(message: bytes) -> bool:
    return _KEY in message and MARK_KEY in decode_json(message)
