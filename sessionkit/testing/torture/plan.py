"""What each process does and when it is killed, by count of steps: it follows from the seed, and from nothing else."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import count

import attrs

from sessionkit import CoreBackend, capabilities
from sessionkit.testing import _powers
from sessionkit.testing._worker import Step, steps

LIVES = 8
"""How many lives each process has in a round; after a round all is quiet, and everything is looked at."""

_LONGEST = 200
"""How many steps the longest life has; most are far shorter, so that first steps are met as often as later ones."""

_OWN = 2
"""How many sessions a writer has for itself in a round."""

_SHARED = 2

_IN_TURN = 3
"""How often who has begun a turn writes in it, before anything else."""


@attrs.frozen
class Powers:
    """What may be asked of the backend; from what it declares.

    Attributes:
        backend: the name of its class.
        fields: what can be set and read, by the names that `sessionkit.testing._worker.look` knows.
        operations: what is one step, and so may be cut off by a kill and leave all or nothing.
        natives: the provided methods that are its own.
        protocols: the optional protocols.
    """

    backend: str
    fields: list[str]
    operations: list[str]
    natives: list[str]
    protocols: list[str]

    @classmethod
    def of(cls, backend: CoreBackend) -> "Powers":
        """Those of an open backend."""
        declared = capabilities(backend)
        return cls(
            type(getattr(backend, "__wrapped__", backend)).__name__,
            _powers.fields(declared),
            _powers.operations(declared),
            [name for name in declared.methods if _powers.is_native(declared, name)],
            sorted(declared.protocols),
        )

    @property
    def deletes(self) -> bool:
        """Whether a session that was deleted is gone."""
        return "delete_session" in self.natives

    @property
    def knows_metadata(self) -> bool:
        """Whether counts and revisions are kept, and not derived."""
        return "get_session_metadata" in self.natives

    @property
    def lists_metadata(self) -> bool:
        """Likewise for the list of all."""
        return "list_sessions_with_metadata" in self.natives

    @property
    def fences(self) -> bool:
        """Whether a write can have a condition, and the revision for it be read."""
        return "SupportsWrite" in self.protocols and self.knows_metadata


@attrs.frozen
class Life:
    """One life of one of the processes."""

    seed: int
    round: int
    slot: int
    number: int

    def __str__(self) -> str:
        return f"{self.seed}.{self.round}.{self.slot}.{self.number}"


@attrs.frozen
class Fate:
    """How a life ends.

    Attributes:
        ending: ``"kill"`` in its steps, ``"opening"`` or ``"closing"``: killed in that, ``"clean"``: not killed.
        steps: how many steps it has, all in all or before whoever kills it is told.
        delay: how many seconds after that, or after it was started, it is killed; it goes on with its steps meanwhile.
        pause: before which step it is stopped, and for how many seconds; None for most.
    """

    ending: str
    steps: int
    delay: float
    pause: tuple[int, float] | None


def fate(life: Life) -> Fate:
    """How that life ends."""
    chance = random.Random(f"fate {life}")  # noqa: S311 -- no secret
    [ending] = chance.choices(("kill", "opening", "closing", "clean"), (78, 8, 7, 7))
    length = int(math.exp(chance.uniform(0, math.log(_LONGEST))))
    delay = chance.uniform(0, 0.03) if ending == "opening" else chance.expovariate(1 / 0.0007)
    pause = (chance.randrange(length), chance.uniform(0.02, 0.2)) if chance.random() < 0.05 else None
    return Fate(ending, length, delay, pause)


def own_sessions(round_number: int, slot: int) -> list[str]:
    """The sessions to which one writer alone writes."""
    return [f"own/{round_number}/é{slot}/{i}" for i in range(_OWN)]


def crowd_sessions(round_number: int, powers: Powers) -> dict[str, list[str]]:
    """The sessions to which all write, and what they do there, some of it more often."""
    natives, protocols = set(powers.natives), set(powers.protocols)
    write = ["write"] * ("SupportsWrite" in protocols)
    update = ["update_last"] * ("update_last" in natives)
    clear = ["clear_messages"] * ("clear_messages" in natives)
    restore = ["restore"] * ("SupportsRestore" in protocols)
    delete = ["delete_session"] * powers.deletes
    beside = ["look", "compact", *(each for each in powers.operations if each.startswith("set_session"))]
    sessions = {
        f"shared/{round_number}/{i}": ["append"] * 8 + write * 4 + ["look", *beside[: 1 + i * len(beside)]]
        for i in range(_SHARED)
    }
    taking = ["append"] * 12 + write * 4 + ["remove_last"] * 6 + update * 4 + ["look"] * 3 + ["compact"]
    sessions[f"contested/{round_number}"] = taking + clear
    if delete:
        sessions[f"mortal/{round_number}"] = ["append"] * 8 + write * 2 + ["look"] * 2 + delete * 2 + restore + update
    if powers.fences:
        sessions[f"fenced/{round_number}"] = ["fenced write"] * 8 + ["append", "look"] + (delete or clear)
    if {"SupportsWrite", "SupportsTurns", "SupportsTurnState"} <= protocols and "state" in powers.fields:
        sessions[f"turns/{round_number}"] = ["begin_turn"] * 3 + ["write in turn"] * 3 + ["set_turn_state", "look"]
    return sessions


def is_own(key: str) -> bool:
    """Whether one writer alone writes to it."""
    return key.startswith("own/")


def course(life: Life, powers: Powers) -> Iterator[tuple[str, Step]]:
    """What that life does, for ever: steps of its own sessions, and of those of all. Those to ``"look"`` only read."""
    chance = random.Random(f"course {life}")  # noqa: S311 -- no secret
    own = own_sessions(life.round, life.slot)
    going = {key: steps(f"{life}.o{i}", powers.operations) for i, key in enumerate(own)}
    crowds = crowd_sessions(life.round, powers)
    going |= {key: _crowd_steps(f"{life}.c{i}", crowds[key]) for i, key in enumerate(crowds)}
    while True:
        drawn = chance.random()
        if drawn < 0.025:
            yield chance.choice(own), Step(chance.choice(["look", "search"]))
        elif drawn < 0.03:
            yield "", Step("list")
        else:
            key = chance.choice(own if drawn < 0.5 else list(crowds))
            step = next(going[key])
            yield key, step
            if step.operation == "begin_turn" and not is_own(key):  # its holder goes on with it
                for value in (f"{step.value}.{i}" for i in range(_IN_TURN)):
                    yield key, Step("write in turn", value, added=[f"{value}.0"])


def _crowd_steps(seed: str, operations: Sequence[str]) -> Iterator[Step]:
    """What one of many does in a session, whatever the others do there."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    appends_only = "remove_last" not in operations
    for number in count(1):
        operation = chance.choice(operations)
        value = f"{seed}.{number}"
        step = Step(operation, value)
        if operation in {"append", "update_last"}:
            step = step._replace(added=[value])
        elif operation in {"write", "fenced write", "write in turn", "restore"}:
            step = step._replace(added=[f"{value}.{i}" for i in range(chance.randint(1, 4))])
        if operation in {"write", "fenced write"} and not appends_only:
            step = step._replace(drop=chance.choice([0, 0, 1, 2]))
        elif operation in {"remove_last", "update_last"}:
            step = step._replace(drop=1)
        yield step
