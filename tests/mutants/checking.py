"""Checks that see nothing or too much, write where they should look, and repairs that do harm."""

from collections.abc import Iterator
from pathlib import Path

import attrs

from sessionkit import CorruptSessionError, Finding
from sessionkit_jsonl import JSONLBackend
from tests.mutants.declared import caught_by


@caught_by("check.healthy", on_disk=True)
class CheckCountsGaps(JSONLBackend):
    """A message that was removed leaves a gap, and the check takes it for a loss."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        yield from super().check(repair=repair)
        for metadata in self.list_sessions_with_metadata():
            if (metadata.revision or 0) > metadata.message_count:
                yield Finding("counts", "there were more messages than there are", metadata.key)


@caught_by("check.changes-nothing", on_disk=True)
class CheckLeavesItsMark(JSONLBackend):
    """The check notes in each session when it last looked."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        for key in self.list_sessions():
            self.set_session_state(key, "checked")
        return super().check(repair=repair)


@caught_by("check.finds", "check.repairs", on_disk=True)
class CheckLooksAtTheFirst(JSONLBackend):
    """Only the first message of a session is read; where that one is well, all are."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        del repair
        for key in self.list_sessions():
            try:
                self.load_first(key, 1)
            except CorruptSessionError as error:
                yield Finding("corrupt-session", str(error), key)


@caught_by("check.finds", on_disk=True)
class CheckAlwaysMends(JSONLBackend):
    """``repair`` is not passed on: a look mends, and so the next one finds nothing."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        del repair
        return super().check(repair=True)


@caught_by("check.repairs", on_disk=True)
class CheckClaimsToMend(JSONLBackend):
    """A repair says that all was mended, and does nothing."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        for one in super().check():
            yield attrs.evolve(one, repaired="mended") if repair else one


@caught_by("check.repairs", on_disk=True)
class CheckDeletesTheDamaged(JSONLBackend):
    """A repair deletes what it should set aside."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        yield from super().check(repair=repair)
        if repair:
            for file in Path(self._folder.path).glob("*.corrupt*"):
                file.unlink()


@caught_by("check.repairs", on_disk=True)
class CheckDropsWhatFollows(JSONLBackend):
    """A repair cuts the session off at the damage, and with it every message that follows."""

    def check(self, *, repair: bool = False) -> Iterator[Finding]:
        for one in super().check(repair=repair):
            yield one
            if repair and one.session_key is not None:
                self.remove_last(one.session_key)
