"""The rows of searching 10,000 messages, which every store on disk has."""

from functools import partial

from benchmarks.corpus import ABSENT, RARE, common_word
from benchmarks.floors import BareIndex
from benchmarks.measure import Measured, Row, Run, compared, interleave
from benchmarks.stores import ON_DISK, Store
from sessionkit import OpenBackend, SessionQuery

SHALLOW = 100
"""How many messages a short session has."""

_SEARCHED_LIMIT = 20


def fill(backend: OpenBackend, run: Run, key: str, start: int, stop: int) -> None:
    """Append the messages from `start` up to `stop`."""
    messages = run.corpus.messages
    for number in range(start, stop):
        backend.append(key, messages[number % len(messages)])


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
    words = {"rare": RARE, "common": common_word(), "absent": ABSENT}
    return [
        Row(
            f"{store.name}.search.{kind}",
            f"search of 10,000 for a word that is {kind} : a bare FTS5 table",
            "x",
            partial(_search, store, word),
        )
        for kind, word in words.items()
    ]


ROWS = [row for store in ON_DISK for row in _rows_of(store)]
