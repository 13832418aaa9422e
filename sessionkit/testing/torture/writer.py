"""One life of one process: it opens the store, looks what has become of its sessions, and works until it is killed."""

import os
import random
import signal
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

from sessionkit import OpenBackend, SessionQuery, open_backend
from sessionkit.testing._worker import Session, Step, after, look, take
from sessionkit.testing.torture.history import READS, Log
from sessionkit.testing.torture.messages import name_of, say, term_of
from sessionkit.testing.torture.plan import Fate, Life, Powers, course, is_own, own_sessions

NO_LOG = 75
"""The exit status of a process that could not write down what it did, or is itself broken."""

KILL_ME = b"k"
PAUSE_ME = b"p"
"""What a process says to its conductor when it has come to that step."""

_WIPES = frozenset(("clear_messages", "delete_session"))

_SEARCHES = 6
"""How many searches are made while nobody writes: some stores look at all that there is for each."""

_REMEMBERED = 20
"""How many removed messages a writer remembers, to search for them."""


class Process:
    """A store opened in this process alone, and all that is done to it written down."""

    def __init__(self, url: str, log: Log, powers: Powers | None = None) -> None:
        self._url = url
        self._log = log
        self._powers = powers
        self._backend: OpenBackend | None = None
        self.seen: dict[str, Session] = {}
        """What is known of the sessions that were looked at; of those of its own, after each step."""
        self.removed: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._revisions: dict[str, int] = {}
        self._turns: dict[str, str] = {}

    def open(self) -> bool:
        """Open the store; False where that has failed."""

        def opened() -> None:
            self._backend = open_backend(self._url)

        return self._did("", Step("open"), opened)

    def close(self, *, then: Callable[[], None] = lambda: None) -> None:
        """Close it; calls `then` when that is announced and has not begun."""

        def closed() -> None:
            if self._backend is not None:
                self._backend.close()

        self._did("", Step("close"), closed, then=then)

    def do(self, key: str, step: Step, *, then: Callable[[], None] = lambda: None) -> None:
        """One step; calls `then` when it is announced and has not begun."""
        if is_own(key) and step.operation in _WIPES and not self.quiet:
            self.do(key, Step("look"))  # before what may be wrong with it is gone
        if step.operation == "fenced write":
            step = step._replace(operation="write", if_revision=self._revision(key))
        elif step.operation == "write in turn":
            step = step._replace(operation="write", if_turn=self._turns.get(key, "none"))
        elif step.operation == "set_turn_state" and not is_own(key):
            step = step._replace(value=self._turns.get(key, "none"))
        elif step.operation == "search" and not step.value:
            step = step._replace(value=self._sought(key))
        succeeded = self._did(key, step, lambda: self._take(key, step), then=then)
        if step.if_revision is not None and not succeeded:
            self._revisions.pop(key, None)
        if succeeded and is_own(key) and key in self.seen and step.operation not in READS:
            known = self.seen[key]
            self.seen[key] = after(known, step)
            gone = set(known["contents"]) - set(self.seen[key]["contents"])
            self.removed[key].extend(sorted(gone))
        elif not succeeded and is_own(key) and step.operation not in READS:
            self.do(key, Step("look"))  # at once, as it can't be told later what came of it

    def _did(self, key: str, step: Step, action: Callable[[], Any], *, then: Callable[[], None] = lambda: None) -> bool:
        self._log.announce(key, step)
        then()
        try:
            result = action()
        except Exception as error:  # noqa: BLE001 -- whatever a caller would see is written down
            self._log.fail(error)
            return False
        self._log.answer(result)
        return True

    def _take(self, key: str, step: Step) -> Any:
        backend = self._backend
        assert backend is not None
        match step.operation:
            case "look":
                return self._look(key)
            case "search":
                return [found.key for found in backend.search(SessionQuery(term_of(step.value)))]
            case "list":
                return backend.list_sessions()
            case "list with metadata":
                return [[found.key, found.message_count] for found in backend.list_sessions_with_metadata()]
            case _:
                result = take(backend, key, step, say=say)
                if step.if_revision is not None:
                    self._revisions[key] = result
                if step.operation == "begin_turn":
                    self._turns[key] = step.value
                    return result.turn_id
                return result

    def _look(self, key: str) -> dict[str, Any]:
        """What is known of a session; all of it where nobody else writes to it just now."""
        backend, powers = self._backend, self._powers
        assert powers is not None
        if not is_own(key) and self.quiet is False:
            return look(backend, key, (), told=name_of)
        found = look(backend, key, powers.fields, told=name_of)
        self.seen[key] = dict(found)
        if powers.knows_metadata and backend is not None:
            metadata = backend.get_session_metadata(key)
            counts = [0, 0, 0]
            if metadata is not None:
                counts = [metadata.message_count, metadata.turn_count, metadata.tool_call_count]
            found["counts"] = counts
        return found

    quiet = False
    """Whether no other process writes to the store."""

    def _revision(self, key: str) -> int:
        """The last that is known, which others may have left behind; 0 where there is no session."""

        def read() -> None:
            assert self._backend is not None
            metadata = self._backend.get_session_metadata(key)
            self._revisions[key] = (metadata.revision or 0) if metadata else 0

        if key not in self._revisions:
            self._did(key, Step("revision"), read)
        return self._revisions.get(key, 0)

    def _sought(self, key: str) -> str:
        """A message that is in the session, or was."""
        names = [*self.seen.get(key, {}).get("contents", ())[-3:], *list(self.removed[key])[-1:]]
        return random.choice(names) if names else "nothing"  # noqa: S311 -- no secret


def live(url: str, life: Life, fate: Fate, powers: Powers, log: Log, *, tell: Callable[[bytes], None]) -> None:
    """Live that life; whoever is told so kills or pauses this process."""
    ending = _Ending()
    process = Process(url, log, powers)
    if not process.open():
        return
    for key in own_sessions(life.round, life.slot):
        process.do(key, Step("look"))
    parent = os.getppid()
    for number, (key, step) in enumerate(course(life, powers)):
        if ending.asked or os.getppid() != parent or (number >= fate.steps and fate.ending != "kill"):
            break
        if fate.pause and fate.pause[0] == number:
            tell(PAUSE_ME)
        fatal = number == fate.steps and fate.ending == "kill"
        process.do(key, step, then=(lambda: tell(KILL_ME)) if fatal else lambda: None)
    process.close(then=(lambda: tell(KILL_ME)) if fate.ending == "closing" and not ending.asked else lambda: None)


def inspect(url: str, looks: Iterable[str], removed: dict[str, list[str]], powers: Powers, log: Log) -> None:
    """Look at those sessions while nobody writes, and at every list; search for what is there, and what was."""
    process = Process(url, log, powers)
    process.quiet = True
    if not process.open():
        return
    for key in looks:
        process.do(key, Step("look"))
    process.do("", Step("list"))
    if powers.lists_metadata:
        process.do("", Step("list with metadata"))
    sought = list(_to_search(process.seen, removed))
    for key, name in random.sample(sought, min(_SEARCHES, len(sought))):
        process.do(key, Step("search", name))
    process.close()


def discard(url: str, keys: Iterable[str], powers: Powers, log: Log) -> None:
    """Delete those sessions, and look that they are gone."""
    process = Process(url, log, powers)
    process.quiet = True
    if not process.open():
        return
    keys = list(keys)
    for key in keys:
        process.do(key, Step("delete_session"))
        process.do(key, Step("look"))
    process.do("", Step("list"))
    process.close()


def _to_search(seen: dict[str, Session], removed: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for key, session in seen.items():
        names = session["contents"]
        for name in dict.fromkeys([*names[:1], *names[len(names) // 2 :][:1], *names[-1:]]):
            yield key, name
        for name in removed.get(key, ())[-2:]:
            yield key, name


class _Ending:
    """Whether this process is asked to end: it then finishes its step, and closes the store."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the conductor's to hear

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def in_child(job: Callable[[], None], log: Log) -> None:
    """Do the job as a process that was forked, and end it; nothing of its parent's is run."""
    status = 1
    try:
        job()
        status = 0
    except BaseException:  # noqa: BLE001 -- it is told to who forked
        status = NO_LOG
        log.confess(traceback.format_exc())
    finally:
        os._exit(status)
