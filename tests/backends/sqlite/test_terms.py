"""The late full-text index gives the same answers as reading every message, whatever has been indexed."""

import random
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, CorruptRecordWarning, SessionMetadata, SessionQuery, TimestampedMessage, tokenize
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import SQLiteBackend, search, terms

WORDS = [
    "alpha",
    "Beta",
    "gamma",
    "東京都",
    "straße",
    "ÉCOLE",
    "x_y",
    "42",
    "カタカナ",
    "nul\0byte",
    "e\u0301",
    "ﬁn",
    "OR",
]

REMOVALS: dict[str, Callable[[SQLiteBackend], object]] = {
    "remove_last": lambda backend: backend.remove_last("k"),
    "update_last": lambda backend: backend.update_last("k", ChatMessage.user("new")),
    "write": lambda backend: backend.write("k", drop_last=2),
    "clear_messages": lambda backend: backend.clear_messages("k"),
    "delete_session": lambda backend: backend.delete_session("k"),
    "compact": lambda backend: backend.compact("k"),
}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index every few messages, so that a test sees every mixture of indexed and not."""
    monkeypatch.setattr(terms, "BATCH", 7)
    monkeypatch.setattr(terms, "CHECK_EVERY", 3)


def no_fts5(_connection: sqlite3.Connection) -> bool:
    """What a SQLite without FTS5 says."""
    return False


def indexed(path: Path) -> int:
    """How many messages the index holds."""
    with sqlite3.connect(path) as connection:
        (waiting, all_of_them) = connection.execute(
            """
            SELECT (SELECT count(*) FROM unindexed JOIN messages ON id BETWEEN since AND number << 32 | 0xFFFFFFFF),
                (SELECT count(*) FROM messages)
            """
        ).fetchone()
    connection.close()
    return int(all_of_them - waiting)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("ways", list(enumerate([(2000, 500), (0, 0), (2, 1), (3, 2), (0, 500)])), ids=str)
def test_search_equals_a_scan_at_every_step(
    backend: SQLiteBackend, path: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[int, tuple[int, int]]
) -> None:
    """Appends, replacements, removals, clearing and deletion: the search is that of the model at each step.

    So it is in each of its ways: by what few messages match, by sessions in their order, and by all that match.
    """
    seed, (few, walk) = ways
    monkeypatch.setattr(search, "_FEW", few)
    monkeypatch.setattr(search, "_WALK", walk)
    choose = random.Random(seed)  # noqa: S311 -- a seeded test, not a secret
    model = MemoryBackend()
    most_indexed = 0
    for step in range(300):
        key = choose.choice(["one", "two", "three"])
        message = ChatMessage.user(" ".join(choose.choices(WORDS, k=choose.randint(0, 4))))
        change = choose.choices(
            ["append", "update_last", "remove_last", "clear_messages", "delete_session", "compact"],
            weights=[60, 20, 10, 2, 2, 1],
        )[0]
        for store in (model, backend):
            getattr(store, change)(key, *([message] if change in {"append", "update_last"} else []))
        for word in choose.sample(WORDS, 3):
            query = SessionQuery(word)
            most_indexed = max(most_indexed, indexed(path))
            found = [found.key for found in backend.search(query)]
            assert {found.key for found in model.search(query)} == set(found), (step, change, word)
            assert found == [key for key in backend.list_sessions() if key in found]
    assert most_indexed > 0, "the test never indexed anything"


@pytest.mark.parametrize(("few", "walk"), [(2000, 500), (5, 10), (5, 0)])
def test_a_page_of_a_common_word(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch, few: int, walk: int) -> None:
    """Each page holds the next of those that match and pass the filters, in order, however they are looked for."""
    monkeypatch.setattr(search, "_FEW", few)
    monkeypatch.setattr(search, "_WALK", walk)
    for i in range(60):
        backend.append(f"session {i}", ChatMessage.user("common" if i % 3 else "rare"))
        if i % 2:
            backend.set_session_agent_alias(f"session {i}", "agent")
        if i == 40:
            backend.compact("session 0")  # which indexes all; the others wait
    wanted = [f"session {i}" for i in reversed(range(60)) if i % 3 and i % 2]
    pages = [
        backend.search(SessionQuery("common", limit=7, offset=offset, agent_alias="agent"))
        for offset in range(0, 28, 7)
    ]
    assert [found.key for page in pages for found in page] == wanted


def test_a_damaged_session_is_told_of_once(path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a search for a common word may meet it twice."""
    monkeypatch.setattr(search, "_FEW", 1)
    monkeypatch.setattr(search, "_WALK", 3)
    for i in range(5):
        backend.append(f"session {i}", ChatMessage.user("common"))
    backend.compact("session 0")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE sessions SET attributes = '[' WHERE key = 'session 3'")
    with pytest.warns(CorruptRecordWarning, match="'session 3'") as warned:
        assert len(backend.search(SessionQuery("common"))) == 4
    assert len(warned) == 1


def test_a_common_word_is_asked_for_once_where_few_sessions_are(
    backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them were met in their order, so the index is not asked for all that match."""
    monkeypatch.setattr(search, "_FEW", 1)
    for i in range(5):
        backend.append(f"session {i}", ChatMessage.user("common"))
    backend.compact("session 0")
    statements = list[str]()
    backend.load("session 0")
    reading = backend._store.reading.connection
    assert reading is not None
    reading.set_trace_callback(statements.append)
    assert len(backend.search(SessionQuery("common"))) == 5
    reading.set_trace_callback(None)
    assert [statement for statement in statements if "number IN (SELECT rowid" in statement] == []


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("way", ["append", "write", "restore"])
def test_the_unindexed_rest_stays_short(backend: SQLiteBackend, way: str) -> None:
    """However messages come in, and however many at once, a search never has many to read."""
    message = ChatMessage.user("x")

    def append(key: str) -> None:
        for _ in range(100):
            backend.append(key, message)

    ways: dict[str, Callable[[str], object]] = {
        "append": append,
        "write": lambda key: backend.write(key, append=[message] * 100),
        "restore": lambda key: backend.restore(key, [TimestampedMessage(message, None)] * 100, SessionMetadata("")),
    }
    for key in "abc":
        ways[way](key)
        with backend._store.reading as connection:
            assert terms._waiting(connection) < terms.BATCH + terms.CHECK_EVERY


def test_large_messages_are_indexed_a_few_at_a_time(
    path: Path, backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends at so many bytes, so that no append holds hundreds of images; the next ones go on with the rest."""
    image = {"type": "image", "data": "A" * 40_000}
    message = ChatMessage.from_dict({"role": "user", "content": [image, {"type": "text", "text": "look"}]})
    backend.append("k", message)  # which checks
    monkeypatch.setattr(terms, "BATCH", 10)
    monkeypatch.setattr(terms, "BATCH_BYTES", 100_000)
    monkeypatch.setattr(terms, "CHECK_EVERY", 30)
    monkeypatch.setattr(backend, "_until_check", 30)
    held = [indexed(path)]
    for i in range(60):
        backend.append(f"k{i % 3}", message)
        held.append(indexed(path))
    assert {later - earlier for earlier, later in pairwise(held)} == {0, 3}
    assert 61 - held[-1] < 30 + 10
    tracemalloc.start()
    backend.compact("k")
    backend.clear_messages("k0")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000
    assert indexed(path) == 41
    assert {s.key for s in backend.search(SessionQuery("look"))} == {"k", "k1", "k2"}


@given(text=st.text(max_size=60))
def test_fts5_and_tokenize_agree_on_any_text(text: str) -> None:
    """Of any text, the index finds each of its terms, and none that it lacks."""
    connection = sqlite3.connect(":memory:")
    connection.execute(terms._CREATE)
    connection.execute("INSERT INTO terms (rowid, text) VALUES (1, ?)", (terms._indexed_text(text),))
    held = tokenize(text)
    for term in held | tokenize("zebra e\u0301tude 東 nul"):
        expression = terms.match_expression(frozenset([term]))
        found = connection.execute("SELECT rowid FROM terms WHERE terms MATCH ?", (expression,)).fetchall()
        assert bool(found) is (term in held), term
    connection.close()


@pytest.mark.usefixtures("small_batches")
def test_an_index_of_other_terms_is_made_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our terms or Unicode have changed since, no stale posting is trusted."""
    with SQLiteBackend(path) as backend:
        for i in range(30):
            backend.append("k", ChatMessage.user(f"word{i}"))
    assert indexed(path) > 0
    monkeypatch.setattr(terms, "TERMS_VERSION", "another")
    with SQLiteBackend(path, mode="ro") as reader:
        assert [s.key for s in reader.search(SessionQuery("word3"))] == ["k"]
    with SQLiteBackend(path) as backend:
        assert indexed(path) == 0
        assert [s.key for s in backend.search(SessionQuery("word3"))] == ["k"]
        backend.compact("k")
        assert indexed(path) == 30
        assert [s.key for s in backend.search(SessionQuery("word3"))] == ["k"]


@pytest.mark.parametrize("removal", sorted(REMOVALS))
def test_a_damaged_message_leaves_nothing_in_the_index(path: Path, backend: SQLiteBackend, removal: str) -> None:
    """Whichever way it goes, though its terms can't be known any more: it is not found, the others are."""
    for text in ("first", "second", "third"):
        backend.append("k", ChatMessage.user(text))
    backend.append("other", ChatMessage.user("common"))
    backend.compact("k")
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE messages SET message = '{\"role' WHERE message LIKE '%third%'")
    assert indexed(path) == 4
    REMOVALS[removal](backend)
    assert backend.search(SessionQuery("third")) == []
    assert [s.key for s in backend.search(SessionQuery("common"))] == ["other"]
    backend.compact("other")
    backend.append("k", ChatMessage.user("fourth"))
    assert backend.search(SessionQuery("third")) == []
    assert [s.key for s in backend.search(SessionQuery("fourth"))] == ["k"]


@pytest.mark.usefixtures("small_batches")
def test_without_fts5_search_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite built without FTS5 answers the same, and leaves an index behind that is known to be stale."""
    with SQLiteBackend(path) as backend:
        for i in range(30):
            backend.append("k", ChatMessage.user(f"word{i}"))
    with monkeypatch.context() as without:
        without.setattr(terms, "_has_fts5", no_fts5)
        with SQLiteBackend(path) as backend:
            assert [s.key for s in backend.search(SessionQuery("word3"))] == ["k"]
            assert backend.clear_messages("k") == 30
            assert backend.search(SessionQuery("word3")) == []
            backend.append("k", ChatMessage.user("later"))
    with SQLiteBackend(path) as backend:
        assert backend.search(SessionQuery("word3")) == []
        assert [s.key for s in backend.search(SessionQuery("later"))] == ["k"]


def test_long_terms_are_told_apart(backend: SQLiteBackend) -> None:
    """Terms that FTS5 would cut at the same place stay different, in ASCII and beyond."""
    for letter in "aé":
        beginning = letter * 40_000
        backend.append(f"{letter}1", ChatMessage.user(f"{beginning}x"))
        backend.append(f"{letter}2", ChatMessage.user(f"{beginning}y"))
        backend.compact(f"{letter}1")
        assert [s.key for s in backend.search(SessionQuery(f"{beginning}x"))] == [f"{letter}1"]
        assert [s.key for s in backend.search(SessionQuery(beginning))] == []


def test_a_keyword_of_many_terms_is_answered(backend: SQLiteBackend) -> None:
    """Thousands of terms in one query are looked for all the same."""
    words = [f"w{i}" for i in range(5000)]
    backend.append("all", ChatMessage.user(" ".join(words)))
    backend.append("most", ChatMessage.user(" ".join(words[1:])))
    backend.compact("all")
    assert [s.key for s in backend.search(SessionQuery(" ".join(words)))] == ["all"]


def test_a_failing_index_fails_no_append(backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledged message is never reported as lost because its indexing failed; it waits, and is found."""

    def fail(connection: sqlite3.Connection) -> int:
        connection.execute("BEGIN IMMEDIATE")
        msg = "disk full"
        raise sqlite3.OperationalError(msg)

    monkeypatch.setattr(terms, "CHECK_EVERY", 2)
    monkeypatch.setattr(terms, "index_batch", fail)
    monkeypatch.setattr(backend, "_until_check", 2)
    for i in range(5):
        backend.append("k", ChatMessage.user(f"word{i}"))
    assert len(backend.load("k")) == 5
    assert len(backend.search(SessionQuery("word4"))) == 1
