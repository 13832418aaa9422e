"""Threads that read while others write: they see each session as it was at some moment, and nothing half done."""

from collections.abc import Callable
from typing import Any

from sessionkit import ConflictError, SessionMetadata, SessionQuery, TimestampedMessage, ToolCall
from sessionkit.testing._worker import append_all
from sessionkit.testing.suite.base import Backend, fill, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.racing import RacingBase

_KEYS = [f"s{i}" for i in range(20)]
_LENGTH = 10


class ReaderPromises(RacingBase):
    """What readers see meanwhile."""

    @promise("threads.updates", native=("update_last",))
    def test_readers_see_the_old_or_the_new(self, backend: Backend) -> None:
        """While `update_last` replaces a message, readers see the old or the new one, never neither.

        If this fails: removing the old and adding the new must be one step to every reader.
        """
        fill(backend, "a", "first", "0 0")
        rounds = 5 * self.appends
        seen: list[list[str]] = []

        def update() -> None:
            for i in range(1, rounds):
                backend.update_last("a", say(f"{i} {i}"))

        def read() -> None:
            seen.append(texts(backend.load("a")))
            seen.append([stored.message.content or "" for stored in backend.load_with_timestamps("a", last=2)])  # type: ignore[misc]  # pyright: ignore[reportArgumentType] -- all of them are texts

        self.meanwhile([update], read)
        for found in seen:
            assert len(found) == 2, "a reader saw neither the old nor the new message"
            assert found[0] == "first"
            assert len(set(found[1].split())) == 1
        assert texts(backend.load("a")) == ["first", f"{rounds - 1} {rounds - 1}"]

    @promise("threads.readers-see-a-prefix")
    def test_readers_see_a_prefix(self, backend: Backend) -> None:
        """What a reader sees while others append is the session as it was at some moment: a prefix of what it becomes,
        never shorter than before.

        If this fails: a reader must not see a message before those that came before it.
        """
        seen: list[list[str]] = []

        def read() -> None:
            seen.append(texts(backend.load("a")))

        self.meanwhile([lambda: append_all(backend, "a", "w", 2 * self.appends)], read, readers=1)
        whole = texts(backend.load("a"))
        assert all(found == whole[: len(found)] for found in seen)
        assert [len(found) for found in seen] == sorted(len(found) for found in seen)

    @promise("threads.batches", needs=("SupportsWrite",))
    def test_readers_see_whole_batches(self, backend: Backend) -> None:
        """While `write` drops and appends several messages, readers see all of the change or nothing of it, in the
        whole session, in its newest messages and in its oldest.

        If this fails: the whole change must become visible at once, and a reader must look at one moment only.
        """
        long, short = 6, 3
        fill(backend, "a", *["0"] * long)
        seen: list[list[str]] = []
        parts: list[list[str]] = []
        has_first = self.offers(backend, "SupportsFirst")

        def write() -> None:
            for i in range(1, 2 * self.appends):
                before, now = (short, long) if i % 2 == 0 else (long, short)
                backend.write("a", drop_last=before, append=[say(str(i))] * now)

        def read() -> None:
            seen.append(texts(backend.load("a")))
            parts.append(texts([stored.message for stored in backend.load_with_timestamps("a", last=short)]))
            if has_first:
                parts.append(texts([stored.message for stored in backend.load_first("a", short)]))

        self.meanwhile([write], read)
        assert all(len(found) in (long, short) and len(set(found)) == 1 for found in seen)
        assert all(len(found) == short and len(set(found)) == 1 for found in parts)

    @promise("threads.clear-at-once", native=("clear_messages",))
    def test_readers_see_all_or_nothing_of_what_is_cleared(self, backend: Backend) -> None:
        """`clear_messages` removes all messages at once: readers see all of them or none, and of several threads that
        clear at once one counts them.

        If this fails: the whole change must become visible at once, and be counted in the same step.
        """
        _fill_all(backend)
        assert sum(self._race(backend, backend.clear_messages)) == len(_KEYS) * _LENGTH

    @promise("threads.delete-at-once", native=("delete_session",))
    def test_readers_see_all_or_nothing_of_what_is_deleted(self, backend: Backend) -> None:
        """`delete_session` removes a session at once: readers see all of it or nothing, and of several threads that
        delete it at once one is told that it existed.

        If this fails: the whole session must go at once, and whether it was there be found in the same step.
        """
        _fill_all(backend)
        assert self._race(backend, backend.delete_session).count(True) == len(_KEYS)

    @promise("threads.restore-at-once", needs=("SupportsRestore",))
    def test_readers_see_all_or_nothing_of_what_is_restored(self, backend: Backend) -> None:
        """`restore` writes a whole session at once: readers see all of it or nothing, and of several threads that
        restore one at once one succeeds; the others get `ConflictError`.

        If this fails: the whole session must become visible at once, where in the same step none was there.
        """

        def restore(key: str) -> bool:
            try:
                backend.restore(key, [TimestampedMessage(say("one"))] * _LENGTH, SessionMetadata(key))
            except ConflictError:
                return False
            return True

        assert self._race(backend, restore).count(True) == len(_KEYS)
        assert {len(backend.load(key)) for key in _KEYS} == {_LENGTH}

    @promise("threads.lists")
    def test_lists_while_others_write(self, backend: Backend) -> None:
        """Lists and searches, while others write, see each session as it was at some moment, and those that were there
        before.

        If this fails: look for a list that changes while it is read, and for counts read one after the other.
        """
        for i in range(20):
            fill(backend, f"old{i}", "common")
        keys = {f"old{i}" for i in range(20)}
        counts: set[tuple[int, int]] = set()

        def write() -> None:
            for i in range(self.appends):
                fill(backend, f"new{i}", "common", "more")
                backend.append("counted", say("common", "assistant", tool_calls=[ToolCall("1", "f", "{}")]))
                if self.is_native(backend, "delete_session"):
                    backend.delete_session(f"new{i}")

        def read() -> None:
            assert keys <= set(backend.list_sessions())
            for listed in (backend.list_sessions_with_metadata(), backend.search(SessionQuery("common"))):
                found = {metadata.key: metadata for metadata in listed}
                assert keys <= set(found)
                if (counted := found.get("counted")) is not None:
                    counts.update(
                        [(counted.message_count, counted.turn_count), (counted.message_count, counted.tool_call_count)]
                    )

        self.meanwhile([write], read)
        assert [(messages, others) for messages, others in counts if messages != others] == []

    @promise("threads.search-one-moment", needs=("SupportsWrite",), native=("search",))
    def test_search_sees_one_moment(self, backend: Backend) -> None:
        """A search sees metadata and messages of a session as they were at one moment: never an attribute of one moment
        beside a word of another.

        If this fails: read what is filtered by and what is searched in under one lock, or in one transaction.
        """
        words = ("alpha", "beta")
        backend.write("a", append=[say("alpha")], attributes={"word": "alpha"})
        found: list[SessionMetadata] = []
        mixed: list[SessionMetadata] = []

        def write() -> None:
            for i in range(1, 4 * self.appends):
                word = words[i % 2]
                backend.write("a", drop_last=1, append=[say(word)], attributes={"word": word})

        def read() -> None:
            for word, other in (words, words[::-1]):
                found.extend(backend.search(SessionQuery(word, attributes={"word": word})))
                mixed.extend(backend.search(SessionQuery(word, attributes={"word": other})))

        self.meanwhile([write], read)
        assert mixed == []
        assert {metadata.key for metadata in found} == {"a"}

    def _race(self, backend: Backend, change: Callable[[str], Any]) -> list[Any]:
        """What `change` gives of each of the keys, called by several threads at once.

        Whoever reads meanwhile must see all messages of a session or none.
        """
        answers: list[Any] = []
        seen: set[int] = set()

        def change_all() -> None:
            answers.extend([change(key) for key in _KEYS])

        def read() -> None:
            for key in _KEYS:
                metadata = backend.get_session_metadata(key)
                seen.update((len(backend.load(key)), metadata.message_count if metadata else 0))

        self.meanwhile([change_all] * 3, read)
        assert seen <= {0, _LENGTH}
        return answers


def _fill_all(backend: Backend) -> None:
    """A session for each of the keys."""
    for key in _KEYS:
        fill(backend, key, *["one"] * _LENGTH)
