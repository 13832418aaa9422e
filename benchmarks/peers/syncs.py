"""Who waits for the disk at each append: the calls of fsync and fdatasync, counted by strace.

    python -m benchmarks.peers.syncs          # a line a contender
    python -m benchmarks.peers.syncs agno     # one of them

Two processes append, one of them `MORE` messages more than the other; the difference in calls is what the appends take.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.corpus import generated
from benchmarks.peers import OURS, PEERS
from benchmarks.peers.peer import Peer
from benchmarks.peers.turns import run_awaited

FEW, MORE = 10, 50
_MODULE = "benchmarks.peers.syncs"
_CALLS = ("fsync(", "fdatasync(")


class NoStraceError(LookupError):
    """There is no strace on this machine."""


def per_append(peer: type[Peer], folder: Path) -> float:
    """How often the peer syncs, for each append to a session that is there.

    Raises:
        NoStraceError: there is no strace.
    """
    few, many = (_counted(peer, folder, appends) for appends in (FEW, FEW + MORE))
    return (many - few) / MORE


def _counted(peer: type[Peer], folder: Path, appends: int) -> int:
    strace = shutil.which("strace")
    if strace is None:
        raise NoStraceError("strace is needed to count syncs")
    trace, store = folder / f"{appends}.trace", folder / f"store-{appends}"
    store.mkdir()
    command = [strace, "-f", "-qq", "-o", str(trace), "-e", "trace=fsync,fdatasync"]
    child = [sys.executable, "-W", "ignore", "-m", _MODULE, "--append", peer.name, str(store), str(appends)]
    subprocess.run(  # noqa: S603 -- our own command
        [*command, *child], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    return sum(call in line for line in trace.read_text().splitlines() for call in _CALLS)


async def _append(peer: Peer, folder: Path, appends: int) -> None:
    await peer.open(folder)
    await peer.attach("session")
    for message in generated(appends).messages:
        await peer.append("session", peer.convert(message))
    await peer.close()


def main(arguments: list[str]) -> None:
    """Print what each contender does, or append as the process that is traced."""
    peers = {peer.name: peer for peer in (*OURS, *PEERS) if not peer.missing()}
    if arguments[:1] == ["--append"]:
        name, folder, appends = arguments[1:]
        run_awaited(_append(peers[name](), Path(folder), int(appends)))
        return
    for name in arguments or peers:
        with tempfile.TemporaryDirectory(prefix="sessionkit-syncs-") as folder:
            found = per_append(peers[name], Path(folder))
        print(f"{name:<28}{found:>6.2f} syncs an append")


if __name__ == "__main__":
    main(sys.argv[1:])
