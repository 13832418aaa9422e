"""Each operation that is compared: on which store, what the floor does beside it, and whether it was done right."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs

from benchmarks.corpus import RARE, corpus_of, generated
from benchmarks.floors_many import BareSearch, BareSessions
from benchmarks.measure import FLOOR, FULL, OURS, QUICK, Run, Samples
from benchmarks.peers.peer import Peer
from benchmarks.peers.prepared import Filling, bare_table, filled, key
from benchmarks.peers.turns import Plan, Turn, interleave, plan
from sessionkit import ChatMessage, SessionMetadata

NORMAL = "normal"
"""A further floor beside that of a contender that syncs: one that doesn't."""

STORED = 10_000
"""How many messages a store has, in sessions of whichever depth."""

_CHUNK = 32  # appends to one session before the next one's turn
_BATCH, _LAST, _PAGE = 100, 50, 50
_SHALLOW = 100
_REPLACED, _GROWN = 500, 4_096
_NUMBER = 1 << 40  # of a floor's row that comes and goes
_FOUND = 20
_LEAST = 32
_LEAST_LONG = 2  # of operations that take as long as many others

Taken = tuple[Mapping[str, Samples], str]
"""How long each contender's operations took, and what there is to remark."""


@attrs.frozen
class Limits:
    """How long one figure may take, in seconds.

    Attributes:
        filling: a store.
        measuring: the operations of the peer, without those of its floors.
    """

    filling: float
    measuring: float

    @classmethod
    def of(cls, run: Run) -> "Limits":
        """What the scale allows."""
        return _LIMITS.get(run.scale.name, _SMALLEST)


_LIMITS = {FULL.name: Limits(filling=20, measuring=0.6), QUICK.name: Limits(filling=1, measuring=0.08)}
_SMALLEST = Limits(filling=1, measuring=0.03)


def size_of(run: Run, nominal: int) -> int:
    """The size that a row is named for; on a smaller scale no more than that of a long session there."""
    return min(nominal, run.scale.deep)


def _stored(run: Run, depth: int) -> Filling:
    total, depth = size_of(run, STORED), size_of(run, depth)
    return Filling(max(1, total // depth), depth)


async def _timed(
    run: Run, turns: Mapping[str, Turn], most: int, *, rounds: int | None = None, per_round: int | None = None
) -> dict[str, Samples]:
    """Take turns; ours is the contender that says how many operations there is time for."""
    chosen = await plan(
        turns,
        seconds=Limits.of(run).measuring,
        most=most,
        wanted=Plan(rounds or run.scale.rounds, per_round or run.scale.per_round),
    )
    return await interleave(turns, chosen)


async def append(peer: Peer, run: Run, depth: int) -> Taken:
    """One message after the other, to sessions that have `depth` messages, and not twice as many at the end."""
    async with filled(peer, run, _stored(run, depth), Limits.of(run).filling) as store:
        for number in range(store.sessions):
            await peer.attach(key(number))
        corpus = generated(store.messages)
        messages = [peer.convert(message) for message in corpus.messages]
        added = [0] * store.sessions
        with (
            closing(bare_table(run, store.messages, full=peer.syncs)) as floor,
            closing(bare_table(run, store.messages, "normal", full=False)) as normal,
        ):

            async def ours(number: int) -> None:
                session = number // _CHUNK % store.sessions
                await peer.append(key(session), messages[number % len(messages)])
                added[session] += 1

            async def bare(number: int) -> None:
                floor.append("session", corpus.dicts[number % len(messages)])

            async def bare_normal(number: int) -> None:
                normal.append("session", corpus.dicts[number % len(messages)])

            turns = {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST)} | (
                {NORMAL: Turn(bare_normal, least=_LEAST)} if peer.syncs else {}
            )
            samples = await _timed(run, turns, most=store.messages)
        arrived = [len(await peer.load(key(number))) if more else 0 for number, more in enumerate(added)]
        lost = sum(store.depth + more - there for more, there in zip(added, arrived, strict=True) if more)
    return samples, f"{lost} LOST" if lost else ""


async def extend(peer: Peer, run: Run) -> Taken:
    """A hundred messages with one call, to sessions of a hundred and more."""
    async with filled(peer, run, _stored(run, _SHALLOW), Limits.of(run).filling) as store:
        for number in range(store.sessions):
            await peer.attach(key(number))
        corpus = generated(_BATCH)
        messages = [peer.convert(message) for message in corpus.messages]
        with closing(bare_table(run, store.messages, full=peer.syncs)) as floor:
            first = [store.messages * 2]

            async def ours(number: int) -> None:
                await peer.extend(key(number % store.sessions), messages)

            async def bare(_: int) -> None:
                floor.extend("session", corpus.dicts, first[0])
                first[0] += _BATCH

            samples = await _timed(
                run,
                {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST_LONG)},
                most=store.sessions * 4,
                per_round=run.scale.per_round // 8,
            )
    return samples, ""


async def load(peer: Peer, run: Run) -> Taken:
    """All messages of a session of 10,000."""
    async with filled(peer, run, _stored(run, STORED), Limits.of(run).filling) as store:
        await peer.attach(key(0))
        with closing(bare_table(run, store.depth, full=peer.syncs)) as floor:

            async def ours(_: int) -> None:
                await peer.load(key(0))

            async def bare(_: int) -> None:
                floor.load(1, store.depth)

            samples = await _timed(
                run,
                {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST_LONG)},
                most=STORED,
                rounds=run.scale.repeats,
                per_round=1,
            )
        there = len(await peer.load(key(0)))
    return samples, "" if there == store.depth else f"{there:,} of {store.depth:,} came back"


async def last(peer: Peer, run: Run) -> Taken:
    """The newest 50 of them."""
    async with filled(peer, run, _stored(run, STORED), Limits.of(run).filling) as store:
        await peer.attach(key(0))
        with closing(bare_table(run, store.depth, full=peer.syncs)) as floor:

            async def ours(_: int) -> None:
                await peer.last(key(0), _LAST)

            async def bare(_: int) -> None:
                floor.tail(1, store.depth, _LAST)

            samples = await _timed(
                run, {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST)}, most=STORED, per_round=run.scale.repeats * 8
            )
        there = len(await peer.last(key(0), _LAST))
    return samples, "" if there == min(_LAST, store.depth) else f"{there} of {_LAST} came back"


async def replace(peer: Peer, run: Run) -> Taken:
    """The newest message of a session of 100 by a longer one, up to 4 KB in 500 steps."""
    grown = corpus_of(
        [ChatMessage.assistant("word " * (_GROWN * step // _REPLACED // 5 + 1)) for step in range(_REPLACED)]
    )
    messages = [peer.convert(message) for message in grown.messages]
    async with filled(peer, run, _stored(run, _SHALLOW), Limits.of(run).filling) as store:
        await peer.attach(key(0))
        with closing(bare_table(run, store.messages, full=peer.syncs)) as floor:
            steps = [_REPLACED]  # in how many the message grows, no two of which are the same

            def step(number: int) -> int:
                return number % steps[0] * _REPLACED // steps[0]

            async def ours(number: int) -> None:
                await peer.replace_last(key(0), messages[step(number)])

            async def bare(number: int) -> None:
                floor.replace(store.depth, grown.dicts[step(number)])

            turns = {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST)}
            chosen = await plan(
                turns,
                seconds=Limits.of(run).measuring,
                most=_REPLACED * run.scale.rounds,
                wanted=Plan(run.scale.rounds, _REPLACED),
            )
            if chosen.per_round < _REPLACED:
                steps[0] = chosen.rounds * chosen.per_round
            samples = await interleave(turns, chosen)
        stored = await peer.load(key(0))
        right = len(stored) == store.depth and peer.text(stored[-1]).startswith("word ")
    return samples, "" if right else "the message was not replaced"


async def remove(peer: Peer, run: Run) -> Taken:
    """The newest message of a session of 100, which is appended before, untimed."""
    async with filled(peer, run, _stored(run, _SHALLOW), Limits.of(run).filling) as store:
        await peer.attach(key(0))
        corpus = generated(store.messages)
        messages = [peer.convert(message) for message in corpus.messages]
        with closing(bare_table(run, store.messages, full=peer.syncs)) as floor:

            async def put(number: int) -> None:
                await peer.append(key(0), messages[number % len(messages)])

            async def ours(_: int) -> None:
                await peer.remove_last(key(0))

            async def put_bare(number: int) -> None:
                floor.append("session", corpus.dicts[number % len(messages)], _NUMBER)

            async def bare(_: int) -> None:
                floor.remove(_NUMBER)

            samples = await _timed(run, {OURS: Turn(ours, put), FLOOR: Turn(bare, put_bare, _LEAST)}, most=STORED)
        there = len(await peer.load(key(0)))
    return samples, "" if there == store.depth else f"{there:,} of {store.depth:,} were left"


async def list_sessions(peer: Peer, run: Run, count: int) -> Taken:
    """All sessions of a store that has so many, of one message each."""
    return await _listed(peer, run, count, page=False)


async def page(peer: Peer, run: Run, count: int) -> Taken:
    """The 50 most recently active of so many sessions."""
    return await _listed(peer, run, count, page=True)


async def _listed(peer: Peer, run: Run, count: int, *, page: bool) -> Taken:
    async with filled(peer, run, Filling(size_of(run, count), 1), Limits.of(run).filling, whole=True) as store:
        with closing(BareSessions(run.folder / "floor.db")) as floor:
            floor.fill((SessionMetadata(key=key(number)) for number in range(store.sessions + 1)), "{}")

            async def ours(_: int) -> Sequence[Any]:
                return await (peer.page(_PAGE) if page else peer.list_sessions())

            async def bare(_: int) -> None:
                if page:
                    floor.page(_PAGE)
                else:
                    floor.keys()

            samples = await _timed(
                run, {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST)}, most=STORED, per_round=run.scale.repeats * 4
            )
        there = len(await ours(0))
    wanted = min(store.sessions + 1, _PAGE) if page else store.sessions + 1
    return samples, "" if there == wanted else f"{there:,} instead of {wanted:,}"


async def search(peer: Peer, run: Run) -> Taken:
    """The sessions of 100 messages each, 100 of them, that have a word which few messages hold."""
    async with filled(peer, run, _stored(run, _SHALLOW), Limits.of(run).filling, whole=True) as store:
        texts = [message.text for message in generated(store.messages).messages]
        with closing(BareSearch(run.folder / "floor.db")) as floor:
            floor.connection.execute("BEGIN")
            for number in range(store.sessions):
                floor.fill(number, key(number), texts[number * store.depth : (number + 1) * store.depth])
            floor.connection.execute("COMMIT")

            async def ours(_: int) -> None:
                await peer.search(RARE)

            async def bare(_: int) -> None:
                floor.by_match(RARE, _FOUND)

            samples = await _timed(
                run, {OURS: Turn(ours), FLOOR: Turn(bare, least=_LEAST)}, most=STORED, per_round=run.scale.repeats * 4
            )
            expected = {found for (found,) in floor.by_match(RARE, _FOUND)}
        right = set(await peer.search(RARE)) == expected
    return samples, "" if right else "found something else than there is"
