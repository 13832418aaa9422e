"""One run, in processes of its own."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO
from uuid import uuid4

from sessionkit import BackendURL
from sessionkit.codec import converter
from sessionkit.testing.torture.asking import Job, UsageError
from sessionkit.testing.torture.report import Report

PLACE = "{store}"

_PATIENCE = 10
"""How many seconds to wait for the conductor's end, once it has said all."""


def run(
    url: str,
    *,
    seconds: float = 60,
    processes: int = 4,
    seed: int | None = None,
    patience: float = 60,
    going: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Torture the store that the URL opens, and report.

    Args:
        url: of a store that is empty or not yet there; ``{store}`` in it stands for a fresh name. Its scheme must be
            built in or an installed entry point, as other processes open it.
        seconds: for how long processes are started; then they end, and all is looked at once more.
        processes: how many write side by side.
        seed: what they do, and when they are killed; a random one where there is none.
        patience: after how many seconds without a step a process counts as stuck.
        going: called with the report so far, a few times a second.

    Ctrl-C ends it early, with the report so far. No process is left behind.

    Raises:
        BackendURLError: it is no URL.
        UsageError: the store can't be opened, is not empty, or is private to a process; or there is no room to write
            down what is done to it.
        ValueError: a number is out of range.
    """
    if not (processes >= 1 and seconds > 0 and patience > 0):
        raise ValueError("processes, seconds and patience must be above 0")
    if not hasattr(os, "fork"):
        raise UsageError("it needs os.fork, which this system does not have")
    fresh = url.replace(PLACE, f"sessionkit_{uuid4().hex}")
    shown = str(BackendURL.parse(fresh))
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    job = Job(fresh, shown, seconds, processes, seed, patience)
    conductor = subprocess.Popen(  # the URL goes through a pipe, as it may hold a password
        [sys.executable, "-P", "-W", "ignore", "-m", "sessionkit.testing.torture.conductor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # so that Ctrl-C reaches us alone, and its children can be ended with it
    )
    with conductor:
        assert conductor.stdin is not None
        assert conductor.stdout is not None
        try:
            conductor.stdin.write(json.dumps(converter().unstructure(job)).encode() + b"\n")
            conductor.stdin.flush()
            return _heard(conductor.stdin, conductor.stdout, going)
        finally:
            conductor.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                conductor.wait(_PATIENCE)
            with suppress(ProcessLookupError):
                os.killpg(conductor.pid, signal.SIGKILL)


def _heard(told: IO[bytes], said: IO[bytes], going: Callable[[Report], None]) -> Report:
    """What it says at last."""
    while True:
        try:
            for line in said:
                [(kind, value)] = json.loads(line).items()
                if kind == "refused":
                    raise UsageError(value)
                report = Report.from_json(value)
                if kind == "report":
                    return report
                going(report)
        except KeyboardInterrupt:
            told.close()  # it ends, and says what it has found so far
            continue
        raise RuntimeError("the conductor died")
