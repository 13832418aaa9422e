"""Several processes and threads at one store: nothing is lost, nothing appears twice, and waiting ends."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, ChatMessage
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.log import SessionLog

HI, YO = ChatMessage("user", "hi"), ChatMessage("assistant", "yo")

PRELUDE = """
import sys, warnings
warnings.simplefilter("error")
from sessionkit import ChatMessage, SessionQuery
from sessionkit_jsonl import JSONLBackend
name = sys.argv[2]
backend = JSONLBackend(sys.argv[1])
"""


def start(folder: Path, name: str, work: str) -> "subprocess.Popen[str]":
    """Another process at the same store."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + work, folder, name],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> list[str]:
    """What the process printed, line by line; fails where it failed."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.split()


def test_no_append_is_lost_to_compaction(tmp_path: Path) -> None:
    """Two processes replace and compact at every step, two append; every append is there in the end."""
    appending = 'for i in range(300): backend.append("s", ChatMessage("user", f"{name} {i}"))'
    compacting = """
for i in range(150):
    backend.set_session_name("s", f"{name} {i}")
    backend.compact("s")
"""
    work = {"a": appending, "b": appending, "c": compacting, "d": compacting}
    for process in [start(tmp_path, name, code) for name, code in work.items()]:
        finish(process)
    with JSONLBackend(tmp_path) as backend:
        texts = [str(message.content) for message in backend.load("s")]
        for name in ("a", "b"):
            assert [text for text in texts if text.startswith(name)] == [f"{name} {i}" for i in range(300)]
        metadata = backend.get_session_metadata("s")
        assert metadata is not None
        assert metadata.message_count == 600


def test_revisions_never_repeat(tmp_path: Path) -> None:
    """While sessions are deleted and created anew by several processes, no revision is given out twice."""
    work = """
for i in range(150):
    print(backend.write("s", append=[ChatMessage("user", name)]))
    if i % 3 == 0:
        backend.delete_session("s")
"""
    revisions = [int(line) for process in [start(tmp_path, name, work) for name in "abc"] for line in finish(process)]
    assert len(revisions) == len(set(revisions)) == 450


def test_readers_never_see_half_a_record(tmp_path: Path) -> None:
    """A reader beside a writer of large messages sees each whole or not at all, and no warning."""
    work = """
for i in range(60):
    backend.append("s", ChatMessage("user", f"{i} " + "x" * 300_000))
    if i % 20 == 19:
        backend.clear_messages("s")
"""
    writer = start(tmp_path, "w", work)
    with JSONLBackend(tmp_path) as backend:
        while writer.poll() is None:
            texts = [str(message.content) for message in backend.load("s")]
            first = int(texts[0].split()[0]) if texts else 0
            assert [int(text.split()[0]) for text in texts] == list(range(first, first + len(texts)))
            assert all(len(text) > 300_000 for text in texts)
            metadata = backend.get_session_metadata("s")
            assert metadata is None or metadata.message_count <= 20
        finish(writer)


def test_killing_whoever_creates_a_session(tmp_path: Path) -> None:
    """Killed in the middle of its first, large append, once and again: the session is there or not, and goes on."""
    work = """
message = ChatMessage("user", "x" * 30_000_000)
print("ready", flush=True)
sys.stdin.readline()
backend.append(name, message)
"""
    for round_ in range(2):
        file = tmp_path / f"s{round_}.jsonl"
        whole = 0
        for kill in range(3):
            writer = start(tmp_path, f"s{round_}", work)
            assert writer.stdout is not None
            assert writer.stdin is not None
            assert writer.stdout.readline() == "ready\n"
            before = file.stat().st_size if file.exists() else 0
            writer.stdin.write("go\n")
            writer.stdin.flush()
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and not (file.exists() and file.stat().st_size > before):
                pass  # or it would be through
            writer.kill()
            writer.communicate()
            with JSONLBackend(tmp_path) as backend:
                whole = len(backend.load(f"s{round_}"))
                assert whole <= kill + 1
                assert backend.list_sessions().count(f"s{round_}") == min(whole, 1)
        with JSONLBackend(tmp_path) as backend:
            backend.append(f"s{round_}", HI)
            assert len(backend.load(f"s{round_}")) == whole + 1
            assert backend.delete_session(f"s{round_}")


def test_waiting_for_a_lock_ends(tmp_path: Path) -> None:
    """While somebody holds a lock, writing to the session ends in an error that may pass; nothing else waits."""
    with JSONLBackend(tmp_path, lock_timeout=0.05) as backend:
        backend.append("s", HI)
        with (tmp_path / "s.jsonl").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            started = time.monotonic()
            with pytest.raises(BackendUnavailableError) as caught:
                backend.append("s", YO)
            assert time.monotonic() - started < 5
            assert (caught.value.retryable, caught.value.outcome) == (True, "not_applied")
            assert backend.load("s") == [HI]
            assert backend.list_sessions() == ["s"]
            backend.append("other", YO)
        backend.append("s", YO)
        assert backend.load("s") == [HI, YO]


class LateLock:
    """A lock that is had at the very end of the time."""

    def acquire(self, blocking: bool = True, timeout: float = 0) -> bool:  # noqa: FBT001, FBT002 -- as of any lock
        """Wait as long as is allowed, and have it."""
        time.sleep(timeout)
        return blocking

    def release(self) -> None:
        """Nothing to do."""

    def _is_owned(self) -> bool:
        return True


@pytest.mark.parametrize(("name", "tries"), [("s.jsonl", 2), (".revisions", 3)])
def test_all_waiting_of_a_call_has_one_allowance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, tries: int
) -> None:
    """What waiting for a thread took is not waited once more for a process; the error names the file."""
    backend = JSONLBackend(tmp_path, lock_timeout=0.05)
    for slot in backend._slots._slots:
        monkeypatch.setattr(slot, "lock", LateLock())
    tried: list[int] = []
    flock = fcntl.flock

    def counted(descriptor: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            tried.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", counted)
    with (tmp_path / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BackendUnavailableError, match=rf"{tmp_path}/{name}: another process held .* 0\.05 seconds"):
            backend.append("s", HI)
    assert len(tried) == tries


def test_opening_anew_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file at the path is another one each time, as on a file system that counts files otherwise."""
    backend = JSONLBackend(tmp_path, lock_timeout=0.05)
    backend.append("s", HI)
    monkeypatch.setattr(SessionLog, "lock", lambda *_: False)
    with pytest.raises(BackendUnavailableError, match=r"s\.jsonl.*replaced again and again for 0\.05 s") as caught:
        backend.append("s", YO)
    assert (caught.value.retryable, caught.value.outcome) == (True, "not_applied")
    monkeypatch.undo()
    backend.append("s", YO)
    assert backend.load("s") == [HI, YO]


def test_waiting_for_a_thread_names_the_file(tmp_path: Path) -> None:
    """Where another thread writes all the while, the error says to which file, and that it may pass."""
    with JSONLBackend(tmp_path, lock_timeout=0.01) as backend:
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            backend._slots.hold()
            held.set()
            done.wait()
            backend._slots.resume()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        with pytest.raises(BackendUnavailableError, match=f"{tmp_path}/s.jsonl: another thread") as caught:
            backend.append("s", HI)
        done.set()
        thread.join()
        assert (caught.value.retryable, caught.value.outcome) == (True, "not_applied")
        backend.append("s", HI)


def test_a_fork_beside_writing_threads(tmp_path: Path) -> None:
    """A child forked while threads write goes on with the same object, as does the parent; all appends arrive."""
    backend = JSONLBackend(tmp_path)
    stop = threading.Event()
    counts = [0, 0]

    def write(number: int) -> None:
        while not stop.is_set():
            backend.append("s", ChatMessage("user", f"t{number} {counts[number]}"))
            counts[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    children: list[int] = []
    for number in range(5):
        child = _fork()
        if child == 0:
            status = 1
            try:
                for i in range(20):
                    backend.append("s", ChatMessage("user", f"c{number} {i}"))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5
    stop.set()
    for thread in threads:
        thread.join()
    texts = [str(message.content) for message in backend.load("s")]
    backend.close()
    for writer, count in {"t0": counts[0], "t1": counts[1], **{f"c{i}": 20 for i in range(5)}}.items():
        assert [text for text in texts if text.startswith(writer)] == [f"{writer} {i}" for i in range(count)]
    assert len(texts) == sum(counts) + 100


def test_a_child_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    """A child that lives on and never touches the store blocks nobody."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        child = _fork()
        if child == 0:
            signal.pause()  # until it is killed
            os._exit(0)
        try:
            backend.append("s", YO)
            finish(start(tmp_path, "other", 'backend.append("s", ChatMessage("user", "hi"))'))
            assert backend.load("s") == [HI, YO, HI]
            assert os.waitpid(child, os.WNOHANG) == (0, 0)  # it is still there
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _fork() -> int:
    """A fork, though Python warns of any beside threads: that it works here is what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_a_child_keeps_no_file_of_its_parent(tmp_path: Path) -> None:
    """A child gives back the copies of its parent's descriptors, so that they don't add up over many forks."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        child = _fork()
        if child == 0:
            kept = [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in str(link.resolve())]
            os._exit(len(kept))
        assert os.waitpid(child, 0)[1] == 0


def test_a_reader_waits_for_the_rest_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A last line without its newline, while its writer has the lock, is not read before the writer is through."""
    with JSONLBackend(tmp_path) as backend:
        backend.append("s", HI)
        before = (tmp_path / "s.jsonl").stat().st_size
        backend.append("s", YO)
        with (tmp_path / "s.jsonl").open("r+b") as file:
            whole = file.read()
            file.truncate(len(whole) - 1)  # whole but for its newline, and about to be taken back
            fcntl.flock(file, fcntl.LOCK_EX)

            def take_back(seconds: float) -> None:
                sleep(seconds)  # the reader waits
                os.ftruncate(file.fileno(), before)
                fcntl.flock(file, fcntl.LOCK_UN)

            sleep = time.sleep
            monkeypatch.setattr(time, "sleep", take_back)
            assert backend.load("s") == [HI]


def test_many_threads_at_many_sessions(tmp_path: Path) -> None:
    """Eight threads of one object at sessions that share its few slots: all arrive, each thread's in its order."""
    with JSONLBackend(tmp_path) as backend:

        def write(number: int) -> None:
            for i in range(100):
                backend.append(f"s{i % 40}", ChatMessage("user", f"{number} {i}"))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for key in range(40):
            texts = [str(message.content) for message in backend.load(f"s{key}")]
            assert len(texts) == 8 * len(range(key, 100, 40))
            for number in range(8):
                mine = [text for text in texts if text.startswith(f"{number} ")]
                assert mine == [f"{number} {i}" for i in range(key, 100, 40)]
