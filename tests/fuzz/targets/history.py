"""What `sessionkit.history` keeps in a session's attributes, written by anybody."""

import json
from typing import Any

from sessionkit import ChatMessage
from sessionkit.errors import InvalidMessageError
from sessionkit.history import SessionHistory
from sessionkit.history.keeping import changes
from sessionkit.history.session import RECORD
from sessionkit_memory import MemoryBackend
from tests.fuzz import oracle
from tests.fuzz.grammar import TIMES, value
from tests.fuzz.source import Source
from tests.fuzz.target import Outcomes, Target, check, outcome

_MEMBERS = ("agent_name", "model", "started_at", "ended_at", "usage", "theirs", "")
_COUNTS = ("input_tokens", "output_tokens", "total_cost_usd", "turns", "calls", "total_input_tokens", "x")


def run(data: bytes) -> Outcomes:
    """A record of any JSON is read, saved, and what others keep in it stays."""
    source = Source(data)
    try:
        attributes = _attributes(source) if source.below(2) else oracle.read_json(source.rest())
    except oracle.RefusedError:
        return outcome("refused: no JSON")
    with MemoryBackend() as backend:
        try:
            backend.write("s", append=[ChatMessage("user", "hello")], attributes=attributes)
        except (InvalidMessageError, TypeError, ValueError):
            check(not isinstance(attributes, dict), "attributes that are a JSON object are refused")
            return outcome("refused: no attributes")
        stored = _attributes_of(backend)
        history = SessionHistory(backend)
        session = history.load_session("s")
        check(session is not None, "a session can't be loaded")
        assert session is not None
        check(changes(session) == (0, [], {}) or not any(changes(session)), "a session that was only read has changes")
        check(oracle.same(dict(session.metadata), {n: v for n, v in stored.items() if n != RECORD}), "metadata differ")
        session.model = "another"
        session.messages.append(ChatMessage("user", "more"))
        history.save_session(session)
        again = history.load_session("s")
        assert again is not None
        check(oracle.same(dict(again.metadata), dict(session.metadata)), "metadata change as they are saved")
        check(again.messages == session.messages, "messages change as they are saved")
        _check_foreign(stored, _attributes_of(backend))
        check(history.list_sessions()[0].session_id == "s", "it is not listed")
    return outcome("accepted: a record" if isinstance(stored.get(RECORD), dict) else "accepted: no record")


def _check_foreign(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What somebody else keeps in the record stays there."""
    record = before.get(RECORD)
    members: dict[str, Any] = record if isinstance(record, dict) else {}
    for name, kept in members.items():
        if name not in _MEMBERS[:5]:
            check(oracle.same(after[RECORD].get(name), kept), f"the record's {name!r} is lost")


def _attributes_of(backend: MemoryBackend) -> dict[str, Any]:
    metadata = backend.get_session_metadata("s")
    assert metadata is not None
    return dict(metadata.attributes)


def _attributes(source: Source) -> dict[str, Any]:
    record = {source.pick(_MEMBERS): _member(source) for _ in range(source.below(6))}
    others = {source.text(4): value(source, 2) for _ in range(source.below(3))}
    return others | {RECORD: record if not source.chance(6) else value(source)}


def _member(source: Source) -> Any:
    if source.chance(3):
        return source.pick(TIMES)
    if source.chance(3):
        return {source.pick(_COUNTS): value(source, 3) for _ in range(source.below(4))}
    return value(source, 2)


def seeds() -> list[bytes]:
    """Records as we write them."""
    record = {"agent_name": "a", "started_at": TIMES[1], "usage": {"total_cost_usd": 0.5, "turns": 2}, "theirs": [1]}
    written = [{RECORD: record}, {RECORD: record, "mine": {"x": None}}, {RECORD: 1}, {}]
    made = [bytes([1, *range(at, at + 60)]) for at in (0, 50, 100, 150, 190)]
    return [*(b"\0" + json.dumps(each).encode() for each in written), *made]


WORDS = [
    *(json.dumps(name).encode() + b":" for name in (*_MEMBERS, *_COUNTS, RECORD)),
    *(time.encode() for time in TIMES[:6]),
]

TARGET = Target("history", "a session's record by anybody is read, and what is others' stays", run, seeds, WORDS, 800)
