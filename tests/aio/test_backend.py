"""A backend whose methods are awaited: all of them, each as the synchronous one is."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint

from sessionkit import (
    BackendClosedError,
    BackendURL,
    BackendURLError,
    ChatMessage,
    CoreBackend,
    Finding,
    SessionBackend,
    UnsupportedFeatureWarning,
    UnsupportedOperationError,
    aio,
    capabilities,
    open_backend,
    protocol,
    register_backend,
)
from sessionkit.defaults import UNSUPPORTED_DEFAULTS
from sessionkit.protocol import OPTIONAL_PROTOCOLS, PROVIDED, REQUIRED
from tests.aio.gates import Gate
from tests.toys import DictBackend, InheritingBackend

pytestmark = pytest.mark.anyio

SYNCHRONOUS: dict[str, Callable[..., Any]] = {
    name: getattr(SessionBackend, name) for name in (*REQUIRED, *PROVIDED)
} | {name: getattr(getattr(protocol, kind), name) for kind, name in OPTIONAL_PROTOCOLS.items() if name != "check"}
"""Every method of the contract whose answer is there when it returns; `check` gives its own one by one."""

SAID = ChatMessage("user", "x")


class Recorder(SessionBackend):
    """Has every method of the contract; each keeps how it was called and in which thread, and gives an object."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.threads = set[int]()
        self.given = object()

    def record(self, name: str, *args: Any, **options: Any) -> object:
        """Keep a call."""
        self.calls.append((name, args, options))
        self.threads.add(threading.get_ident())
        return self.given


def _recording(name: str) -> Callable[..., object]:
    def call(self: Recorder, *args: Any, **options: Any) -> object:
        return self.record(name, *args, **options)

    return call


def recorder() -> Any:
    """A fresh one."""
    kind: Any = type("Full", (Recorder,), {name: _recording(name) for name in (*SYNCHRONOUS, "close")})
    return kind()


# -- its methods ---------------------------------------------------------------------------------------------------


def test_it_has_every_method_of_the_contract() -> None:
    """The 22, those of the optional protocols, ``close``, and nothing else."""
    methods = {name for name, value in vars(aio.AsyncBackend).items() if callable(value) and name[0] != "_"}
    assert methods == {*SYNCHRONOUS, "check", "close"}


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_a_method_is_declared_as_the_synchronous_one(name: str) -> None:
    """Parameters, their kinds, defaults and types, what it gives, and its docstring; but it is awaited."""
    method, synchronous = getattr(aio.AsyncBackend, name), SYNCHRONOUS[name]
    assert inspect.iscoroutinefunction(method)
    assert inspect.signature(method) == inspect.signature(synchronous)
    assert method.__doc__ == synchronous.__doc__
    assert method.__qualname__ == f"AsyncBackend.{name}"


@pytest.mark.parametrize("name", SYNCHRONOUS)
async def test_a_method_is_the_synchronous_one_in_a_thread(name: str) -> None:
    """Called once, as it was called; what it gives is given back."""
    inner = recorder()
    method = getattr(aio.AsyncBackend(inner), name)
    assert await method("a", 1, option="b") is inner.given
    assert inner.calls == [(name, ("a", 1), {"option": "b"})]
    assert threading.get_ident() not in inner.threads


@pytest.mark.parametrize("scheme", ["memory", "sqlite", "jsonl"])
async def test_every_built_in_backend_is_awaited(scheme: str, tmp_path: Path) -> None:
    """By its URL: what was stored is there, also by the optional protocols, and errors are the synchronous ones."""
    path = "" if scheme == "memory" else f"/{tmp_path}/store"
    async with aio.open_backend(f"{scheme}://{path}") as backend:
        await backend.append("k", SAID)
        assert await backend.write("k", append=[SAID], attributes={"a": 1}) > 0
        assert await backend.load("k") == backend.sync.load("k") == [SAID, SAID]
        assert [stored.message for stored in await backend.load_with_timestamps("k", last=1)] == [SAID]
        assert (await backend.begin_turn("k", "t")).turn_id == "t"
        assert [found.key for found in await backend.list_running_sessions()] == ["k"]
        with pytest.raises(ValueError, match="-1"):
            await backend.load_with_timestamps("k", last=-1)
    with pytest.raises(BackendClosedError):
        await backend.load("k")


async def test_many_tasks_append_at_once(tmp_path: Path) -> None:
    """Each task's messages arrive once, in its order."""
    async with aio.open_backend(f"sqlite:///{tmp_path}/store") as backend:

        async def write(task: int) -> None:
            for number in range(20):
                await backend.append("k", ChatMessage("user", f"{task} {number}"))

        async with create_task_group() as group:
            for task in range(20):
                group.start_soon(write, task)
        arrived: dict[str, list[str]] = {}
        for message in await backend.load("k"):
            task_of, number = message.text.split()
            arrived.setdefault(task_of, []).append(number)
    assert len(arrived) == 20
    assert all(numbers == [str(number) for number in range(20)] for numbers in arrived.values())


# -- what it can't do ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("core", [DictBackend(), InheritingBackend()], ids=lambda core: type(core).__name__)
async def test_four_methods_are_enough(core: CoreBackend) -> None:
    """The defaults do the rest, or warn at the line that awaits them."""
    backend = aio.AsyncBackend(core)
    await backend.append("k", SAID)
    assert await backend.update_last("k", ChatMessage("user", "y"))
    assert await backend.clear_messages("k") == 1
    assert backend.capabilities == capabilities(core)
    with pytest.warns(UnsupportedFeatureWarning, match="set_session_name") as warned:
        await backend.set_session_name("k", "A name")
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize("protocol_name", OPTIONAL_PROTOCOLS)
async def test_an_optional_protocol_that_is_missing_is_named(protocol_name: str) -> None:
    """With its method and the class that lacks it."""
    method = OPTIONAL_PROTOCOLS[protocol_name]
    for core in (DictBackend(), InheritingBackend()):
        backend = aio.AsyncBackend(core)
        with pytest.raises(UnsupportedOperationError, match=rf"{type(core).__name__} .* {method}\(\).*{protocol_name}"):
            await getattr(backend, method)(*("k",) * (method != "check"))


async def test_a_check_is_carried_to_its_end_in_a_thread() -> None:
    """All that it finds is given at once, and it is asked as it was called."""
    threads = set[int]()

    class Checked(DictBackend):
        def check(self, *, repair: bool = False) -> Iterator[Finding]:
            for number in range(2):
                threads.add(threading.get_ident())
                yield Finding("counts", f"{number} {repair}")

    backend = aio.AsyncBackend(Checked())
    assert await backend.check(repair=True) == [Finding("counts", "0 True"), Finding("counts", "1 True")]
    assert [one.what for one in await backend.check()] == ["0 False", "1 False"]
    assert threads
    assert threading.get_ident() not in threads


async def test_what_only_warns_is_what_has_no_default_that_works() -> None:
    """Nothing else is called on the event loop's own thread, whatever a backend has."""
    for name in (*REQUIRED, *PROVIDED):
        methods = {name: _recording(name) for name in (*REQUIRED, name)}
        inner: Any = type("Some", (Recorder,), methods)()
        backend = aio.AsyncBackend(inner)
        await getattr(backend, name)("k")
        assert inner.threads, name
        assert threading.get_ident() not in inner.threads, name
    assert len(UNSUPPORTED_DEFAULTS) == 9


def test_only_a_synchronous_backend_can_be_awaited() -> None:
    """What is awaited already, or is no backend, is refused with its reason."""
    backend: Any = aio.AsyncBackend(DictBackend())
    assert "DictBackend" in repr(backend)
    with pytest.raises(TypeError, match="awaited already"):
        aio.AsyncBackend(backend)
    nothing: Any = object()
    with pytest.raises(TypeError, match=r"object is no backend: it lacks load\(\)"):
        aio.AsyncBackend(nothing)


# -- opening and closing -------------------------------------------------------------------------------------------


class Closing(DictBackend):
    """Says when it is closed, and in which thread; `append` blocks at a gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.threads: list[int] = []

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        """At the gate."""
        self.gate.pass_through()
        super().append(session_key, message)

    def close(self) -> None:
        """Say so."""
        self.threads.append(threading.get_ident())
        self.gate.log.append("closed")


async def test_it_is_opened_and_closed_in_threads(gate: Gate, anyio_backend: str) -> None:
    """By ``async with``, or awaited and closed; once, however often it is closed."""
    opened_in: list[int] = []

    def factory(url: BackendURL, *, size: int = 0) -> CoreBackend:
        assert (url.path, size) == ("x", 1)
        opened_in.append(threading.get_ident())
        return Closing(gate)

    url = f"closing-{anyio_backend}:///x"
    register_backend(f"closing-{anyio_backend}", factory)
    async with aio.open_backend(url, size=1) as backend:
        assert isinstance(backend, aio.AsyncBackend)
        assert gate.log == []
    assert gate.log == ["closed"]
    backend = await aio.open_backend(f"{url}?size=1")
    await backend.close()
    await backend.close()
    assert gate.log == ["closed", "closed"]
    inner: Any = backend.sync
    assert threading.get_ident() not in {*opened_in, *inner.__wrapped__.threads}
    with pytest.raises(BackendURLError, match="has no option 'weight'"):
        await aio.open_backend(url, weight=1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_opened_for_nobody_is_closed(gate: Gate) -> None:
    """Where asyncio itself cancels whoever awaits it."""

    def factory(_: BackendURL) -> CoreBackend:
        gate.pass_through()
        return Closing(gate)

    register_backend("slow", factory)
    task = asyncio.ensure_future(aio.open_backend("slow://"))
    await gate.begun()
    task.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.log == ["begun", "ended", "closed"]


async def test_what_somebody_else_opened_may_be_left_open() -> None:
    """Nobody closes what is neither closed nor used in ``async with``."""
    with open_backend("memory://") as inner:
        await aio.AsyncBackend(inner).append("k", SAID)
        async with aio.AsyncBackend(inner) as backend:
            assert await backend.load("k") == [SAID]
        with pytest.raises(BackendClosedError):
            inner.load("k")


async def test_no_backend_is_closed_under_a_call_though_cancelled(gate: Gate) -> None:
    """The call ends, then the backend is closed, then the cancellation goes on."""
    scope = CancelScope()

    async def caller() -> None:
        with scope:
            async with aio.AsyncBackend(Closing(gate)) as backend:
                await backend.append("k", SAID)
                await checkpoint()
        gate.log.append("cancelled")

    async with create_task_group() as group:
        group.start_soon(caller)
        await gate.begun()
        scope.cancel()
        gate.open()
    assert scope.cancelled_caught
    assert gate.log == ["begun", "ended", "closed", "cancelled"]
