"""Forked children, each in a folder and a process group of its own, stopped when its time is over."""

import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TIMED_OUT = "timed out"
_BY_THE_CPU = {signal.SIGXCPU, signal.SIGKILL}


class Children:
    """So many at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[int, tuple[Path, float, Callable[[str], None]]] = {}
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # so that one that ends can be waited for

    def start(self, work: Callable[[], str], seconds: float, done: Callable[[str], None]) -> None:
        """Have a child do the work, and `done` with the text that it gives, or with `TIMED_OUT`; waits for room."""
        while len(self._running) >= self._most:
            self._wait()
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        child = os.fork()
        if child:
            self._running[child] = folder, time.monotonic() + seconds, done
        else:
            _live(work, seconds, folder)

    def finish(self) -> None:
        """Wait for all of them."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        """Until one has ended, or its time is over."""
        for child, (folder, deadline, done) in list(self._running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() > deadline:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            elif not ended:
                continue
            del self._running[child]
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what it has started
            text = _said(folder / "said", status) if ended else TIMED_OUT
            shutil.rmtree(folder, ignore_errors=True)
            done(text)
            return
        soonest = min(deadline for _, deadline, _ in self._running.values())
        signal.sigtimedwait({signal.SIGCHLD}, max(0.0, soonest - time.monotonic()))


def _live(work: Callable[[], str], seconds: float, folder: Path) -> None:
    """The life of a child; it does not return."""
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    said = "killed by an end of the interpreter"
    try:
        said = work()
    except BaseException as error:  # noqa: BLE001 -- whatever a mutant raises is its end
        said = f"killed by {type(error).__name__}"
    finally:
        (folder / "said").write_text(said)
        os._exit(0)


def _said(path: Path, status: int) -> str:
    """What the child gave, or how it ended."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in _BY_THE_CPU:
        return TIMED_OUT
    return path.read_text() if path.exists() else f"killed by the end of the interpreter, status {status}"
