"""What a store must hold after each call, in plain dicts and lists that know nothing of sessionkit's own rules."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import attrs

from sessionkit import ChatMessage, SessionContext, SessionMetadata, SessionQuery, TimestampedMessage, ToolCall, extend

State = dict[str, dict[str, Any]]
"""Of each session, by its key, what can be known of it, times and revisions apart."""

LONG = 9_000
"""How many characters a long message has: more than a page of any file system, and than several of SQLite's."""

_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@attrs.frozen
class Call:
    """One call that writes.

    Attributes:
        run: makes it.
        after: changes the state as it does; and yields the states that it may leave where it fails half way, and says
            so: none but the states before and after it, for most.
    """

    run: Callable[[Any], object]
    after: Callable[[State], list[State] | None]

    def states(self, before: State) -> tuple[State, list[State]]:
        """What there is once it is done, and what else there may be where it fails half way."""
        done = deepcopy(before)
        between = self.after(done)
        return done, [*(between or ()), before, done]


def new_session(**known: Any) -> dict[str, Any]:
    """A session of which nothing is known but that."""
    nothing = dict.fromkeys(("name", "alias", "channel", "turn"))
    return {"messages": [], **nothing, "attributes": {}, "state": "idle", **known}


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


def _rich() -> ChatMessage:
    return ChatMessage("assistant", "calling Ä \0 🙂", tool_calls=(ToolCall("c1", "find", '{"x": 1}'),))


_RICH = {
    "role": "assistant",
    "content": "calling Ä \0 🙂",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"x": 1}'}}],
}


def prepare(backend: Any) -> State:
    """Fill an empty store with a bit of everything; what it holds then."""
    backend.append("a", _user("a1"))
    backend.append("a", _rich())
    for text in ("a3", "a4", "replaced"):
        backend.append("a", _user(text))
    backend.update_last("a", _user("a5"))
    backend.set_session_name("a", "name of a")
    backend.set_session_context("a", SessionContext("channel", attributes={"color": "red"}))
    backend.set_session_state("a", "running", "t")
    extend(backend, "b", [_user("b1"), _user("b2")])
    backend.append("big", _user("x" * LONG))
    backend.append("big", _user("y" * LONG))
    backend.remove_last("big")
    for key in ("old1", "old2"):
        backend.restore(key, [TimestampedMessage(_user(key), _AGO)], SessionMetadata(key, _AGO, _AGO))
    a = [_said("a1"), _RICH, *map(_said, ("a3", "a4", "a5"))]
    running = new_session(name="name of a", channel="channel", turn="t", state="running", attributes={"color": "red"})
    return {
        "a": running | {"messages": a},
        "b": new_session(messages=[_said("b1"), _said("b2")]),
        "big": new_session(messages=[_said("x" * LONG)]),
        **{key: new_session(messages=[_said(key)]) for key in ("old1", "old2")},
    }


def _append(key: str, *texts: str) -> Callable[[State], None]:
    def after(state: State) -> None:
        state.setdefault(key, new_session())["messages"] += map(_said, texts)

    return after


def _set(key: str, **known: Any) -> Callable[[State], None]:
    def after(state: State) -> None:
        state.setdefault(key, new_session()).update(known)

    return after


def _last(*texts: str) -> Callable[[State], None]:
    def after(state: State) -> None:
        state["a"]["messages"][-1:] = map(_said, texts)

    return after


def _write(state: State) -> None:
    state["a"]["messages"][-2:] = [_said("w1"), _said("w2"), _said("w3")]
    state["a"]["attributes"] = {**state["a"]["attributes"], "x": 1}


def _clean_up(state: State) -> list[State]:
    """Session by session, so that it may end between two."""
    between = [deepcopy(state), deepcopy(state)]
    for kept, key in zip(between, ("old1", "old2"), strict=True):
        kept.pop(key, None)
        state.pop(key, None)
    return between


def delete(key: str) -> Callable[[State], None]:
    """What deleting the session does to the state."""

    def after(state: State) -> None:
        state.pop(key, None)

    return after


_MANY = [f"many {i}" for i in range(40)]
_ENOUGH = 2_100  # messages, after which a store with a late index fills it

CALLS: dict[str, Call] = {
    "append": Call(lambda s: s.append("a", _user("more")), _append("a", "more")),
    "append to a new session": Call(lambda s: s.append("new", _user("more")), _append("new", "more")),
    "append a long message": Call(lambda s: s.append("b", _user("z" * LONG)), _append("b", "z" * LONG)),
    "write": Call(
        lambda s: s.write("a", drop_last=2, append=[_user("w1"), _user("w2"), _user("w3")], attributes={"x": 1}),
        _write,
    ),
    "extend": Call(lambda s: extend(s, "b", map(_user, _MANY)), _append("b", *_MANY)),
    "update_last": Call(lambda s: s.update_last("a", _user("other")), _last("other")),
    "remove_last": Call(lambda s: s.remove_last("a"), _last()),
    "clear_messages": Call(lambda s: s.clear_messages("a"), _set("a", messages=[])),
    "delete_session": Call(lambda s: s.delete_session("a"), delete("a")),
    "compact": Call(lambda s: s.compact("big"), lambda _: None),
    "cleanup_stale": Call(lambda s: s.cleanup_stale(24), _clean_up),
    "set_session_name": Call(lambda s: s.set_session_name("b", "n"), _set("b", name="n")),
    "set_session_agent_alias": Call(lambda s: s.set_session_agent_alias("b", "me"), _set("b", alias="me")),
    "set_session_context": Call(
        lambda s: s.set_session_context("b", SessionContext("c", attributes={"x": [1]})),
        _set("b", channel="c", attributes={"x": [1]}),
    ),
    "set_session_state": Call(lambda s: s.set_session_state("b", "error"), _set("b", state="error", turn=None)),
    "begin_turn": Call(lambda s: s.begin_turn("b", "u"), _set("b", state="running", turn="u")),
    "set_turn_state": Call(lambda s: s.set_turn_state("a", "t", "done"), _set("a", state="done", turn="t")),
    "restore": Call(
        lambda s: s.restore(
            "again", [TimestampedMessage(_user("r1"), _AGO)], SessionMetadata("again", _AGO, _AGO, name="n")
        ),
        _set("again", messages=[_said("r1")], name="n"),
    ),
}
"""Each writing method, called once on what `prepare` made."""

INDEXING = Call(
    lambda s: extend(s, "b", [_user(f"word{i}") for i in range(_ENOUGH)]),
    _append("b", *(f"word{i}" for i in range(_ENOUGH))),
)
"""So much at once that a store with a late index fills it."""


def look(backend: Any) -> State:
    """What the store says it holds, by every way of asking.

    Raises:
        AssertionError: two ways of asking, or two times of a session, don't agree.
    """
    found: State = {}
    listed = backend.list_sessions_with_metadata()
    keys = backend.list_sessions()
    assert keys == [metadata.key for metadata in listed], "the two lists differ"
    for metadata in listed:
        key = metadata.key
        stored = backend.load_with_timestamps(key)
        messages = [item.message for item in stored]
        assert messages == backend.load(key), f"load and load_with_timestamps of {key!r} differ"
        assert backend.get_session_metadata(key) == metadata, f"the list and the metadata of {key!r} differ"
        counts = (len(messages), sum(m.is_turn for m in messages), sum(m.tool_call_count for m in messages))
        told = (metadata.message_count, metadata.turn_count, metadata.tool_call_count)
        assert told == counts, f"the counts of {key!r} are {told}, and it holds {counts}"
        times = [item.created_at for item in stored]
        assert times == sorted(times), f"the times of {key!r} run backwards"
        assert not times or times[-1] <= metadata.last_activity, f"the activity of {key!r} is before its last message"
        assert metadata.created_at <= metadata.last_activity, f"{key!r} was active before it was created"
        found[key] = {
            "messages": [message.to_dict() for message in messages],
            "name": metadata.name,
            "alias": metadata.agent_alias,
            "channel": metadata.channel_id,
            "attributes": dict(metadata.attributes),
            "state": metadata.state,
            "turn": metadata.turn_id,
        }
    _check_search(backend, found)
    return found


def _check_search(backend: Any, found: State) -> None:
    """That a search finds the newest message of a session, there and nowhere else."""
    for key, session in found.items():
        text = session["messages"][-1]["content"].split()[-1] if session["messages"] else ""
        if len(text) > 2:  # or it may stand in the arguments of a tool call
            holding = {k for k, s in found.items() if any(text in m["content"].split() for m in s["messages"])}
            told = {metadata.key for metadata in backend.search(SessionQuery(text))}
            assert told == holding, f"a search for the newest message of {key!r} finds {sorted(told)}"


def difference(found: State, wanted: list[State]) -> str:
    """What a store holds, against what it may hold, in a few words."""
    return f"it holds {_short(found)}, not {' or '.join(dict.fromkeys(map(_short, wanted)))}"


def _short(state: State) -> str:
    """The sessions, with what is said last, and anything that is known."""
    parts: list[str] = []
    for key, session in sorted(state.items()):
        messages = session["messages"]
        last = messages[-1]["content"][:8] if messages else ""
        known = [str(value)[:20] for name, value in session.items() if name != "messages" and value]
        parts.append(f"{key}:{len(messages)}{last!r}({','.join(known)})")
    return f"[{' '.join(parts)}]"
