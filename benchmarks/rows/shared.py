"""The rows that every store on disk has: one of our calls against another of ours, and search."""

from functools import partial

from benchmarks.corpus import ABSENT, RARE, common_word
from benchmarks.floors import BareIndex
from benchmarks.measure import Bound, Measured, Row, Run, compared, interleave
from benchmarks.stores import ON_DISK, SQLITE, Store
from sessionkit import OpenBackend, SessionQuery

SHALLOW = 100
"""How many messages a short session has."""

_SEARCHED_LIMIT = 20


def fill(backend: OpenBackend, run: Run, key: str, start: int, stop: int) -> None:
    """Append the messages from `start` up to `stop`."""
    messages = run.corpus.messages
    for number in range(start, stop):
        backend.append(key, messages[number % len(messages)])


def _growth(store: Store, run: Run) -> Measured:
    """Both in stores of the same size, and to sessions with others before and behind them.

    Only the session with the highest number has SQLite's fast way for adding at the end of a table, so neither is that
    one.
    """
    chunk = 32
    with store.open(run.folder / "deep") as deep, store.open(run.folder / "short") as short:
        fill(deep, run, "deep", 0, run.scale.deep)
        sessions = run.scale.deep // SHALLOW
        for number in range(sessions):
            fill(short, run, f"short/{number}", SHALLOW * number, SHALLOW * (number + 1))
        for backend in (deep, short):
            fill(backend, run, "behind", 0, SHALLOW)
        messages = run.corpus.messages

        def append_deep(number: int) -> None:
            deep.append("deep", messages[number % len(messages)])

        def append_short(number: int) -> None:
            short.append(f"short/{number // chunk % (sessions - 1)}", messages[number % len(messages)])

        samples = interleave(
            {"ours": append_deep, "floor": append_short},
            rounds=run.scale.rounds,
            per_round=run.scale.per_round,
            chunk=chunk,
        )
    return compared(samples)


def _update_last(store: Store, run: Run) -> Measured:
    messages = run.corpus.messages
    with store.open(run.folder) as backend:

        def append(number: int) -> None:
            backend.append("session", messages[number % len(messages)])

        def update(number: int) -> None:
            backend.update_last("session", messages[number % len(messages)])

        append(0)
        samples = interleave({"ours": update, "floor": append}, rounds=run.scale.rounds, per_round=run.scale.per_round)
    return compared(samples)


def _remove_last(store: Store, run: Run) -> Measured:
    messages = run.corpus.messages
    with store.open(run.folder) as backend:

        def append(number: int) -> None:
            backend.append("session", messages[number % len(messages)])

        def remove(_: int) -> None:
            backend.remove_last("session")

        fill(backend, run, "session", 0, SHALLOW)
        samples = interleave({"ours": remove, "floor": append}, rounds=run.scale.rounds, per_round=run.scale.per_round)
    return compared(samples)


def _search(store: Store, word: str, run: Run) -> Measured:
    query = SessionQuery(word, limit=_SEARCHED_LIMIT)
    floor = BareIndex(run.folder / "floor.db")
    floor.fill([message.text for message in run.corpus.messages])
    with store.open(run.folder) as backend:
        for start in range(0, run.scale.deep, 100):
            fill(backend, run, f"session/{start}", start, start + 100)
        samples = interleave(
            {"ours": lambda _: backend.search(query), "floor": lambda _: floor.search(word)},
            rounds=run.scale.repeats,
        )
        found = len(backend.search(query))
    floor.close()
    return compared(samples, f"{found} found")


def _rows_of(store: Store) -> list[Row]:
    def row(name: str, what: str, measure: partial[Measured], bound: float | None = None) -> Row:
        return Row(f"{store.name}.{name}", what, "x", measure, None if bound is None else Bound(bound))

    rows = [
        row("growth", "append at 10,000 deep : at 100 deep", partial(_growth, store), 1.2),
        row("update_last", "update_last : append", partial(_update_last, store), 1.5 if store is SQLITE else None),
        row("remove_last", "remove_last : append", partial(_remove_last, store)),
    ]
    words = {"rare": RARE, "common": common_word(), "absent": ABSENT}
    return rows + [
        row(
            f"search.{kind}",
            f"search of 10,000 for a word that is {kind} : a bare FTS5 table",
            partial(_search, store, word),
        )
        for kind, word in words.items()
    ]


ROWS = [row for store in ON_DISK for row in _rows_of(store)]
