"""The agent of `sessionkit demo`: it stores a turn as it happens. As a program it reads the turn from stdin.

``python -m sessionkit.cli.agent URL KEY TURN STUCK_AFTER`` takes a message a line, and writes a line for each call that
it has made.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from sessionkit.cli.recording import IN_PROGRESS
from sessionkit.codec import decode_message
from sessionkit.messages import ChatMessage
from sessionkit.models import IDLE, RUNNING
from sessionkit.protocol import OpenBackend, SupportsTurns, SupportsTurnState, SupportsWrite
from sessionkit.registry import open_backend


class Store(OpenBackend, SupportsTurns, SupportsTurnState, SupportsWrite, Protocol):
    """**Protocol:** what the demo needs of a backend; every built-in one has it."""


def open_store(url: str) -> Store:
    """Open a built-in backend, with the optional protocols that it offers."""
    return cast("Store", open_backend(url))


def play_turn(
    store: Store,
    session_key: str,
    turn_id: str,
    messages: Iterable[ChatMessage],
    report: Callable[[str, ChatMessage | None], object],
    *,
    stuck_after: float | None = None,
) -> bool:
    """Store a turn's messages as they come, the growing answer in place; False where another turn runs.

    `report` is told each call when it has returned, and the message that it was about.
    """
    state = store.begin_turn(session_key, turn_id, stuck_after=stuck_after)
    if state.turn_id != turn_id:
        return False
    report("begin_turn", None)
    newest = store.load_with_timestamps(session_key, last=1)
    growing = bool(newest) and newest[0].message.status == IN_PROGRESS
    for message in messages:
        if growing:
            store.update_last(session_key, message)
        else:
            store.append(session_key, message)
        store.set_turn_state(session_key, turn_id, RUNNING)  # a heartbeat: this turn is not stuck
        report("update_last" if growing else "append", message)
        growing = message.status == IN_PROGRESS
    store.set_turn_state(session_key, turn_id, IDLE)
    return True


def main(url: str, session_key: str, turn_id: str, stuck_after: str) -> int:
    """Play the turn that stdin brings; the exit status is 1 where another turn runs."""

    def report(call: str, _message: ChatMessage | None) -> None:
        sys.stdout.write(f"{call}\n")
        sys.stdout.flush()

    messages = map(decode_message, sys.stdin)
    with open_store(url) as store:
        return not play_turn(store, session_key, turn_id, messages, report, stuck_after=float(stuck_after))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
