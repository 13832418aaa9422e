"""Big stores hold what their rows count on, and are built once."""

import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import big
from benchmarks.corpus import ABSENT, RARE, common_word
from benchmarks.floors_many import BareSearch
from benchmarks.measure import SMOKE, Run
from benchmarks.stores import ON_DISK, SQLITE, Store
from sessionkit import SessionQuery

COUNT = SMOKE.most


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with nothing in its shared folder yet."""
    return Run(tmp_path / "own", SMOKE, tmp_path / "shared")


def test_store_and_floor_hold_the_same_sessions(run: Run) -> None:
    """What a floor gives is what ours does, value by value: neither reads less than the other."""
    many = big.sessions(run, SQLITE, 1_000)
    with SQLITE.open(many.folder) as backend, closing(many.floor) as floor:
        listed = backend.list_sessions_with_metadata()
        rows = floor.page(COUNT)
    assert len(listed) == len(rows) == COUNT
    for metadata, row in zip(listed, rows, strict=True):
        assert row["created_at"] == (metadata.created_at and int(metadata.created_at.timestamp() * 1e6 + 0.5))
        plain = ("key", "message_count", "name", "agent_alias", "room_id", "state", "turn_id", "attributes")
        assert [row[column] for column in plain] == [getattr(metadata, column) for column in plain]


@pytest.mark.parametrize("store", ON_DISK, ids=lambda store: store.name)
def test_just_so_many_sessions_are_older(run: Run, store: Store) -> None:
    """`since` parts the oldest so many from the others, and just those of the running ones are stuck that should be."""
    many = big.sessions(run, store, COUNT)
    with store.open(many.folder) as backend:
        active = backend.search(SessionQuery(active_since=many.since(30)))
        stuck = [
            one for one in backend.list_running_sessions() if one.heartbeat_at and one.heartbeat_at < many.since(10)
        ]
        assert len(backend.list_running_sessions()) == big.RUNNING
    assert len(active) == COUNT - 30
    assert len(stuck) == big.STUCK


def test_every_session_runs_where_all_should(run: Run) -> None:
    """A crowded store has a turn in each session."""
    many = big.sessions(run, SQLITE, COUNT, all_running=True)
    with SQLITE.open(many.folder) as backend:
        assert len(backend.list_running_sessions()) == COUNT


def test_words_are_as_frequent_as_their_rows_say(run: Run) -> None:
    """The rare word is in so many messages, the common one in most, the absent one in none; tool calls differ."""
    folder = big.messages(run, SQLITE, COUNT)
    with SQLITE.open(folder) as backend:
        found = [message for key in backend.list_sessions() for message in backend.load(key)]
    calls = Counter(json.loads(call.arguments)["id"] for message in found for call in message.tool_calls)
    assert len(found) == COUNT
    assert sum(RARE in message.text for message in found) == big.RARE_MESSAGES
    assert sum(common_word() in message.text.split() for message in found) > COUNT / 2
    assert not any(ABSENT in message.text for message in found)
    assert max(calls.values()) == 1


def test_floor_finds_the_same_sessions_both_ways(run: Run) -> None:
    """Whichever way the floor looks for a word, it finds the sessions that ours does."""
    folder = big.messages(run, SQLITE, COUNT)
    with SQLITE.open(folder) as backend, closing(BareSearch(folder / big.FLOOR)) as floor:
        for word in (RARE, common_word(), ABSENT):
            ours = [(one.key,) for one in backend.search(SessionQuery(word, limit=20))]
            assert floor.by_match(word, 20) == floor.by_session(word, 20) == ours


def test_store_is_built_once(run: Run) -> None:
    """The second row that asks for a store is given the first one's."""
    first = big.sessions(run, SQLITE, COUNT)
    assert big.sessions(run, SQLITE, COUNT) == first


def test_failure_leaves_no_store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of which a part was built is never measured: the next row that asks builds it anew."""
    with monkeypatch.context() as patched:
        patched.setattr(big, "_MESSAGE", None)
        with pytest.raises((AttributeError, TypeError)):
            big.sessions(run, SQLITE, COUNT)
    many = big.sessions(run, SQLITE, COUNT)
    with SQLITE.open(many.folder) as backend:
        assert len(backend.list_sessions()) == COUNT
