"""How a `Session` is kept: what a store has of it, and what must be written to make that equal again.

For whoever writes a session: `SessionHistory` by itself, a turn in its own name. What is written is always
`changes`, in one write, and `noted` afterwards; so a session that was written to after it was loaded is found by its
revision, and one more message costs one message.
"""

# pyright: reportPrivateUsage=false
# ruff: noqa: SLF001 -- what a store has of a session is private to all but this module

import sys
import uuid
from collections.abc import Mapping, Sequence
from operator import is_
from typing import NamedTuple
from weakref import WeakKeyDictionary

import attrs

from sessionkit.codec import decode_json, encode_json, encode_message
from sessionkit.defaults import Support, capabilities
from sessionkit.history.session import RECORD, Session, Stored, is_foreign, make_record, read_record
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.protocol import SessionBackend

_names: WeakKeyDictionary[SessionBackend, str] = WeakKeyDictionary()


class Changes(NamedTuple):
    """What `SupportsWrite.write` is to do, by the names of its arguments. None of it: nothing has changed."""

    drop_last: int
    append: Sequence[ChatMessage]
    attributes: Mapping[str, JSON]


def attributes_of(session: Session) -> dict[str, JSON]:
    """All attributes that the store is to have of the session: its metadata, and the rest as `RECORD`.

    Raises:
        ValueError: a name of the metadata is taken, or a value is None.
        InvalidMessageError: something in it can't be stored exactly.
    """
    if RECORD in session.metadata:
        msg = f"metadata[{RECORD!r}]: this name is taken by the session's own record; use another"
        raise ValueError(msg)
    for name, value in session.metadata.items():
        if value is None:
            msg = f"metadata[{name!r}] is None, which can't be told from no value; delete the name instead"
            raise ValueError(msg)
    record = {**session._stored.foreign, **make_record(session)}
    encode_json(record, "the session's record")
    return {**_copy(session.metadata, "metadata"), RECORD: record}


def changes(session: Session, since: Stored | None = None) -> Changes:
    """What must be written so that the store has the session as it is now.

    From the first message that is another one than in the store, all are dropped and appended anew. Costs a comparison
    of references for each message that was left as it was, and an encoding for one that was replaced by an equal one.

    Args:
        session: the session; it is not changed.
        since: what the store has; None: what it had when the session was loaded or last noted.

    Raises:
        ValueError: as `attributes_of`.
        InvalidMessageError: something in it can't be stored exactly.
    """
    stored = session._stored if since is None else since
    kept = _common(stored.messages, session.messages)
    wanted = attributes_of(session)
    gone: dict[str, JSON] = {name: None for name in stored.attributes if name not in wanted}
    set_ = {name: value for name, value in wanted.items() if not _has(stored.attributes, name, value)}
    return Changes(len(stored.messages) - kept, session.messages[kept:], gone | set_)


def noted(session: Session, written: Changes, revision: int, since: Stored | None = None) -> None:
    """Remember that these changes are in the store, at that revision."""
    stored = session._stored if since is None else since
    merged = {**stored.attributes, **written.attributes}
    session._stored = attrs.evolve(
        session._stored,
        revision=revision,
        messages=[*stored.messages[: len(stored.messages) - written.drop_last], *written.append],
        attributes={name: value for name, value in merged.items() if value is not None},
        agent_alias=stored.agent_alias,
    )


def stored_of(session: Session) -> Stored:
    """What the store has of it, as far as is known."""
    return session._stored


def is_of(session: Session, backend: SessionBackend) -> bool:
    """Whether it was last read from or written to this very object, rather than perhaps another store."""
    return session._stored.home == _name_of(backend) != ""


def settle(session: Session, backend: SessionBackend) -> None:
    """Remember that it was just read from or written to this object."""
    session._stored = attrs.evolve(session._stored, home=_name_of(backend))


def _name_of(backend: SessionBackend) -> str:
    """A name for this object that no other one ever has; empty for one that can't be remembered."""
    try:
        name = _names.get(backend)
        if name is None:
            name = _names[backend] = uuid.uuid4().hex
    except TypeError:  # it can't be hashed, or referred to weakly
        return ""
    return name


def session_of(key: str, messages: Sequence[ChatMessage], metadata: SessionMetadata) -> Session:
    """The session of which a store has these messages and that metadata, both of one moment.

    Whoever wrote it: what its record does not tell, or tells in a way that can't be read, is as in a new session.
    """
    attributes = _copy(metadata.attributes, "attributes")
    record = attributes.pop(RECORD, None)
    session = Session(key, messages=messages, metadata=attributes, **read_record(metadata))
    foreign = {name: value for name, value in record.items() if is_foreign(name)} if isinstance(record, dict) else {}
    session._stored = Stored(
        metadata.revision or 0,
        tuple(messages),
        agent_alias=metadata.agent_alias,
        foreign=foreign,
        created_at=metadata.created_at,
    )
    # As they would be written, so that a session that was only read has no changes, whatever its record looks like.
    session._stored = attrs.evolve(session._stored, attributes=attributes_of(session))
    return session


def keep_owner(backend: SessionBackend, session: Session) -> None:
    """Tell the backend's own lists and searches which agent owns the session, where they show another one.

    Not part of the atomic write: until then, the record tells. Nothing where the backend keeps no owners.
    """
    stored, owner = session._stored, session.agent_name or None
    if stored.agent_alias == owner:
        return
    show_owner(backend, session.session_id, owner)
    session._stored = attrs.evolve(stored, agent_alias=owner)


def show_owner(backend: SessionBackend, session_key: str, owner: str | None) -> None:
    """`SessionBackend.set_session_agent_alias`, None clearing it; nothing where the backend keeps no owners."""
    if capabilities(backend).methods["set_session_agent_alias"] is not Support.UNSUPPORTED:
        backend.set_session_agent_alias(session_key, owner or "")


def _common(stored: Sequence[ChatMessage], present: Sequence[ChatMessage]) -> int:
    """How many messages at the beginning are the same ones."""
    shorter = min(len(stored), len(present))
    if all(map(is_, stored, present)):
        return shorter
    return next((place for place in range(shorter) if not _same(stored[place], present[place])), shorter)


def _same(stored: ChatMessage, present: ChatMessage) -> bool:
    """Whether the same would be stored of both: to Python 1 is equal to True, too."""
    return stored is present or _raw(stored) == _raw(present)


def _raw(message: ChatMessage) -> bytes:
    return encode_message(message, max_bytes=sys.maxsize)  # how large it may be is the backend's business


def _has(stored: Mapping[str, JSON], name: str, value: JSON) -> bool:
    return name in stored and encode_json(stored[name], name) == encode_json(value, name)


def _copy(attributes: Mapping[str, JSON], what: str) -> dict[str, JSON]:
    """The same JSON, sharing nothing."""
    copy: dict[str, JSON] = decode_json(encode_json(dict(attributes), what))
    return copy
