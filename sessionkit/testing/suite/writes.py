"""Several changes as one: `write`, its fences, and `extend`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sessionkit import (
    ConflictError,
    InvalidMessageError,
    UnsupportedOperationError,
    extend,
)
from sessionkit.testing.suite.base import (
    Backend,
    SuiteBase,
    fill,
    metadata_of,
    old_session,
    refuses,
    say,
    texts,
    told_of,
)
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import EVERY_FIELD, REFUSED_MESSAGES, TOO_LARGE, assert_same, exact

_WRITE = ("SupportsWrite",)


class WritePromises(SuiteBase):
    """`write` and `extend`."""

    @promise("write.one-change", needs=_WRITE)
    def test_write(self, backend: Backend) -> None:
        """`write` drops the newest messages, then appends all that are given, in order, and creates the session.

        If this fails: first drop, then append; any iterable will do.
        """
        backend.write("a", append=iter([say("0"), say("1"), say("2")]))
        assert texts(backend.load("a")) == ["0", "1", "2"]
        backend.write("a", drop_last=2, append=(say(text) for text in "34"))
        assert texts(backend.load("a")) == ["0", "3", "4"]
        backend.write("a", drop_last=3, append=[EVERY_FIELD])
        assert_same(backend.load("a")[0], EVERY_FIELD)
        fill(backend, "a", "5")
        assert len(backend.load("a")) == 2

    @promise("write.all-or-nothing", needs=_WRITE)
    def test_write_is_all_or_nothing(self, backend: Backend) -> None:
        """`write` is one atomic change: one message or attribute that can't be stored, and nothing is changed.

        If this fails: check all of them before the first is written, or roll back.
        """
        backend.write("a", append=[say("0"), say("1")], attributes={"x": 1})
        before = backend.load("a"), metadata_of(backend, "a")
        for make in REFUSED_MESSAGES.values():
            for key in ("a", "new"):
                with refuses(InvalidMessageError):
                    backend.write(
                        key, drop_last=int(key == "a"), append=[say("2"), make(), say("3")], attributes={"x": 2}
                    )
        with refuses(InvalidMessageError):
            backend.write("a", drop_last=1, append=[say("2")], attributes={"x": float("nan")})
        with refuses(ZeroDivisionError):
            backend.write("a", append=(say(str(1 // i)) for i in (1, 0)))
        assert (backend.load("a"), metadata_of(backend, "a")) == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("write.nothing-creates-nothing", needs=_WRITE)
    def test_write_nothing(self, backend: Backend) -> None:
        """Writing no message creates nothing, and gives the present revision: 0 where there is no session.

        If this fails: look whether there is anything to write before the session is created.
        """
        assert backend.write("a") == 0
        assert backend.write("a", append=[], if_revision=0) == 0
        assert self.settled(backend.list_sessions) == []
        revision = backend.write("a", append=[say()])
        assert backend.write("a") == revision

    @promise("write.drop-too-many", needs=_WRITE)
    def test_write_drops_no_more_than_there_is(self, backend: Backend) -> None:
        """Dropping more than there is, or less than nothing, is a `ValueError`, and nothing is changed.

        If this fails: count before anything is dropped.
        """
        fill(backend, "a", "0", "1")
        before = backend.load("a"), metadata_of(backend, "a")
        for key, drop_last in (("a", 3), ("a", -1), ("new", 1), ("new", -1)):
            with refuses(ValueError):
                backend.write(key, drop_last=drop_last, append=[say("2")], attributes={"x": 1})
        assert (backend.load("a"), metadata_of(backend, "a")) == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("write.attributes", needs=_WRITE, native=("get_session_metadata",))
    def test_write_merges_attributes(self, backend: Backend) -> None:
        """`write` merges attributes key by key at the top level; None removes its key.

        If this fails: do as `set_session_context` does.
        """
        backend.write("a", append=[say()], attributes={"x": {"a": 1}, "y": 1, "z": [1]})
        backend.write("a", attributes={"x": {"b": None}, "y": None})
        assert exact(dict(metadata_of(backend, "a").attributes)) == exact({"x": {"b": None}, "z": [1]})
        backend.write("b", attributes={"x": 1})
        assert dict(metadata_of(backend, "b").attributes) == {"x": 1}
        assert backend.load("b") == []

    @promise("write.returns-revision", needs=_WRITE, native=("get_session_metadata",))
    def test_write_gives_the_revision(self, backend: Backend) -> None:
        """`write` gives the session's new revision, which the metadata carry.

        If this fails: read it within the same change.
        """
        changes: list[dict[str, Any]] = [
            {"append": [say()]},
            {"append": [say(), say()]},
            {"drop_last": 1},
            {"attributes": {"x": 1}},
        ]
        for change in changes:
            assert backend.write("a", **change) == metadata_of(backend, "a").revision

    @promise("write.if-revision", needs=_WRITE)
    def test_write_if_revision(self, backend: Backend) -> None:
        """`write` is `ConflictError`, and nothing is changed, where the revision is not `if_revision`; 0: it must not
        exist.

        If this fails: compare within the lock or transaction that writes.
        """
        first = backend.write("a", append=[say("0")], if_revision=0)
        second = backend.write("a", append=[say("1")], if_revision=first)
        assert second > first
        fill(backend, "a", "2")
        before = backend.load("a"), metadata_of(backend, "a")
        for stale in (0, first, second, second + 1_000_000):
            with refuses(ConflictError):
                backend.write("a", drop_last=1, append=[say("3")], attributes={"x": 1}, if_revision=stale)
        with refuses(ConflictError):
            backend.write("new", append=[say("3")], if_revision=1)
        assert (backend.load("a"), metadata_of(backend, "a")) == before
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("write.if-turn", needs=(*_WRITE, "set_session_state"))
    def test_write_if_turn(self, backend: Backend) -> None:
        """`write` is `ConflictError`, and nothing is changed, where the running turn is not `if_turn`.

        If this fails: a turn that was taken over, or has ended, must not write; a turn id kept by another state is
        none.
        """
        backend.set_session_state("a", "running", "t")
        backend.write("a", append=[say("0")], if_turn="t")
        changes: list[Callable[[], Any]] = [
            lambda: backend.set_session_state("a", "running", "other"),
            lambda: backend.set_session_state("a", "idle", "t"),
            lambda: backend.set_session_state("a", "idle"),
            lambda: backend.set_session_state("a", "running"),
        ]
        for change in changes:
            change()
            before = backend.load("a"), metadata_of(backend, "a")
            with refuses(ConflictError):
                backend.write("a", drop_last=1, append=[say("1")], attributes={"x": 1}, if_turn="t")
            assert (backend.load("a"), metadata_of(backend, "a")) == before
        with refuses(ConflictError):
            backend.write("new", append=[say("1")], if_turn="t")
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("write.if-turn-attributes", needs=(*_WRITE, "set_session_state"), native=("get_session_metadata",))
    def test_write_attributes_if_turn(self, backend: Backend) -> None:
        """Attributes alone are written under a turn while it runs, and not once it is over: `ConflictError`.

        If this fails: the fence is there for whatever is written, not for messages only.
        """
        backend.set_session_state("a", "running", "t")
        backend.write("a", attributes={"x": 1}, if_turn="t")
        assert dict(metadata_of(backend, "a").attributes) == {"x": 1}
        for state, turn in (("running", "other"), ("idle", "t")):
            backend.set_session_state("a", state, turn)
            before = told_of(backend, "a")
            for attributes in ({"x": 2}, {"x": None}, {"y": 1}, {"x": 1}):
                with refuses(ConflictError):
                    backend.write("a", attributes=attributes, if_turn="t")
            assert told_of(backend, "a") == before

    @promise("write.if-turn-stuck", needs=(*_WRITE, "SupportsRestore", "set_session_state"))
    def test_write_of_a_stuck_turn(self, backend: Backend) -> None:
        """A turn that has been silent for long, and that nobody has taken over, still writes.

        If this fails: only another turn, or the end of this one, stops it; no age does.
        """
        then = datetime.now(UTC) - timedelta(hours=1)
        old_session(backend, "a", hours=1, state="running", turn_id="t", turn_started_at=then, heartbeat_at=then)
        backend.write("a", append=[say("late")], if_turn="t")
        assert texts(backend.load("a")) == ["restored", "late"]
        backend.set_session_state("a", "running", "other")
        with refuses(ConflictError):
            backend.write("a", append=[say("too late")], if_turn="t")
        assert texts(backend.load("a")) == ["restored", "late"]

    @promise("write.both-fences", needs=(*_WRITE, "set_session_state"))
    def test_write_checks_both_fences(self, backend: Backend) -> None:
        """Where both `if_revision` and `if_turn` are given, both must hold, or it is `ConflictError` and nothing is
        changed; an empty turn id is a condition too.

        If this fails: no `elif` between the two, and compare each with None.
        """
        backend.set_session_state("a", "running", "t")
        revision = backend.write("a", append=[say("0")])
        before = told_of(backend, "a")
        stale = revision + 1_000_000
        for fences in ((revision, "other"), (stale, "t"), (stale, "other"), (None, ""), (revision, "")):
            with refuses(ConflictError, f"write() with the fences {fences}"):
                backend.write("a", append=[say("1")], if_revision=fences[0], if_turn=fences[1])
        assert told_of(backend, "a") == before
        backend.write("a", append=[say("2")], if_revision=revision, if_turn="t")
        assert texts(backend.load("a")) == ["0", "2"]

    @promise("write.fences-nothing", needs=(*_WRITE, "set_session_state"))
    def test_write_nothing_checks_the_fences(self, backend: Backend) -> None:
        """The conditions of `write` are checked where there is nothing to write, too: it is how to ask for them.

        If this fails: compare before anything else is looked at.
        """
        backend.set_session_state("a", "running", "t")
        revision = backend.write("a", append=[say("0")])
        assert backend.write("a", if_revision=revision, if_turn="t") == revision
        with refuses(ConflictError):
            backend.write("a", if_revision=revision + 1_000_000)
        with refuses(ConflictError):
            backend.write("a", if_turn="other")
        for key, fence in (("a", 0), ("new", 1)):
            with refuses(ConflictError):
                backend.write(key, append=[], if_revision=fence)
        with refuses(ConflictError):
            backend.write("new", attributes={}, if_turn="t")
        assert self.settled(backend.list_sessions) == ["a"]

    @promise("write.too-large-refused", needs=_WRITE)
    def test_write_refuses_too_large_messages(self, backend: Backend) -> None:
        """`write` refuses as large messages as `append` does: `InvalidMessageError`, and nothing is changed.

        If this fails: check all of them, with the same limit, before anything is dropped or written.
        """
        revision = backend.write("a", append=[say("0")])
        with refuses(InvalidMessageError):
            backend.write("a", drop_last=1, append=[say("1"), say("x" * TOO_LARGE)])
        assert texts(backend.load("a")) == ["0"]
        assert backend.write("a") == revision

    @promise("write.shares-nothing", needs=_WRITE)
    def test_write_shares_nothing(self, backend: Backend) -> None:
        """Changing what was given to `write` changes nothing stored.

        If this fails: keep the encoded messages and attributes.
        """
        message = say("0", extra={"x": [1]})
        attributes: dict[str, Any] = {"y": [1]}
        messages = [message]
        backend.write("a", append=messages, attributes=attributes)
        message.extra["x"].append(2)
        attributes["y"].append(2)
        messages.append(say("1"))
        assert backend.load("a") == [say("0", extra={"x": [1]})]
        if self.is_native(backend, "get_session_metadata"):
            assert metadata_of(backend, "a").attributes == {"y": [1]}

    @promise("extend.all-or-none")
    def test_extend(self, backend: Backend) -> None:
        """`extend` writes all messages or none, through `write`; without it, it is `UnsupportedOperationError`, unless
        `atomic=False`.

        If this fails: `write` must be atomic; or the backend claims a protocol that it does not offer.
        """
        batch = [say("0"), say("1")]
        bad = [say("2"), REFUSED_MESSAGES["NaN"]()]
        if self.offers(backend, "SupportsWrite"):
            extend(backend, "a", batch)
        else:
            with refuses(UnsupportedOperationError):
                extend(backend, "a", batch)
            assert self.settled(backend.list_sessions) == []
            extend(backend, "a", batch, atomic=False)
        for atomic in {self.offers(backend, "SupportsWrite"), False}:
            with refuses(InvalidMessageError):
                extend(backend, "a", bad, atomic=atomic)
        assert texts(backend.load("a")) == ["0", "1"]
