"""What outlives the object: a store opened anew has everything, and goes on."""

from sessionkit import ConflictError, SessionContext, SessionQuery, SessionState
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, refuses, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import EVERY_FIELD, HOSTILE_KEYS, HOSTILE_TEXTS


class OutlivingPromises(SuiteBase):
    """What `reopen` gives."""

    @promise("reopen.messages")
    def test_messages_outlive_the_object(self, backend: Backend) -> None:
        """When a writing call returns, what it wrote is there in the store opened anew: messages as they were left.

        If this fails: write before you return, and read what is there when you open.
        """
        backend.append("a", EVERY_FIELD)
        fill(backend, "a", *HOSTILE_TEXTS, "grows", "removed")
        backend.remove_last("a")
        backend.update_last("a", say("grown"))
        fill(backend, "b", "one")
        backend.clear_messages("b")
        before = backend.load("a"), backend.load_with_timestamps("a")
        with self.reopened(backend) as again:
            assert (again.load("a"), again.load_with_timestamps("a")) == before
            assert again.load("b") == []
            fill(again, "a", "more")
            assert texts(again.load("a")) == [*texts(before[0]), "more"]

    @promise("reopen.keys")
    def test_keys_outlive_the_object(self, backend: Backend) -> None:
        """Every session is there in the store opened anew, under its own key, and deleted ones are not.

        If this fails: what the store makes of a key must be undone exactly.
        """
        for i, key in enumerate(HOSTILE_KEYS):
            fill(backend, key, str(i))
        backend.delete_session(HOSTILE_KEYS[0])
        listed = backend.list_sessions()
        with self.reopened(backend) as again:
            found = self.settled(again.list_sessions)
            assert sorted(found) == sorted(listed)
            if self.is_native(again, "get_session_metadata"):
                assert found == listed
            for i, key in enumerate(HOSTILE_KEYS[1:], 1):
                assert texts(again.load(key)) == [str(i)]

    @promise("reopen.metadata", native=("get_session_metadata",))
    def test_metadata_outlive_the_object(self, backend: Backend) -> None:
        """All metadata are there in the store opened anew: names, context, state, times, counts, revision.

        If this fails: keep each of them in the store, not in the object.
        """
        fill(backend, "a", "one", "two")
        if self.offers(backend, "set_session_name"):
            backend.set_session_name("a", "name")
        if self.offers(backend, "set_session_agent_alias"):
            backend.set_session_agent_alias("b", "alias")
        if self.offers(backend, "set_session_context"):
            backend.set_session_context("a", SessionContext("c", "r", "s", {"x": {"y": [1, None]}}))
        if self.offers(backend, "set_session_state"):
            backend.set_session_state("c", "running", "t")
        before = backend.list_sessions_with_metadata()
        with self.reopened(backend) as again:
            assert self.settled(again.list_sessions_with_metadata) == before
            assert [again.get_session_metadata(metadata.key) for metadata in before] == before

    @promise("reopen.turns", needs=("SupportsTurnState", "set_session_state", "get_session_state"))
    def test_turns_outlive_the_object(self, backend: Backend) -> None:
        """A turn that runs goes on in the store opened anew, under its id and as before; one that has ended stays so.

        If this fails: whose turn runs is kept in the store, and opening it ends none.
        """
        for key in "ab":
            backend.set_session_state(key, "running", "t")
        backend.set_turn_state("b", "t", "error")
        running, ended = backend.get_session_state("a"), backend.get_session_state("b")
        assert running is not None
        with self.reopened(backend) as again:
            assert (again.get_session_state("a"), again.get_session_state("b")) == (running, ended)
            for key, turn in (("a", "other"), ("b", "t")):
                with refuses(ConflictError):
                    again.set_turn_state(key, turn, "running")
            again.set_turn_state("a", "t", "running")
            state = again.get_session_state("a")
            assert state is not None
            assert (state.state, state.turn_started_at) == ("running", running.turn_started_at)
            again.set_turn_state("a", "t", "idle")
            with self.reopened(again) as third:
                assert third.get_session_state("a") == SessionState("idle", "t", None, None)
                assert third.get_session_state("b") == ended

    @promise("reopen.search", needs=("search",))
    def test_search_in_a_store_opened_anew(self, backend: Backend) -> None:
        """Search finds in the store opened anew what it found before, and what comes after.

        If this fails: what was not yet indexed when the store was closed must still be found.
        """
        fill(backend, "a", "alpha", "beta")
        fill(backend, "b", "alpha")
        backend.remove_last("b")
        with self.reopened(backend) as again:
            fill(again, "c", "alpha gamma")
            found = self.settled(lambda: again.search(SessionQuery("alpha")))
            assert sorted(metadata.key for metadata in found) == ["a", "c"]

    @promise("reopen.revision", needs=("SupportsWrite",), native=("delete_session", "get_session_metadata"))
    def test_revisions_in_a_store_opened_anew(self, backend: Backend) -> None:
        """Revisions go on in the store opened anew, and repeat none, not even of a session deleted before.

        If this fails: keep the highest revision of what was deleted in the store.
        """
        seen = [backend.write("a", append=[say()]) for _ in range(5)]
        backend.delete_session("a")
        kept = backend.write("b", append=[say()])
        with self.reopened(backend) as again:
            assert again.write("b") == kept
            assert again.write("a", append=[say()]) not in seen
            assert metadata_of(again, "a").revision not in seen
