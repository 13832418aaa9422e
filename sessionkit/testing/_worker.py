"""What another process does to a store while the suite looks on; run as a script.

The first line of its input is a URL and a job, as JSON, for everybody may see a process's arguments. It says ``ready``
once the store is open, waits for a line, does its job, and writes a line for each step that has returned, so that
whatever it has acknowledged can be held against the store, were it killed.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple, cast

import sessionkit
from sessionkit import (
    ChatMessage,
    ConflictError,
    CoreBackend,
    OpenBackend,
    SessionContext,
    SessionMetadata,
    SupportsTurns,
    TimestampedMessage,
)

Session = dict[str, Any]
"""What must be known of a session: its ``contents``, and some of `READ`; all of them None where there is none."""


class Step(NamedTuple):
    """A change of a session.

    Attributes:
        operation: the method's name.
        value: what is set by it, if it sets anything; unlike that of any other step, but for the end of a turn, whose
            id it is.
        drop: how many messages it drops.
        added: the texts of the messages that it adds.
        if_revision: the revision that the session must have, where that is a condition.
        if_turn: likewise, the turn that must run in it.
    """

    operation: str
    value: str = ""
    drop: int = 0
    added: Sequence[str] = ()
    if_revision: int | None = None
    if_turn: str | None = None


def say(text: str) -> ChatMessage:
    """The message of a text."""
    return ChatMessage("user", text)


def _state(backend: Any, key: str) -> str | None:
    state = backend.get_session_state(key)
    return state and f"{state.state} {state.turn_id}"


READ: dict[str, Callable[[Any, str], Any]] = {
    "name": lambda backend, key: backend.get_session_name(key),
    "agent_alias": lambda backend, key: backend.get_session_agent_alias(key),
    "channel_id": lambda backend, key: getattr(backend.get_session_metadata(key), "channel_id", None),
    "attribute": lambda backend, key: getattr(backend.get_session_metadata(key), "attributes", {}).get("x"),
    "state": _state,
}
"""What can be set, and how it is read."""

SETTERS: dict[str, tuple[str, ...]] = {
    "set_session_name": ("name",),
    "set_session_agent_alias": ("agent_alias",),
    "set_session_context": ("channel_id", "attribute"),
    "set_session_state": ("state",),
    "begin_turn": ("state",),
}
"""What sets something and does nothing besides."""

_SETS = {**SETTERS, "set_turn_state": ("state",), "write": ("attribute",), "restore": tuple(READ)}
_NEEDS_MESSAGES = {"remove_last", "update_last"}
_BEGINS_A_TURN = {"set_session_state", "begin_turn", "restore"}
_ENDS_A_TURN = {"set_turn_state", "delete_session"}
_CREATES_NOTHING = {"remove_last", "update_last", "compact", "clear_messages", "delete_session", "set_turn_state"}


def steps(seed: int | str, operations: Sequence[str]) -> Iterator[Step]:
    """What a writer with that seed does, for ever; the process that looks on knows it too."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    length, gone, turn = 0, False, ""
    for number in count(1):
        unfit = (set[str]() if length else _NEEDS_MESSAGES) | (set[str]() if turn else {"set_turn_state"})
        operation = chance.choice([each for each in operations if each not in unfit and (gone or each != "restore")])
        step = Step(operation, turn if operation == "set_turn_state" else f"{seed}.{number}")
        if operation in {"append", "update_last"}:
            step = step._replace(added=[step.value])
        elif operation in {"write", "restore"}:
            step = step._replace(added=[f"{step.value}.{i}" for i in range(chance.randint(1, 3))])
        if operation in _NEEDS_MESSAGES:
            step = step._replace(drop=1)
        elif operation == "write":
            step = step._replace(drop=chance.randint(0, min(2, length)))
        emptied = operation in {"clear_messages", "delete_session"}
        length = 0 if emptied else length + len(step.added) - step.drop
        gone = operation == "delete_session" or (gone and operation in _CREATES_NOTHING)
        if operation in _BEGINS_A_TURN | _ENDS_A_TURN:
            turn = step.value if operation in _BEGINS_A_TURN else ""
        yield step


def after(session: Session, step: Step) -> Session:
    """What must be known of a session after a step."""
    operation, drop, added = step.operation, step.drop, step.added
    contents = session["contents"]
    if operation in {"delete_session", "restore"}:
        session = dict.fromkeys(session)
    emptied = operation in {"clear_messages", "delete_session", "restore"}
    kept = [] if emptied else contents[: len(contents) - drop]
    session = {**session, "contents": [*kept, *added]}
    if operation not in _CREATES_NOTHING and "state" in session:
        session["state"] = session["state"] or "idle None"
    return session | {field: found for field, found in sets(step).items() if field in session}


def sets(step: Step) -> dict[str, str]:
    """What a step sets, as it is read."""
    state = "ended" if step.operation == "set_turn_state" else "running"
    return {
        field: f"{state} {step.value}" if field == "state" else step.value for field in _SETS.get(step.operation, ())
    }


def look(
    backend: Any, key: str, fields: Iterable[str], *, told: Callable[[ChatMessage], Any] = lambda said: said.content
) -> Session:
    """What is known of a session, its messages as `told` tells them apart."""
    contents = [told(message) for message in backend.load(key)]
    return {"contents": contents, **{field: READ[field](backend, key) for field in fields}}


def take(backend: Any, key: str, step: Step, *, say: Callable[[str], ChatMessage] = say) -> Any:
    """Do a step, with the messages that `say` makes of its texts; gives what the method returns."""
    value, messages = step.value, [say(text) for text in step.added]
    arguments: Sequence[Any] = ()
    options: dict[str, Any] = {}
    match step.operation:
        case "append" | "update_last":
            arguments = messages
        case "set_session_name" | "set_session_agent_alias":
            arguments = [value]
        case "set_session_context":
            arguments = [SessionContext(value, attributes={"x": value})]
        case "set_session_state":
            arguments = ["running", value]
        case "begin_turn":
            arguments, options = [value], {"stuck_after": 0}
        case "set_turn_state":
            arguments = [value, "ended"]
        case "write":
            options = {"drop_last": step.drop, "append": messages, "attributes": {"x": value}}
            options |= {"if_revision": step.if_revision, "if_turn": step.if_turn}
        case "restore":
            arguments = [[TimestampedMessage(message) for message in messages], _restored(key, value)]
        case _:
            pass
    return getattr(backend, step.operation)(key, *arguments, **options)


def _restored(key: str, value: str) -> SessionMetadata:
    """The metadata of a session that has that value wherever it can have one."""
    return SessionMetadata(
        key,
        name=value,
        agent_alias=value,
        channel_id=value,
        state="running",
        turn_id=value,
        attributes={"x": value},
    )


def in_threads(jobs: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run all at once, each in a thread; what they raised."""
    errors: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            gate.wait()
            job()
        except BaseException as error:  # noqa: BLE001 -- a thread's error is handed over, whatever it is
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def append_all(backend: CoreBackend, key: str, writer: str, count: int) -> None:
    """What a concurrent writer does."""
    for i in range(count):
        backend.append(key, ChatMessage("user", f"{writer} {i}"))


TURN = 3
"""How many messages a turn of `hold_turns` writes."""

_TRIES = 20_000  # a millisecond each, or more: long enough for any machine, and an end


def hold_turns(
    backend: Any, key: str, writer: str, *, rounds: int, stuck_after: float | None, say: Callable[[str], object]
) -> None:
    """What a holder of turns does: begin one, write in it, with signs of life, and end it; and so on.

    It says what it has written, each turn's end, and nothing more of a turn that was taken over. Where it never gets a
    turn it gives up, and so does not say the end of that one.
    """
    for number in range(rounds):
        turn = f"{writer}.{number}"
        for _ in range(_TRIES):
            if backend.begin_turn(key, turn, stuck_after=stuck_after).turn_id == turn:
                break
            time.sleep(0.001)
        else:
            return
        with suppress(ConflictError):
            for i in range(TURN):
                backend.write(key, append=[ChatMessage("user", f"{turn} {i}")], if_turn=turn)
                say(f"{turn} {i}")
                backend.set_turn_state(key, turn, "running")
            backend.set_turn_state(key, turn, "idle")
            say(f"{turn} ended")


def _say(text: object) -> None:
    os.write(1, f"{text}\n".encode())


def _hammer(backend: OpenBackend, job: dict[str, Any]) -> None:
    for step in steps(job["seed"], job["operations"]):
        take(backend, job["key"], step)
        _say("done")


_COMPACTIONS = 20  # each may cost as much as all that was appended so far


def _append(backend: OpenBackend, job: dict[str, Any]) -> None:
    """Append in several threads, and where there are ``setters``, compact and set what they set in one more."""
    key, rounds = job["key"], job["count"]

    def writer(name: str) -> Callable[[], None]:
        return lambda: append_all(backend, key, name, rounds)

    def beside() -> None:
        for i in range(min(rounds, _COMPACTIONS)):
            backend.compact(key)
            for setter in job["setters"]:
                take(backend, key, Step(setter, f"{i}"))
            time.sleep(0.001)  # or who polls for the lock would never get it

    jobs = [writer(f"{job['writer']}.{i}") for i in range(job["threads"])]
    for error in in_threads([*jobs, beside] if "setters" in job else jobs):
        raise error


def _fork(backend: OpenBackend, job: dict[str, Any]) -> None:
    """The parent forks while a thread of its own writes; both go on with the store they had open."""
    count = job["count"]
    children: list[int] = []

    def fork() -> None:
        for i in range(job["forks"]):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    append_all(backend, job["key"], f"child{i}", count)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)

    errors = in_threads([fork, lambda: append_all(backend, job["key"], "parent", count)])
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if errors or failed:
        msg = f"{len(failed)} children failed; {errors!r}"
        raise RuntimeError(msg)


def _begin(backend: OpenBackend, job: dict[str, Any]) -> None:
    for key, stuck_after in job["sessions"]:
        _say(cast("SupportsTurns", backend).begin_turn(key, job["turn"], stuck_after=stuck_after).turn_id)


def _hold(backend: OpenBackend, job: dict[str, Any]) -> None:
    rounds, stuck_after = job["rounds"], job["stuck_after"]
    hold_turns(backend, job["key"], job["writer"], rounds=rounds, stuck_after=stuck_after, say=_say)


def _work_on(backend: Any, job: dict[str, Any]) -> None:
    """Begin a turn, and write in it until killed."""
    key, turn = job["key"], job["turn"]
    backend.begin_turn(key, turn)
    for number in count():
        backend.write(key, append=[ChatMessage("user", f"{turn} {number}")], if_turn=turn)
        backend.set_turn_state(key, turn, "running")
        _say("done")


def _take(backend: OpenBackend, job: dict[str, Any]) -> None:
    for step in job["steps"]:
        take(backend, job["key"], Step(*step))


def _look(backend: OpenBackend, job: dict[str, Any]) -> None:
    _say(json.dumps(look(backend, job["key"], job["fields"])))


JOBS: dict[str, Callable[[OpenBackend, dict[str, Any]], None]] = {
    "hammer": _hammer,
    "append": _append,
    "fork": _fork,
    "begin": _begin,
    "hold": _hold,
    "work on": _work_on,
    "take": _take,
    "look": _look,
}


def main() -> None:
    """Open the store, wait for the word, and do the job."""
    url, job = json.loads(sys.stdin.readline())
    with sessionkit.open_backend(url) as backend:
        _say("ready")
        sys.stdin.readline()
        JOBS[job["do"]](backend, job)


if __name__ == "__main__":
    main()
