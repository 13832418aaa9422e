"""Threads: every method from any of them, nothing lost, nothing half done."""

from functools import partial
from itertools import groupby

from sessionkit import ConflictError, SessionContext, SessionQuery
from sessionkit.testing._worker import SETTERS, Step, append_all, take
from sessionkit.testing.suite.base import Backend, fill, metadata_of, old_session, say, texts
from sessionkit.testing.suite.honesty import CALLS
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.racing import THREADS, assert_all_arrived, assert_is_set
from sessionkit.testing.suite.readers import ReaderPromises

ATTRIBUTES = 25
SETTINGS = 10


class ThreadPromises(ReaderPromises):
    """Any method may be called from any thread."""

    @promise("threads.one-session")
    def test_threads_append_to_one_session(self, backend: Backend) -> None:
        """Concurrent appends to one session all arrive, once, each writer's in its order; the counts agree.

        If this fails: reading the length and writing at that place must be one step.
        """
        writers = [f"w{i}" for i in range(THREADS)]
        self.together([partial(append_all, backend, "a", w, self.appends) for w in writers])
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

        self.together([partial(write, w) for w in writers])
        everything: list[str] = []
        for s in range(7):
            found = texts(backend.load(f"s{s}"))
            assert all(int(text.split()[1]) % 7 == s for text in found)
            everything += found
        assert sorted(everything) == sorted(f"{w} {i}" for w in writers for i in range(self.appends))
        assert sorted(self.settled(backend.list_sessions)) == [f"s{s}" for s in range(min(7, self.appends))]

    @promise("threads.side-by-side")
    def test_appends_beside_other_writes(self, backend: Backend) -> None:
        """Each write to a session is atomic: appends all arrive while others compact it and set its name, owner,
        context and state; what was set stays until it is set again, and the counts agree.

        If this fails: a change must read and write what it changes in one lock or transaction, and nothing else.
        """
        writers, count = ["w0", "w1"], 4 * self.appends  # two are quick, and the others are to fall in between
        by_field = groupby(self.setters(backend), SETTERS.__getitem__)
        groups = [list(names) for _, names in by_field]  # a thread each, so that nobody else sets what it sets
        changes = [[Step(name, f"{i} by {name}") for i in range(SETTINGS) for name in names] for names in groups]

        def compact() -> None:
            for _ in range(SETTINGS):
                backend.compact("a")

        def change(steps: list[Step]) -> None:
            for step in steps:
                take(backend, "a", step)
                assert_is_set(backend, "a", step)

        fill(backend, "a", "first")  # so that there is something to compact
        appending = [partial(append_all, backend, "a", w, count) for w in writers]
        self.together([compact, *appending, *[partial(change, steps) for steps in changes]])
        first, *others = texts(backend.load("a"))
        assert first == "first"
        assert_all_arrived(others, writers, count)
        metadata = backend.get_session_metadata("a")
        assert metadata is not None
        assert metadata.message_count == 1 + len(others)
        for steps in changes:
            assert_is_set(backend, "a", steps[-1])

    @promise("threads.search-after", needs=("search",))
    def test_search_after_threads_have_appended(self, backend: Backend) -> None:
        """A search that starts after an append has returned sees it, though other threads append and search meanwhile.

        If this fails: what is indexed late must not take for indexed what came while it indexed.
        """
        rounds = max(1, self.appends // 5)
        words = [[f"w{w}x{i}" for i in range(rounds)] for w in range(THREADS)]

        def write(mine: list[str]) -> None:
            for i, word in enumerate(mine):
                fill(backend, f"s{i % 3}", f"{word} common")

        self.meanwhile([partial(write, mine) for mine in words], lambda: backend.search(SessionQuery("common")))
        self.settle()
        for mine in words:
            for i, word in enumerate(mine):
                assert [metadata.key for metadata in backend.search(SessionQuery(word))] == [f"s{i % 3}"], word

    @promise("threads.removals")
    def test_threads_remove_each_message_once(self, backend: Backend) -> None:
        """Each message is removed once, however many threads remove at once; the rest stays in order.

        If this fails: finding the newest and removing it must be one step.
        """
        total = 2 * THREADS * 10
        fill(backend, "a", *map(str, range(total)))
        removed: list[bool] = []
        self.together([lambda: removed.extend(backend.remove_last("a") for _ in range(10))] * THREADS)
        assert removed == [True] * (THREADS * 10)
        assert texts(backend.load("a")) == [str(i) for i in range(total - THREADS * 10)]

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

            self.together([save, partial(backend.cleanup_stale, 1), partial(backend.cleanup_stale, 1)])
            assert [texts(backend.load(key))[-1:] for key in keys] == [["saved"]] * len(keys)

    @promise("threads.attributes", needs=("set_session_context",), native=("get_session_metadata",))
    def test_threads_set_attributes(self, backend: Backend) -> None:
        """Attributes that threads set at once all arrive: none is lost to another's update.

        If this fails: reading, merging and writing must be one step.
        """

        def set_them(writer: int) -> None:
            for i in range(ATTRIBUTES):
                backend.set_session_context("a", SessionContext(attributes={f"{writer}.{i}": i}))

        self.together([partial(set_them, w) for w in range(4)])
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

            self.together([partial(create, t) for t in range(THREADS)])
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

        self.together([count] * 4)
        assert texts(backend.load("a")) == [str(4 * rounds)]
        assert len(set(revisions)) == len(revisions)

    @promise("threads.one-turn", needs=("SupportsTurns", "get_session_state"))
    def test_one_thread_begins_a_turn(self, backend: Backend) -> None:
        """Of all threads that begin a turn at once, one gets it, where none runs as where a stuck one is taken over,
        and all are told which.

        If this fails: looking for a running turn, and how old its heartbeat is, and beginning ours must be one step.
        """
        free, stuck = ["free0", "free1", "free2"], ["stuck0", "stuck1", "stuck2"]
        told = [self._begun(backend, key, None) for key in free]
        told += self.told_apart(
            lambda: [backend.begin_turn(key, "theirs", stuck_after=0) for key in stuck],
            lambda: None,
            lambda threshold: [self._begun(backend, key, threshold) for key in stuck],
        )
        for key, turns in zip([*free, *stuck], told, strict=True):
            assert len(turns) == THREADS
            assert len(set(turns)) == 1, f"two threads were told that their turn runs in {key}"
            assert turns[0] != "theirs"
            state = backend.get_session_state(key)
            assert state is not None
            assert state.turn_id == turns[0]

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
                    assert name in ("SupportsRestore", "SupportsTurnState")

        self.together([partial(run, s) for s in range(THREADS)])
        assert self.settled(backend.list_sessions) in ([], ["a"])

    def _begun(self, backend: Backend, key: str, stuck_after: float | None) -> list[str | None]:
        """The turns that threads are told to run when all begin one at once."""
        told: list[str | None] = []

        def begin(thread: int) -> None:
            told.append(backend.begin_turn(key, f"t{thread}", stuck_after=stuck_after).turn_id)

        self.together([partial(begin, t) for t in range(THREADS)])
        return told
