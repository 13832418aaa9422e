"""What many writers did to one session, held against every look that anybody had at it.

Who was first is not known of steps that overlapped, so only what holds in every order is asked: each message once, each
writer's in its order, batches together, nothing that nobody wrote; what is gone does not come back; where nobody
removes, all that was acknowledged before a look began, and each look a beginning of the later ones; where they do, the
balance of what was added and removed.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from sessionkit.testing.torture.checker import Violation, count
from sessionkit.testing.torture.history import Did, described
from sessionkit.testing.torture.messages import TORN

_EMPTY = frozenset(("clear_messages", "delete_session"))
_TAKE = _EMPTY | {"remove_last", "update_last"}
_ONE_FOR_ONE = "update_last"


@attrs.frozen
class _Written:
    """A message, and where it comes from."""

    did: Did
    rank: tuple[int, float, int]


def check_crowd(key: str, done: Iterable[Did]) -> Iterator[Violation]:
    """What is wrong with a session of many, given all steps that concern it."""
    crowd = _Crowd(key, sorted(done, key=lambda did: did.begun))
    yield from crowd.refused()
    yield from crowd.fences()
    yield from crowd.turns()
    for look in crowd.looks:
        yield from crowd.contents(look)
        yield from crowd.presence(look)
        yield from crowd.balance(look)
        yield from crowd.turns_in_order(look)
    yield from crowd.prefixes()
    yield from crowd.quiet()


class _Crowd:
    def __init__(self, key: str, done: Sequence[Did]) -> None:
        self.key = key
        self.done = done
        self.changes = [did for did in done if not did.is_read]
        self.looks = [did for did in done if did.step.operation == "look" and did.succeeded]
        self.written = {
            name: _Written(did, (did.slot, did.begun, i))
            for did in self.changes
            for i, name in enumerate(did.step.added)
        }
        self.begins = {did.step.value: did for did in self.changes if did.step.operation == "begin_turn"}
        self.taking = [did for did in self.changes if _may_take(did)]

    def refused(self) -> Iterator[Violation]:
        """Errors that the step can't have here."""
        for did in self.changes:
            failure = did.failure
            if failure is None or failure.outcome is not None or failure.kind in _allowed(did):
                continue
            said = f"{failure.kind}: {failure.text}"
            yield self._violation("error", f"{did.step.operation} to return", said, did)

    def fences(self) -> Iterator[Violation]:
        """Of writers with one condition at most one wins, and no revision is there twice."""
        won: dict[int, Did] = {}
        given: dict[int, Did] = {}
        for did in self.changes:
            if did.step.operation != "write" or not did.succeeded:
                continue
            fence, revision = did.step.if_revision, did.result
            if revision in given:
                wanted = "each change to have a revision of its own"
                yield self._violation("revision repeated", wanted, f"{revision} twice", did)
            given[revision] = did
            if fence is None:
                continue
            if fence in won and fence != 0:  # of a session that is deleted in between, many may find none
                yield self._violation("fence", f"one write at revision {fence} to win", f"{did} and {won[fence]}", did)
            elif revision <= fence:
                yield self._violation("fence", f"a revision above {fence}", str(revision), did)
            won[fence] = did

    def turns(self) -> Iterator[Violation]:
        """Who begins a turn holds it, until another one begins; who does not hold it changes nothing."""
        for did in self.changes:
            if did.step.operation == "begin_turn" and did.succeeded and did.result != did.step.value:
                yield self._violation("turn", f"{did.step.value} to run", str(did.result), did)
            turn = did.step.value if did.step.operation == "set_turn_state" else did.step.if_turn
            if turn is None or not did.succeeded:
                continue
            over = next(
                (other for other in self.changes if self._ends(turn, other) and _ended(other) < did.begun), None
            )
            if over:
                yield self._violation("turn", f"nothing in {turn} any more, after {over}", str(did), did)

    def _ends(self, turn: str, other: Did) -> bool:
        """Whether that turn was surely over once the other step had happened."""
        if other.step.operation == "set_turn_state":
            return other.succeeded and other.step.value == turn
        begun = self.begins.get(turn)
        begins_anew = other.step.operation == "begin_turn" and other.succeeded
        return begins_anew and begun is not None and other.begun > _ended(begun)

    def turns_in_order(self, look: Did) -> Iterator[Violation]:
        """No turn writes once a later one has written, as that one has taken over."""
        latest = -math.inf
        for name in look.result["contents"]:
            turn = self.written[name].did.step.if_turn if name in self.written else None
            begun = self.begins.get(turn or "")
            if begun is None:
                continue
            if _ended(begun) < latest:
                yield self._violation("turn", "no message of a turn after those of a later one", name, look)
                return
            latest = max(latest, begun.begun)

    def contents(self, look: Did) -> Iterator[Violation]:
        """Whether what is there was written, once, whole and in order."""
        names = look.result["contents"]
        torn = [name for name in names if name.startswith(TORN)]
        if torn:
            yield self._violation("torn", "messages as they were written", torn[0], look)
        whole = [name for name in names if not name.startswith(TORN)]
        twice = [name for name, times in Counter(whole).items() if times > 1]
        if twice:
            yield self._violation("twice", "each message once", " ".join(twice[:5]), look)
        unknown = [name for name in whole if not self._is_known(name, look)]
        if unknown:
            yield self._violation("invented", "what was written to it", " ".join(unknown[:5]), look)
            return
        refused = [name for name in whole if _was_refused(self.written[name].did)]
        if refused:
            did = self.written[refused[0]].did
            yield self._violation("applied", f"nothing of what was refused: {did}", " ".join(refused[:5]), look)
        ranks: dict[int, tuple[int, float, int]] = {}
        for name in whole:
            rank = self.written[name].rank
            if ranks.get(rank[0], rank) > rank:
                yield self._violation("out of order", "each writer's messages in its order", f"{name} too late", look)
                break
            ranks[rank[0]] = rank
        yield from self._batches(whole, look)

    def _is_known(self, name: str, look: Did) -> bool:
        written = self.written.get(name)
        return written is not None and look.ended is not None and written.did.begun <= look.ended

    def _batches(self, names: Sequence[str], look: Did) -> Iterator[Violation]:
        places = {name: i for i, name in enumerate(names)}
        removers = _begun_before(self.taking, look.ended)
        for did in {id(each): each for each in (self.written[name].did for name in names)}.values():
            batch = did.step.added
            found = [places[name] for name in batch if name in places]
            missing = len(batch) - len(found)
            is_begun = [name in places for name in batch] == [True] * len(found) + [False] * missing
            together = found == list(range(found[0], found[0] + len(found)))
            if not together or not is_begun or (missing and not removers):
                said = " ".join(names[i] for i in found)
                yield self._violation("batch torn", f"together and whole: {' '.join(batch)}", said, look)
                return

    def presence(self, look: Did) -> Iterator[Violation]:
        """Whether all is there that must be, and nothing that was surely removed before."""
        names = set(look.result["contents"])
        emptied = max((did.begun for did in self.taking if _has_emptied(did, look)), default=-math.inf)
        back = [name for name in names & self.written.keys() if _ended(self.written[name].did) < emptied]
        if back:
            yield self._violation("back again", "nothing of before it was emptied", " ".join(sorted(back)[:5]), look)
        taken = max((_ended(did) for did in _begun_before(self.taking, look.ended)), default=-math.inf)
        missing = [
            name
            for name, written in self.written.items()
            if name not in names
            and written.did.succeeded
            and written.did.result is not False
            and written.did.begun > taken
            and _ended(written.did) < look.begun
        ]
        if missing:
            said = f"{len(names)} messages without {' '.join(missing[:5])}"
            yield self._violation("lost", f"{len(missing)} more, acknowledged before", said, look)

    def balance(self, look: Did) -> Iterator[Violation]:
        """Whether there are as many as were added and not removed, within what was going on."""
        low = high = 0.0
        for did in _begun_before(self.changes, look.ended):
            if did.step.operation in {"delete_session", "restore"} and not _was_refused(did):
                return  # nobody tells how many were removed
            least, most = _bounds(did)
            surely = did.succeeded and _ended(did) < look.begun
            low += least if surely else min(0, least)
            high += most if surely else max(0, most)
        found = len(look.result["contents"])
        if not low <= found <= high:
            yield self._violation(
                "balance", f"{low:g} to {high:g} messages, by what was acknowledged", str(found), look
            )

    def prefixes(self) -> Iterator[Violation]:
        """Where nobody removes, each look is a beginning of every longer one, and none loses what an earlier had."""
        if self.taking:
            return
        longest: Did | None = None
        for look in self.looks:
            names = look.result["contents"]
            if longest is not None:
                before = longest.result["contents"]
                shared = min(len(names), len(before))
                if names[:shared] != before[:shared]:
                    yield self._violation("out of order", "what others have seen to stay where it was", "moved", look)
                    return
                if len(names) < len(before) and _ended(longest) < look.begun:
                    yield self._violation("lost", f"the {len(before)} that were seen before", str(len(names)), look)
                    return
            if longest is None or len(names) > len(longest.result["contents"]):
                longest = look

    def quiet(self) -> Iterator[Violation]:
        """Counts and searches, by who looked while nobody wrote."""
        held: Sequence[str] = ()
        for did in self.done:
            if did.step.operation == "look" and did.succeeded:
                held = did.result["contents"]
                counts, counted = did.result.get("counts"), count(held)
                if counts is not None and counts != counted:
                    yield self._violation("counts", f"{counted} messages, turns and tool calls", str(counts), did)
            elif did.step.operation == "search" and did.succeeded:
                expected = [self.key] * (did.step.value in held)
                if did.result != expected:
                    kind = "search" if did.result else "forgotten by search"
                    wanted = f"a search for {did.step.value} to find {expected}"
                    yield self._violation(kind, wanted, str(did.result), did)

    def _violation(self, kind: str, expected: str, found: str, at: Did) -> Violation:
        before = [did for did in self.changes if did.begun <= _ended(at) and (did.ended is None or did.succeeded)]
        about = [*described(before), f"seen by {at.life} ({at.step.operation})"]
        return Violation(kind, self.key, expected, found, about)


def _ended(did: Did) -> float:
    """When it had surely happened, if it had; what was in doubt may happen at any later time."""
    return math.inf if did.ended is None or did.in_doubt else did.ended


def _begun_before(done: Iterable[Did], moment: float | None) -> list[Did]:
    return [did for did in done if moment is not None and did.begun <= moment]


def _was_refused(did: Did) -> bool:
    """Whether the caller was told that nothing happened."""
    return (did.ended is not None and not did.in_doubt and did.failure is not None) or (
        did.step.operation == "update_last" and did.succeeded and did.result is False
    )


def _may_take(did: Did) -> bool:
    """Whether it may have removed a message."""
    takes = did.step.operation in _TAKE or (did.step.operation == "write" and did.step.drop > 0)
    found_nothing = did.succeeded and not did.result
    return takes and not _was_refused(did) and not (found_nothing and did.step.operation != "write")


def _has_emptied(did: Did, look: Did) -> bool:
    """Whether it had surely removed all when somebody looked."""
    return did.step.operation in _EMPTY and did.succeeded and _ended(did) < look.begun


def _allowed(did: Did) -> set[str]:
    """The errors that the step may raise where others write too."""
    step = did.step
    errors: set[str] = set()
    if step.operation in {"restore", "set_turn_state"} or step.if_revision is not None or step.if_turn is not None:
        errors.add("ConflictError")
    if step.drop:
        errors.add("ValueError")
    return errors


def _bounds(did: Did) -> tuple[float, float]:
    """By how much it has changed the number of messages, at least and at most, if it has happened."""
    step = did.step
    if _was_refused(did) or step.operation == _ONE_FOR_ONE:
        return 0, 0
    if step.operation in _EMPTY:
        return (-did.result, -did.result) if did.succeeded else (-math.inf, 0)
    if step.operation == "remove_last":
        return (-int(did.result), -int(did.result)) if did.succeeded else (-1, 0)
    change = len(step.added) - (step.drop if step.operation == "write" else 0)
    return change, change
