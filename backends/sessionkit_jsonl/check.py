"""Is everything in the folder as it should be? Every file is read whole, one at a time, and mended if asked for."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from sessionkit.errors import BackendUnavailableError, CorruptSessionError, SessionKitError
from sessionkit.locks import acquire
from sessionkit.models import Finding
from sessionkit.private import FILE, FOLDER
from sessionkit_jsonl import files, names
from sessionkit_jsonl.audit import backward_times, counted, disagreement, respelled_from, wrong_claims
from sessionkit_jsonl.belonging import is_another_programs, is_ours, is_store
from sessionkit_jsonl.floor import NAME, RevisionFloor
from sessionkit_jsonl.folder import Folder
from sessionkit_jsonl.lines import HEADER
from sessionkit_jsonl.scanning import Scan
from sessionkit_jsonl.view import decoded, scan_file, settled
from sessionkit_jsonl.window import Window

Mend = Callable[[str], str]
"""Writes the session's file anew; says what was done."""

_BEING_MADE = 60_000_000_000  # nanoseconds that may lie between the creation of a file and its first line

_TMP, _CORRUPT = f"{names.SUFFIX}.tmp", f"{names.SUFFIX}.corrupt"


@attrs.define
class Check:
    """One look at a folder.

    Attributes:
        folder: which one.
        floor: its file of revisions.
        timeout: how long to wait for a writer in the middle of a line.
        mend: how to write a session's file anew, by its key; None where nothing is to be changed.
    """

    folder: Folder
    floor: RevisionFloor
    timeout: float
    mend: Mend | None
    _highest: int = 0

    def findings(self) -> Iterator[Finding]:
        """All that is wrong, as it is found."""
        path = self.folder.path
        with files.OSErrors(path):
            found = sorted(entry.name for entry in Path(path).iterdir())
            if is_store(path):
                yield from self._permissions(path, FOLDER)
            elif self.mend is not None:
                self.mend = None
                what = "nothing in this folder was written by sessionkit, so nothing in it is changed"
                yield Finding("structure", what, where=path, severity="note")
        for name in found:
            yield from self._of_file(name, f"{path}/{name}")
        yield from self._of_floor(f"{path}/{NAME}")

    def _of_file(self, name: str, path: str) -> Iterator[Finding]:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return  # gone since: a store in use
        ours = name == NAME or name.endswith((names.SUFFIX, _TMP, _CORRUPT))
        if not ours:
            what = "belongs to no session, and is left alone"
            yield Finding("orphan", f"{name!r} {what}", where=path, severity="note")
        elif not stat.S_ISREG(status.st_mode):
            what = "is no regular file, and is neither read nor written: move it away"
            yield Finding("structure", f"{name!r} {what}", where=path)
        else:
            if is_ours(path) or name == NAME:
                yield from self._permissions(path, FILE)
            if name.endswith(_TMP):
                yield from self._of_left_over(path)
            elif name.endswith(_CORRUPT):
                yield from self._of_set_aside(path)
            elif name != NAME:
                yield from self._of_session_file(name, path)

    def _permissions(self, path: str, widest: int) -> Iterator[Finding]:
        try:
            mode = stat.S_IMODE(Path(path).stat().st_mode)
        except FileNotFoundError:
            return
        if not mode & ~widest:
            return
        finding = Finding("permissions", f"others than its owner may use it: {mode:o}, not {widest:o}", where=path)
        if self.mend is None:
            yield finding
            return
        try:
            files.restrict(path, mode & widest)
        except OSError as error:
            yield attrs.evolve(finding, what=f"{finding.what}; and it can't be changed: {error.strerror}")
        else:
            yield attrs.evolve(finding, repaired=f"its mode is {mode & widest:o}")

    def _of_set_aside(self, path: str) -> Iterator[Finding]:
        key = _key_of(path, ".corrupt")
        if os.path.lexists(path.removesuffix(".corrupt")):
            yield Finding("set-aside", "lines that could not be read were set aside", key, path, severity="note")
        else:
            what = "lines were set aside of a session that is not there; they are kept until they are removed by hand"
            yield Finding("set-aside", what, key, path, severity="note")

    def _of_left_over(self, path: str) -> Iterator[Finding]:
        session = path.removesuffix(".tmp")
        try:
            descriptor = files.open_session(session, files.READ)
        except (FileNotFoundError, CorruptSessionError):
            descriptor = -1
        try:
            if descriptor >= 0:  # who holds the lock may be at work on it; who is will have removed or renamed it
                with files.OSErrors(session):
                    acquire(descriptor, shared=self.mend is None, timeout=self.timeout, path=session)
            if not os.path.lexists(path) or not _is_still(descriptor, session):
                return
            finding = Finding("orphan", "a compaction was cut off and left it", _key_of(path, ".tmp"), path)
            if self.mend is None:
                yield finding
                return
            with files.OSErrors(path):
                yield attrs.evolve(finding, repaired=_put_away(path, session, superseded=descriptor >= 0))
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _of_session_file(self, name: str, path: str) -> Iterator[Finding]:
        try:
            key = names.session_key(name)
        except ValueError as error:
            yield Finding("orphan", f"{error}; it is left alone: rename it, or move it away", where=path)
            return
        try:
            key, findings = self._of_session(name, path, key)
        except FileNotFoundError:
            return
        except CorruptSessionError as error:
            yield Finding("corrupt-session", str(error), error.session_key or key, path)
            return
        except OSError as error:
            yield Finding("permissions", f"it can't be read: {error.strerror}", key, path)
            return
        if self.mend is None or key is None or not any(_is_mended(each) for each in findings):
            yield from findings
            return
        try:
            done = self.mend(key)
        except SessionKitError as error:
            yield from (attrs.evolve(each, what=f"{each.what}; and it can't be mended: {error}") for each in findings)
        else:
            yield from (attrs.evolve(each, repaired=done) for each in findings)

    def _of_session(self, name: str, path: str, key: str | None) -> tuple[str | None, list[Finding]]:
        """What is wrong with a session, and its key, where that is known."""
        descriptor = files.open_session(path, files.READ)
        try:
            window = settled(descriptor, path, self.timeout)
            found = scan_file(path, key, window)
            snapshot = found.standing.snapshot
            if snapshot is not None and names.file_name(snapshot.key) != name:
                msg = f"it holds the session {snapshot.key!r}, and its name is another's: rename it, or move it away"
                raise CorruptSessionError(msg, session_key=snapshot.key, where=path)
            if key is None and snapshot is None:
                if not found.standing.exists and not found.unreadable:
                    return None, []
                msg = "its header can't be read, so that nobody can tell which session it holds: use its key to load it"
                raise CorruptSessionError(msg, where=path)
            key = snapshot.key if snapshot is not None else key
            if window.size == 0:
                return key, list(_emptied(descriptor, key, path))
            if not found.standing.exists and is_another_programs(window.everything()):
                what = "another program's: no line of it is a message, or ours; it is left alone: move it away"
                return key, [Finding("orphan", what, key, path)]
            self._highest = max(self._highest, found.standing.revision)
            findings = [*_damage(found, key, path)]
            return key, findings or list(_disorder(window, found, key, path))
        finally:
            os.close(descriptor)

    def _of_floor(self, path: str) -> Iterator[Finding]:
        try:
            damage = self.floor.damage()
        except BackendUnavailableError:
            raise
        except OSError as error:
            yield Finding("permissions", f"it can't be read: {error.strerror}", where=path)
            return
        except CorruptSessionError:
            return  # no regular file, which was said already
        if damage is None:
            return
        finding = Finding("structure", damage, where=path)
        if self.mend is not None:
            self.floor.replace(self._highest)
            finding = attrs.evolve(finding, repaired=f"set aside; the number is {self._highest} now")
        yield finding


def _is_mended(finding: Finding) -> bool:
    return finding.severity == "problem" and finding.kind != "orphan"


def _emptied(descriptor: int, key: str | None, path: str) -> Iterator[Finding]:
    """Whether the file is empty, and not because somebody is just about to write to it."""
    if time.time_ns() - os.fstat(descriptor).st_mtime_ns > _BEING_MADE:
        what = "the session's file is empty: its creation was cut off, or all that was in it"
        yield Finding("torn-record", what, key, path)


def _damage(found: Scan, key: str | None, path: str) -> Iterator[Finding]:
    """The lines that can't be read or are out of place, and counts that are not what is there."""
    misplaced = {offset for offset, _ in found.out_of_place}
    bad = decoded(found.live)[1]
    if not found.standing.exists and found.unreadable:
        yield Finding("corrupt-session", "nothing in it can be read", key, path)
        return
    for offset, raw in sorted(found.unreadable + bad):
        where = f"{path}, byte {offset}"
        if offset in misplaced:
            yield Finding("order", "a line is not where it can have been written, and is left out", key, where)
        elif raw.startswith(HEADER) or (offset == 0 and found.standing.snapshot is None):
            yield Finding("corrupt-session", "what is known of the session can't be read", key, where)
        else:
            yield Finding("corrupt-message", "a line can't be read, and is left out", key, where)
    for offset, _ in sorted(found.torn):
        what = "a line is cut off or damaged; if it is what a crash left of a write, nobody was told that it is done"
        yield Finding("torn-record", what, key, f"{path}, byte {offset}")
    standing = found.standing
    said, are = (standing.message_count, standing.turn_count, standing.tool_call_count), counted(found)
    if said != are and standing.exists:
        what = f"it counts {_three(said)}, and there are {_three(are)} messages, turns and tool calls"
        yield Finding("counts", what, key, path)


def _disorder(window: Window, found: Scan, key: str | None, path: str) -> Iterator[Finding]:
    """What is wrong in a file of which every line can be read."""
    claims = list(wrong_claims(window.everything()))
    back = backward_times(found)
    if back and not any(kind == "order" for kind, *_ in claims):
        yield Finding("order", f"the times of messages run backwards, unless {back} of them are wrong", key, path)
    respelled = respelled_from(window.everything()) if claims else None
    for kind, offset, what in claims:
        if kind == "order" or respelled is None or offset < respelled:
            yield Finding(kind, f"what a line says of the file is not so: {what}", key, f"{path}, byte {offset}")
    if respelled is not None:
        what = "another program has spelled lines its own way; nothing is lost, but to read them takes longer"
        yield Finding("structure", what, key, f"{path}, byte {respelled}", severity="note")
    disagrees = None if claims or not found.standing.exists else disagreement(window, found)
    if disagrees is not None:
        yield Finding("structure", disagrees, key, path)


def _three(counts: tuple[int, int, int]) -> str:
    return "{}, {} and {}".format(*counts)


def _is_still(descriptor: int, path: str) -> bool:
    """Whether that is the file at the path; -1 is none. Else the lock that was had is not the one of who is at work."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return descriptor < 0
    return os.path.samestat(os.fstat(descriptor), there) if descriptor >= 0 else not stat.S_ISREG(there.st_mode)


def _key_of(path: str, ending: str) -> str | None:
    try:
        return names.session_key(Path(path).name.removesuffix(ending))
    except ValueError:
        return None


def _put_away(path: str, session: str, *, superseded: bool) -> str:
    """The rest of a compaction: never more than what the session's own file has, where there is one."""
    if superseded:
        files.remove(path)
        return "removed, for the session's own file holds all that it does"
    descriptor = files.open_session(path, files.READ)
    try:
        files.set_aside(session, Window(descriptor, os.fstat(descriptor).st_size).everything())
    finally:
        os.close(descriptor)
    files.remove(path)
    return "set aside, for there is no session to which it belongs"
