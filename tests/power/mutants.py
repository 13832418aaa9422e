"""Stores in files as real authors break them: each loses something to a power cut, and the proof must say what."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

from sessionkit import CorruptSessionError
from sessionkit_jsonl import edits, files, log, scanning, view
from sessionkit_jsonl.floor import RevisionFloor
from sessionkit_jsonl.log import SessionLog
from tests.power.jsonl import Syncing

Patch = Callable[[], Any]


@attrs.frozen
class Mutant:
    """One deliberate bug.

    Attributes:
        name: of the bug.
        patch: puts it in, for as long as its ``with`` lasts.
        promises: by which of the promises of `tests.power.truth` it may be caught.
        syncing: how the stores of the run are opened.
        seed: of the first run that is tried.
    """

    name: str
    patch: Patch
    promises: frozenset[str]
    syncing: Syncing = "always"
    seed: int = 0


MUTANTS: list[Mutant] = []


def mutant(
    *promises: str, syncing: Syncing = "always", seed: int = 0
) -> Callable[[Callable[[], Generator[None]]], Patch]:
    """Add one; its docstring says the bug."""

    def add(function: Callable[[], Generator[None]]) -> Patch:
        patch = contextmanager(function)
        MUTANTS.append(Mutant(function.__name__, patch, frozenset(promises), syncing, seed))
        return patch

    return add


def replaced(target: Any, name: str, new: Any) -> Any:
    """Something else in the place of what is there."""
    return mock.patch.object(target, name, new)


def nothing(*_: Any, **__: Any) -> None:
    """What is done instead."""


@mutant("acknowledged")
def never_syncs_a_line() -> Generator[None]:
    """An append is acknowledged once it is written."""
    plain = files.append

    def append(descriptor: int, path: str, data: bytes, *, size: int, sync: bool) -> None:
        del sync
        plain(descriptor, path, data, size=size, sync=False)

    with replaced(files, "append", append):
        yield


@mutant("acknowledged")
def syncs_before_it_writes() -> Generator[None]:
    """The disk is waited for, and then the line is written."""
    plain = files.append

    def append(descriptor: int, path: str, data: bytes, *, size: int, sync: bool) -> None:
        if sync:
            os.fsync(descriptor)
        plain(descriptor, path, data, size=size, sync=False)

    with replaced(files, "append", append):
        yield


@mutant("acknowledged")
def never_syncs_a_folder() -> Generator[None]:
    """A file's content is waited for, its name is not."""
    with replaced(files, "sync_folder", nothing):
        yield


@mutant("acknowledged", syncing="mixed")
def trusts_what_it_finds() -> Generator[None]:
    """A file that was there already is taken to be on the disk, name and all."""
    with replaced(SessionLog, "_sync_what_is_there", nothing):
        yield


@mutant("acknowledged", syncing="mixed", seed=1)
def trusts_the_folders_that_it_finds() -> Generator[None]:
    """Only folders that are created are waited for, not those that somebody else has just created."""
    plain = files.make_folder

    def make_folder(path: str, *, sync: bool) -> None:
        plain(path, sync=sync and not Path(path).exists())

    with replaced(files, "make_folder", make_folder):
        yield


@mutant("acknowledged", "opens", "true-state", syncing="never", seed=15)
def renames_before_it_syncs() -> Generator[None]:
    """A compaction puts the new file's name in the place of the old one while its content is on the way."""
    plain = files.replace

    def replace(path: str, data: bytes, *, aside: bytes = b"", sync: bool) -> None:
        fsync = os.fsync
        with replaced(os, "fsync", lambda descriptor: None if _is_file(descriptor) else fsync(descriptor)):
            plain(path, data, aside=aside, sync=sync)

    with replaced(files, "replace", replace):
        yield


@mutant("acknowledged", "opens", "true-state", seed=3)
def renames_before_it_syncs_though_asked_to() -> Generator[None]:
    """The same with ``fsync=1``: the folder is waited for, the file is not."""
    with renames_before_it_syncs():
        yield


@mutant("acknowledged", "opens", "true-state", seed=3)
def compacts_in_place() -> Generator[None]:
    """The file is emptied and written anew."""

    def replace(path: str, data: bytes, *, aside: bytes = b"", sync: bool) -> None:
        del aside
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, data)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    with replaced(files, "replace", replace):
        yield


@mutant("revision")
def never_syncs_the_revision() -> Generator[None]:
    """The number of the highest deleted revision is not waited for before the file goes."""
    plain = RevisionFloor.raise_to

    def raise_to(self: RevisionFloor, revision: int, since: float | None = None) -> None:
        with replaced(self, "_sync", False):  # noqa: FBT003 -- the value it has
            plain(self, revision, since)

    with replaced(RevisionFloor, "raise_to", raise_to):
        yield


@mutant("revision")
def raises_the_revision_too_late() -> Generator[None]:
    """First the file goes, then its revision is kept."""

    def delete(self: SessionLog, number: RevisionFloor) -> None:
        revision = self.record.revision if self.record else 0
        files.remove_session(self._path, sync=True)
        if revision:
            number.raise_to(revision)
        self.close()

    with replaced(SessionLog, "delete", delete):
        yield


@mutant("opens", "writes-on", seed=11)
def stumbles_over_a_revision_of_zeroes() -> Generator[None]:
    """A file of revisions whose size got to the disk and whose number did not is an error for every session."""
    plain = RevisionFloor._number

    def number(self: RevisionFloor, descriptor: int) -> int:
        if b"\0" in os.pread(descriptor, 40, 0):
            raise CorruptSessionError("no number", where=self._path)
        return plain(self, descriptor)

    with replaced(RevisionFloor, "_number", number):
        yield


@mutant("opens")
def stumbles_over_zeroes() -> Generator[None]:
    """A creation of which only the size got to the disk is a damaged session, which nobody can open."""
    with replaced(scanning, "has_hole", lambda _: False):
        yield


@mutant("true-state", "foreign")
def takes_half_a_creation() -> Generator[None]:
    """A session whose header did not get to the disk is one, without its name and times."""
    with replaced(scanning, "half_created", lambda _: frozenset()):
        yield


@mutant("true-state", syncing="never")
def replaces_in_two_steps() -> Generator[None]:
    """The newest message is removed, and then the new one is added."""

    def update_last(kept: SessionLog | None, raw: bytes, message: Any) -> bool:
        if not edits.remove_last(kept) or kept is None or (record := kept.look()) is None:
            return False
        record.changed()
        record.count(1, message.is_turn, message.tool_call_count)
        kept.commit(record, (raw,))
        return True

    with replaced(edits, "update_last", update_last):
        yield


@mutant("told", syncing="never")
def keeps_quiet_about_gaps() -> Generator[None]:
    """What a hole swallowed is left out, and nobody is told."""
    with replaced(view, "warn_caller", nothing):
        yield


@mutant("opens", "writes-on", "true-state", "acknowledged")
def writes_on_behind_a_torn_line() -> Generator[None]:
    """A line that a crash cut off is not ended before the next one."""
    plain = SessionLog.look

    def look(self: SessionLog) -> Any:
        record = plain(self)
        self._prefix = b""
        return record

    with replaced(log.SessionLog, "look", look):
        yield


def _is_file(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").is_file()
