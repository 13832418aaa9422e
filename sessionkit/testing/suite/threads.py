"""Threads: every method from any of them, nothing lost, nothing half done."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from threading import Event

from sessionkit import ConflictError, SessionContext, SessionMetadata, SessionQuery
from sessionkit.testing._worker import append_all, in_threads
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, old_session, say, texts
from sessionkit.testing.suite.honesty import CALLS
from sessionkit.testing.suite.promises import promise

THREADS = 8
ATTRIBUTES = 25


class ThreadPromises(SuiteBase):
    """Any method may be called from any thread."""

    @promise("threads.one-session")
    def test_threads_append_to_one_session(self, backend: Backend) -> None:
        """Concurrent appends to one session all arrive, once, each writer's in its order; the counts agree.

        If this fails: reading the length and writing at that place must be one step.
        """
        writers = [f"w{i}" for i in range(THREADS)]
        self._together([partial(append_all, backend, "a", w, self.appends) for w in writers])
        assert_all_arrived(texts(backend.load("a")), writers, self.appends)
        metadata = backend.get_session_metadata("a")
        assert metadata is not None
        assert metadata.message_count == THREADS * self.appends

    @promise("threads.many-sessions")
    def test_threads_append_to_many_sessions(self, backend: Backend) -> None:
        """Concurrent appends to many sessions all arrive, each in its session, and every session is listed once.

        If this fails: creating a session must be one step too.
        """
        writers = [f"w{i}" for i in range(THREADS)]

        def write(writer: str) -> None:
            for i in range(self.appends):
                backend.append(f"s{i % 7}", say(f"{writer} {i}"))

        self._together([partial(write, w) for w in writers])
        everything: list[str] = []
        for s in range(7):
            found = texts(backend.load(f"s{s}"))
            assert all(int(text.split()[1]) % 7 == s for text in found)
            everything += found
        assert sorted(everything) == sorted(f"{w} {i}" for w in writers for i in range(self.appends))
        assert sorted(self.settled(backend.list_sessions)) == [f"s{s}" for s in range(min(7, self.appends))]

    @promise("threads.removals")
    def test_threads_remove_each_message_once(self, backend: Backend) -> None:
        """Each message is removed once, however many threads remove at once; the rest stays in order.

        If this fails: finding the newest and removing it must be one step.
        """
        total = 2 * THREADS * 10
        fill(backend, "a", *map(str, range(total)))
        removed: list[bool] = []
        self._together([lambda: removed.extend(backend.remove_last("a") for _ in range(10))] * THREADS)
        assert removed == [True] * (THREADS * 10)
        assert texts(backend.load("a")) == [str(i) for i in range(total - THREADS * 10)]

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

        self._meanwhile(update, read)
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

        self._meanwhile(lambda: append_all(backend, "a", "w", 2 * self.appends), read, readers=1)
        whole = texts(backend.load("a"))
        assert all(found == whole[: len(found)] for found in seen)
        assert [len(found) for found in seen] == sorted(len(found) for found in seen)

    @promise("threads.batches", needs=("SupportsWrite",))
    def test_readers_see_whole_batches(self, backend: Backend) -> None:
        """While `write` drops and appends several messages, readers see all of the change or nothing of it.

        If this fails: the whole change must become visible at once.
        """
        fill(backend, "a", *["0"] * 3)
        seen: list[list[str]] = []

        def write() -> None:
            for i in range(1, self.appends):
                backend.write("a", drop_last=3, append=[say(str(i))] * 3)

        def read() -> None:
            seen.append(texts(backend.load("a")))

        self._meanwhile(write, read)
        assert all(len(found) == 3 and len(set(found)) == 1 for found in seen)

    @promise("threads.clear-at-once", native=("clear_messages",))
    def test_readers_see_all_or_nothing_of_what_is_cleared(self, backend: Backend) -> None:
        """`clear_messages` removes all messages at once: readers see all of them or none.

        If this fails: the whole change must become visible at once.
        """
        keys = [f"s{i}" for i in range(20)]
        for key in keys:
            fill(backend, key, *["one"] * 10)
        seen: list[int] = []

        def clear() -> None:
            for key in keys:
                assert backend.clear_messages(key) == 10

        def read() -> None:
            seen.extend(len(backend.load(key)) for key in keys)

        self._meanwhile(clear, read)
        assert set(seen) <= {0, 10}

    @promise("threads.cleanup", needs=("SupportsRestore", "times"), native=("cleanup_stale",))
    def test_cleanup_looks_again(self, backend: Backend) -> None:
        """`cleanup_stale` looks again before it deletes each: a session that became active meanwhile is not deleted.

        If this fails: ask for the last activity within the lock or transaction that deletes.
        """
        for round_ in range(5):
            keys = [f"{round_}.{i}" for i in range(10)]
            for key in keys:
                old_session(backend, key, hours=5)

            def save(keys: list[str] = keys) -> None:
                for key in keys:
                    fill(backend, key, "saved")

            self._together([save, partial(backend.cleanup_stale, 1), partial(backend.cleanup_stale, 1)])
            assert [texts(backend.load(key))[-1:] for key in keys] == [["saved"]] * len(keys)

    @promise("threads.lists")
    def test_lists_while_others_write(self, backend: Backend) -> None:
        """Lists and searches, while others write, see each session as it was at some moment, and those that were there
        before.

        If this fails: look for a list that changes while it is read.
        """
        for i in range(20):
            fill(backend, f"old{i}", "common")
        keys = {f"old{i}" for i in range(20)}

        def write() -> None:
            for i in range(self.appends):
                fill(backend, f"new{i}", "common", "more")
                if self.is_native(backend, "delete_session"):
                    backend.delete_session(f"new{i}")

        def read() -> None:
            assert keys <= set(backend.list_sessions())
            assert keys <= {metadata.key for metadata in backend.list_sessions_with_metadata()}
            assert keys <= {metadata.key for metadata in backend.search(SessionQuery("common"))}

        self._meanwhile(write, read)

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

        self._meanwhile(write, read)
        assert mixed == []
        assert {metadata.key for metadata in found} == {"a"}

    @promise("threads.attributes", needs=("set_session_context",), native=("get_session_metadata",))
    def test_threads_set_attributes(self, backend: Backend) -> None:
        """Attributes that threads set at once all arrive: none is lost to another's update.

        If this fails: reading, merging and writing must be one step.
        """

        def set_them(writer: int) -> None:
            for i in range(ATTRIBUTES):
                backend.set_session_context("a", SessionContext(attributes={f"{writer}.{i}": i}))

        self._together([partial(set_them, w) for w in range(4)])
        wanted = {f"{w}.{i}": i for w in range(4) for i in range(ATTRIBUTES)}
        assert dict(metadata_of(backend, "a").attributes) == wanted

    @promise("threads.one-creates", needs=("SupportsWrite",))
    def test_one_thread_creates_a_session(self, backend: Backend) -> None:
        """Of all threads that write a session which must not exist, one succeeds; the others get `ConflictError`.

        If this fails: the condition must be checked within the lock or transaction that writes.
        """
        for round_ in range(5):
            won: list[int] = []

            def create(thread: int, key: str = f"s{round_}", won: list[int] = won) -> None:
                try:
                    backend.write(key, append=[say(str(thread))], if_revision=0)
                except ConflictError:
                    return
                won.append(thread)

            self._together([partial(create, t) for t in range(THREADS)])
            assert len(won) == 1
            assert texts(backend.load(f"s{round_}")) == [str(won[0])]

    @promise("threads.no-lost-update", needs=("SupportsWrite",), native=("get_session_metadata",))
    def test_no_update_is_lost(self, backend: Backend) -> None:
        """A counter that threads raise by reading it and writing it `if_revision` loses no update.

        If this fails: two writes with one `if_revision` must not both succeed.
        """
        revisions = [backend.write("a", append=[say("0")])]
        rounds = max(1, self.appends // 5)

        def count() -> None:
            done = 0
            for _ in range(5 * rounds):  # each conflict is another's success, of which there are three times as many
                if done == rounds:
                    return
                revision = metadata_of(backend, "a").revision
                number = int(texts(backend.load("a"))[-1])
                try:
                    revisions.append(
                        backend.write("a", drop_last=1, append=[say(str(number + 1))], if_revision=revision)
                    )
                except ConflictError:
                    continue
                done += 1
            assert done == rounds, "a conflict, though nobody else had written"

        self._together([count] * 4)
        assert texts(backend.load("a")) == [str(4 * rounds)]
        assert len(set(revisions)) == len(revisions)

    @promise("threads.one-turn", needs=("SupportsTurns", "get_session_state"))
    def test_one_thread_begins_a_turn(self, backend: Backend) -> None:
        """Of all threads that begin a turn at once, one gets it, and all are told which.

        If this fails: looking for a running turn and beginning ours must be one step.
        """
        for round_ in range(5):
            told: list[str | None] = []
            key = f"s{round_}"

            def begin(thread: int, key: str = key, told: list[str | None] = told) -> None:
                told.append(backend.begin_turn(key, f"t{thread}").turn_id)

            self._together([partial(begin, t) for t in range(THREADS)])
            assert len(told) == THREADS
            assert len(set(told)) == 1
            state = backend.get_session_state(key)
            assert state is not None
            assert state.turn_id == told[0]

    @promise("threads.any-method")
    def test_any_method_from_any_thread(self, backend: Backend) -> None:
        """Any method may be called while any other runs, on the same sessions; none fails.

        If this fails: look for what is shared without a lock.
        """
        offered = [name for name in CALLS if self.offers(backend, name)]

        def run(start: int) -> None:
            for i in range(3 * len(offered)):
                name = offered[(3 * start + i) % len(offered)]  # every thread calls each, three times
                try:
                    CALLS[name](backend)
                except ConflictError:
                    assert name == "SupportsRestore"

        self._together([partial(run, s) for s in range(THREADS)])
        assert self.settled(backend.list_sessions) in ([], ["a"])

    def _meanwhile(self, write: Callable[[], object], read: Callable[[], object], *, readers: int = 2) -> None:
        """Write once, and have others read again and again until that has ended, and once more."""
        ended = Event()

        def write_to_the_end() -> None:
            try:
                write()
            finally:
                ended.set()

        def read_on() -> None:
            while not ended.is_set():
                read()
            read()

        self._together([write_to_the_end, *[read_on] * readers])

    def _together(self, jobs: list[Callable[[], object]]) -> None:
        with _eager_switching():
            errors = in_threads(jobs)
        for error in errors:
            raise error


def assert_all_arrived(found: list[str], writers: list[str], count: int) -> None:
    """Everything that the writers appended is there, once, each writer's in its order, and nothing else."""
    by_writer: dict[str, list[int]] = {writer: [] for writer in writers}
    for text in found:
        writer, _, number = text.partition(" ")
        by_writer[writer].append(int(number))
    for writer, numbers in by_writer.items():
        assert numbers == list(range(count)), f"{writer}'s messages are lost, doubled or out of order"


@contextmanager
def _eager_switching() -> Generator[None]:
    """Have threads take turns as often as they can, so that what is not one step shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
