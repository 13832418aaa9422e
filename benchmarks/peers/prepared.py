"""The stores that are measured, each filled once a run: so many sessions of so many messages.

Filling goes the fastest public way of each peer, and has a time limit: a peer that can't put 10,000 messages into a
session before it is over has no figure at that depth, and its row says so.
"""

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs

from benchmarks.corpus import generated
from benchmarks.floors import BareTable
from benchmarks.measure import Run
from benchmarks.peers.peer import Peer

BEHIND = "behind"
"""A session that is filled after the others, so that none of those is the newest one."""

_STEP = 500  # messages between two looks at the clock
_NOTE = "written"


class OverBudgetError(Exception):
    """Filling took longer than it may; the argument says how far it came."""


@attrs.frozen
class Filling:
    """What a store holds, beside the session behind: so many sessions of so many messages each."""

    sessions: int
    depth: int

    @property
    def messages(self) -> int:
        """All of them."""
        return self.sessions * self.depth


def key(number: int) -> str:
    """The key of a session."""
    return f"session-{number}"


@asynccontextmanager
async def filled(
    peer: Peer, run: Run, wanted: Filling, seconds: float, *, whole: bool = False
) -> AsyncGenerator[Filling]:
    """The peer, open on a copy of its own, and what that holds: fewer sessions than wanted if not `whole`, but one.

    Raises:
        OverBudgetError: it was not filled so far in time.
    """
    kept = run.shared / "peers" / f"{peer.name}-{wanted.sessions}-{wanted.depth}"
    written = _noted(kept)
    if written is None:
        written = await _fill(type(peer)(), _made(kept / "store"), wanted, seconds)
        _note(kept, written)
    needed = wanted.messages if whole else wanted.depth
    if written < needed:
        msg = f"{written:,} of {needed:,} messages were there by then"
        raise OverBudgetError(msg)
    copy = run.folder / "copy"
    shutil.copytree(kept / "store", copy)
    await peer.open(copy)
    try:
        yield Filling(written // wanted.depth, wanted.depth)
    finally:
        await peer.close()
        shutil.rmtree(copy)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _noted(kept: Path) -> int | None:
    note = kept / _NOTE
    return int(note.read_text()) if note.exists() else None


def _note(kept: Path, written: int) -> None:
    (kept / _NOTE).write_text(str(written))


async def _fill(peer: Peer, folder: Path, wanted: Filling, seconds: float) -> int:
    """Fill session by session until the time is over; how many messages that were."""
    messages = [peer.convert(message) for message in generated(wanted.messages).messages]
    await peer.open(folder)
    written = 0
    end = perf_counter() + seconds
    while written < wanted.messages and perf_counter() < end:
        session, there = divmod(written, wanted.depth)
        if there == 0:
            await peer.attach(key(session))
        step = min(wanted.depth - there, _STEP)
        await peer.prepare(key(session), messages[written : written + step])
        written += step
    await peer.attach(BEHIND)
    await peer.prepare(BEHIND, messages[:1])
    await peer.close()
    return written


def bare_table(run: Run, count: int, name: str = "floor", *, full: bool) -> BareTable:
    """The floor, with as many messages under the numbers from 1 on, and one of another session behind them."""
    kept = run.shared / "peers" / f"bare-{count}.db"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        dicts: Sequence[dict[str, Any]] = generated(count).dicts
        with closing(BareTable(kept)) as table:
            table.extend("session", dicts, 1)
            table.append(BEHIND, dicts[0])
    shutil.copy(kept, run.folder / f"{name}.db")
    return BareTable(run.folder / f"{name}.db", "FULL" if full else "NORMAL")
