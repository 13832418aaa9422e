"""What a process is needed for, or a whole store: bytes on disk, messages that processes lose together, imports."""

import asyncio
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter

import attrs

from benchmarks.alone import environment
from benchmarks.corpus import Corpus
from benchmarks.floors import BareTable
from benchmarks.measure import FLOOR, OURS, Measured, Run
from benchmarks.peers.peer import Peer
from benchmarks.peers.prepared import OverBudgetError, key
from benchmarks.peers.turns import Plan, Turn, interleave, run_awaited
from benchmarks.processes import meet, team
from sessionkit import ChatMessage

PROCESSES = 4
"""How many append together at full scale."""


async def disk(peer: Peer, run: Run, *, corpus: Corpus, seconds: float) -> Measured:
    """The bytes on disk per byte of payload (`json.dumps` of each message), after appending one by one, and closed.

    Raises:
        OverBudgetError: they weren't all appended in time.
    """
    folder, floor = _made(run.folder / "peer"), _made(run.folder / "floor")
    await peer.open(folder)
    await peer.attach(key(0))
    end = perf_counter() + seconds
    for number, message in enumerate(corpus.messages):
        if perf_counter() > end:
            await peer.close()
            raise OverBudgetError(f"{number:,} of {len(corpus):,} messages were there by then")
        await peer.append(key(0), peer.convert(message))
    await peer.close()
    with closing(BareTable(floor / "floor.db")) as table:
        table.extend("session", corpus.dicts, 1)
    payload = sum(len(json.dumps(data)) for data in corpus.dicts)
    took, bare = _size(folder) / payload, _size(floor) / payload
    return Measured(took, note=f"a bare table {bare:.2f}", numbers={"floor": bare, "payload_bytes": payload})


@attrs.frozen
class Tally:
    """What became of a process's appends, and how many seconds the longest of them took, acknowledged or not."""

    acknowledged: int
    refused: int
    error: str
    worst_wait: float


async def crowd(peer: Peer, run: Run, *, processes: int, appends: int) -> Measured:
    """How many messages that processes appended to one session, and that were acknowledged, are not there afterwards.

    Each takes the session up before each message, as one that answers a request does. An append that raises is not
    acknowledged, so not lost; the number `refused` and the note have those.
    """
    folder = _made(run.folder / "peer")
    await peer.open(folder)
    await peer.attach(key(0))
    await peer.prepare(key(0), [peer.convert(ChatMessage.user("Welcome"))])
    await peer.close()
    tallies = await asyncio.to_thread(_together, type(peer), folder, processes, appends)
    acknowledged, refused = sum(tally.acknowledged for tally in tallies), sum(tally.refused for tally in tallies)
    reader = type(peer)()
    await reader.open(folder)
    try:
        await reader.attach(key(0))
        found = len({reader.text(stored) for stored in await reader.load(key(0))}) - 1
        notes = [f"of {acknowledged:,} acknowledged"]
    except Exception as error:  # noqa: BLE001 -- whatever a peer raises that can't read what it wrote
        found, notes = 0, [f"of {acknowledged:,} acknowledged; reading the session raises {type(error).__name__}"]
    await reader.close()
    if refused:
        notes.append(f"{refused:,} raised {next(tally.error for tally in tallies if tally.error)}")
    worst = max(tally.worst_wait for tally in tallies) * 1e3
    notes.append(f"worst wait {worst:,.1f} ms")
    numbers = {"acknowledged": acknowledged, "refused": refused, "found": found, "worst_wait_ms": worst}
    return Measured(max(0, acknowledged - found), note="; ".join(notes), numbers=numbers)


def _together(peer: type[Peer], folder: Path, processes: int, appends: int) -> list[Tally]:
    with team(_work, [(peer, folder, number, appends) for number in range(processes)], parties=processes) as started:
        return started.results()


def _work(peer: type[Peer], folder: Path, process: int, appends: int) -> Tally:
    """In a process of its own."""
    return run_awaited(_append_all(peer(), folder, process, appends))


async def _append_all(peer: Peer, folder: Path, process: int, appends: int) -> Tally:
    refused, error, worst = 0, "", 0.0
    await peer.open(folder)
    await peer.attach(key(0))
    messages = [peer.convert(ChatMessage.user(f"{process} {number}")) for number in range(appends)]
    meet()
    for message in messages:
        before = perf_counter()
        try:
            await peer.attach(key(0))
            before = perf_counter()
            await peer.append(key(0), message)
        except Exception as raised:  # noqa: BLE001 -- whatever a peer raises when it can't append
            refused, error = refused + 1, type(raised).__name__
        worst = max(worst, perf_counter() - before)
    await peer.close()
    return Tally(appends - refused, refused, error, worst)


async def imports(peer: Peer, run: Run) -> Measured:
    """Milliseconds that a fresh process takes to import the peer's class, more than one that does nothing.

    Whatever else the machine does only ever adds to that: the fastest of each. Modules are compiled before, as
    installing does.
    """
    known = environment() | {"PYTHONWARNINGS": "ignore"}
    if not peer.packages:  # ours runs from its sources
        known |= {"PYTHONPYCACHEPREFIX": str(run.folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}

    async def start(code: str) -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=known, stderr=subprocess.DEVNULL)
        if await process.wait():
            raise subprocess.CalledProcessError(process.returncode or 0, code)

    importing = "\n".join(f"import {module}" for module in peer.modules)
    turns = {OURS: Turn(lambda _: start(importing)), FLOOR: Turn(lambda _: start("pass"))}
    if not peer.packages:
        await start(importing)
    samples = await interleave(turns, Plan(max(1, run.scale.starts // 5), 1))
    return Measured((samples[OURS].fastest - samples[FLOOR].fastest) / 1e6, samples)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
