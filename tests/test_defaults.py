"""What the defaults of the eighteen do, and storing several messages at once."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from sessionkit import (
    ChatMessage,
    InvalidMessageError,
    InvalidSessionKeyError,
    SessionBackend,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    SessionState,
    Support,
    SupportsWrite,
    TimestampedMessage,
    ToolCall,
    UnsupportedFeatureWarning,
    UnsupportedOperationError,
    aio,
    capabilities,
    encode_message,
    extend,
    open_backend,
    with_defaults,
)
from sessionkit.defaults import UNSUPPORTED_DEFAULTS, as_open_backend, supports
from sessionkit.protocol import PROVIDED
from sessionkit.testing.suite.keys import BY_KEY
from tests.toys import DictBackend, InheritingBackend, KeepingBackend

MOMENT = datetime(2023, 11, 7, tzinfo=UTC)

BACKENDS: dict[str, Callable[[], SessionBackend]] = {
    "inherited": InheritingBackend,
    "wrapped": lambda: with_defaults(DictBackend()),
}


@pytest.fixture(name="backend", params=BACKENDS)
def _backend(request: pytest.FixtureRequest) -> SessionBackend:
    """A backend of four methods made whole, one way or the other."""
    return BACKENDS[request.param]()


def said(text: str, seconds: float = 0, role: str = "user") -> ChatMessage:
    """A message, stamped so many seconds after MOMENT."""
    return ChatMessage(role, text, timestamp=MOMENT + timedelta(seconds=seconds))


# -- every default -------------------------------------------------------------------------------------------------


def test_load_with_timestamps_slices_and_gives_the_messages_own(backend: SessionBackend) -> None:
    """The newest n, oldest first; None where a message has no time."""
    messages = [said("a"), ChatMessage("user", "b"), said("c", 2)]
    for message in messages:
        backend.append("k", message)
    stored = [TimestampedMessage(message, message.timestamp) for message in messages]
    assert backend.load_with_timestamps("k") == stored
    for last in (0, 1, 2, 3, 4):
        assert backend.load_with_timestamps("k", last=last) == stored[3 - min(last, 3) :]
    assert backend.load_with_timestamps("unknown", last=1) == []
    with pytest.raises(ValueError, match="last must be 0 or more"):
        backend.load_with_timestamps("k", last=-1)


def test_update_last_replaces_the_newest(backend: SessionBackend) -> None:
    """And does nothing, saying so, where there is none."""
    assert not backend.update_last("k", said("a"))
    assert backend.list_sessions() == []
    backend.append("k", said("a"))
    backend.append("k", said("b"))
    assert backend.update_last("k", said("c"))
    assert backend.load("k") == [said("a"), said("c")]


def test_update_last_keeps_the_old_message_where_the_new_is_invalid(backend: SessionBackend) -> None:
    """It is checked before anything is removed."""
    backend.append("k", said("a"))
    with pytest.raises(InvalidMessageError):
        backend.update_last("k", ChatMessage("user", extra={"x": float("nan")}))
    assert backend.load("k") == [said("a")]


def test_metadata_is_derived(backend: SessionBackend) -> None:
    """Counts from the messages, times from the earliest and the latest of their timestamps; None without messages."""
    assert backend.get_session_metadata("k") is None
    for message in (
        said("late", 5),
        ChatMessage("user"),
        said("early", 1, "assistant"),
        ChatMessage("assistant", tool_calls=[ToolCall("i", "n", "a")]),
    ):
        backend.append("k", message)
    expected = SessionMetadata("k", MOMENT + timedelta(seconds=1), MOMENT + timedelta(seconds=5), 4, 1, 1)
    assert backend.get_session_metadata("k") == expected
    assert backend.list_sessions_with_metadata() == [expected]


def test_lists_are_ordered_by_the_derived_activity(backend: SessionBackend) -> None:
    """Though the backend lists in any order; sessions without times last."""
    for key, moment in (("c", 1), ("a", 1), ("b", 2)):
        backend.append(key, said("x", moment))
    backend.append("0", ChatMessage("user"))
    assert [metadata.key for metadata in backend.list_sessions_with_metadata()] == ["b", "a", "c", "0"]


def test_search_scans(backend: SessionBackend) -> None:
    """Every message, with filters, offset and limit."""
    for key, text, moment in (("a", "red car", 1), ("b", "car", 2), ("c", "blue car", 3), ("d", "red", 4)):
        backend.append(key, said(text, moment))

    def found(*args: Any, **options: Any) -> list[str]:
        return [metadata.key for metadata in backend.search(SessionQuery(*args, **options))]

    assert found("CAR") == ["c", "b", "a"]
    assert found("car red") == ["a"]
    assert found() == ["d", "c", "b", "a"]
    assert found("car", offset=1, limit=1) == ["b"]
    assert found("car", active_since=MOMENT + timedelta(seconds=2)) == ["c", "b"]
    assert found("car", state="idle") == []


def test_clear_and_delete_remove_every_message(backend: SessionBackend) -> None:
    """Clearing tells how many, deleting whether the session was listed; the others are left alone."""
    for key in ("a", "a", "b", "c"):
        backend.append(key, said("x"))
    assert backend.clear_messages("a") == 2
    assert backend.clear_messages("a") == 0
    assert backend.delete_session("b")
    assert not backend.delete_session("b")
    assert backend.load("a") == backend.load("b") == []
    assert backend.list_sessions() == ["c"]


def test_cleanup_deletes_what_is_older_and_has_times(backend: SessionBackend) -> None:
    """Without times none is stale; and each is looked at again."""
    backend.append("old", said("x"))
    backend.append("new", ChatMessage.user("x"))
    backend.append("timeless", ChatMessage("user", "x"))
    assert backend.cleanup_stale(10**6) == 0
    assert backend.cleanup_stale(1) == 1
    assert sorted(backend.list_sessions()) == ["new", "timeless"]
    with pytest.raises(ValueError, match="ttl_hours must be 0 or more"):
        backend.cleanup_stale(-1)


def test_cleanup_looks_again() -> None:
    """A session that became active after the listing stays."""

    class Revived(InheritingBackend):
        def list_sessions_with_metadata(self) -> list[SessionMetadata]:
            listed = super().list_sessions_with_metadata()
            self.append("k", ChatMessage.user("back again"))
            return listed

    backend = Revived()
    backend.append("k", said("x"))
    assert backend.cleanup_stale(1) == 0
    assert len(backend.load("k")) == 2


def test_compact_does_nothing(backend: SessionBackend) -> None:
    """And is no reason to warn."""
    backend.append("k", said("x"))
    backend.compact("k")
    backend.compact("unknown")
    assert backend.load("k") == [said("x")]


WARNING: dict[str, Callable[[SessionBackend], Any]] = {
    "set_session_name": lambda backend: backend.set_session_name("k", "n"),
    "set_session_agent_alias": lambda backend: backend.set_session_agent_alias("k", "n"),
    "set_session_context": lambda backend: backend.set_session_context("k", SessionContext("c")),
    "set_session_state": lambda backend: backend.set_session_state("k", "running", "t"),
    "list_running_sessions": lambda backend: backend.list_running_sessions() or None,
    "list_stuck_sessions": lambda backend: backend.list_stuck_sessions(0) or None,
}


@pytest.mark.parametrize("method", WARNING)
def test_a_default_that_can_not_warns_at_each_call(backend: SessionBackend, method: str) -> None:
    """Naming the class and the method to override, at the place of the call; and answers as if nothing were known."""
    name = type(getattr(backend, "__wrapped__", backend)).__name__
    for _ in range(2):
        with pytest.warns(
            UnsupportedFeatureWarning, match=rf"^{name} does not .*override {name}\.{method}\(\)"
        ) as all_:
            assert WARNING[method](backend) is None
        assert [warning.filename for warning in all_] == [__file__]
    assert backend.list_sessions() == []


def test_a_default_that_knows_nothing_says_so_quietly(backend: SessionBackend) -> None:
    """The getters have nothing to give, whatever was set."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.get_session_name("k") is None
        assert backend.get_session_agent_alias("k") is None
        assert backend.get_session_state("k") is None


def test_what_warns_is_what_is_unsupported(backend: SessionBackend) -> None:
    """The table of unsupported defaults is that of the bodies: those that warn, and the getters of the same."""
    getters = {"get_session_name", "get_session_agent_alias", "get_session_state"}
    methods = capabilities(backend).methods
    unsupported = {name for name, support in methods.items() if support is Support.UNSUPPORTED}
    assert {*WARNING, *getters} == UNSUPPORTED_DEFAULTS == unsupported


@pytest.mark.parametrize("method", [name for name in PROVIDED if name in BY_KEY])
def test_a_default_refuses_what_is_no_key(backend: SessionBackend, method: str) -> None:
    """Before it warns or answers."""
    with pytest.raises(InvalidSessionKeyError):
        BY_KEY[method](cast("Any", backend), "")


def test_defaults_refuse_arguments_out_of_range(backend: SessionBackend) -> None:
    """As every backend does."""
    with pytest.raises(ValueError, match="a state can't be empty"):
        backend.set_session_state("k", "")
    with pytest.raises(ValueError, match="threshold_secs must be 0 or more"):
        backend.list_stuck_sessions(-1)


# -- extend --------------------------------------------------------------------------------------------------------

INVALID = ChatMessage("user", extra={"x": float("nan")})


def test_extend_stores_all_or_none_through_write() -> None:
    """In order, from any iterable."""
    with open_backend("memory://") as backend:
        extend(backend, "k", (said(text) for text in "abc"))
        assert backend.load("k") == [said("a"), said("b"), said("c")]
        with pytest.raises(InvalidMessageError):
            extend(backend, "k", [said("d"), INVALID])
        assert len(backend.load("k")) == 3
        extend(backend, "empty", [])
        assert backend.list_sessions() == ["k"]


def test_extend_without_write_is_refused_unless_asked_for(backend: SessionBackend) -> None:
    """The error says what to pass; nothing was stored."""
    with pytest.raises(UnsupportedOperationError, match=r"Backend has no write\(\) .*atomic=False"):
        extend(backend, "k", [said("a")])
    assert backend.list_sessions() == []
    extend(backend, "k", (said(text) for text in "abc"), atomic=False)
    assert backend.load("k") == [said("a"), said("b"), said("c")]


def test_extend_checks_every_message_before_the_first_is_stored(backend: SessionBackend) -> None:
    """So that an invalid one is no reason for half of them."""
    with pytest.raises(InvalidMessageError):
        extend(backend, "k", [said("a"), INVALID], atomic=False)
    assert backend.list_sessions() == []


class Limited(InheritingBackend):
    """Takes short messages only."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """Refused by a limit of its own."""
        encode_message(message, max_bytes=100)
        super().append(session_key, message)


def test_what_can_not_replace_the_newest_leaves_it() -> None:
    """Though the default has removed it when the backend refuses the new one."""
    backend = Limited()
    backend.append("k", ChatMessage("user", "old"))
    with pytest.raises(InvalidMessageError, match="max_message_bytes is 100"):
        backend.update_last("k", ChatMessage("user", "x" * 200))
    assert backend.load("k") == [ChatMessage("user", "old")]


class Labelled(KeepingBackend):
    """Four methods, and some of the getters."""

    def get_session_name(self, session_key: str, /) -> str | None:
        """Of each."""
        return f"name of {session_key}"

    def get_session_agent_alias(self, session_key: str, /) -> str | None:
        """Of each."""
        return f"agent of {session_key}"

    def get_session_state(self, session_key: str, /) -> SessionState | None:
        """All run."""
        del session_key
        return SessionState("running", "t", MOMENT, MOMENT + timedelta(seconds=9))


def test_derived_metadata_has_what_the_backend_itself_knows() -> None:
    """A backend that knows names, aliases or states finds its sessions by them; a heartbeat is activity."""
    backend = Labelled()
    backend.append("k", said("x", 1))
    [found] = backend.search(SessionQuery(agent_alias="agent of k", state="running"))
    assert (found.name, found.turn_id, found.turn_started_at) == ("name of k", "t", MOMENT)
    assert found.last_activity == found.heartbeat_at == MOMENT + timedelta(seconds=9)
    assert backend.search(SessionQuery(agent_alias="agent of another")) == []
    backend.remove_last("k")
    [found] = backend.search(SessionQuery(state="running"))
    assert (found.name, found.message_count, found.created_at) == ("name of k", 0, None)


def test_sessions_without_times_stay_in_the_order_of_the_backend() -> None:
    """Which may know better than the messages say."""

    class Backwards(InheritingBackend):
        """The last created comes first."""

        def list_sessions(self) -> list[str]:
            """As a dict remembers them."""
            return super().list_sessions()[::-1]

    backend = Backwards()
    for key in "abc":
        backend.append(key, ChatMessage("user"))
    assert [metadata.key for metadata in backend.list_sessions_with_metadata()] == ["c", "b", "a"]


def test_what_can_not_be_called_is_no_method() -> None:
    """An attribute that only has the name of a method, or of ``close``, is not taken for one."""
    made = DictBackend()
    vars(made).update(close=None, write="x", search=None)
    with as_open_backend(made) as backend:
        assert not supports(backend, SupportsWrite)
        assert backend.search(SessionQuery()) == []


# -- what is awaited -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "take", [with_defaults, as_open_backend, lambda backend: extend(backend, "k", [], atomic=False)]
)
def test_an_awaited_backend_is_refused(take: Callable[[Any], object]) -> None:
    """It is an error that says what to do, rather than coroutines that nobody awaits; the one beneath it is taken."""
    awaited = aio.AsyncBackend(KeepingBackend())
    with pytest.raises(TypeError, match=r"^AsyncBackend is asynchronous: .*sessionkit\.aio has.* pass its \.sync$"):
        take(awaited)
    take(awaited.sync)
