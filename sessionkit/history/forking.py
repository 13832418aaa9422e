"""A new session from the beginning of another."""

from typing import cast

from sessionkit.defaults import supports
from sessionkit.errors import ConflictError, UnknownSessionError
from sessionkit.history.keeping import show_owner
from sessionkit.history.moments import at_one_moment
from sessionkit.history.needs import Store, require
from sessionkit.history.session import RECORD, read_record
from sessionkit.keys import check_count, check_session_key
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.protocol import CoreBackend, SupportsFirst


def fork(backend: CoreBackend, session_key: str, new_key: str, *, upto: int | None = None) -> None:
    """Make a new session of the first `upto` messages of another, in one write: all of it or nothing.

    It is created now, and remembers where it came from: its attribute ``forked_from`` is
    ``{"key": session_key, "messages": n}``, n being how many messages it was given. Its other attributes are those of
    the source. As a `sessionkit.history.Session` it has the source's agent, model and metadata, but has used nothing
    yet, so that no token is counted twice. The agent's alias is set after the write, where the source has one and the
    backend keeps any. Name, channel, room, sender and state are the source's own; it is only read.

    The messages are those of one moment, and so are the attributes with them, unless others change the source during
    each of 8 readings: then the attributes are of a moment before. With `upto` it costs what these messages do, on a
    backend with `SupportsFirst`.

    Args:
        backend: any that offers `SupportsWrite`; the built-in ones do.
        session_key: the source.
        new_key: the new session, which must not exist. Of two forks to one key, one fails.
        upto: how many messages; None for all.

    Raises:
        UnknownSessionError: there is no source.
        ConflictError: `new_key` exists.
        ValueError: `upto` is negative, or more messages than there are.
        InvalidSessionKeyError: one of the keys is no key.
        UnsupportedOperationError: the backend has no ``write()``.
    """
    store = require(backend, "fork()", "SupportsWrite")
    check_session_key(session_key)
    check_session_key(new_key)
    if upto is not None:
        check_count(upto, "upto")
    source, messages = at_one_moment(store, session_key, lambda: _first(store, session_key, upto))
    if source is None:
        msg = f"there is no session {session_key!r} to fork; list_sessions() gives those that there are"
        raise UnknownSessionError(msg)
    if upto is not None and len(messages) < upto:
        msg = f"{session_key!r} has {len(messages)} messages, so there are no first {upto} to fork"
        raise ValueError(msg)
    try:
        store.write(new_key, append=messages, attributes=_attributes(source, len(messages)), if_revision=0)
    except ConflictError as error:
        msg = f"{new_key!r} exists: fork to another key, or delete it first"
        raise ConflictError(msg) from error
    if source.agent_alias:
        show_owner(store, new_key, source.agent_alias)


def _first(store: Store, session_key: str, upto: int | None) -> list[ChatMessage]:
    if upto is None or not supports(store, SupportsFirst):
        return store.load(session_key)[:upto]
    return [stored.message for stored in cast("SupportsFirst", store).load_first(session_key, upto)]


def _attributes(source: SessionMetadata, messages: int) -> dict[str, JSON]:
    """What the fork is to know."""
    told = read_record(source)
    record = {name: told[name] for name in ("agent_name", "model") if name in told}
    others = {name: value for name, value in source.attributes.items() if name != RECORD}
    forked_from = {"key": source.key, "messages": messages}
    return others | ({RECORD: record} if record else {}) | {"forked_from": forked_from}
