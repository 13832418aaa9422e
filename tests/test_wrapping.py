"""Making a backend whole, and asking what it can do."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from sessionkit import (
    BackendClosedError,
    ChatMessage,
    CoreBackend,
    SessionBackend,
    SessionMetadata,
    SessionQuery,
    Support,
    SupportsTurns,
    SupportsWrite,
    capabilities,
    open_backend,
    with_defaults,
)
from sessionkit.defaults import UNSUPPORTED_DEFAULTS, as_open_backend, supports
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED
from tests.toys import DictBackend, InheritingBackend

SAID = ChatMessage("user", "x")

# -- making whole --------------------------------------------------------------------------------------------------


def test_what_inherits_the_eighteen_is_left_as_it_is() -> None:
    """No wrapper where none is needed."""
    backend = InheritingBackend()
    assert with_defaults(backend) is backend
    with open_backend("memory://") as memory:
        assert with_defaults(memory) is memory
        assert as_open_backend(memory) is memory


def test_what_an_object_has_of_the_eighteen_is_used() -> None:
    """By the wrapper, and by the defaults that stand on it."""

    class Named(DictBackend):
        def get_session_name(self, session_key: str, /) -> str | None:
            return f"the name of {session_key}"

        def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
            return SessionMetadata(session_key, name="kept")

        def begin_turn(self, *args: object, **options: object) -> str:
            return f"{args} {options}"

    backend: Any = with_defaults(Named())
    backend.append("k", SAID)
    assert backend.get_session_name("k") == "the name of k"
    assert backend.list_sessions_with_metadata() == [SessionMetadata("k", name="kept")]
    assert backend.begin_turn("k", "t", stuck_after=1) == "('k', 't') {'stuck_after': 1}"
    assert not hasattr(backend, "write")


def test_methods_may_stand_on_the_object_itself() -> None:
    """A namespace of functions, or a proxy that finds them on demand, is as good as a class."""

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            if name == "__wrapped__":
                raise AttributeError(name)
            return getattr(namespace, name)

    inner = DictBackend()
    namespace = SimpleNamespace(
        load=inner.load,
        append=inner.append,
        remove_last=inner.remove_last,
        list_sessions=inner.list_sessions,
        get_session_name=lambda _: "a name",
    )
    inner.append("k", SAID)
    cores: list[Any] = [namespace, Proxy()]
    for core in cores:
        backend = with_defaults(core)
        assert backend.load("k") == [SAID]
        assert backend.get_session_name("k") == "a name"
        assert capabilities(backend).methods["get_session_name"] is Support.NATIVE
        assert backend.get_session_state("k") is None


@pytest.mark.parametrize("missing", ["load", "append", "remove_last", "list_sessions"])
def test_without_one_of_the_four_it_is_no_backend(missing: str) -> None:
    """The error names the class and what it lacks."""
    methods: dict[str, Any] = {"load": print, "append": print, "remove_last": print, "list_sessions": print}
    del methods[missing]
    core: Any = type("Half", (), methods)()
    with pytest.raises(TypeError, match=rf"Half is no backend: it lacks {missing}\(\)"):
        with_defaults(core)


def test_a_wrapped_backend_is_closed_with_its_wrapper() -> None:
    """Once, where it can be closed; a call after it is refused, defaults included, and closing again is not."""

    class Closing(DictBackend):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    for core in (Closing(), DictBackend()):
        with as_open_backend(core) as backend:
            backend.append("k", SAID)
        backend.close()
        assert getattr(core, "closed", 1) == 1
        for call in (backend.list_sessions, backend.list_sessions_with_metadata, backend.list_running_sessions):
            with pytest.raises(BackendClosedError, match=f"this {type(core).__name__} is closed"):
                call()


def test_a_backend_without_close_is_given_one() -> None:
    """Though it inherits the eighteen; it keeps its capabilities and says what it wraps."""
    core: Any = InheritingBackend()
    backend = as_open_backend(core)
    assert backend is not core
    assert "InheritingBackend" in repr(backend)
    assert capabilities(backend) == capabilities(core)


# -- capabilities --------------------------------------------------------------------------------------------------


def support(backend: CoreBackend) -> Mapping[Support, set[str]]:
    """The provided methods by how they are answered."""
    methods = capabilities(backend).methods
    assert tuple(methods) == PROVIDED
    return {kind: {name for name, found in methods.items() if found is kind} for kind in Support}


@pytest.mark.parametrize("core", [DictBackend(), InheritingBackend(), with_defaults(DictBackend())])
def test_the_four_alone_have_defaults_and_what_none_can_do(core: CoreBackend) -> None:
    """Whether inherited, wrapped or bare."""
    found = support(core)
    assert found[Support.NATIVE] == set()
    assert found[Support.UNSUPPORTED] == UNSUPPORTED_DEFAULTS
    assert capabilities(core).protocols == frozenset()


def test_a_full_backend_is_native_throughout() -> None:
    """With all optional protocols but the one for stores that have more to look at than the contract shows."""
    with open_backend("memory://") as backend:
        assert support(backend)[Support.NATIVE] == set(PROVIDED)
        assert capabilities(backend).protocols == set(OPTIONAL_PROTOCOLS) - {"SupportsCheck"}


def test_what_is_overridden_is_native() -> None:
    """An assignment of the default itself overrides nothing."""

    class Some(InheritingBackend):
        compact = SessionBackend.compact

        def search(self, _: SessionQuery, /) -> list[SessionMetadata]:
            return []

        def write(self, *_: object, **__: object) -> int:
            return 0

    assert support(Some())[Support.NATIVE] == {"search"}
    assert capabilities(Some()).protocols == {"SupportsWrite"}
    assert supports(Some(), SupportsWrite)
    assert not supports(Some(), SupportsTurns)


def test_a_wrapper_can_do_no_more_than_what_it_wraps() -> None:
    """Though it passes on every method; and no more than it passes on."""

    class Everything(SessionBackend):
        def __init__(self, inner: object) -> None:
            self.__wrapped__: Any = inner

    def passing_on(name: str) -> Callable[..., Any]:
        def call(self: Everything, *args: object, **options: object) -> object:
            return getattr(self.__wrapped__, name)(*args, **options)

        return call

    names = ("load", "append", "remove_last", "list_sessions", *PROVIDED, *OPTIONAL_PROTOCOLS.values())
    everything: Any = type("Everything", (Everything,), {name: passing_on(name) for name in names})
    little: Any = type("Little", (Everything,), {name: passing_on(name) for name in (*names[:4], "search", "write")})
    with open_backend("memory://") as full:
        for inner in (full, DictBackend(), with_defaults(DictBackend()), InheritingBackend()):
            assert capabilities(everything(inner)) == capabilities(inner)
            assert capabilities(everything(everything(inner))) == capabilities(inner)
            assert supports(everything(inner), SupportsWrite) is (inner is full)
        assert support(little(full))[Support.NATIVE] == {"search"}
        assert capabilities(little(full)).protocols == {"SupportsWrite"}
