"""Other processes: they see each other's writes, lose nothing, fork, and are killed."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import islice
from typing import Any

from sessionkit import ConflictError, SessionQuery, SessionState, capabilities, open_backend
from sessionkit.testing import _worker
from sessionkit.testing._powers import operations as operations_of
from sessionkit.testing._worker import Session, Step, after, look, steps, take
from sessionkit.testing.suite.base import Backend, fill, metadata_of, old_session, refuses, say, texts, told_of
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.racing import THREADS, RacingBase, assert_all_arrived, assert_turns_apart

_WORKER = _worker.__file__
"""The script that another process runs."""

_PATIENCE = 60.0
"""How many seconds to wait for another process."""

_LIFE = 0.05
"""How many seconds a process that will be killed has at most, once it may go or is at work."""


_HELD = ("SupportsTurnState", "SupportsTurns", "SupportsWrite", "get_session_state")


class ProcessPromises(RacingBase):
    """What any number of processes may do to one store; for suites that have an `address`."""

    @promise("processes.see-writes")
    def test_processes_see_writes(self, backend: Backend) -> None:
        """A call that starts after another process's write has returned sees it, in every list and search too; and the
        other way.

        If this fails: nothing may be remembered that another process can change.
        """
        url = self.url_of(backend)
        fill(backend, "a", "ours")
        backend.list_sessions_with_metadata()
        backend.search(SessionQuery("theirs"))
        _finish(
            _start(url, do="take", key="a", steps=[Step("append", added=[text]) for text in ("theirs", "theirs too")])
        )
        assert texts(backend.load("a")) == ["ours", "theirs", "theirs too"]
        metadata = backend.get_session_metadata("a")
        assert metadata is not None
        assert metadata.message_count == 3
        assert [found.key for found in self.settled(lambda: backend.search(SessionQuery("theirs")))] == ["a"]
        assert backend.remove_last("a") is True
        fill(backend, "a", "ours \0 again")
        [[line]] = _finish(_start(url, do="look", key="a", fields=[]))
        assert json.loads(line) == look(backend, "a", ()) == {"contents": ["ours", "theirs", "ours \0 again"]}
        _finish(_start(url, do="take", key="a", steps=[Step("delete_session")]))
        assert backend.load("a") == []
        if self.is_native(backend, "delete_session"):
            assert self.settled(backend.list_sessions) == []
            assert self.settled(lambda: backend.search(SessionQuery("theirs"))) == []

    @promise("processes.see-settings")
    def test_processes_see_settings(self, backend: Backend) -> None:
        """A call that starts after another process has set a name, an owner, a context or a state, or has begun a turn,
        sees it, in every list and search too; and the other way.

        If this fails: nothing may be remembered that another process can change, nor be kept for later to write.
        """
        setters, fields = self.setters(backend), self.fields(backend)
        if not setters:
            self.not_offered("what sets anything")
        url = self.url_of(backend)
        fill(backend, "a", "one")
        ours, theirs = ([Step(setter, f"{whose} by {setter}") for setter in setters] for whose in ("ours", "theirs"))
        known = reduce(after, ours, look(backend, "a", fields))
        for step in ours:
            take(backend, "a", step)
        [[line]] = _finish(_start(url, do="look", key="a", fields=fields))
        assert json.loads(line) == look(backend, "a", fields) == known
        self._is_listed(backend, known)
        _finish(_start(url, do="take", key="a", steps=theirs))
        known = reduce(after, theirs, known)
        assert look(backend, "a", fields) == known
        self._is_listed(backend, known)

    def _is_listed(self, backend: Backend, known: Session) -> None:
        """Every list and search finds the session as its metadata say."""
        if not self.is_native(backend, "get_session_metadata"):
            return
        expected = [metadata_of(backend, "a")]
        filters = {field: known[field] for field in ("agent_alias", "channel_id") if field in known}
        assert self.settled(backend.list_sessions_with_metadata) == expected
        assert backend.search(SessionQuery(**filters)) == expected
        if "state" in known and self.offers(backend, "list_running_sessions"):
            assert backend.list_running_sessions() == expected

    @promise("processes.one-session")
    def test_processes_append_to_one_session(self, backend: Backend) -> None:
        """Concurrent appends of several processes with several threads each all arrive, once, each writer's in its
        order, though each process compacts the session and sets what can be set meanwhile.

        If this fails: a lock that holds between threads holds not between processes; and whatever changes a session
        must take it.
        """
        url = self.url_of(backend)
        job: dict[str, Any] = {"key": "a", "count": self.appends, "threads": THREADS, "setters": self.setters(backend)}
        workers = [_start(url, do="append", writer=f"p{i}", **job) for i in range(2)]
        _go(workers)
        _finish(*workers)
        writers = [f"p{i}.{j}" for i in range(2) for j in range(THREADS)]
        assert_all_arrived(texts(backend.load("a")), writers, self.appends)
        metadata = backend.get_session_metadata("a")
        assert metadata is not None
        assert metadata.message_count == len(writers) * self.appends

    @promise("processes.first-opening")
    def test_processes_open_at_once(self, backend: Backend) -> None:
        """Several processes open a store at once and create sessions: none fails, and no opening changes what is there.

        If this fails: making the store ready must be one step, under a lock.
        """
        url = self.url_of(backend)
        workers = [_start(url, do="append", key=f"s{i}", writer="w", count=3, threads=1) for i in range(4)]
        _finish(*workers)
        _finish(_start(url, do="look", key="s0", fields=[]))
        for i in range(4):
            assert texts(backend.load(f"s{i}")) == ["w.0 0", "w.0 1", "w.0 2"]
        assert len(self.settled(backend.list_sessions)) == 4

    @promise("processes.one-turn", needs=("SupportsTurns", "get_session_state"))
    def test_one_process_begins_a_turn(self, backend: Backend) -> None:
        """Of several processes that begin a turn at once, one gets it, where none runs as where a stuck one is taken
        over, and all are told which.

        If this fails: looking for a running turn, and how old its heartbeat is, and beginning ours must be one step
        between processes too.
        """
        url = self.url_of(backend)
        sessions: list[tuple[str, int | None]] = [(f"free{i}", None) for i in range(20)]
        if self.offers(backend, "SupportsRestore"):
            sessions += [(f"stuck{i}", 60) for i in range(10)]
        then = datetime.now(UTC) - timedelta(hours=1)
        for key, stuck_after in sessions:
            if stuck_after:
                old_session(
                    backend, key, hours=1, state="running", turn_id="x", turn_started_at=then, heartbeat_at=then
                )
        workers = [_start(url, do="begin", sessions=sessions, turn=f"t{i}") for i in range(3)]
        _go(workers)
        told = _finish(*workers)
        for (key, _), turns in zip(sessions, zip(*told, strict=True), strict=True):
            assert len(set(turns)) == 1, f"two processes were told that their turn runs in {key}"
            assert turns[0] != "x"
            state = backend.get_session_state(key)
            assert state is not None
            assert state.turn_id == turns[0]

    @promise("processes.turns-apart", needs=_HELD)
    def test_processes_hold_turns_apart(self, backend: Backend) -> None:
        """Of processes that begin turns of one session, write in them and end them, one at a time holds it: each turn's
        messages stand together, and none is missing; so it is where turns are taken over while they write.

        If this fails: whose turn runs must be found, and what it may do be done, in one step between processes too.
        """
        url = self.url_of(backend)
        for key, stuck_after in (("waits", None), ("steals", 0)):
            rounds = max(2, self.appends // (5 if stuck_after is None else 1))
            job = {"do": "hold", "key": key, "rounds": rounds, "stuck_after": stuck_after}
            workers = [_start(url, writer=f"p{i}", **job) for i in range(3)]
            _go(workers)
            said = [line for told in _finish(*workers) for line in told]
            turns = [f"p{i}.{number}" for i in range(3) for number in range(rounds)]
            assert_turns_apart(texts(backend.load(key)), said, turns, waited=stuck_after is None)

    @promise("processes.taken-over", needs=_HELD)
    def test_another_process_takes_over(self, backend: Backend) -> None:
        """A turn that another process has taken over is over here, and stays so when the other one has ended: its
        heartbeats, its end and its writes are `ConflictError`, and change nothing.

        If this fails: that this process has begun a turn is nothing to remember; ask the store whose it is.
        """
        url = self.url_of(backend)
        backend.begin_turn("a", "ours")
        backend.write("a", append=[say("ours")], if_turn="ours")
        backend.set_turn_state("a", "ours", "running")
        for step in (Step("begin_turn", "theirs"), Step("set_turn_state", "theirs")):
            _finish(_start(url, do="take", key="a", steps=[step]))
            before = told_of(backend, "a")
            for state in ("running", "idle"):
                with refuses(ConflictError, f"{state!r}, after {step.operation} by another process,"):
                    backend.set_turn_state("a", "ours", state)
            with refuses(ConflictError, f"write(), after {step.operation} by another process,"):
                backend.write("a", append=[say("late")], if_turn="ours")
            assert told_of(backend, "a") == before
        assert backend.get_session_state("a") == SessionState("ended", "theirs", None, None)
        assert backend.begin_turn("a", "ours").turn_id == "ours"

    @promise("processes.fork")
    def test_fork(self, backend: Backend) -> None:
        """A process that forks goes on with the store it had open, parent and children alike, while threads write.

        If this fails: see `os.register_at_fork`; no connection, descriptor or held lock may be shared with a child.
        """
        if not hasattr(os, "fork"):
            self.not_offered("os.fork")
        url = self.url_of(backend)
        forks, count = 4, 10
        _finish(_start(url, do="fork", key="a", forks=forks, count=count))
        assert_all_arrived(texts(backend.load("a")), ["parent", *(f"child{i}" for i in range(forks))], count)
        fill(backend, "b", "still works")
        assert sorted(self.settled(backend.list_sessions)) == ["a", "b"]

    @promise("kill.acknowledged-survives")
    def test_killing_a_writer(self, backend: Backend) -> None:
        """What was acknowledged survives the death of the process, at any moment, messages as well as names, owners,
        contexts, states and turns; nothing is half done or invented; the store opens again.

        If this fails: a write must be whole before it returns; what was torn by a kill was never there.
        """
        url = self.url_of(backend)
        total = 0
        operations, fields = operations_of(capabilities(backend)), self.fields(backend)
        for seed in range(self.kills):
            key = f"k{seed % 3}.{seed // 30}"
            before = look(backend, key, fields)
            worker = _start(url, do="hammer", key=key, seed=seed, operations=operations)
            life = random.Random(seed).random() * _LIFE  # noqa: S311 -- no secret
            acknowledged = _kill(worker, life, at_work=seed % 3 < 2)
            total += acknowledged
            *done, last = islice(steps(seed, operations), acknowledged + 1)
            before = reduce(after, done, before)
            with open_backend(url) as again:
                found = look(again, key, fields)
                assert found in (before, after(before, last)), f"after kill {seed}, in {last}"
                self._is_sound(again, key, found)
            self._is_sound(backend, key, found)
            fill(backend, key, f"{seed} afterwards")
            assert texts(backend.load(key)) == [*found["contents"], f"{seed} afterwards"]
        assert total, "nothing was acknowledged, so nothing could be lost"

    @promise("kill.leaves-the-turn", needs=_HELD)
    def test_killing_the_holder_of_a_turn(self, backend: Backend) -> None:
        """A turn whose process is killed runs on, with what it has written, until it is taken over.

        If this fails: nobody but another turn ends it; an opening least of all, as the process may only be slow.
        """
        url = self.url_of(backend)
        contents: list[str] = []
        for number in range(max(1, self.kills // 3)):
            turn = f"theirs{number}"
            worker = _start(url, do="work on", key="a", turn=turn)
            acknowledged = _kill(worker, number % 3 * _LIFE / 3, at_work=True)
            with open_backend(url) as again:
                found = texts(again.load("a"))[len(contents) :]
                assert found == [f"{turn} {i}" for i in range(len(found))]
                assert acknowledged <= len(found) <= acknowledged + 1
                for opened in (again, backend):
                    state = opened.get_session_state("a")
                    assert state is not None
                    assert (state.state, state.turn_id) == ("running", turn)
            assert backend.begin_turn("a", "ours", stuck_after=3600).turn_id == turn
            assert backend.begin_turn("a", "ours", stuck_after=0).turn_id == "ours"
            backend.write("a", append=[say("ours")], if_turn="ours")
            backend.set_turn_state("a", "ours", "idle")
            contents = texts(backend.load("a"))
            assert contents[-1] == "ours"

    def _is_sound(self, backend: Any, key: str, known: Session) -> None:
        contents, fields = known["contents"], [field for field in known if field != "contents"]
        assert look(backend, key, fields) == known
        metadata = backend.get_session_metadata(key)
        if metadata is not None:
            assert metadata.message_count == len(contents)
        if contents:
            found = self.settled(lambda: backend.search(SessionQuery(contents[-1])))
            assert key in [metadata.key for metadata in found]


def _start(url: str, **job: Any) -> "subprocess.Popen[bytes]":
    """Another process that has opened the store, and waits for the word."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    worker = subprocess.Popen(  # noqa: S603 -- our own script
        [sys.executable, "-P", "-W", "ignore", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # or what is read ahead of a line would be lost to `communicate`
        env=environment,
    )
    assert worker.stdin is not None
    worker.stdin.write(json.dumps([url, job]).encode() + b"\n")
    return worker


def _go(workers: "list[subprocess.Popen[bytes]]") -> None:
    """Let all of them go at once, when the last one is ready."""
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(b"go\n")
            worker.stdin.flush()


def _finish(*workers: "subprocess.Popen[bytes]") -> list[list[str]]:
    """Let them go, wait for the end of all of them, and give the lines that each wrote."""
    ended = [_end(worker) for worker in workers]  # before the first failure shows, or the others would be left behind
    for worker, (_, errors) in zip(workers, ended, strict=True):
        assert worker.returncode == 0, f"another process failed:\n{errors}"
    return [[line for line in out.split("\n") if line not in {"", "ready"}] for out, _ in ended]


def _end(worker: "subprocess.Popen[bytes]") -> tuple[str, str]:
    try:
        out, errors = worker.communicate(b"go\n", timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.communicate()
        return "", "it did not end: is it waiting for a lock?"
    return out.decode(), errors.decode(errors="replace")


def _kill(worker: "subprocess.Popen[bytes]", after: float, *, at_work: bool) -> int:
    """Let it go, kill it after that many seconds, and give how many steps it had acknowledged.

    The seconds count from the word, so that its first steps are met too, or from its first step if it is to be
    `at_work`, however slow the machine is.
    """
    _go([worker])
    begun = _acknowledged(worker) if at_work else 0
    time.sleep(after)
    worker.kill()
    out, errors = worker.communicate()
    assert b"Traceback" not in errors, errors.decode(errors="replace")
    return begun + out.count(b"done\n")


def _acknowledged(worker: "subprocess.Popen[bytes]") -> int:
    """Wait for its next step; how many there were: one, or none where it has ended."""
    assert worker.stdout is not None
    return int(worker.stdout.readline() == b"done\n")
