"""Making a backend whole, asking what it can do, and the one operation that stands above them all."""

import functools
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from inspect import iscoroutinefunction
from types import MappingProxyType, TracebackType
from typing import Any, Self, cast

import attrs

from sessionkit.codec import encode_message
from sessionkit.errors import BackendClosedError, UnsupportedOperationError
from sessionkit.keys import check_session_key
from sessionkit.messages import ChatMessage
from sessionkit.protocol import (
    OPTIONAL_PROTOCOLS,
    PROVIDED,
    REQUIRED,
    CoreBackend,
    OpenBackend,
    SessionBackend,
    SupportsWrite,
)


class Support(StrEnum):
    """How a backend answers one of the provided methods."""

    NATIVE = "native"
    """By its own code."""

    DEFAULT = "default"
    """By the default, which works through the four required methods, at their cost and not atomically."""

    UNSUPPORTED = "unsupported"
    """Not at all: the default warns, and answers as if nothing were known."""


@attrs.frozen
class Capabilities:
    """What a backend can do.

    Attributes:
        methods: for each of the 18 provided methods, how it is answered.
        protocols: the names of the optional protocols that are there, such as ``"SupportsWrite"``.
    """

    methods: Mapping[str, Support]
    protocols: frozenset[str]


UNSUPPORTED_DEFAULTS = frozenset(
    (
        "set_session_name",
        "get_session_name",
        "set_session_agent_alias",
        "get_session_agent_alias",
        "set_session_context",
        "set_session_state",
        "get_session_state",
        "list_running_sessions",
        "list_stuck_sessions",
    ),
)
"""The provided methods whose default can't do what is asked."""


def capabilities(backend: CoreBackend) -> Capabilities:
    """What the backend can do: what it has of its own, and where it wraps another, no more than that one can.

    A wrapper is an object whose ``__wrapped__`` attribute is the backend that it passes calls on to.
    """
    wrapped = getattr(backend, "__wrapped__", None)
    inner = None if wrapped is None else capabilities(wrapped)

    def support(name: str) -> Support:
        if _has_own(backend, name):
            return Support.NATIVE if inner is None else inner.methods[name]
        return Support.UNSUPPORTED if name in UNSUPPORTED_DEFAULTS else Support.DEFAULT

    offered = frozenset(name for name, method in OPTIONAL_PROTOCOLS.items() if _has_own(backend, method))
    return Capabilities(
        MappingProxyType({name: support(name) for name in PROVIDED}),
        offered if inner is None else offered & inner.protocols,
    )


def supports(backend: CoreBackend, protocol: type) -> bool:
    """What `capabilities` says of one of the optional protocols, such as `SupportsWrite`; but cheap."""
    wrapped = getattr(backend, "__wrapped__", None)
    return _has_own(backend, OPTIONAL_PROTOCOLS[protocol.__name__]) and (wrapped is None or supports(wrapped, protocol))


def with_defaults(backend: CoreBackend) -> SessionBackend:
    """The backend with all 22 methods: itself where it subclasses `SessionBackend`, else wrapped.

    Whichever of the 18, the optional protocols and ``close`` the object has are used. Wrapping touches no
    session, and each call through the wrapper costs a function call more.

    Raises:
        TypeError: one of the four required methods is missing, or they are awaited.
    """
    if SessionBackend in type(backend).__mro__:
        return cast("SessionBackend", backend)
    return as_open_backend(backend)


def as_open_backend(backend: CoreBackend) -> OpenBackend:
    """The backend with all 22 methods, ``close`` and ``with``: itself where it has them all, else wrapped.

    Raises:
        TypeError: one of the four required methods is missing, or they are awaited.
    """
    if SessionBackend in type(backend).__mro__ and all(
        hasattr(backend, name) for name in ("close", "__enter__", "__exit__")
    ):
        return cast("OpenBackend", backend)
    missing = [f"{name}()" for name in REQUIRED if not callable(getattr(backend, name, None))]
    if missing:
        msg = f"{type(backend).__name__} is no backend: it lacks {', '.join(missing)}"
        raise TypeError(msg)
    if iscoroutinefunction(backend.load):
        msg = f"{type(backend).__name__} is asynchronous: use what sessionkit.aio has for it, or pass its .sync"
        raise TypeError(msg)
    own = frozenset(name for name in (*REQUIRED, *PROVIDED, *OPTIONAL_PROTOCOLS.values()) if _has_own(backend, name))
    wrapper: OpenBackend = _wrapper_class(type(backend).__name__, own)(backend)
    return wrapper


def extend(backend: CoreBackend, session_key: str, messages: Iterable[ChatMessage], *, atomic: bool = True) -> None:
    """Append all the messages, in order, or none of them.

    With ``atomic=False`` a backend without `SupportsWrite` is given them one by one, so that a failure may leave the
    first of them stored; every message is checked before the first is.

    Raises:
        TypeError: it is no backend, or one that is awaited.
        InvalidSessionKeyError: the key is no key.
        UnsupportedOperationError: the backend can't, and ``atomic=False`` was not asked for.
        InvalidMessageError: one of them can't be stored exactly; nothing was stored.
    """
    backend = with_defaults(backend)
    check_session_key(session_key)
    if supports(backend, SupportsWrite):
        cast("SupportsWrite", backend).write(session_key, append=messages)
        return
    if atomic:
        name = type(getattr(backend, "__wrapped__", backend)).__name__
        msg = f"{name} has no write() to store several messages at once; pass atomic=False to append one by one"
        raise UnsupportedOperationError(msg)
    messages = list(messages)
    for message in messages:
        encode_message(message)
    for message in messages:
        backend.append(session_key, message)


def _has_own(backend: object, name: str) -> bool:
    """Whether the backend answers the method by its own code, and not by the default that it inherited."""
    method = getattr(backend, name, None)
    return callable(method) and getattr(method, "__func__", method) is not getattr(SessionBackend, name, None)


class _Wrapper(SessionBackend):
    """Gives any backend the defaults, ``close`` and ``with``. Its subclasses pass on what the wrapped object has."""

    __slots__ = ("__weakref__", "__wrapped__", "closed")

    __wrapped__: Any
    closed: bool

    def __init__(self, backend: CoreBackend) -> None:
        self.__wrapped__ = backend
        self.closed = False

    def __repr__(self) -> str:
        return f"with_defaults({self.__wrapped__!r})"

    def close(self) -> None:
        """Close what is wrapped, where that can be closed. Idempotent."""
        if not self.closed:
            self.closed = True
            close = getattr(self.__wrapped__, "close", None)
            if callable(close):
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@functools.cache
def _wrapper_class(kind: str, own: frozenset[str]) -> type[Any]:
    """A subclass of `_Wrapper` with all methods: those named in `own` are passed on, defaults stand for the rest.

    That all of them seem to be its own is mended by `capabilities`, which looks at what is wrapped.
    """
    methods: dict[str, Any] = {name: _unless_closed(name, _passing_on(name)) for name in own}
    for name in PROVIDED:
        methods.setdefault(name, _unless_closed(name, getattr(SessionBackend, name)))
    return type(f"{kind}WithDefaults", (_Wrapper,), {"__slots__": ()} | methods)


def _passing_on(name: str) -> Callable[..., Any]:
    def call(self: _Wrapper, *args: Any, **options: Any) -> Any:
        return getattr(self.__wrapped__, name)(*args, **options)

    return call


def _unless_closed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: _Wrapper, *args: Any, **options: Any) -> Any:
        if self.closed:
            msg = f"this {type(self.__wrapped__).__name__} is closed"
            raise BackendClosedError(msg)
        return method(self, *args, **options)

    call.__name__ = name
    call.__doc__ = getattr(SessionBackend, name, call).__doc__
    return call
