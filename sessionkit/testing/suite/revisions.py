"""Revisions: what raises them, what does not, and that none repeats."""

from collections.abc import Callable
from typing import Any

from sessionkit import ConflictError, SessionContext, SessionMetadata
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, old_session, refuses, say
from sessionkit.testing.suite.promises import promise

_GONE = ("delete_session", "get_session_metadata")
"""What must be the backend's own, so that a session can be deleted, and its revision read."""


class RevisionPromises(SuiteBase):
    """`SessionMetadata.revision`."""

    @promise(
        "revision.counts-changes",
        needs=("SupportsWrite", "set_session_state", "set_session_context"),
        native=("get_session_metadata",),
    )
    def test_revision_counts_changes(self, backend: Backend) -> None:
        """The revision rises with every change of a session's messages, attributes and state.

        If this fails: every method that changes them raises it.
        """
        changes: list[Callable[[], Any]] = [
            lambda: backend.append("a", say()),
            lambda: backend.update_last("a", say("new")),
            lambda: backend.remove_last("a"),
            lambda: fill(backend, "a", "1", "2"),
            lambda: backend.clear_messages("a"),
            lambda: backend.set_session_state("a", "running", "t"),
            lambda: backend.set_session_state("a", "running", "u"),
            lambda: backend.set_session_state("a", "idle"),
            lambda: backend.set_session_context("a", SessionContext(attributes={"x": 1})),
            lambda: backend.set_session_context("a", SessionContext(attributes={"x": None})),
            lambda: backend.write("a", append=[say()], attributes={"y": 1}),
            lambda: backend.write("a", attributes={"y": 2}),
        ]
        fill(backend, "a", "0")
        revision = _revision(backend)
        for i, change in enumerate(changes):
            change()
            before, revision = revision, _revision(backend)
            assert revision > before, f"change {i} did not raise the revision"

    @promise("revision.not-heartbeats", needs=("SupportsWrite", "set_session_state"), native=("get_session_metadata",))
    def test_heartbeats_raise_no_revision(self, backend: Backend) -> None:
        """Heartbeats and reading leave the revision as it is.

        If this fails: a heartbeat in the middle of a turn must not make its next `write` a conflict.
        """
        fill(backend, "a", "0")
        backend.set_session_state("a", "running", "t")
        revision = _revision(backend)
        backend.set_session_state("a", "running", "t")
        backend.load("a")
        backend.compact("a")
        assert _revision(backend) == revision

    @promise("revision.counts-turns", needs=("SupportsWrite", "SupportsTurns"), native=("get_session_metadata",))
    def test_revision_counts_turns(self, backend: Backend) -> None:
        """The revision rises with a turn that `begin_turn` begins or takes over, and with neither its heartbeats nor an
        attempt that fails.

        If this fails: who is taken over must not write any more by the revision that it knows.
        """
        fill(backend, "a", "0")
        before = _revision(backend)
        backend.begin_turn("a", "theirs")
        theirs = _revision(backend)
        assert theirs > before
        backend.begin_turn("a", "theirs")
        backend.begin_turn("a", "ours", stuck_after=3600)
        assert _revision(backend) == theirs
        self.tick()
        assert backend.begin_turn("a", "ours", stuck_after=0).turn_id == "ours"
        assert _revision(backend) > theirs
        with refuses(ConflictError):
            backend.write("a", append=[say("late")], if_revision=theirs)

    @promise("revision.counts-turn-ends", needs=("SupportsWrite", "SupportsTurnState", "set_session_state"))
    def test_revision_counts_the_ends_of_turns(self, backend: Backend) -> None:
        """The revision rises with the end of a turn, and with neither its heartbeats nor what is refused.

        If this fails: a heartbeat must not make the turn's own next `write` a conflict, and its end must make the
        next one of whoever slept through it.
        """
        fill(backend, "a", "0")
        backend.set_session_state("a", "running", "t")
        began = backend.write("a")
        assert backend.set_turn_state("a", "t", "running") == began
        for state in ("running", "idle"):
            with refuses(ConflictError):
                backend.set_turn_state("a", "other", state)
        backend.set_turn_state("a", "t", "running")
        written = backend.write("a", append=[say("1")], if_revision=began, if_turn="t")
        ended = backend.set_turn_state("a", "t", "idle")
        assert ended > written
        assert backend.write("a") == ended
        with refuses(ConflictError):
            backend.set_turn_state("a", "t", "idle")
        assert backend.write("a") == ended
        with refuses(ConflictError):
            backend.write("a", append=[say("late")], if_revision=written)

    @promise(
        "revision.not-names",
        needs=("SupportsWrite", "set_session_name", "set_session_agent_alias", "set_session_context"),
        native=("get_session_metadata",),
    )
    def test_names_raise_no_revision(self, backend: Backend) -> None:
        """Names, aliases and where a session belongs leave the revision as it is, which counts changes of messages,
        attributes and state.

        If this fails: who names a session in the middle of a turn must not make its next `write` a conflict.
        """
        fill(backend, "a", "0")
        revision = _revision(backend)
        for name in ("name", ""):
            backend.set_session_name("a", name)
            backend.set_session_agent_alias("a", name)
            backend.set_session_context("a", SessionContext(name, name, name))
            assert _revision(backend) == revision

    @promise("revision.never-repeats", needs=("SupportsWrite",), native=("delete_session",))
    def test_revisions_never_repeat(self, backend: Backend) -> None:
        """A revision never repeats, not even after deletion and creation anew.

        If this fails: begin above the highest revision of any session deleted, and keep that number.
        """
        seen: set[int] = set()
        for round_ in range(4):
            for _ in range(round_ + 1):
                revision = backend.write("a", append=[say()])
                assert revision not in seen
                seen.add(revision)
            backend.write("b", append=[say()])
            backend.delete_session("a")
            if round_ % 2:
                backend.delete_session("b")
        with refuses(ConflictError):
            backend.write("a", append=[say()], if_revision=max(seen))

    @promise(
        "revision.after-cleanup", needs=("SupportsWrite", "SupportsRestore", "cleanup_stale", "times"), native=_GONE
    )
    def test_revisions_after_cleanup(self, backend: Backend) -> None:
        """A revision does not repeat after `cleanup_stale` has deleted its session, either.

        If this fails: keep the highest revision of what is cleaned up too.
        """
        seen: set[int] = set()
        for _ in range(3):
            old_session(backend, "a", hours=5)
            _add_unseen(seen, _revision(backend))
            assert backend.cleanup_stale(1) == 1
        _add_unseen(seen, backend.write("a", append=[say()]))

    @promise("revision.after-restore", needs=("SupportsWrite", "SupportsRestore"), native=_GONE)
    def test_revisions_after_restore(self, backend: Backend) -> None:
        """A restored session has a revision that never was, whichever its metadata carry.

        If this fails: take over no revision that is not above all that have been.
        """
        seen: set[int] = set()
        for _ in range(3):
            _add_unseen(seen, backend.write("a", append=[say()]))
        for known in (None, 0, min(seen), max(seen), None):
            backend.delete_session("a")
            backend.restore("a", [], SessionMetadata("a", revision=known))
            _add_unseen(seen, _revision(backend))
            _add_unseen(seen, backend.write("a", append=[say()]))


def _add_unseen(seen: set[int], revision: int) -> None:
    assert revision not in seen, f"revision {revision} has been before"
    seen.add(revision)


def _revision(backend: Backend) -> int:
    revision = metadata_of(backend, "a").revision
    assert revision is not None
    return revision
