"""Damages of a store in files, one of each kind, and all that a check promises about them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionkit import ChatMessage, CorruptRecordWarning
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.names import file_name

KEY = "s"
LONG = "x" * 200

Damage = Callable[[Path], object]


def filled(folder: Path) -> JSONLBackend:
    """A store with two sessions, one of which was compacted, and a deleted one."""
    folder.mkdir(mode=0o700)
    backend = JSONLBackend(folder)
    for i in range(6):
        for key in (KEY, LONG):
            backend.append(key, ChatMessage("assistant" if i % 2 else "user", f"message {i}"))
    backend.remove_last(KEY)
    backend.set_session_name(KEY, "name")
    backend.append(KEY, ChatMessage("user", "last"))
    backend.append("gone", ChatMessage("user", "hi"))
    backend.delete_session("gone")
    return backend


def edited(change: Callable[[list[bytes]], object]) -> Damage:
    """A change of the lines of the session's file."""

    def damage(folder: Path) -> None:
        file = folder / file_name(KEY)
        lines = file.read_bytes().splitlines(keepends=True)
        change(lines)
        file.write_bytes(b"".join(lines))

    return damage


def replaced(at: int, old: bytes, new: bytes) -> Damage:
    """Other bytes in a line, as many as before."""
    assert len(old) == len(new)

    def change(lines: list[bytes]) -> None:
        assert old in lines[at]
        lines[at] = lines[at].replace(old, new)

    return edited(change)


def left_over(folder: Path) -> None:
    """What a compaction leaves that is killed before the renaming."""
    (folder / f"{file_name(KEY)}.tmp").write_bytes((folder / file_name(KEY)).read_bytes()[:50])


def left_over_alone(folder: Path) -> None:
    """The same, of a session whose own file is gone."""
    (folder / "other.jsonl.tmp").write_bytes(b'{"role":"user","content":"hi"}\n')


def copied(folder: Path) -> None:
    """A session's file under another's name."""
    (folder / "t.jsonl").write_bytes((folder / file_name(KEY)).read_bytes())


def restricted(name: str, mode: int) -> Damage:
    """Another mode."""
    return lambda folder: (folder / name).chmod(mode)


MENDED: dict[str, tuple[str, Damage]] = {
    "a message of rubbish": ("corrupt-message", edited(lambda lines: lines.__setitem__(3, b"rubbish\n"))),
    "a hole in a message": ("corrupt-message", replaced(3, b"message", bytes(7))),
    "a message that is no JSON": ("corrupt-message", replaced(3, b'"message', b'"mess\x01ge')),
    "a header of rubbish": ("corrupt-session", replaced(0, b'"key"', b"#####")),
    "a file of rubbish": ("corrupt-session", edited(lambda lines: lines.__setitem__(slice(None), [b"rubbish\n"] * 2))),
    "a torn end": ("torn-record", edited(lambda lines: lines.append(b'{"role":"user","content":"ne'))),
    "half a creation": ("torn-record", lambda folder: (folder / "t.jsonl").write_bytes(b'{"sessionkit":1,"sess')),
    "a line moved down": ("order", edited(lambda lines: lines.insert(6, lines.pop(2)))),
    "a line copied": ("order", edited(lambda lines: lines.append(lines[3]))),
    "a time before the one above": ("order", replaced(5, b'"at":17', b'"at":16')),
    "too many messages counted": ("counts", replaced(9, b'"n":6', b'"n":9')),
    "too many turns counted": ("counts", replaced(9, b'"turns":2', b'"turns":5')),
    "a line taken away": ("counts", edited(lambda lines: lines.pop(3))),
    "a position that is not so": ("structure", replaced(5, b'"pos":5', b'"pos":4')),
    "another line before": ("structure", replaced(5, b'"prev":4', b'"prev":3')),
    "a snapshot elsewhere": ("structure", replaced(3, b'"meta":0', b'"meta":7')),
    "more bytes in vain than there are": ("structure", replaced(8, b'"dead":2', b'"dead":9')),
    "the end of a compaction": ("orphan", left_over),
    "a compaction of nothing": ("orphan", left_over_alone),
    "a revision that is no number": ("structure", lambda folder: (folder / ".revisions").write_bytes(b"rubbish\n")),
    "a revision beyond all": ("structure", lambda folder: (folder / ".revisions").write_bytes(b"9" * 20 + b"\n")),
    "a file that others may read": ("permissions", restricted(file_name(KEY), 0o644)),
    "a folder that others may read": ("permissions", restricted(".", 0o755)),
    "a revision that others may write": ("permissions", restricted(".revisions", 0o666)),
}
"""What is done to a store, the kind of finding that it must be, and that a repair leaves none of it."""

LEFT_ALONE: dict[str, tuple[str, Damage]] = {
    "a name that is no key's": ("orphan", lambda folder: (folder / "A.jsonl").write_bytes(b"")),
    "another session's file": ("corrupt-session", copied),
    "a newer format": ("corrupt-session", replaced(0, b'"sessionkit":1', b'"sessionkit":7')),
    "a link": ("structure", lambda folder: (folder / "t.jsonl").symlink_to(folder / file_name(KEY))),
    "a folder": ("structure", lambda folder: (folder / "t.jsonl").mkdir()),
}
"""Problems that only people can solve."""


def messages_of(backend: JSONLBackend) -> dict[str, list[ChatMessage]]:
    """What can be read, whatever is told of the rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptRecordWarning)
        return {key: backend.load(key) for key in backend.list_sessions()}


def problems(backend: JSONLBackend, *, repair: bool = False) -> list[Any]:
    """The findings that need something to be done."""
    return [finding for finding in backend.check(repair=repair) if finding.severity == "problem"]


def contents(folder: Path) -> dict[str, bytes]:
    """All files."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def examine(folder: Path, damage: str) -> None:
    """Do the damage to a new store there, and see it found, then mended; assert all that a check promises."""
    kind, do = MENDED[damage]
    backend = filled(folder)
    assert list(backend.check()) == []
    do(folder)
    backend = JSONLBackend(folder)
    before, files = messages_of(backend), contents(folder)
    found = problems(backend)
    assert kind in {finding.kind for finding in found}
    assert all(finding.repaired is None for finding in found)
    assert contents(folder) == files
    repaired = problems(backend, repair=True)
    assert [finding.kind for finding in repaired] == [finding.kind for finding in found]
    assert all(finding.repaired for finding in repaired)
    assert problems(backend) == []
    assert messages_of(JSONLBackend(folder)) == before
    assert every_byte_of(files) <= every_byte_of(contents(folder))
    backend.append(KEY, ChatMessage("user", "after"))
    assert problems(backend) == []


def every_byte_of(files: dict[str, bytes]) -> set[bytes]:
    """The lines of rubbish, which are set aside and never lost; others are written anew with other marks."""
    return {line for content in files.values() for line in content.split(b"\n") if line.startswith(b"rubbish")}
