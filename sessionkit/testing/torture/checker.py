"""What a writer alone did to its sessions, held against what the store gives back; and how a violation is told.

The model of a session is all that it may be: one state, or after a step in doubt, two. Each look leaves the one that
was found, and where it was none of them, something was lost.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from sessionkit.testing._worker import Session, after
from sessionkit.testing.torture.history import Did
from sessionkit.testing.torture.messages import TORN, say

_REMEMBERED = 8

_UNSURE = frozenset(("ConflictError", "ValueError"))
"""What a write may raise where its writer can't know what the session is."""


@attrs.frozen
class Violation:
    """A promise that was broken.

    Attributes:
        kind: such as ``"lost"``.
        session: the session's key; empty where it is about the store.
        expected: what should have been.
        found: what was.
        about: the last steps that concern the session, oldest first.
    """

    kind: str
    session: str
    expected: str
    found: str
    about: list[str] = attrs.field(factory=list)


@attrs.define
class _Known:
    """What a session that has one writer may be."""

    candidates: list[Session]
    written: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    revisions: set[int] = attrs.field(factory=set)
    last: deque[Did] = attrs.field(factory=lambda: deque(maxlen=_REMEMBERED))


class Alone:
    """The sessions of which each has one writer."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._blank: Session = {"contents": [], **dict.fromkeys(fields)}
        self._known: dict[str, _Known] = {}

    def known(self, key: str) -> list[Session]:
        """What the session may be; at first, nothing."""
        return self._of(key).candidates

    def removed(self, key: str) -> list[str]:
        """The messages that surely are in it no more."""
        known = self._of(key)
        return sorted(known.written - {name for each in known.candidates for name in each["contents"]})

    def found(self, key: str, session: Session) -> None:
        """Take what was found of a session for what it is from now on."""
        known = self._of(key)
        known.candidates = [{field: session[field] for field in self._blank}]
        known.written |= set(session["contents"])

    def keys(self) -> list[str]:
        """All that are known."""
        return list(self._known)

    def forget(self, key: str) -> None:
        """Know nothing of the session any more."""
        self._known.pop(key, None)

    def about(self, key: str) -> list[str]:
        """The last steps of the session."""
        return [str(each) for each in self._of(key).last]

    def check(self, did: Did) -> Iterator[Violation]:
        """What is wrong with a step, in the order of the session's steps."""
        known = self._of(did.key)
        if did.step.operation == "look" and did.succeeded:
            yield from self._look(did, known)
        elif did.step.operation == "search" and did.succeeded:
            yield from self._search(did, known)
        elif not did.is_read:
            known.last.append(did)
            yield from self._write(did, known)

    def _of(self, key: str) -> _Known:
        return self._known.setdefault(key, _Known([dict(self._blank)]))

    def _look(self, did: Did, known: _Known) -> Iterator[Violation]:
        found = {field: did.result[field] for field in self._blank}
        if found not in known.candidates:
            for kind, expected, was in blame(known.candidates, found, known.written, known.refused):
                yield Violation(kind, did.key, expected, was, self.about(did.key))
        known.candidates = [found]
        counts, counted = did.result.get("counts"), count(found["contents"])
        if counts is not None and counts != counted:
            yield Violation("counts", did.key, f"{counted} messages, turns and tool calls", f"{counts}")

    def _search(self, did: Did, known: _Known) -> Iterator[Violation]:
        held = {did.step.value in each["contents"] for each in known.candidates}
        expected = [[did.key] if there else [] for there in held]
        if did.result not in expected:
            kind = "search" if did.result else "forgotten by search"
            wanted = f"a search for {did.step.value} to find {expected[0]}"
            yield Violation(kind, did.key, wanted, str(did.result), self.about(did.key))

    def _write(self, did: Did, known: _Known) -> Iterator[Violation]:
        step, before = did.step, known.candidates
        if did.succeeded:
            fitting = [each for each in before if did.result in _answers(did, each)]
            if not fitting:
                expected = f"{step.operation} to give {' or '.join(repr(_answers(did, each)[0]) for each in before)}"
                yield Violation("answer", did.key, expected, repr(did.result), self.about(did.key))
            known.candidates = _distinct(_changed(each, did) for each in fitting or before)
            known.written.update(step.added)
            yield from self._revision(did, known)
        elif did.in_doubt:
            known.candidates = _distinct([*before, *(_changed(each, did) for each in before)])
            known.written.update(step.added)
        elif did.failure and did.failure.outcome is None and (len(before) == 1 or did.failure.kind not in _UNSURE):
            said = f"{did.failure.kind}: {did.failure.text}"
            wanted = f"{step.operation} of its only writer to return"
            yield Violation("error", did.key, wanted, said, self.about(did.key))
        else:
            known.refused.update(step.added)

    def _revision(self, did: Did, known: _Known) -> Iterator[Violation]:
        if did.step.operation != "write":
            return
        if did.result in known.revisions:
            wanted = "a revision that was not there before"
            yield Violation("revision repeated", did.key, wanted, str(did.result), self.about(did.key))
        known.revisions.add(did.result)


def count(contents: Iterable[str]) -> list[int]:
    """How many messages, turns and tool calls those are."""
    said = [say(name) for name in contents if not name.startswith(TORN)]
    return [len(said), sum(each.is_turn for each in said), sum(each.tool_call_count for each in said)]


def blame(
    candidates: Sequence[Session], found: Session, written: set[str], refused: set[str]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a session that is none of what it may be: the kind, what was expected, and what was found."""
    possible: list[list[str]] = [each["contents"] for each in candidates]
    names: list[str] = found["contents"]
    expected = " or ".join(f"{len(each)} messages, the last {each[-3:]}" for each in possible)
    said = f"{len(names)}, the last {names[-3:]}"
    torn = [name for name in names if name.startswith(TORN)]
    missing = [name for name in possible[0] if all(name in each for each in possible) and name not in names]
    extra = [name for name in names if not any(name in each for each in possible) and name not in torn]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if torn:
        yield "torn", expected, torn[0]
    elif missing:
        yield "lost", expected, f"{said}; missing: {' '.join(missing[:5])}"
    if twice:
        yield "twice", expected, f"{said}; twice: {' '.join(twice[:5])}"
    if extra:
        kind = "applied" if extra[0] in refused else "back again" if extra[0] in written else "invented"
        yield kind, expected, f"{said}; not expected: {' '.join(extra[:5])}"
    wrong = [field for field in candidates[0] if not any(found[field] == each[field] for each in candidates)]
    for field in wrong:
        if field != "contents":
            yield f"{field} lost", f"{field} {candidates[-1][field]!r}", repr(found[field])
    if torn or missing or twice or extra or wrong not in ([], ["contents"]):
        return
    if any(sorted(each) == sorted(names) for each in possible) and "contents" in wrong:
        yield "out of order", expected, str(names)
    else:
        yield "half done", " or ".join(map(str, candidates)), str(found)


def _answers(did: Did, session: Session) -> list[Any]:
    """What the step may return, given what the session was."""
    contents = session["contents"]
    match did.step.operation:
        case "remove_last" | "update_last":
            return [bool(contents)]
        case "clear_messages":
            return [len(contents)]
        case "delete_session":
            exists = session.get("state") is not None if "state" in session else bool(contents)
            return [True] if exists else [False] if "state" in session else [False, True]
        case "begin_turn":
            return [did.step.value]
        case "write" | "set_turn_state":
            return [did.result]
        case _:
            return [None]


def _changed(session: Session, did: Did) -> Session:
    """What the session is once that has happened."""
    nothing_to_do = did.step.operation in {"remove_last", "update_last"} and not session["contents"]
    return session if nothing_to_do else after(session, did.step)


def _distinct(sessions: Iterable[Session]) -> list[Session]:
    found: list[Session] = []
    for each in sessions:
        if each not in found:
            found.append(each)
    return found
