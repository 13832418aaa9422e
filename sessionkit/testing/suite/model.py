"""What a backend should hold: plain dicts and lists, and none of the library's helpers."""

import json
from typing import Any

Session = dict[str, Any]
"""``messages``: JSON objects; ``times``: when each was stored; ``born``: of no other session; and its metadata."""

WORDS: dict[str, set[str]] = {
    "alpha": {"alpha"},
    "Beta,": {"beta"},
    "STRASSE": {"strasse"},
    "stra\u00dfe!": {"strasse"},
    "snake_case": {"snake_case"},
    "\u6771\u4eac\u90fd": {"\u6771", "\u4eac", "\u90fd", "\u6771\u4eac", "\u4eac\u90fd"},
    "*": set(),
}
"""Words of messages, and by hand the terms that each holds."""

KEYWORDS: dict[str, set[str]] = {
    "": set(),
    "ALPHA": {"alpha"},
    "beta*": {"beta"},
    "alph": {"alph"},
    "strasse": {"strasse"},
    "case": {"case"},
    "\u4eac\u90fd": {"\u4eac\u90fd"},
    "\u6771": {"\u6771"},
    "\u90fd\u6771": {"\u90fd\u6771"},
    "alpha beta": {"alpha", "beta"},
}
"""Keywords, and by hand the terms that each asks for."""


OLD = -1
"""A time long before all others, the same for every session."""


class Model:
    """Sessions by key. Time is a number that each change raises; what is `OLD` was restored as of long ago."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.now = 0
        self.born = 0

    def create(self, key: str, *, old: bool = False) -> Session:
        """The session, which a first append or setter creates."""
        if key not in self.sessions:
            self.now += 1
            self.born += 1
            moment = OLD if old else self.now
            self.sessions[key] = {
                "messages": [],
                "times": [],
                "born": self.born,
                "created": moment,
                "active": moment,
                "name": None,
                "agent_alias": None,
                "channel_id": None,
                "room_id": None,
                "sender_id": None,
                "attributes": {},
                "state": "idle",
                "turn_id": None,
                "started": None,
                "heartbeat": None,
            }
        return self.sessions[key]

    def touch(self, session: Session) -> int:
        """A change of messages or state, now."""
        self.now += 1
        session["active"] = self.now
        return self.now

    def append(self, key: str, data: dict[str, Any]) -> None:
        """Add a message, a copy of it."""
        session = self.create(key)
        session["messages"].append(json.loads(json.dumps(data)))
        session["times"].append(self.touch(session))

    def drop(self, key: str, count: int) -> None:
        """Remove the newest messages."""
        session = self.sessions[key]
        if count:
            del session["messages"][-count:]
            del session["times"][-count:]
            self.touch(session)

    def replace(self, key: str, data: dict[str, Any]) -> bool:
        """Replace the newest message, keeping its time."""
        session = self.sessions.get(key)
        if session is None or not session["messages"]:
            return False
        session["messages"][-1] = json.loads(json.dumps(data))
        self.touch(session)
        return True

    def merge(self, key: str, attributes: dict[str, Any]) -> None:
        """Merge attributes; None removes."""
        kept = self.create(key)["attributes"]
        for name, value in attributes.items():
            if value is None:
                kept.pop(name, None)
            else:
                kept[name] = value

    def enter(self, key: str, state: str, turn_id: str | None) -> None:
        """Set the state: a turn begins, has a heartbeat, or ends."""
        session = self.create(key)
        moment = self.touch(session)
        if state != "running":
            session["started"] = session["heartbeat"] = None
        elif session["state"] == "running" and session["turn_id"] == turn_id:
            session["heartbeat"] = moment
        else:
            session["started"] = session["heartbeat"] = moment
        session["state"], session["turn_id"] = state, turn_id

    def stale(self) -> list[str]:
        """Those that nothing has happened to since they were old."""
        return [key for key, session in self.sessions.items() if session["active"] == OLD]

    def listed(self) -> list[str]:
        """All keys, most recently active first, ties by key."""
        return sorted(self.sessions, key=lambda key: (-self.sessions[key]["active"], key))

    def running(self) -> list[str]:
        """The running ones, newest turn first."""
        keys = [key for key, session in self.sessions.items() if session["state"] == "running"]
        return sorted(keys, key=lambda key: -self.sessions[key]["started"])

    def stuck(self) -> list[str]:
        """The running ones, the oldest heartbeat first."""
        return sorted(self.running(), key=lambda key: self.sessions[key]["heartbeat"])

    def found(self, keyword: str, **filters: Any) -> list[str]:
        """What a search finds."""
        asked = KEYWORDS[keyword]
        prefix = filters.pop("key_prefix", "")
        keys = [key for key in self.listed() if key.startswith(prefix)]
        keys = [key for key in keys if all(self.sessions[key][name] == value for name, value in filters.items())]
        return [
            key for key in keys if not asked or any(asked <= terms(data) for data in self.sessions[key]["messages"])
        ]

    def counts(self, key: str) -> tuple[int, int, int]:
        """Messages, turns and tool calls."""
        messages = self.sessions[key]["messages"]
        turns = [data for data in messages if data["role"] == "assistant" and data.get("content") is not None]
        calls = [call for data in messages for call in data.get("tool_calls", [])]
        blocks = [block for data in messages if isinstance(data.get("content"), list) for block in data["content"]]
        return len(messages), len(turns), len(calls) + sum(block["type"] == "tool_use" for block in blocks)


def terms(data: dict[str, Any]) -> set[str]:
    """The terms of a message that is made of `WORDS`."""
    content = data.get("content") or ""
    if isinstance(content, list):
        content = " ".join(block.get("text", "") for block in content)
    return set().union(*(WORDS[word] for word in content.split()))
