"""The shape of the contract: which methods there are, and how they are called."""

import inspect
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessionkit import (
    ChatMessage,
    CoreBackend,
    OpenBackend,
    SessionBackend,
    SupportsCheck,
    SupportsFirst,
    SupportsRestore,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
    UnsupportedFeatureWarning,
    open_backend,
    with_defaults,
)
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED, REQUIRED
from sessionkit.registry import BUILT_IN
from tests.toys import DictBackend

OPTIONAL = (SupportsWrite, SupportsTurns, SupportsTurnState, SupportsFirst, SupportsRestore, SupportsCheck)
PROTOCOLS = (CoreBackend, SessionBackend, *OPTIONAL, OpenBackend)


def test_there_are_4_and_18() -> None:
    """The 22 methods stay 22 for good: what grows later is an optional protocol."""
    assert list(REQUIRED) == ["load", "append", "remove_last", "list_sessions"]
    assert list(PROVIDED) == [
        *("load_with_timestamps", "update_last", "list_sessions_with_metadata", "compact", "cleanup_stale", "search"),
        *("clear_messages", "delete_session", "set_session_name", "get_session_name", "set_session_agent_alias"),
        *("get_session_agent_alias", "set_session_context", "get_session_metadata", "set_session_state"),
        *("get_session_state", "list_running_sessions", "list_stuck_sessions"),
    ]
    public = {name for name in dir(SessionBackend) if not name.startswith("_")}
    assert public == {*REQUIRED, *PROVIDED}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_leading_arguments_are_positional_and_options_keywords(protocol: type) -> None:
    """So that names may be chosen freely by an author, and options be added."""
    for name, method in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        kinds = {
            parameter.kind for parameter in inspect.signature(method).parameters.values() if parameter.name != "self"
        }
        either = {inspect.Parameter.POSITIONAL_OR_KEYWORD} if name == "set_session_state" else set()
        assert kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY, *either}, name
        assert method.__doc__, name


def turn_of(backend: OpenBackend) -> str | None:
    """The turn of the session k."""
    state = backend.get_session_state("k")
    assert state
    return state.turn_id


@pytest.mark.parametrize("scheme", BUILT_IN)
def test_a_turn_id_may_be_given_by_name(scheme: str, tmp_path: Path) -> None:
    """Or by its place, to every backend."""
    path = "" if scheme == "memory" else f"/{tmp_path}/store"
    with open_backend(f"{scheme}://{path}") as backend:
        backend.set_session_state("k", "running", turn_id="named")
        assert turn_of(backend) == "named"
        backend.set_session_state("k", "running", "placed")
        assert turn_of(backend) == "placed"
    with pytest.warns(UnsupportedFeatureWarning):
        with_defaults(DictBackend()).set_session_state("k", "running", turn_id="t")


@pytest.mark.parametrize("method", REQUIRED)
def test_without_one_of_the_four_nothing_is_built(method: str) -> None:
    """The error comes at construction, not at the first call."""
    methods: dict[str, Any] = {name: vars(DictBackend)[name] for name in REQUIRED if name != method}
    incomplete = type("Incomplete", (SessionBackend,), methods)
    with pytest.raises(TypeError, match=method):
        incomplete()


def test_an_attrs_class_can_be_a_slotted_backend() -> None:
    """The protocols add no `__dict__`, and no `__init__` of their own."""

    @attrs.define(eq=False)
    class Slotted(SessionBackend):
        url: str

        load = DictBackend.load
        append = DictBackend.append
        remove_last = DictBackend.remove_last
        list_sessions = DictBackend.list_sessions

    backend = Slotted("x")
    assert not hasattr(backend, "__dict__")
    assert backend.url == "x"


def test_objects_are_recognised_by_their_methods() -> None:
    """The required four and the optional protocols can be asked for with `isinstance`."""
    assert isinstance(DictBackend(), CoreBackend)
    assert not isinstance(object(), CoreBackend)
    assert not isinstance(DictBackend(), SupportsWrite)
    with open_backend("memory://") as backend:
        for protocol in OPTIONAL:
            assert isinstance(backend, protocol) is (protocol is not SupportsCheck)


@pytest.mark.parametrize("protocol", OPTIONAL, ids=lambda kind: kind.__name__)
def test_an_optional_protocol_has_one_method(protocol: type) -> None:
    """The table of them agrees."""
    public = [name for name in vars(protocol) if not name.startswith("_")]
    assert public == [OPTIONAL_PROTOCOLS[protocol.__name__]]


def test_the_contract_stands_in_the_docstring() -> None:
    """Each subject that holds for all methods has its paragraph."""
    import sessionkit.protocol  # noqa: PLC0415 -- for its docstring

    for subject in ("Keys", "Nothing is lost", "A session exists", "Activity", "Counts", "Durability", "Concurrency"):
        assert f"**{subject}" in (sessionkit.protocol.__doc__ or "")


def test_a_message_is_loaded_by_what_only_has_the_four() -> None:
    """The toy that these tests stand on keeps what it is given."""
    backend = DictBackend()
    backend.append("a", ChatMessage("user", "Hello"))
    assert backend.load("a") == [ChatMessage("user", "Hello")]
    assert backend.list_sessions() == ["a"]
    assert backend.remove_last("a")
    assert not backend.remove_last("a")
