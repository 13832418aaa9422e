"""Sessions in a store: created, loaded, appended to, listed and deleted, whatever others do meanwhile."""

import copy
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from sessionkit import (
    ChatMessage,
    ConflictError,
    InvalidMessageError,
    InvalidSessionKeyError,
    OpenBackend,
    SessionContext,
    SessionQuery,
    UnknownSessionError,
    Usage,
)
from sessionkit.clock import to_datetime
from sessionkit.history.history import SessionHistory
from sessionkit.history.keeping import stored_of
from sessionkit.history.session import RECORD, Session
from sessionkit_memory import MemoryBackend
from tests.history.sessions import ANSWERED, SAID, THANKED, UNSTORABLE, contents, full, kept, watched


@pytest.fixture
def history(backend: OpenBackend) -> SessionHistory:
    """A history in each kind of store."""
    return SessionHistory(backend)


# -- creating and loading --------------------------------------------------------------------------------------------


def test_created_and_loaded(history: SessionHistory) -> None:
    """Everything comes back equal, of a session full of things and of an empty one."""
    for session in (full(), Session(), Session("nameless", agent_name="", model="")):
        before = copy.deepcopy(session)
        history.create_session(session)
        assert history.load_session(session.session_id) == session == before
    assert history.load_session("unknown") is None
    assert history.session_count() == 3


def test_created_in_one_write() -> None:
    """So that nobody ever sees a part of it; metadata can be searched, and the owner is in the store's own lists."""
    backend, history = watched()
    history.create_session(full())
    [write] = backend.written
    assert write["append"] == [SAID, ANSWERED]
    assert write["if_revision"] == 0
    assert write["attributes"].keys() == {"topic", "tags", "empty", RECORD}
    found = backend.search(SessionQuery(agent_alias="agent", attributes={"topic": "time"}))
    assert [metadata.key for metadata in found] == ["k"]


def test_an_existing_id_is_an_error(history: SessionHistory) -> None:
    """Whether it is created again or saved without having been loaded; nothing is changed."""
    history.create_session(full())
    for save in (history.create_session, history.save_session):
        twin = Session("k", messages=[THANKED])
        before = copy.deepcopy(twin)
        with pytest.raises(ConflictError, match="there is a session 'k' already: load it, or give this one another id"):
            save(twin)
        assert twin == before
        assert stored_of(twin) == stored_of(before)
    with pytest.raises(ConflictError, match="there is a session 'k' already"):
        history.create_session(kept(history, "k"))
    assert history.load_session("k") == full()


def test_a_session_of_another_store(history: SessionHistory, backend: OpenBackend) -> None:
    """It is brought over by creating it, its owner too, and is kept there; saving it never does nothing in silence."""
    session = full()
    with MemoryBackend() as elsewhere:
        other = SessionHistory(elsewhere)
        other.create_session(session)
        for each in (session, kept(other, "k")):
            with pytest.raises(
                ConflictError, match=r"there is no session 'k' any more, or it is of another store; create"
            ):
                history.save_session(each)
        history.create_session(session)
        assert [metadata.key for metadata in backend.search(SessionQuery(agent_alias="agent"))] == ["k"]
        session.messages.append(THANKED)
        history.save_session(session)
        assert history.load_session("k") == session
        assert contents(other, "k") == ["What time is it?", "Noon."]


def test_what_can_not_be_stored_creates_nothing(history: SessionHistory) -> None:
    """Neither an unstorable message nor metadata nor a bad key; the session is as it was, and can be mended."""
    session = Session("k", messages=[SAID, UNSTORABLE])
    with pytest.raises(InvalidMessageError, match=r"extra\['x'\] is nan"):
        history.create_session(session)
    session.messages[1:] = []
    session.metadata = {"x": None}
    with pytest.raises(ValueError, match=r"metadata\['x'\] is None"):
        history.save_session(session)
    assert history.session_count() == 0
    for call in (history.load_session, history.delete_session, lambda key: history.append_messages(key, [])):
        with pytest.raises(InvalidSessionKeyError):
            call("")
    session.metadata = {}
    history.save_session(session)
    assert history.load_session("k") == session


def test_a_session_that_the_backend_wrote(history: SessionHistory, backend: OpenBackend) -> None:
    """Is loaded, goes on, and gets no record before there is something to record."""
    backend.append("k", SAID)
    backend.set_session_context("k", SessionContext(attributes={"topic": "time"}))
    backend.set_session_agent_alias("k", "agent")
    session = kept(history, "k")
    metadata = backend.get_session_metadata("k")
    assert metadata is not None
    assert session == Session("k", "agent", None, [SAID], metadata.created_at or 0, metadata={"topic": "time"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- it has a time
    session.messages.append(ANSWERED)
    history.save_session(session)
    assert backend.load("k") == [SAID, ANSWERED]
    metadata = backend.get_session_metadata("k")
    assert metadata is not None
    assert metadata.attributes == {"topic": "time"}
    session.usage.add(Usage(5))
    history.save_session(session)
    assert history.load_session("k") == session


@pytest.mark.parametrize("method", ["load", "get_session_metadata"])
def test_loaded_of_one_moment(method: str) -> None:
    """Whoever writes meanwhile: messages and all else belong together, and can be saved."""
    backend, history = watched()
    other = full()
    history.create_session(other)

    def meddle() -> None:
        other.messages.append(THANKED)
        other.metadata["topic"] = "thanks"
        SessionHistory(backend.__wrapped__).save_session(other)

    backend.after[method] = meddle
    session = kept(history, "k")
    assert session == other
    assert len(session.messages) == 3
    session.messages.append(SAID)
    history.save_session(session)


def test_loading_beside_somebody_who_writes_all_the_time() -> None:
    """Ends; what was loaded can't be saved over what was written."""
    backend, history = watched()
    history.create_session(full())

    def meddle() -> None:
        history.append_messages("k", [THANKED])
        backend.before["load"] = meddle

    backend.before["load"] = meddle
    session = kept(history, "k")
    backend.before.clear()
    assert len(session.messages) > 2
    session.messages.append(SAID)
    with pytest.raises(ConflictError):
        history.save_session(session)


def test_loading_what_is_deleted_meanwhile() -> None:
    """A session that is deleted while it is loaded is None, rather than one without messages."""
    backend, history = watched()
    history.create_session(full())
    backend.after["load"] = lambda: backend.__wrapped__.delete_session("k")
    assert history.load_session("k") is None


# -- appending -------------------------------------------------------------------------------------------------------


def test_appended(history: SessionHistory) -> None:
    """Messages of any iterable are appended in its order, and nothing else of the session changes."""
    history.create_session(full())
    history.append_messages("k", (message for message in (THANKED, SAID)))
    history.append_messages("k", [])
    assert history.load_session("k") == attrs.evolve(full(), messages=[SAID, ANSWERED, THANKED, SAID])


def test_appended_all_or_none(history: SessionHistory) -> None:
    """Where one of several messages can't be stored, none of them is."""
    history.create_session(full())
    with pytest.raises(InvalidMessageError):
        history.append_messages("k", [THANKED, UNSTORABLE])
    assert history.load_session("k") == full()


@pytest.mark.parametrize("added", [[], [SAID]])
def test_appending_to_an_unknown_session(history: SessionHistory, added: list[ChatMessage]) -> None:
    """Appending to a session that is not there is an error, even of no message, and creates none."""
    with pytest.raises(UnknownSessionError, match="there is no session 'k' to append to; create_session"):
        history.append_messages("k", added)
    assert history.session_count() == 0


def test_appending_to_what_is_deleted_just_then() -> None:
    """A session that is deleted just before an append is not brought back with those messages alone."""
    backend, history = watched()
    history.create_session(full())
    backend.before["write"] = lambda: backend.__wrapped__.delete_session("k")
    with pytest.raises(UnknownSessionError):
        history.append_messages("k", [THANKED])
    assert history.session_count() == 0


def test_appending_beside_others() -> None:
    """Appending beside others is no conflict: all of it is appended again, even what came from an iterator."""
    backend, history = watched()
    history.create_session(full())
    backend.before["write"] = lambda: backend.__wrapped__.append("k", SAID)
    history.append_messages("k", iter([THANKED, ANSWERED]))
    assert kept(history, "k").messages == [SAID, ANSWERED, SAID, THANKED, ANSWERED]


def test_appending_gives_up_in_the_end() -> None:
    """Where others are faster each time, appending ends in a conflict, and nothing was appended."""
    backend, history = watched()
    history.create_session(full())

    def meddle() -> None:
        backend.__wrapped__.append("k", THANKED)
        backend.before["write"] = meddle

    meddle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: None)
        with pytest.raises(ConflictError, match="others wrote to 'k' first, 100 times in a row; try again"):
            history.append_messages("k", [ChatMessage.user("late")])
    assert "late" not in contents(history, "k")


def test_all_that_threads_append_arrives(history: SessionHistory) -> None:
    """Once, each thread's in its order, and each call's together."""
    history.create_session(Session("k"))

    def append(name: int) -> None:
        for number in range(0, 16, 2):
            history.append_messages("k", [ChatMessage("user", f"{name} {number + i}") for i in (0, 1)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(8)))
    found = contents(history, "k")
    for name in range(8):
        assert [text for text in found if text.startswith(f"{name} ")] == [f"{name} {i}" for i in range(16)]
    assert len(found) == 128
    assert all(a.split()[0] == b.split()[0] for a, b in zip(found[::2], found[1::2], strict=True))


# -- listing and deleting --------------------------------------------------------------------------------------------


def test_listed(history: SessionHistory, backend: OpenBackend) -> None:
    """Newest activity first, whoever wrote them, with what is known of them."""
    for name in "abc":
        history.create_session(full(name))
    backend.append("d", SAID)
    history.append_messages("a", [THANKED])
    summaries = history.list_sessions()
    assert [summary.session_id for summary in summaries] == ["a", "d", "c", "b"]
    first, second = summaries[:2]
    assert (first.agent_name, first.model, first.message_count, first.turn_count) == ("agent", "model", 3, 1)
    assert (first.tool_call_count, first.started_at, first.ended_at) == (0, to_datetime(10**15), full().ended_at)
    metadata = backend.get_session_metadata("a")
    assert metadata is not None
    assert first.updated_at == metadata.last_activity
    metadata = backend.get_session_metadata("d")
    assert metadata is not None
    assert (second.agent_name, second.started_at) == (None, metadata.created_at)


def test_listing_reads_no_message() -> None:
    """Listing and counting sessions never read a message."""
    backend, history = watched()
    history.create_session(full())

    def fail() -> None:
        pytest.fail("a message was read")

    backend.before = dict.fromkeys(("load", "load_with_timestamps"), fail)
    assert len(history.list_sessions()) == len(history.list_agent_sessions("agent")) == history.session_count() == 1


def test_sessions_of_an_agent(history: SessionHistory, backend: OpenBackend) -> None:
    """By the owner that is set in the store, or the one that is recorded where none is set."""
    for name, agent in (("a", "one"), ("b", "two"), ("c", "one"), ("d", None)):
        history.create_session(Session(name, agent))
    backend.set_session_agent_alias("c", "")  # as where the writer died before it said who owns it
    backend.set_session_agent_alias("d", "two")

    def owned_by(agent: str) -> list[str]:
        return [summary.session_id for summary in history.list_agent_sessions(agent)]

    assert (owned_by("one"), owned_by("two"), owned_by("three")) == (["c", "a"], ["d", "b"], [])
    session = kept(history, "b")
    session.agent_name = "three"
    history.save_session(session)
    assert (owned_by("two"), owned_by("three")) == (["d"], ["b"])
    assert backend.get_session_agent_alias("b") == "three"
    session.agent_name = None
    history.save_session(session)
    assert owned_by("three") == []
    assert backend.get_session_agent_alias("b") is None


def test_deleted_and_counted(history: SessionHistory) -> None:
    """A session is deleted once, is neither counted nor loaded then, and can be created anew."""
    for name in "abc":
        history.create_session(Session(name))
    assert history.delete_session("b") is True
    assert history.delete_session("b") is False
    assert history.session_count() == 2
    assert history.load_session("b") is None
    history.create_session(Session("b"))
    assert history.session_count() == 3
