"""Forks: a new session from the beginning of another, in one write."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessionkit import (
    JSON,
    ChatMessage,
    ConflictError,
    InvalidSessionKeyError,
    OpenBackend,
    SessionContext,
    SessionMetadata,
    SupportsWrite,
    TimestampedMessage,
    UnknownSessionError,
    UnsupportedOperationError,
    Usage,
)
from sessionkit.history.forking import fork
from sessionkit.history.history import SessionHistory
from sessionkit.history.session import AggregatedUsage, Session
from sessionkit_memory import MemoryBackend
from tests.toys import DictBackend, InheritingBackend

MESSAGES = [ChatMessage("user", str(number), timestamp=datetime(2020, 1, 1, tzinfo=UTC)) for number in range(5)]
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)


def filled(backend: Any, key: str = "s", **attributes: JSON) -> Any:
    """A session with the messages, and some attributes."""
    assert isinstance(backend, SupportsWrite)
    backend.write(key, append=MESSAGES, attributes=attributes)
    return backend


def attributes_of(backend: OpenBackend, key: str) -> Mapping[str, JSON]:
    """The attributes of a session."""
    metadata = backend.get_session_metadata(key)
    assert metadata is not None
    return metadata.attributes


@pytest.mark.parametrize("upto", [None, 0, 1, 3, 5])
def test_a_fork_has_the_first_messages(backend: OpenBackend, upto: int | None) -> None:
    """As many as were asked for, or all; and says whence they are."""
    filled(backend)
    before = backend.get_session_metadata("s")
    fork(backend, "s", "new", upto=upto)
    assert backend.load("new") == MESSAGES[:upto]
    assert attributes_of(backend, "new") == {"forked_from": {"key": "s", "messages": len(MESSAGES[:upto])}}
    assert backend.load("s") == MESSAGES
    assert backend.get_session_metadata("s") == before


def test_a_fork_is_a_session_of_its_own(backend: OpenBackend) -> None:
    """Created now, idle, without the source's name and place; what happens to one does not reach the other."""
    metadata = SessionMetadata("s", created_at=LONG_AGO, state="running", turn_id="t", name="a name", room_id="r")
    restoring: Any = backend
    restoring.restore("s", [TimestampedMessage(MESSAGES[0], LONG_AGO)], metadata)
    fork(backend, "s", "new")
    found = backend.get_session_metadata("new")
    assert found is not None
    assert found.created_at is not None
    assert found.created_at > LONG_AGO + timedelta(days=1)
    assert (found.state, found.turn_id, found.name, found.room_id) == ("idle", None, None, None)
    backend.append("new", MESSAGES[1])
    backend.set_session_context("new", SessionContext(attributes={"mine": True}))
    assert backend.load("s") == MESSAGES[:1]
    assert attributes_of(backend, "s") == {}


def test_attributes_are_carried_over_but_no_usage(backend: OpenBackend) -> None:
    """The caller's, the agent and the model; nothing else of the record, nor where the source was forked from."""
    record = {"agent_name": "clerk", "model": "m", "started_at": "2020-01-01T00:00:00Z", "usage": {"request_count": 3}}
    filled(backend, sessionkit=record, tags=["a", {"b": None}], forked_from={"key": "older", "messages": 9})
    fork(backend, "s", "new", upto=2)
    assert attributes_of(backend, "new") == {
        "tags": ["a", {"b": None}],
        "sessionkit": {"agent_name": "clerk", "model": "m"},
        "forked_from": {"key": "s", "messages": 2},
    }


def test_the_owner_is_carried_over(backend: OpenBackend) -> None:
    """The alias, where lists show it, and in the record, where it is written with the messages at once."""
    filled(backend)
    backend.set_session_agent_alias("s", "clerk")
    fork(backend, "s", "new")
    assert backend.get_session_agent_alias("new") == "clerk"
    assert attributes_of(backend, "new")["sessionkit"] == {"agent_name": "clerk"}


@pytest.mark.parametrize("record", ["text", 5, ["list"], {"agent_name": 5, "model": None}, {"model": ["m"]}, {}])
def test_a_record_that_somebody_else_wrote_is_not_carried_over(backend: OpenBackend, record: JSON) -> None:
    """Of a record, a fork takes no more than can be read as an agent's and a model's name."""
    filled(backend, sessionkit=record)
    fork(backend, "s", "new")
    assert list(attributes_of(backend, "new")) == ["forked_from"]


def test_the_history_loads_a_fork(backend: OpenBackend) -> None:
    """With its source's agent, model and metadata, its own beginning, and nothing used."""
    usage = AggregatedUsage()
    usage.add(Usage(10, 5))
    history = SessionHistory(backend)
    old = Session("s", "clerk", "m", MESSAGES, started_at=LONG_AGO, usage=usage, metadata={"tag": 1})
    history.create_session(old)
    fork(backend, "s", "new", upto=3)
    new = history.load_session("new")
    assert new is not None
    assert (new.agent_name, new.model, new.messages, new.ended_at) == ("clerk", "m", MESSAGES[:3], None)
    assert new.metadata == {"tag": 1, "forked_from": {"key": "s", "messages": 3}}
    assert new.usage == AggregatedUsage()
    assert new.started_at > LONG_AGO + timedelta(days=1)
    assert [summary.session_id for summary in history.list_agent_sessions("clerk")] == ["new", "s"]


def test_a_session_without_messages_can_be_forked(backend: OpenBackend) -> None:
    """One that has been given no more than a name, and one whose messages are gone."""
    backend.set_session_name("s", "a name")
    fork(backend, "s", "new")
    fork(backend, "s", "newer", upto=0)
    fork(backend, "new", "newest")
    assert backend.load("new") == []
    assert attributes_of(backend, "newer") == {"forked_from": {"key": "s", "messages": 0}}
    assert attributes_of(backend, "newest") == {"forked_from": {"key": "new", "messages": 0}}


def test_bad_input_gets_an_error_and_creates_nothing(backend: OpenBackend) -> None:
    """Each bad argument is refused by an error that says what is wrong with it, and no session comes about."""
    filled(backend)
    with pytest.raises(UnknownSessionError, match="no session 'unknown' to fork"):
        fork(backend, "unknown", "new")
    with pytest.raises(ValueError, match="'s' has 5 messages, so there are no first 6 to fork"):
        fork(backend, "s", "new", upto=6)
    with pytest.raises(ValueError, match="has 5 messages"):
        fork(backend, "s", "new", upto=10**30)
    with pytest.raises(ValueError, match="upto must be 0 or more"):
        fork(backend, "s", "new", upto=-1)
    not_whole: Any = 1.0
    with pytest.raises(TypeError, match="upto is a whole number"):
        fork(backend, "s", "new", upto=not_whole)
    with pytest.raises(InvalidSessionKeyError):
        fork(backend, "", "new")
    with pytest.raises(InvalidSessionKeyError):
        fork(backend, "s", "")
    assert backend.list_sessions() == ["s"]


@pytest.mark.parametrize("existing", ["s", "other"])
def test_the_new_key_must_not_exist(backend: OpenBackend, existing: str) -> None:
    """Not even as the source; what is there stays as it is."""
    filled(backend)
    backend.append("other", MESSAGES[0])
    before = backend.get_session_metadata(existing)
    with pytest.raises(ConflictError, match=f"'{existing}' exists: fork to another key"):
        fork(backend, "s", existing, upto=2)
    assert backend.get_session_metadata(existing) == before


def test_of_two_forks_to_one_key_one_fails(backend: OpenBackend) -> None:
    """However many fork to one key at once, exactly one succeeds, and what it wrote is there as a whole."""
    for length in range(1, 5):
        filled(backend, f"s{length}", mark=length)
    start = threading.Barrier(4)
    lost: list[int] = []

    def attempt(length: int) -> None:
        start.wait()
        try:
            fork(backend, f"s{length}", "new", upto=length)
        except ConflictError:
            lost.append(length)

    threads = [threading.Thread(target=attempt, args=(length,)) for length in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [won] = set(range(1, 5)) - set(lost)
    assert backend.load("new") == MESSAGES[:won]
    forked_from = {"key": f"s{won}", "messages": won}
    assert attributes_of(backend, "new") == {"mark": won, "forked_from": forked_from}


def test_a_backend_without_write_is_refused() -> None:
    """A backend that can't write atomically is refused before anything is read or created."""
    backend = InheritingBackend()
    backend.append("s", MESSAGES[0])
    with pytest.raises(UnsupportedOperationError, match=r"InheritingBackend offers no write\(\).*fork\(\)"):
        fork(backend, "s", "new")
    assert backend.list_sessions() == ["s"]


class Writing(DictBackend):
    """A backend of the four methods and `write`: no attributes, no beginning by itself, an alias that is never set."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, Any] = {}

    def get_session_agent_alias(self, session_key: str, /) -> str:
        """The same for all."""
        return f"the owner of {session_key}"

    def write(self, session_key: str, /, **what: Any) -> int:
        """Remembers what it was told."""
        self.written = {"key": session_key} | what
        return 1


def test_a_backend_may_offer_no_more_than_write() -> None:
    """No alias is set, then, and the beginning is found by loading all; no warning either."""
    backend = Writing()
    for message in MESSAGES:
        backend.append("s", message)
    fork(backend, "s", "new", upto=2)
    attributes = {"sessionkit": {"agent_name": "the owner of s"}, "forked_from": {"key": "s", "messages": 2}}
    expected = {"append": MESSAGES[:2], "attributes": attributes, "if_revision": 0}
    assert backend.written == {"key": "new"} | expected


class Busy(MemoryBackend):
    """Counts the messages that it hands out; now and then somebody writes after a read."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_out = 0
        self.changes: list[Any] = []

    def _seen(self, found: list[TimestampedMessage]) -> list[TimestampedMessage]:
        self.handed_out += len(found)
        if self.changes:
            self.changes.pop()()
        return found

    def load(self, session_key: str, /) -> list[ChatMessage]:
        """Counted."""
        return [stored.message for stored in self._seen(super().load_with_timestamps(session_key))]

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """Counted."""
        return self._seen(super().load_first(session_key, count))


def test_a_few_messages_of_a_long_session_cost_themselves() -> None:
    """To fork the first messages of a session reads those and no more, however long it is."""
    backend = Busy()
    backend.write("s", append=MESSAGES * 1_000)
    fork(backend, "s", "new", upto=3)
    assert backend.handed_out == 3


@pytest.mark.parametrize("upto", [None, 2])
def test_messages_and_attributes_are_of_one_moment(upto: int | None) -> None:
    """Where somebody writes between the reads, they are read again."""
    backend = Busy()
    filled(backend, mark="old")
    backend.changes = [lambda: backend.write("s", drop_last=4, append=[MESSAGES[4]], attributes={"mark": "new"})]
    fork(backend, "s", "new", upto=upto)
    assert backend.load("new") == [MESSAGES[0], MESSAGES[4]]
    assert attributes_of(backend, "new")["mark"] == "new"


def test_who_writes_all_the_time_does_not_keep_a_fork_from_coming_about() -> None:
    """It has the messages of one moment in any case."""
    backend = Busy()
    filled(backend)
    backend.changes = [lambda: backend.append("s", MESSAGES[0])] * 100
    fork(backend, "s", "new")
    assert len(backend.changes) == 100 - 8
    found = backend.load("new")
    assert found == MESSAGES + [MESSAGES[0]] * (len(found) - 5)
    assert attributes_of(backend, "new")["forked_from"] == {"key": "s", "messages": len(found)}


def test_a_source_that_is_deleted_meanwhile_is_unknown() -> None:
    """A source that is deleted between the reads is an error, and no fork without messages comes about."""
    backend = Busy()
    filled(backend)
    backend.changes = [lambda: backend.delete_session("s")]
    with pytest.raises(UnknownSessionError):
        fork(backend, "s", "new")
    assert backend.list_sessions() == []
