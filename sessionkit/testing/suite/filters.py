"""Search: which sessions the filters leave, in which order, and which part of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sessionkit import SessionContext, SessionQuery
from sessionkit.testing.suite.base import Backend, fill, metadata_of, old_session
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.search import SearchBase
from sessionkit.testing.suite.values import ELSEWHERE

_SEARCH = ("search",)
_CONTEXT = ("search", "set_session_context")


class FilterPromises(SearchBase):
    """`search`: filters, order, `offset` and `limit`."""

    @promise("search.key-prefix", needs=_SEARCH)
    def test_key_prefix(self, backend: Backend) -> None:
        """`key_prefix` finds the keys that begin with it, as data: `%`, `_` and `*` stand for themselves, and case
        counts.

        If this fails: escape the prefix, or compare a range; look at characters beyond the first plane too.
        """
        keys = (
            "a",
            "ab",
            "a%b",
            "a_b",
            "aXb",
            "a*b",
            "A",
            "b",
            "\u00e4",
            "a\u0308",
            "\U0010ffff",
            "\U0010ffff\U0010ffffx",
            "[a]",
        )
        for key in keys:
            fill(backend, key, "one")
        prefixes = (
            "",
            "a",
            "A",
            "a%",
            "a_",
            "a*",
            "%",
            "_",
            "ab",
            "abc",
            "\u00e4",
            "\U0010ffff",
            "\U0010ffff\U0010ffff",
            "[",
            "a[%_*]",
        )
        for prefix in prefixes:
            assert sorted(self.found(backend, key_prefix=prefix)) == sorted(k for k in keys if k.startswith(prefix)), (
                prefix
            )

    @promise("search.agent-alias", needs=("search", "set_session_agent_alias"))
    def test_filter_by_agent(self, backend: Backend) -> None:
        """`agent_alias` finds the sessions of that agent, exactly.

        If this fails: compare whole texts, code point by code point.
        """
        self._check_filter(backend, "agent_alias", backend.set_session_agent_alias)

    @promise("search.channel", needs=_CONTEXT)
    def test_filter_by_channel(self, backend: Backend) -> None:
        """`channel_id` finds the sessions of that channel, exactly.

        If this fails: compare whole texts, and no other field.
        """
        self._check_filter(
            backend, "channel_id", lambda key, v: backend.set_session_context(key, SessionContext(channel_id=v))
        )

    @promise("search.room", needs=_CONTEXT)
    def test_filter_by_room(self, backend: Backend) -> None:
        """`room_id` finds the sessions of that room, exactly.

        If this fails: compare whole texts, and no other field.
        """
        self._check_filter(
            backend, "room_id", lambda key, v: backend.set_session_context(key, SessionContext(room_id=v))
        )

    @promise("search.sender", needs=_CONTEXT)
    def test_filter_by_sender(self, backend: Backend) -> None:
        """`sender_id` finds the sessions of that sender, exactly.

        If this fails: compare whole texts, and no other field.
        """
        self._check_filter(
            backend, "sender_id", lambda key, v: backend.set_session_context(key, SessionContext(sender_id=v))
        )

    @promise("search.state", needs=("search", "set_session_state"))
    def test_filter_by_state(self, backend: Backend) -> None:
        """`state` finds the sessions in that state, exactly; `idle` those that never had one set.

        If this fails: compare whole texts; a session without a state is idle.
        """
        self._check_filter(backend, "state", backend.set_session_state)
        fill(backend, "never", "one")
        assert self.found(backend, state="idle") == ["never"]

    def _check_filter(self, backend: Backend, field: str, set_to: Callable[[str, str], None]) -> None:
        values = {"a": "x", "b": "X", "c": "x y", "d": "x", "e": "%", "f": "\u00e4", "g": "a\u0308"}
        for key, value in values.items():
            fill(backend, key, f"word of {key}")
            set_to(key, value)
        for asked in (*values.values(), "y", "", "_"):
            expected = sorted(key for key, value in values.items() if value == asked)
            assert sorted(self.found(backend, **{field: asked})) == expected
        assert self.found(backend, "word d", **{field: "x"}) == ["d"]

    @promise("search.attributes", needs=_CONTEXT)
    def test_filter_by_attributes(self, backend: Backend) -> None:
        """`attributes` finds the sessions where each of them is there and equal; True is not 1, a list not its text,
        and None is nothing that is there.

        If this fails: compare JSON values, not their texts; all of them must hold, and `dict.get` of what is absent is
        no null.
        """
        values: list[Any] = [1, True, "1", [1], {"b": {"c": [1, None]}, "a": 2}, 1.5, 10**40, "", False, 0, "a%"]
        for i, value in enumerate(values):
            backend.set_session_context(f"s{i}", SessionContext(attributes={"x": value, "all": "same"}))
        backend.set_session_context("other", SessionContext(attributes={"y": 1, "all": "same"}))
        for i, value in enumerate(values):
            assert self.found(backend, attributes={"x": value}) == [f"s{i}"], repr(value)
        assert self.found(backend, attributes={"x": {"a": 2, "b": {"c": [1, None]}}}) == ["s4"]
        assert self.found(backend, attributes={"x": 1, "all": "same"}) == ["s0"]
        assert self.found(backend, attributes={"x": 1, "all": "different"}) == []
        assert self.found(backend, attributes={"x": 1, "y": 1}) == []
        for nothing in ({"x": None}, {"unknown": None}, {"all": "same", "unknown": None}):
            assert self.found(backend, attributes=nothing) == [], repr(nothing)
        assert len(self.found(backend, attributes={"all": "same"})) == len(values) + 1

    @promise("search.active-since-until", needs=("search", "times"))
    def test_filter_by_activity(self, backend: Backend) -> None:
        """`active_since` is inclusive, `active_until` exclusive, to the microsecond, in whatever timezone they are
        given.

        If this fails: compare moments, and not texts, by `>=` and `<`.
        """
        moments: dict[str, datetime] = {}
        for key in "abc":
            fill(backend, key, "one")
            self.tick()
            active = metadata_of(backend, key).last_activity
            assert active is not None
            moments[key] = active
        step = timedelta(microseconds=1)
        for zone in (UTC, ELSEWHERE, timezone(timedelta(hours=9))):
            a, b, c = (moments[key].astimezone(zone) for key in "abc")
            assert self.found(backend, active_since=b) == ["c", "b"]
            assert self.found(backend, active_since=b + step) == ["c"]
            assert self.found(backend, active_until=b) == ["a"]
            assert self.found(backend, active_until=b + step) == ["b", "a"]
            assert self.found(backend, active_since=a, active_until=c) == ["b", "a"]
            assert self.found(backend, active_since=datetime.now(zone) + timedelta(days=1)) == []

    @promise("search.filters-narrow", needs=(*_CONTEXT, "set_session_agent_alias"))
    def test_all_filters_must_hold(self, backend: Backend) -> None:
        """Filters narrow: all must hold, and the keyword too.

        If this fails: join conditions by AND.
        """
        for i in range(8):
            key = f"{'ab'[i & 1]}{i}"
            fill(backend, key, "alpha" if i & 2 else "beta")
            backend.set_session_agent_alias(key, "agent" if i & 4 else "other")
            backend.set_session_context(key, SessionContext(channel_id="c", attributes={"n": i}))
        assert self.found(backend, "alpha", key_prefix="b", agent_alias="agent", channel_id="c") == ["b7"]
        assert self.found(backend, "alpha", key_prefix="b", agent_alias="agent", attributes={"n": 5}) == []
        assert sorted(self.found(backend, "alpha", key_prefix="b")) == ["b3", "b7"]

    @promise("search.order", needs=("search", "times"))
    def test_order_of_what_is_found(self, backend: Backend) -> None:
        """Search gives the most recently active first, whatever matched.

        If this fails: sort by the session's last activity, not by relevance or by the matching message.
        """
        for key, text in (("a", "alpha"), ("b", "alpha alpha alpha"), ("c", "alpha and more")):
            fill(backend, key, text)
            self.tick()
        fill(backend, "a", "beta")
        assert self.found(backend, "alpha") == ["a", "c", "b"]
        assert self.found(backend) == ["a", "c", "b"]

    @promise("search.ties-by-key", needs=("search", "SupportsRestore", "times"))
    def test_ties_of_what_is_found(self, backend: Backend) -> None:
        """Search orders sessions active at the same moment by key, page by page too.

        If this fails: sort by the key as a second criterion, ascending, code point by code point.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        keys = ["b", "\u00e4", "a", "B", "\uff5e", "\U0001f600", "a10", "a2"]
        for key in keys:
            old_session(backend, key, hours=0, created_at=then, last_activity=then)
        assert self.found(backend, "restored") == sorted(keys)
        assert self.found(backend, "restored", offset=2, limit=3) == sorted(keys)[2:5]

    @promise("search.offset-and-limit", needs=_SEARCH)
    def test_offset_and_limit(self, backend: Backend) -> None:
        """`offset` leaves out the first, then `limit` the rest, of what was found in order; a limit of 0 finds nothing.

        If this fails: page what matched and is sorted, not what was read; neither number has an upper limit.
        """
        for i in range(20):
            fill(backend, f"s{i}", "alpha" if i % 2 else "beta")
            self.tick()
        everything = self.found(backend, "alpha")
        assert len(everything) == 10
        for offset in (0, 1, 4, 9, 10, 99):
            for limit in (None, 0, 1, 3, 10, 99):
                page = everything[offset:] if limit is None else everything[offset : offset + limit]
                assert self.found(backend, "alpha", offset=offset, limit=limit) == page
        assert self.found(backend, offset=18) == self.found(backend)[18:]
        for huge in (2**31, 2**63, 10**30):
            assert self.found(backend, "alpha", offset=8, limit=huge) == everything[8:]
            assert self.found(backend, limit=huge) == self.found(backend)
            assert self.found(backend, "alpha", offset=huge) == self.found(backend, offset=huge, limit=huge) == []

    @promise("search.gives-metadata", needs=_SEARCH)
    def test_search_gives_metadata(self, backend: Backend) -> None:
        """Search gives each session's metadata, as `get_session_metadata` does, once however many messages match.

        If this fails: group by session, and read the same record.
        """
        fill(backend, "a", "alpha", "alpha", "alpha beta")
        fill(backend, "b", "beta")
        assert self.settled(lambda: backend.search(SessionQuery("alpha"))) == [metadata_of(backend, "a")]
