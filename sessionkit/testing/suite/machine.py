"""Any sequence of calls against the model: a state machine that Hypothesis drives, and shrinks where they part."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sessionkit import ChatMessage, ConflictError, SessionContext, SessionMetadata, SessionQuery, TimestampedMessage
from sessionkit.testing.suite.base import Backend, SuiteBase, metadata_of, refuses
from sessionkit.testing.suite.drawn import ATTRIBUTES, FIELD, FILTERS, KEYS, LIMITS, MESSAGES, STATES, TURNS
from sessionkit.testing.suite.model import KEYWORDS, OLD, Model
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import exact

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)

_FINE = 0.01
"""How coarse a clock may be, in seconds, to be waited for at each step."""

Rule = TypeVar("Rule")


def offered(*names: str) -> Callable[[Rule], Rule]:
    """A rule for backends that offer all of these."""
    met: Any = precondition(lambda machine: all(machine.suite.offers(machine.backend, name) for name in names))
    return cast("Callable[[Rule], Rule]", met)


class Machine(RuleBasedStateMachine):
    """Does the same to a backend and to the model, and compares."""

    def __init__(self, suite: SuiteBase) -> None:
        super().__init__()
        self.suite = suite
        self.context = suite.fresh()
        self.backend: Backend = self.context.__enter__()
        self.model = Model()
        self.revisions: dict[str, int] = {}
        self.stood_for: dict[tuple[str, int], tuple[int, str]] = {}

    def teardown(self) -> None:
        """Give the backend back."""
        self.context.__exit__(None, None, None)

    @initialize()
    def know(self) -> None:
        """What the backend declares, once."""
        self.native = self.suite.is_native(self.backend, "get_session_metadata")
        self.ages = self.native and self.suite.keeps_times(self.backend)
        self.times = self.ages and self.suite.clock <= _FINE
        self.deletes = self.suite.is_native(self.backend, "delete_session")

    # -- messages ------------------------------------------------------------------------------------------------------

    @rule(key=KEYS, added=st.lists(MESSAGES, min_size=1, max_size=3))
    def append(self, key: str, added: list[dict[str, Any]]) -> None:
        """A few messages more."""
        for data in added:
            self.backend.append(key, ChatMessage.from_dict(data))
            self.model.append(key, data)

    @rule(key=KEYS, count=st.integers(1, 2))
    def remove_last(self, key: str, count: int) -> None:
        """The newest less."""
        for _ in range(count):
            there = bool(self.model.sessions.get(key, {}).get("messages"))
            assert self.backend.remove_last(key) is there
            if there:
                self.model.drop(key, 1)

    @rule(key=KEYS, pieces=st.lists(MESSAGES, min_size=1, max_size=2))
    def update_last(self, key: str, pieces: list[dict[str, Any]]) -> None:
        """The newest anew, as often as a streaming answer grows."""
        for data in pieces:
            assert self.backend.update_last(key, ChatMessage.from_dict(data)) is self.model.replace(key, data)

    @rule(key=KEYS, how=st.sampled_from(["clear_messages", "delete_session", "compact"]))
    def tidy(self, key: str, how: str) -> None:
        """What is done now and then; as one rule, so that sessions live long enough to see something."""
        getattr(self, f"_{how}")(key)

    def _clear_messages(self, key: str) -> None:
        """All messages less."""
        count = len(self.model.sessions.get(key, {}).get("messages", ()))
        assert self.backend.clear_messages(key) == count
        if count:
            self.model.drop(key, count)

    def _delete_session(self, key: str) -> None:
        """The session less."""
        assert self.backend.delete_session(key) is (key in self.model.sessions)
        self._gone(key)

    def _compact(self, key: str) -> None:
        """Nothing that shows."""
        self.backend.compact(key)

    @rule()
    def cleanup_stale(self) -> None:
        """Those less that were restored as of long ago and not touched since."""
        stale = self.model.stale()
        assert self.backend.cleanup_stale(1) == len(stale)
        for key in stale:
            self._gone(key)

    def _gone(self, key: str) -> None:
        """What deletion leaves of a session."""
        if self.deletes:
            self.model.sessions.pop(key, None)
            self.revisions.pop(key, None)
        elif key in self.model.sessions:
            self.model.drop(key, len(self.model.sessions[key]["messages"]))

    # -- metadata ------------------------------------------------------------------------------------------------------

    @offered("set_session_name")
    @rule(key=KEYS, name=st.sampled_from(["n", "N", "\u00e4", ""]))
    def set_name(self, key: str, name: str) -> None:
        """A name, or none."""
        self.backend.set_session_name(key, name)
        if name or key in self.model.sessions:
            self.model.create(key)["name"] = name or None

    @offered("set_session_agent_alias")
    @rule(key=KEYS, alias=st.sampled_from(["c", "C"]))
    def set_alias(self, key: str, alias: str) -> None:
        """An alias."""
        self.backend.set_session_agent_alias(key, alias)
        self.model.create(key)["agent_alias"] = alias

    @offered("set_session_context")
    @rule(key=KEYS, channel=FIELD, room=FIELD, sender=FIELD, attributes=ATTRIBUTES)
    def set_context(self, key: str, channel: str | None, room: str | None, sender: str | None, attributes: Any) -> None:
        """A context, merged."""
        sets = any((channel, room, sender, *(value is not None for value in attributes.values())))
        self.backend.set_session_context(key, SessionContext(channel, room, sender, attributes))
        if key in self.model.sessions or sets:
            self.model.merge(key, attributes)
            for name, value in (("channel_id", channel), ("room_id", room), ("sender_id", sender)):
                if value is not None:
                    self.model.sessions[key][name] = value or None

    @offered("set_session_state", "get_session_state")
    @rule(key=KEYS, state=STATES, turn=TURNS | st.none())
    def set_state(self, key: str, state: str, turn: str | None) -> None:
        """A state: a turn begins, lives or ends."""
        session = self.model.sessions.get(key)
        if session and state != "running" and (session["state"], session["turn_id"]) == (state, turn):
            return  # whether setting what is set already is a change is nowhere said
        if session and state == "running" != session["state"] and session["turn_id"] == turn:
            return  # nor whether that turn, which has ended, begins again
        self.backend.set_session_state(key, state, turn)
        self.model.enter(key, state, turn)

    # -- optional protocols --------------------------------------------------------------------------------------------

    @offered("SupportsWrite")
    @rule(
        key=KEYS,
        drop=st.integers(0, 2),
        added=st.lists(MESSAGES, max_size=3),
        attributes=ATTRIBUTES,
        fence=st.integers(0, 3),
    )
    def write(self, key: str, drop: int, added: list[dict[str, Any]], attributes: dict[str, Any], fence: int) -> None:
        """Several changes as one, with a fence or without."""
        session = self.model.sessions.get(key)
        drop = min(drop, len(session["messages"]) if session else 0)
        messages = [ChatMessage.from_dict(data) for data in added]
        revision = self.revisions.get(key, 0)
        if fence == 1 and self.native:
            with refuses(ConflictError):
                self.backend.write(
                    key, drop_last=drop, append=messages, attributes=attributes, if_revision=revision + 1
                )
            return
        known = revision if fence == 2 and self.native else None
        given = self.backend.write(key, drop_last=drop, append=messages, attributes=attributes, if_revision=known)
        if not session and not added and all(value is None for value in attributes.values()):
            assert given == 0
            return
        self.model.create(key)
        self.model.drop(key, drop)
        for data in added:
            self.model.append(key, data)
        self.model.merge(key, attributes)
        assert not self.native or given == metadata_of(self.backend, key).revision

    @offered("SupportsTurns", "set_session_state", "get_session_state")
    @rule(key=KEYS, turn=TURNS)
    def begin_turn(self, key: str, turn: str) -> None:
        """Ours, unless another runs."""
        session = self.model.sessions.get(key)
        if not session or session["state"] != "running" or session["turn_id"] == turn:
            self.model.enter(key, "running", turn)
        state = self.backend.begin_turn(key, turn)
        assert (state.state, state.turn_id) == ("running", self.model.sessions[key]["turn_id"])

    @offered("SupportsTurnState", "set_session_state", "get_session_state")
    @rule(key=KEYS, turn=TURNS, state=STATES)
    def set_turn_state(self, key: str, turn: str, state: str) -> None:
        """A heartbeat or the end of the turn that runs, or a conflict."""
        session = self.model.sessions.get(key)
        if not session or (session["state"], session["turn_id"]) != ("running", turn):
            with refuses(ConflictError):
                self.backend.set_turn_state(key, turn, state)
            return
        revision = self.backend.set_turn_state(key, turn, state)
        self.model.enter(key, state, turn)
        assert not self.native or revision == metadata_of(self.backend, key).revision

    @offered("SupportsRestore")
    @rule(
        key=KEYS,
        added=st.lists(MESSAGES, max_size=3),
        attributes=ATTRIBUTES,
        revision=st.none() | st.integers(0, 9),
        old=st.booleans(),
    )
    def restore(
        self, key: str, added: list[dict[str, Any]], attributes: dict[str, Any], revision: int | None, *, old: bool
    ) -> None:
        """A session put back, of now or of long ago, or a conflict."""
        old = old and self.ages
        moment = LONG_AGO if old else self.suite.tick()
        stored = [TimestampedMessage(ChatMessage.from_dict(data), moment) for data in added]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        known: dict[str, Any] = {"name": "n" if added else None, "channel_id": "c", "attributes": attributes}
        metadata = SessionMetadata(key, moment, moment, len(stored), state="idle", revision=revision, **known)
        if key in self.model.sessions:
            with refuses(ConflictError):
                self.backend.restore(key, stored, metadata)
            return
        self.backend.restore(key, stored, metadata)
        session = self.model.create(key, old=old)
        for data in added:
            self.model.append(key, data)
        session.update(known)
        if old:
            session.update(times=[OLD] * len(added), active=OLD)

    # -- reading -------------------------------------------------------------------------------------------------------

    @rule(key=KEYS, count=st.integers(0, 4))
    def load_a_few(self, key: str, count: int) -> None:
        """The newest few, and the oldest, with their times."""
        messages = self.model.sessions.get(key, {}).get("messages", [])
        found = [stored.message.to_dict() for stored in self.backend.load_with_timestamps(key, last=count)]
        assert exact(found) == exact(messages[max(0, len(messages) - count) :])
        if self.suite.offers(self.backend, "SupportsFirst"):
            first = self.backend.load_first(key, count)
            assert exact([stored.message.to_dict() for stored in first]) == exact(messages[:count])
            assert first == self.backend.load_with_timestamps(key)[:count]

    @rule(keyword=st.sampled_from(sorted(KEYWORDS)), filters=FILTERS, offset=st.integers(0, 2), limit=LIMITS)
    def search(self, keyword: str, filters: dict[str, Any], offset: int, limit: int | None) -> None:
        """Sessions found, in order, page by page where there is an order."""
        setters = {"channel_id": "set_session_context", "state": "set_session_state"}
        filters = {
            name: wanted
            for name, wanted in filters.items()
            # Of a session without messages, metadata that are derived from them say nothing.
            if name == "key_prefix" or (self.native and self.suite.offers(self.backend, setters[name]))
        }
        if not self.times:
            offset, limit = 0, None
        query = SessionQuery(keyword, offset=offset, limit=limit, **filters)
        found = [metadata.key for metadata in self.suite.settled(lambda: self.backend.search(query))]
        wanted = self.model.found(keyword, **filters)[offset:][:limit]
        assert found == wanted if self.times else sorted(found) == sorted(wanted)

    @offered("set_session_state", "get_session_state", "list_running_sessions", "list_stuck_sessions")
    @rule()
    def running(self) -> None:
        """Sessions that run, and all of them as stuck."""
        assert [
            metadata.key for metadata in self.suite.settled(self.backend.list_running_sessions)
        ] == self.model.running()
        assert [metadata.key for metadata in self.backend.list_stuck_sessions(0)] == self.model.stuck()

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def lists(self) -> None:
        """Every list names what is there, in order."""
        if self.times:
            self.suite.tick()
        found = self.suite.settled(self.backend.list_sessions)
        if self.times:
            assert found == self.model.listed()
        else:
            assert sorted(found) == sorted(self.model.sessions)
        listed = self.backend.list_sessions_with_metadata()
        assert sorted(metadata.key for metadata in listed) == sorted(found)
        if self.native:
            assert {metadata.key: metadata for metadata in listed} == {
                key: metadata_of(self.backend, key) for key in found
            }

    @invariant()
    def sessions(self) -> None:
        """Every session is as the model has it."""
        for key, session in self.model.sessions.items():
            assert exact([message.to_dict() for message in self.backend.load(key)]) == exact(session["messages"])
            metadata = self.backend.get_session_metadata(key)
            if metadata is None:
                assert not self.native
                assert not session["messages"]
                continue
            assert (metadata.message_count, metadata.turn_count, metadata.tool_call_count) == self.model.counts(key)
            for name, wanted in self._known(session):
                assert exact(getattr(metadata, name)) == exact(wanted), name
            self._check_times(key, metadata, session)
            self._check_revision(key, metadata, session)

    def _known(self, session: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """What the metadata must say, where it is offered."""
        setters = {
            "set_session_name": ("name",),
            "set_session_agent_alias": ("agent_alias",),
            "set_session_context": ("channel_id", "room_id", "sender_id", "attributes"),
            "set_session_state": ("state", "turn_id"),
        }
        for setter, names in setters.items():
            if self.native and self.suite.offers(self.backend, setter):
                yield from ((name, session[name]) for name in names)

    def _check_times(self, key: str, metadata: SessionMetadata, session: dict[str, Any]) -> None:
        """Times stand in the order of the model's numbers."""
        if not self.times:
            return
        stored = [item.created_at for item in self.backend.load_with_timestamps(key)]
        times = [metadata.created_at, *stored, metadata.last_activity]
        numbers = [session["created"], *session["times"], session["active"]]
        if self.suite.offers(self.backend, "set_session_state"):
            times += [metadata.turn_started_at, metadata.heartbeat_at]
            numbers += [session["started"], session["heartbeat"]]
            assert [time is None for time in times] == [number is None for number in numbers]
        pairs = sorted(
            (number, time) for number, time in zip(numbers, times, strict=True) if number is not None and time
        )
        in_order = [time for _, time in pairs]
        assert in_order == sorted(in_order)

    def _check_revision(self, key: str, metadata: SessionMetadata, session: dict[str, Any]) -> None:
        """A revision stands for one value of messages, attributes and state, for ever."""
        if metadata.revision is None:
            assert not (self.native and self.suite.offers(self.backend, "SupportsWrite"))
            return
        stands_for = exact([session["messages"], session["attributes"], session["state"], session["turn_id"]])
        now = (session["born"], stands_for)
        assert self.stood_for.setdefault((key, metadata.revision), now) == now
        assert metadata.revision >= self.revisions.get(key, 0)
        self.revisions[key] = metadata.revision


class MachinePromises(SuiteBase):
    """Everything at once."""

    @promise("model.agrees")
    def test_any_calls_agree_with_the_model(self, backend: Backend) -> None:
        """After any sequence of calls, a backend says what the model says: plain dicts and lists.

        If this fails: Hypothesis prints the shortest sequence of calls that shows it.
        """
        assert backend.list_sessions() == []
        make: Any = lambda: Machine(self)  # noqa: E731 -- Hypothesis takes any maker, but is typed for a class
        run_state_machine_as_test(make, settings=self.settings(stateful_step_count=40))
