"""The rows of the layer that agents use: each compares a step of a long session with that of a short one, or with what
the same takes of the backend alone.
"""

from functools import partial
from typing import cast

from benchmarks.measure import FLOOR, OURS, Bound, Measured, Row, Run, compared, interleave
from benchmarks.stores import ON_DISK, SHALLOW, Store
from sessionkit import ChatMessage, OpenBackend, SupportsTurns, SupportsWrite
from sessionkit.history import Memory, Session, SessionHistory, turn, window

_WINDOW = 50
_HI, _YO = ChatMessage.user("And when does it come?"), ChatMessage.assistant("On Friday, between nine and ten.")


def _talk(backend: OpenBackend, key: str, count: int) -> None:
    """A conversation of so many messages that a provider accepts, as the corpus with its calls at random is not."""
    for _ in range(count // 2):
        backend.append(key, _HI)
        backend.append(key, _YO)


def _save(run: Run, store: Store) -> Measured:
    """Saving after one more turn, in a session of 10,000 messages and in one of 100."""
    with store.open(run.folder) as backend:
        history = SessionHistory(backend)
        deep = Session("deep", messages=list(run.corpus.messages[: run.scale.deep]))
        shallow = Session("shallow", messages=list(run.corpus.messages[:SHALLOW]))
        for session in (deep, shallow):
            history.create_session(session)

        def save(session: Session) -> None:
            session.messages += [_HI, _YO]
            history.save_session(session)

        samples = interleave(
            {OURS: lambda _: save(deep), FLOOR: lambda _: save(shallow)},
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    return compared(samples)


def _turn(run: Run, store: Store) -> Measured:
    """A turn with two messages, its thread and all, and the calls of the backend that it makes."""
    with store.open(run.folder) as backend:
        turns, writes = cast("SupportsTurns", backend), cast("SupportsWrite", backend)

        def ours(_number: int) -> None:
            with turn(backend, "ours") as mine:
                mine.append(_HI, _YO)

        def floor(number: int) -> None:
            turns.begin_turn("floor", str(number))
            writes.write("floor", append=[_HI, _YO], if_turn=str(number))
            backend.set_session_state("floor", "idle")

        samples = interleave(
            {OURS: ours, FLOOR: floor}, rounds=run.scale.rounds, per_round=run.scale.repeats * 8, chunk=8
        )
    return compared(samples)


def _window(run: Run, store: Store) -> Measured:
    """A window that begins with the system message, and loading as many messages from the end."""
    with store.open(run.folder) as backend:
        backend.append("session", ChatMessage.system("You know the ferries."))
        _talk(backend, "session", run.scale.deep)
        samples = interleave(
            {
                OURS: lambda _: window(backend, "session", max_messages=_WINDOW),
                FLOOR: lambda _: backend.load_with_timestamps("session", last=_WINDOW),
            },
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    return compared(samples)


def _memory(run: Run, store: Store) -> Measured:
    """An agent with a memory of a window, in a session of 10,000 messages and in one of 100."""
    with store.open(run.folder) as backend:
        _talk(backend, "deep", run.scale.deep)
        _talk(backend, "shallow", SHALLOW)
        agent = Memory(backend, max_messages=_WINDOW)(lambda _heard: _YO)
        samples = interleave(
            {OURS: lambda _: agent("deep", _HI), FLOOR: lambda _: agent("shallow", _HI)},
            rounds=run.scale.rounds,
            per_round=run.scale.repeats * 4,
            chunk=4,
        )
    return compared(samples)


ROWS = [
    row
    for store in ON_DISK
    for row in (
        Row(
            f"{store.name}.history.save",
            "save after one more turn: of 10,000 : of 100 messages",
            "x",
            partial(_save, store=store),
        ),
        Row(
            f"{store.name}.history.turn",
            "a turn of two messages : its three calls of the backend",
            "x",
            partial(_turn, store=store),
        ),
        Row(
            f"{store.name}.history.window",
            f"window of {_WINDOW} of 10,000 : its last {_WINDOW}",
            "x",
            partial(_window, store=store),
        ),
        Row(
            f"{store.name}.history.memory",
            "an agent with a memory: in 10,000 : in 100 messages",
            "x",
            partial(_memory, store=store),
            Bound(1.5),
        ),
    )
]
