"""All that is held against what the processes said: their own sessions, those of all, the lists, and every error."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from sessionkit.testing._worker import Session
from sessionkit.testing.torture.checker import Alone, Violation
from sessionkit.testing.torture.crowd import check_crowd
from sessionkit.testing.torture.history import Did, described
from sessionkit.testing.torture.plan import is_own


class Judge:
    """What was done so far, and what is wrong with it."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.alone = Alone(fields)
        """The sessions that have one writer, and those that nobody writes to any more."""
        self._crowds: defaultdict[str, list[Did]] = defaultdict(list)
        self._settled: set[str] = set()

    def hear(self, done: Sequence[Did], *, quiet: bool, died: str | None = None) -> Iterator[Violation]:
        """What is wrong with what a process did, as far as it can be told at once.

        `quiet` says that no other process wrote meanwhile, `died` why its last call has not returned, where nobody
        meant it to be killed then.
        """
        if died:
            yield Violation("stuck", "", "every call to return", died, described(done))
        own = {did.key for did in done if is_own(did.key)}
        for did in done:
            yield from _error(did, done, quiet=quiet)
            if did.step.operation.startswith("list") and did.succeeded:
                yield from self._list(did, own, quiet=quiet)
            elif is_own(did.key) or did.key in self._settled:
                yield from self.alone.check(did)
            elif did.key:
                self._crowds[did.key].append(did)

    def settle(self, keys: Iterable[str]) -> Iterator[Violation]:
        """What is wrong with sessions of many, once all of it was heard; from now on nobody writes to them."""
        for key in keys:
            done = self._crowds.pop(key, [])
            yield from check_crowd(key, done)
            looks = [did for did in done if did.step.operation == "look" and did.succeeded]
            if looks:
                self.alone.found(key, looks[-1].result)
            self._settled.add(key)

    def forget(self, keys: Iterable[str]) -> None:
        """Those sessions were deleted, and are not to be seen again."""
        for key in keys:
            self.alone.forget(key)

    def _list(self, did: Did, own: set[str], *, quiet: bool) -> Iterator[Violation]:
        """What is wrong with a list: of all sessions, or where others write, of those of who asked."""
        listed: dict[str, int | None] = {}
        counts_too = did.step.operation == "list with metadata"
        for each in did.result:
            key, messages = each if counts_too else (each, None)
            if key in listed:
                yield Violation("listed twice", key, "each session once", f"twice in {did.step.operation}")
            listed[key] = messages
        for key in (*self.alone.keys(), *self._crowds) if quiet else own:
            yield from self._listed(key, listed, did)
        for key in listed.keys() - {*self.alone.keys(), *self._crowds} if quiet else ():
            yield Violation("back again", key, "no session that was deleted, or never written", "listed")

    def _listed(self, key: str, listed: dict[str, int | None], did: Did) -> Iterator[Violation]:
        candidates = self._candidates(key)
        held = [len(each["contents"]) for each in candidates]
        exists = [bool(each["contents"]) or each.get("state") is not None for each in candidates]
        about = self.alone.about(key)
        if candidates and all(exists) and key not in listed:
            yield Violation("not listed", key, f"listed, with {held[0]} messages", "not listed", about)
        elif candidates and not any(exists) and "state" in candidates[0] and key in listed:
            yield Violation("back again", key, "not listed, as there is no such session", "listed", about)
        elif listed.get(key) is not None and listed[key] not in held:
            yield Violation("counts", key, f"{held[0]} messages in {did.step.operation}", str(listed[key]), about)

    def _candidates(self, key: str) -> list[Session]:
        if key not in self._crowds:
            return self.alone.known(key)
        return [did.result for did in self._crowds[key] if did.step.operation == "look" and did.succeeded][-1:]


def _error(did: Did, done: Sequence[Did], *, quiet: bool) -> Iterator[Violation]:
    """What is wrong with a read that has raised: all but a lock that it could not wait for."""
    failure = did.failure
    if failure is None or not did.is_read or (failure.retryable and not quiet):
        return
    said = f"{failure.kind}: {failure.text}"
    if did.step.operation == "open":
        yield Violation("not opened", "", "the store to be opened again", said)
    else:
        yield Violation("error", did.key, f"{did.step.operation} to return", said, described(done))
