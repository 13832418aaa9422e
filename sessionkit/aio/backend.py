"""A backend whose methods are awaited."""

from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from sessionkit.aio.threads import awaited, run, run_anyway
from sessionkit.defaults import Capabilities, Support, as_open_backend, capabilities
from sessionkit.errors import UnsupportedOperationError
from sessionkit.models import Finding
from sessionkit.protocol import (
    OPTIONAL_PROTOCOLS,
    CoreBackend,
    OpenBackend,
    SessionBackend,
    SupportsCheck,
    SupportsFirst,
    SupportsRestore,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
)
from sessionkit.registry import BackendURL
from sessionkit.registry import open_backend as _open_backend

P = ParamSpec("P")
T = TypeVar("T")

_PROTOCOL_OF = {method: protocol for protocol, method in OPTIONAL_PROTOCOLS.items()}


def _offered(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate["AsyncBackend", P], Coroutine[Any, Any, T]]:
    """`awaited`, where the backend offers the method."""
    name, in_thread = method.__name__, awaited(method)
    protocol = _PROTOCOL_OF.get(name)

    @wraps(method)
    async def call(self: "AsyncBackend", /, *args: P.args, **options: P.kwargs) -> T:
        if protocol is not None:
            _require(self, protocol)
        if self.capabilities.methods.get(name) is Support.UNSUPPORTED:
            warns: Callable[P, T] = getattr(self.sync, name)
            return warns(*args, **options)  # and does nothing else; here, so that it points at the line that awaits it
        return await in_thread(self, *args, **options)

    call.__qualname__ = f"AsyncBackend.{name}"
    return call


def _require(backend: "AsyncBackend", protocol: str) -> None:
    """Refuse what the backend does not offer."""
    if protocol not in backend.capabilities.protocols:
        kind = type(getattr(backend.sync, "__wrapped__", backend.sync)).__name__
        raise UnsupportedOperationError(f"{kind} offers no {OPTIONAL_PROTOCOLS[protocol]}(), the protocol {protocol}")


class AsyncBackend:
    """Any backend, awaited: the 22 methods, those of the optional protocols, and ``close``.

    Each takes, gives, promises and raises what the synchronous one does; how it is made, and what becomes of one that
    is cancelled, says `sessionkit.aio`. A method of an optional protocol that the backend does not offer raises
    `UnsupportedOperationError`. Use it in ``async with``, which closes the backend, or `close` it; or do neither, where
    the backend has another owner.

    Attributes:
        sync: the backend beneath, with all 22 methods and ``close``.
        capabilities: what it can do.
    """

    def __init__(self, backend: CoreBackend) -> None:
        if isinstance(backend, AsyncBackend):
            raise TypeError("this backend is awaited already")
        self.sync: OpenBackend = as_open_backend(backend)
        self.capabilities: Capabilities = capabilities(self.sync)

    def __repr__(self) -> str:
        return f"AsyncBackend({self.sync!r})"

    load = _offered(SessionBackend.load)
    append = _offered(SessionBackend.append)
    remove_last = _offered(SessionBackend.remove_last)
    list_sessions = _offered(SessionBackend.list_sessions)

    load_with_timestamps = _offered(SessionBackend.load_with_timestamps)
    update_last = _offered(SessionBackend.update_last)
    list_sessions_with_metadata = _offered(SessionBackend.list_sessions_with_metadata)
    compact = _offered(SessionBackend.compact)
    cleanup_stale = _offered(SessionBackend.cleanup_stale)
    search = _offered(SessionBackend.search)
    clear_messages = _offered(SessionBackend.clear_messages)
    delete_session = _offered(SessionBackend.delete_session)
    set_session_name = _offered(SessionBackend.set_session_name)
    get_session_name = _offered(SessionBackend.get_session_name)
    set_session_agent_alias = _offered(SessionBackend.set_session_agent_alias)
    get_session_agent_alias = _offered(SessionBackend.get_session_agent_alias)
    set_session_context = _offered(SessionBackend.set_session_context)
    get_session_metadata = _offered(SessionBackend.get_session_metadata)
    set_session_state = _offered(SessionBackend.set_session_state)
    get_session_state = _offered(SessionBackend.get_session_state)
    list_running_sessions = _offered(SessionBackend.list_running_sessions)
    list_stuck_sessions = _offered(SessionBackend.list_stuck_sessions)

    load_first = _offered(SupportsFirst.load_first)
    write = _offered(SupportsWrite.write)
    begin_turn = _offered(SupportsTurns.begin_turn)
    set_turn_state = _offered(SupportsTurnState.set_turn_state)
    restore = _offered(SupportsRestore.restore)

    async def check(self, *, repair: bool = False) -> list[Finding]:
        """`sessionkit.SupportsCheck.check`, carried to its end in one thread: all that it found."""
        _require(self, "SupportsCheck")
        sync = cast("SupportsCheck", self.sync)
        return await run(lambda: list(sync.check(repair=repair)))

    async def close(self) -> None:
        """Close the backend, even where this task is being cancelled. Idempotent."""
        await run_anyway(self.sync.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def synchronous(backend: AsyncBackend | CoreBackend) -> CoreBackend:
    """What stands beneath it; itself where it is not awaited."""
    return backend.sync if isinstance(backend, AsyncBackend) else backend


class _Closes(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=_Closes)


class Opening(Generic[C]):
    """Something that is being opened: await it and close it, or use it in ``async with``, which closes it."""

    def __init__(self, opening: Coroutine[Any, Any, C]) -> None:
        self._opening = opening

    def __await__(self) -> Generator[Any, Any, C]:
        return self._opening.__await__()

    async def __aenter__(self) -> C:
        self._opened = await self
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.close()


def open_backend(url: str | BackendURL | None = None, **options: Any) -> Opening[AsyncBackend]:
    """Open the backend that a URL names, as `sessionkit.open_backend` does; await it, or use it in ``async with``."""

    def open_it() -> OpenBackend:
        return _open_backend(url, **options)

    async def opened() -> AsyncBackend:
        backend = await run(open_it, undo=lambda backend: backend.close())
        return AsyncBackend(backend)

    return Opening(opened())
