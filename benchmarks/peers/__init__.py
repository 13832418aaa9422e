"""What people use today, measured through its public API only, beside ours and the floor: ``--peers``.

The peers are installed by ``pip install -r benchmarks/peers.txt``; without them, this package can still be imported.

- `benchmarks.peers.peer`: what each is driven through; a module a peer, and `benchmarks.peers.ours`.
- `benchmarks.peers.prepared`: the stores that are measured; `benchmarks.peers.turns`: taking turns in an event loop.
- `benchmarks.peers.operations`: what is timed; `benchmarks.peers.counting`: bytes, losses and imports.
- `benchmarks.peers.rows`: the rows of the table.
- `benchmarks.peers.syncs`: counts who waits for the disk at each append.
"""

import sys

from benchmarks.measure import Row
from benchmarks.peers import adk, agno, langchain, langgraph, llama_index, openai_agents, ours, strands
from benchmarks.peers.peer import Peer
from benchmarks.peers.rows import rows_of

INSTALL = "pip install -r benchmarks/peers.txt"

OURS: tuple[type[Peer], ...] = ours.PEERS
PEERS: tuple[type[Peer], ...] = tuple(
    peer for module in (openai_agents, langchain, langgraph, llama_index, agno, adk, strands) for peer in module.PEERS
)
"""All of them, installed or not."""


class NoPeersError(LookupError):
    """Not one peer is installed."""


def installed() -> list[type[Peer]]:
    """The peers that are there; a remark on standard error names each that is not.

    Raises:
        NoPeersError: there is none.
    """
    there = [peer for peer in PEERS if not peer.missing()]
    if not there:
        raise NoPeersError(f"no peer is installed: {INSTALL}")
    for peer in PEERS:
        if peer not in there:
            print(f"{peer.name} is left out, for want of {', '.join(peer.missing())}: {INSTALL}", file=sys.stderr)
    return there


def peer_rows() -> list[Row]:
    """The rows of the peers that are installed, and ours before theirs.

    Raises:
        NoPeersError: there is none.
    """
    return rows_of([*OURS, *installed()])
