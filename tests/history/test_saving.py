"""Saving a session: what has changed and no more, and never over what another writer has changed."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import (
    BackendUnavailableError,
    ChatMessage,
    ConflictError,
    OpenBackend,
    SessionBackend,
    Usage,
    open_backend,
)
from sessionkit.clock import to_datetime
from sessionkit.history.history import SessionHistory
from sessionkit.history.keeping import stored_of
from sessionkit.history.session import RECORD, AggregatedUsage, Session
from sessionkit_memory import MemoryBackend
from tests.conversations import FILE, conversations
from tests.history.processes import Worker
from tests.history.sessions import ANSWERED, SAID, THANKED, contents, full, kept, watched
from tests.strategies import strict


@pytest.fixture
def history(backend: OpenBackend) -> SessionHistory:
    """A history in each kind of store."""
    return SessionHistory(backend)


def test_saved_and_loaded(history: SessionHistory) -> None:
    """A new session is inserted, and every change of every attribute arrives."""
    session = Session("k", messages=[SAID])
    history.save_session(session)
    assert history.load_session("k") == session
    session.messages.append(ANSWERED)
    session.agent_name, session.model = "agent", "model"
    session.started_at, session.ended_at = to_datetime(5), to_datetime(10**15)
    session.usage.add(Usage(10, 5, cost_usd=0.5))
    session.metadata["tags"] = ["a"]
    history.save_session(session)
    assert history.load_session("k") == session
    session.metadata["tags"].append("b")
    session.messages[0] = THANKED
    history.save_session(session)
    assert history.load_session("k") == session
    session.metadata.clear()
    session.messages.clear()
    session.agent_name = session.model = session.ended_at = None
    session.usage = AggregatedUsage()
    history.save_session(session)
    assert history.load_session("k") == session == Session("k", started_at=to_datetime(5))


def test_one_more_turn_costs_one_turn() -> None:
    """However long the session is: what goes through the backend is what was added."""
    backend, history = watched()
    session = Session("k", messages=[ChatMessage("user", str(number)) for number in range(1_000)], metadata={"a": 1})
    history.save_session(session)
    loaded = kept(history, "k")
    for each in (session, loaded):  # the one that was saved, and the one that was loaded
        backend.written.clear()
        if each is loaded:
            each = kept(history, "k")  # noqa: PLW2901 -- as it is now
        each.messages += [SAID, ANSWERED]
        history.save_session(each)
        each.usage.add(Usage(5))
        each.messages.append(THANKED)
        history.save_session(each)
        first, second = backend.written
        assert (first["drop_last"], first["append"], first["attributes"]) == (0, [SAID, ANSWERED], {})
        assert (second["drop_last"], second["append"]) == (0, [THANKED])
        assert second["attributes"].keys() == {RECORD}


def test_a_session_without_changes_is_not_written() -> None:
    """Saving a session without changes writes nothing, even where others have changed it meanwhile."""
    backend, history = watched()
    session = full()
    history.save_session(session)
    loaded = kept(history, "k")
    backend.written.clear()
    history.save_session(session)
    history.save_session(loaded)
    history.append_messages("k", [THANKED])
    history.save_session(loaded)
    assert [write["append"] for write in backend.written] == [[THANKED]]


def test_edits_are_honoured() -> None:
    """From the first message that is another one, and no earlier, all are dropped and written again."""
    backend, history = watched()
    session = Session("k", messages=[ChatMessage("user", str(number)) for number in range(10)])
    history.save_session(session)
    backend.written.clear()
    del session.messages[8]
    history.save_session(session)
    session.messages[7:7] = [SAID]
    history.save_session(session)
    session.messages = session.messages[:3]
    history.save_session(session)
    assert [(write["drop_last"], len(write["append"])) for write in backend.written] == [(2, 1), (2, 3), (7, 0)]
    assert history.load_session("k") == session


FEW = st.sampled_from(
    [ChatMessage("user", text, extra=extra) for text in ("a", "b") for extra in ({}, {"n": 1}, {"n": True})]
)
"""Messages that are often equal, sometimes to Python alone."""

EDITS = st.lists(
    st.tuples(st.sampled_from(["insert", "delete", "replace", "append", "same", "save"]), st.integers(0, 9), FEW),
    max_size=8,
)


def test_any_edit_is_saved(history: SessionHistory) -> None:
    """Whatever is inserted, deleted, replaced and appended between two saves, loading gives the same."""

    @given(st.lists(FEW, max_size=4), EDITS)
    def check(first: list[ChatMessage], edits: list[tuple[str, int, ChatMessage]]) -> None:
        session = Session(messages=first)
        for edit, place, message in [*edits, ("save", 0, SAID)]:
            here = slice(place, place + 1)
            if edit == "insert":
                session.messages.insert(place, message)
            elif edit == "delete":
                del session.messages[here]
            elif edit == "replace" and session.messages[here]:
                session.messages[here] = [message]
            elif edit == "append":
                session.messages.append(message)
            elif edit == "same":
                session.messages[here] = copy.deepcopy(session.messages[here])
            elif edit == "save":
                history.save_session(session)
                loaded = kept(history, session.session_id)
                assert loaded == session
                assert strict([m.to_dict() for m in loaded.messages]) == strict([m.to_dict() for m in session.messages])
        history.delete_session(session.session_id)

    check()


@pytest.mark.skipif(not FILE.exists(), reason="no real conversations here")
def test_real_conversations(history: SessionHistory) -> None:
    """Of an agent: saved as they grow, turn by turn, and loaded equal."""
    for key, each in conversations().items():
        said = [ChatMessage.from_dict(message) for message in each]
        session = Session(key, "airline", messages=said[:1])
        for message in said[1:]:
            history.save_session(session)
            session.messages.append(message)
        history.save_session(session)
        loaded = kept(history, key)
        assert loaded == session
        assert [message.to_dict() for message in loaded.messages] == each
    assert history.session_count() == len(conversations())


def test_saved_through_another_handle(url: str) -> None:
    """A session goes on in whatever has the same store open, with or without changes."""
    with open_backend(url) as backend:
        SessionHistory(backend).create_session(full())
        session = kept(SessionHistory(backend), "k")
    with open_backend(url) as backend:
        history = SessionHistory(backend)
        history.save_session(session)
        session.messages.append(THANKED)
        history.save_session(session)
        assert history.load_session("k") == session


# -- conflicts -------------------------------------------------------------------------------------------------------


def change_messages(history: SessionHistory, backend: SessionBackend) -> None:
    """By another history."""
    del history
    backend.append("k", THANKED)


def change_metadata(history: SessionHistory, backend: SessionBackend) -> None:
    """By somebody who loaded it, too."""
    del backend
    session = kept(history, "k")
    session.metadata["topic"] = "weather"
    history.save_session(session)


def begin_a_turn(history: SessionHistory, backend: SessionBackend) -> None:
    """Without writing anything yet."""
    del history
    backend.set_session_state("k", "running", "t")


def delete(history: SessionHistory, backend: SessionBackend) -> None:
    """All of it."""
    del backend
    history.delete_session("k")


def delete_and_create(history: SessionHistory, backend: SessionBackend) -> None:
    """Another one by the same id, with as many changes."""
    del backend
    history.delete_session("k")
    history.create_session(Session("k", messages=[THANKED]))


@pytest.mark.parametrize("meddle", [change_messages, change_metadata, begin_a_turn, delete, delete_and_create])
def test_a_session_that_another_has_changed(
    meddle: Callable[[SessionHistory, SessionBackend], None], history: SessionHistory, backend: OpenBackend
) -> None:
    """Is a conflict, never an overwrite; the session object is as it was, however often it is tried."""
    history.create_session(full())
    session = kept(history, "k")
    meddle(history, backend)
    there = history.load_session("k")
    session.messages.append(ANSWERED)
    session.agent_name, session.metadata["topic"] = "other", "mine"
    before = copy.deepcopy(session)
    for _ in range(2):
        with pytest.raises(ConflictError):
            history.save_session(session)
        assert session == before
        assert stored_of(session) == stored_of(before)
        assert history.load_session("k") == there


def test_names_and_heartbeats_are_no_conflict(history: SessionHistory, backend: OpenBackend) -> None:
    """A name or a sign of life that comes meanwhile does not keep a session from being saved."""
    backend.set_session_state("k", "running", "t")
    session = kept(history, "k")
    backend.set_session_name("k", "A name")
    backend.set_session_state("k", "running", "t")
    session.messages.append(SAID)
    history.save_session(session)
    assert history.load_session("k") == session


def test_threads_that_save_one_session(backend: OpenBackend) -> None:
    """Each loads it and adds to it at the same time: one saves, the others learn of it, and nothing is overwritten."""
    history = SessionHistory(backend)
    history.create_session(full())
    barrier = threading.Barrier(4)

    def save(number: int) -> bool:
        session = kept(history, "k")
        session.messages.append(ChatMessage("user", f"of {number}"))
        session.metadata["by"] = number
        barrier.wait(timeout=60)
        try:
            history.save_session(session)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(save, range(4)))
    assert sorted(saved) == [False, False, False, True]
    winner = saved.index(True)
    assert contents(history, "k") == ["What time is it?", "Noon.", f"of {winner}"]
    assert kept(history, "k").metadata["by"] == winner


SAVING = """
name, = arguments
history = SessionHistory(backend)
for _ in range(20):
    session = history.load_session("k")
    session.messages.append(ChatMessage("user", name))
    say("loaded")
    wait_for_a_line()
    try:
        history.save_session(session)
    except ConflictError:
        say("conflict")
    else:
        say("saved")
    wait_for_a_line()
"""


def test_processes_that_save_one_session(url: str) -> None:
    """Of two that have loaded the same and save at the same time, one saves and one is told, each time."""
    with open_backend(url) as backend:
        history = SessionHistory(backend)
        history.create_session(Session("k"))
        with Worker(url, SAVING, "a") as a, Worker(url, SAVING, "b") as b:
            winners: list[str] = []
            for _ in range(20):
                assert (a.hear(), b.hear()) == ("loaded", "loaded")
                a.go_on()
                b.go_on()
                outcomes = [a.hear(), b.hear()]
                assert sorted(outcomes) == ["conflict", "saved"]
                winners.append("ab"[outcomes.index("saved")])
                assert contents(history, "k") == winners
                a.go_on()
                b.go_on()
            assert a.finish() == b.finish() == []


def test_a_store_that_comes_and_goes_is_not_taken_for_another() -> None:
    """A session of a store that is gone is not taken for one of a new store, were it at the same place in memory."""
    session = Session("s", messages=[SAID])
    SessionHistory(MemoryBackend()).create_session(session)
    for _ in range(50):
        with pytest.raises(ConflictError):
            SessionHistory(MemoryBackend()).save_session(session)


def test_another_stores_session_is_not_written_to() -> None:
    """A session is not saved into another store's session of the same id, were that at the same revision."""
    first, second = SessionHistory(MemoryBackend()), SessionHistory(MemoryBackend())
    for history, text in ((first, "a"), (second, "b")):
        history.create_session(Session("s", messages=[ChatMessage("user", text)]))
    loaded = first.load_session("s")
    assert loaded is not None
    loaded.messages.append(SAID)
    with pytest.raises(ConflictError, match="another one"):
        second.save_session(loaded)
    found = second.load_session("s")
    assert found is not None
    assert [message.content for message in found.messages] == ["b"]


def test_an_owner_that_could_not_be_shown_is_shown_by_the_next_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the owner could not be told to the store's lists, the next save does, though nothing else has changed."""
    backend = MemoryBackend()
    history, session = SessionHistory(backend), Session("s", agent_name="a")

    def unavailable(*_arguments: object) -> None:
        raise BackendUnavailableError("busy")

    monkeypatch.setattr(MemoryBackend, "set_session_agent_alias", unavailable)
    with pytest.raises(BackendUnavailableError):
        history.create_session(session)
    monkeypatch.undo()
    history.save_session(session)
    assert backend.get_session_agent_alias("s") == "a"
