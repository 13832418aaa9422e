"""The public API used as programs use it: mypy and pyright check it, nothing runs it.

Where they must object, the line carries the objection that is expected: both report an ignore that is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
# ruff: noqa: ARG002, D102 -- what is only read uses no argument, and needs no words on methods that stand in the contract

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, assert_type

import attrs

from sessionkit import (
    BackendURL,
    Capabilities,
    ChatMessage,
    CoreBackend,
    Finding,
    OpenBackend,
    SessionBackend,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    SessionState,
    Support,
    SupportsCheck,
    SupportsFirst,
    SupportsRestore,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
    TimestampedMessage,
    ToolCall,
    Usage,
    capabilities,
    check_session_key,
    decode_message,
    encode_message,
    extend,
    open_backend,
    register_backend,
    tokenize,
    with_defaults,
)


class Four:
    """The four methods, and nothing of ours."""

    def load(self, key: str, /) -> list[ChatMessage]:
        check_session_key(key)
        return []

    def append(self, key: str, message: ChatMessage, /) -> None:
        encode_message(message)

    def remove_last(self, key: str, /) -> bool:
        return bool(key)

    def list_sessions(self) -> list[str]:
        return []


class Subclass(SessionBackend):
    """The four methods, inheriting the eighteen."""

    def load(self, key: str, /) -> list[ChatMessage]:
        return [decode_message(key.encode())]

    def append(self, key: str, message: ChatMessage, /) -> None:
        encode_message(message, max_bytes=len(key))

    def remove_last(self, key: str, /) -> bool:
        return bool(key)

    def list_sessions(self) -> list[str]:
        return []


class Three(SessionBackend):
    """One method is missing."""

    def load(self, key: str, /) -> list[ChatMessage]:
        return []

    def append(self, key: str, message: ChatMessage, /) -> None: ...

    def list_sessions(self) -> list[str]:
        return []


@attrs.define(eq=False)
class Slotted(Subclass):
    """An attrs class."""

    path: str = ""

    def write(
        self,
        session_key: str,
        /,
        *,
        drop_last: int = 0,
        append: Iterable[ChatMessage] = (),
        attributes: Mapping[str, Any] = {},
        if_revision: int | None = None,
        if_turn: str | None = None,
    ) -> int:
        """`SupportsWrite`."""
        return 0


def takes_core(backend: CoreBackend) -> None:
    """What any object with the four is."""


def takes_whole(backend: SessionBackend) -> None:
    """What has all 22."""


def takes_open(backend: OpenBackend) -> None:
    """What can be closed too."""


def takes_write(backend: SupportsWrite) -> None:
    """What can write atomically."""


def backends() -> None:
    """What is a backend, and what is made one."""
    takes_core(Four())
    takes_core(Subclass())
    takes_whole(Subclass())
    takes_whole(Slotted("x"))
    takes_write(Slotted())
    takes_whole(with_defaults(Four()))
    takes_whole(Four())  # type: ignore[arg-type]
    takes_open(Subclass())  # type: ignore[arg-type]
    takes_write(Subclass())  # type: ignore[arg-type]
    takes_core(object())  # type: ignore[arg-type]
    Three()  # type: ignore[abstract]
    assert_type(with_defaults(Four()), SessionBackend)


def opening() -> None:
    """By URL, by parts, by default, with options; and registering."""
    with open_backend("sqlite:///chats.db", synchronous="full") as backend:
        assert_type(backend, OpenBackend)
        takes_whole(backend)
    open_backend().close()
    open_backend(BackendURL("memory")).close()
    open_backend(BackendURL.parse("memory://")).close()
    open_backend(url="memory://").close()

    def factory(url: BackendURL, *, size: int = 0) -> CoreBackend:
        assert_type(url.query, Mapping[str, str])
        return Slotted(url.path * size)

    register_backend("toy", factory)
    register_backend("slotted", lambda url: Slotted(url.path))


def messages() -> None:
    """Building, reading and changing them."""
    call = ToolCall("call_1", "find", "{}")
    message = ChatMessage.assistant(
        tool_calls=[call],
        usage=Usage(input_tokens=1, cost_usd=0.1),
        timestamp=datetime.now(UTC),
    )
    assert_type(message, ChatMessage)
    assert_type(message.tool_calls, tuple[ToolCall, ...])
    assert_type(message.content, str | list[dict[str, Any]] | None)
    assert_type(message.timestamp, datetime | None)
    assert_type(message.usage, Usage | None)
    assert_type(message.text, str)
    assert_type(message.to_dict(), dict[str, Any])
    ChatMessage("assistant", "text", tool_calls=(call,), extra={"refusal": None})
    ChatMessage("user", [{"type": "text", "text": "Hello"}])
    ChatMessage.from_dict({"role": "user"})
    ChatMessage.tool("[]", tool_call_id=call.id)
    ChatMessage.tool("[]")  # type: ignore[call-arg]
    ChatMessage(5)  # type: ignore[arg-type]
    message.role = "user"  # type: ignore[misc]
    assert_type(tokenize(message.text), frozenset[str])
    assert_type(encode_message(message), bytes)
    assert_type(decode_message(b"{}"), ChatMessage)


def using(backend: SessionBackend) -> None:
    """The 22 methods."""
    backend.append("user/1", ChatMessage.user("Hello"))
    extend(backend, "user/1", [ChatMessage.user("Hello")], atomic=False)
    assert_type(backend.load("user/1"), list[ChatMessage])
    assert_type(backend.load_with_timestamps("user/1", last=2), list[TimestampedMessage])
    assert_type(backend.update_last("user/1", ChatMessage.assistant("Hi")), bool)
    assert_type(backend.remove_last("user/1"), bool)
    assert_type(backend.list_sessions(), list[str])
    assert_type(backend.list_sessions_with_metadata(), list[SessionMetadata])
    assert_type(backend.cleanup_stale(24), int)
    assert_type(backend.clear_messages("user/1"), int)
    assert_type(backend.delete_session("user/1"), bool)
    assert_type(backend.get_session_name("user/1"), str | None)
    assert_type(backend.get_session_agent_alias("user/1"), str | None)
    assert_type(backend.get_session_metadata("user/1"), SessionMetadata | None)
    assert_type(backend.get_session_state("user/1"), SessionState | None)
    assert_type(backend.list_running_sessions(), list[SessionMetadata])
    assert_type(backend.list_stuck_sessions(0.5), list[SessionMetadata])
    query = SessionQuery("hello", limit=20, active_since=datetime.now(UTC), attributes={"lang": "en"})
    found = backend.search(query)
    assert_type(found, list[SessionMetadata])
    assert_type(query.matches(found[0], (message.text for message in backend.load(found[0].key))), bool)
    backend.compact("user/1")
    backend.set_session_name("user/1", "A name")
    backend.set_session_agent_alias("user/1", "agent")
    backend.set_session_context("user/1", SessionContext(channel_id="c", attributes={"lang": None}))
    backend.set_session_state("user/1", "running", "turn-1")
    backend.load_with_timestamps("user/1", 2)  # type: ignore[call-arg]
    backend.append(session_key="user/1", message=ChatMessage.user("x"))  # type: ignore[call-arg]


def optional_protocols(backend: OpenBackend) -> None:
    """What may be there besides, and how to ask for it."""
    offered = capabilities(backend)
    assert_type(offered, Capabilities)
    assert_type(offered.methods["search"], Support)
    assert_type(offered.protocols, frozenset[str])
    if isinstance(backend, SupportsWrite):
        revision = backend.write("k", drop_last=1, append=[ChatMessage.user("x")], if_revision=3, if_turn="t")
        assert_type(revision, int)
        backend.write("k", attributes={"a": 1}, if_revision=revision)
    if isinstance(backend, SupportsTurns):
        assert_type(backend.begin_turn("k", "turn-1", stuck_after=30), SessionState)
    if isinstance(backend, SupportsTurnState):
        assert_type(backend.set_turn_state("k", "turn-1", "running"), int)
        backend.set_turn_state("k", "turn-1")  # type: ignore[call-arg]
        backend.set_turn_state("k", state="idle", turn_id="turn-1")  # type: ignore[call-arg]
    if isinstance(backend, SupportsFirst):
        assert_type(backend.load_first("k", 2), list[TimestampedMessage])
        backend.load_first("k")  # type: ignore[call-arg]
        backend.load_first("k", count=2)  # type: ignore[call-arg]
    if isinstance(backend, SupportsCheck):
        assert_type(backend.check(repair=True), Iterator[Finding])
        backend.check("repair")  # type: ignore[call-arg,arg-type]
    if isinstance(backend, SupportsRestore):
        backend.restore("k", [TimestampedMessage(ChatMessage.user("x"))], SessionMetadata("k"))
