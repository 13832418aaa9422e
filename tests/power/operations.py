"""Random calls of every writing method on a few sessions, and in plain dicts and lists what each of them means."""

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import attrs

from sessionkit import ChatMessage, SessionContext, SessionMetadata, TimestampedMessage

KEYS = ("plain", "Ä/..", "x" * 200)
"""A name as it is, one that is encoded, and one too long for a file's name."""

Call = Callable[[Any], object]
"""Of a backend that offers all optional protocols."""


@attrs.define
class Plain:
    """What a session is, in the plainest way; times and revisions are the backend's business."""

    messages: list[ChatMessage] = attrs.Factory(list)
    fields: dict[str, str | None] = attrs.Factory(dict)
    attributes: dict[str, Any] = attrs.Factory(dict)
    state: tuple[str, str | None] = ("idle", None)

    def copy(self) -> "Plain":
        """The same, sharing nothing that changes."""
        return Plain(list(self.messages), dict(self.fields), dict(self.attributes), self.state)

    def check(self, metadata: SessionMetadata | None, messages: list[ChatMessage]) -> bool:
        """Whether that is what a backend says of it."""
        turns = sum(message.role == "assistant" and message.content is not None for message in self.messages)
        return (
            metadata is not None
            and messages == self.messages
            and (metadata.message_count, metadata.turn_count) == (len(self.messages), turns)
            and (metadata.state, metadata.turn_id) == self.state
            and dict(metadata.attributes) == self.attributes
            and all(getattr(metadata, field) == value for field, value in self.fields.items())
        )


@attrs.define
class Operations:
    """One random call after another, by its seed; `sessions` is what must be there once the last one is done."""

    random: Random
    sessions: dict[str, Plain] = attrs.Factory(dict)
    _serial: int = 0

    def next(self) -> tuple[str, Call]:
        """The key of the session that it is about, and the call; `sessions` holds already what it comes to."""
        key = self.random.choice(KEYS)
        kind = self.random.choices(
            (
                self._append, self._write, self._remove_last, self._update_last, self._clear, self._name, self._alias,
                self._context, self._state, self._turn, self._compact, self._delete, self._restore,
            ),
            (30, 10, 8, 12, 3, 4, 2, 5, 5, 3, 8, 7, 3),
        )[0]  # fmt: skip
        return key, kind(key)

    def _message(self, key: str) -> ChatMessage:
        self._serial += 1
        filler = self.random.choice(("", "Ä", "x" * self.random.randrange(200)))
        return ChatMessage(self.random.choice(("user", "assistant")), f"{key[:20]} {self._serial} {filler}")

    def _session(self, key: str) -> Plain:
        return self.sessions.setdefault(key, Plain())

    def _append(self, key: str) -> Call:
        message = self._message(key)
        self._session(key).messages.append(message)
        return lambda backend: backend.append(key, message)

    def _write(self, key: str) -> Call:
        messages = [self._message(key) for _ in range(self.random.randrange(1, 4))]
        session = self._session(key)
        drop = self.random.randrange(min(2, len(session.messages)) + 1)
        session.messages[len(session.messages) - drop :] = messages
        number = self.random.randrange(5)
        session.attributes["number"] = number
        return lambda backend: backend.write(key, drop_last=drop, append=messages, attributes={"number": number})

    def _remove_last(self, key: str) -> Call:
        if key in self.sessions:
            del self.sessions[key].messages[-1:]
        return lambda backend: backend.remove_last(key)

    def _update_last(self, key: str) -> Call:
        message = self._message(key)
        if key in self.sessions and self.sessions[key].messages:
            self.sessions[key].messages[-1] = message
        return lambda backend: backend.update_last(key, message)

    def _clear(self, key: str) -> Call:
        if key in self.sessions:
            self.sessions[key].messages.clear()
        return lambda backend: backend.clear_messages(key)

    def _name(self, key: str) -> Call:
        name = f"name {self.random.randrange(9)}"
        self._session(key).fields["name"] = name
        return lambda backend: backend.set_session_name(key, name)

    def _alias(self, key: str) -> Call:
        alias = f"agent {self.random.randrange(9)}"
        self._session(key).fields["agent_alias"] = alias
        return lambda backend: backend.set_session_agent_alias(key, alias)

    def _context(self, key: str) -> Call:
        channel, value = f"channel {self.random.randrange(9)}", "v" * self.random.randrange(90)
        session = self._session(key)
        session.fields["channel_id"] = channel
        session.attributes["value"] = value
        return lambda backend: backend.set_session_context(key, SessionContext(channel, attributes={"value": value}))

    def _state(self, key: str) -> Call:
        state = self.random.choice(("idle", "running", "error"))
        turn = self.random.choice((None, "t1", "t2"))
        self._session(key).state = state, turn
        return lambda backend: backend.set_session_state(key, state, turn)

    def _turn(self, key: str) -> Call:
        turn = self.random.choice(("t1", "t2"))
        self._session(key).state = "running", turn
        return lambda backend: backend.begin_turn(key, turn, stuck_after=0)

    def _compact(self, key: str) -> Call:
        return lambda backend: backend.compact(key)

    def _delete(self, key: str) -> Call:
        self.sessions.pop(key, None)
        return lambda backend: backend.delete_session(key)

    def _restore(self, key: str) -> Call:
        if key in self.sessions:
            return self._append(key)
        moment = datetime(2024, 5, 6, tzinfo=UTC)
        messages = [self._message(key) for _ in range(3)]
        self.sessions[key] = Plain(list(messages), {"name": "restored"})
        metadata = SessionMetadata(key, moment, moment, 3, 0, 0, name="restored", revision=3)
        return lambda backend: backend.restore(key, [TimestampedMessage(each, moment) for each in messages], metadata)
