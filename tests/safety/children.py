"""A process of its own, for what might end it: with little stack, little memory, or a high limit of recursion."""

import resource
import subprocess
import sys
from collections.abc import Callable

_PRELUDE = """
import resource, sys, threading, warnings
warnings.simplefilter("ignore")
from sessionkit import *
from sessionkit.codec import decode_json, decode_message, decode_text, encode_json, encode_message
import sessionkit_jsonl, sessionkit_memory, sessionkit_sqlite

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmPeak")) // 1024

def refused(call, *args, **kwargs):
    "What the error is called, and its text; nothing else may come of it."
    try:
        call(*args, **kwargs)
    except SessionKitError as error:
        return type(error).__name__ + ": " + str(error)
    return "nothing"
"""


def run(code: str, *arguments: str, megabytes: int | None = None, stack: int = 0, recursion: int = 0) -> str:
    """What the code printed; fails where it ended by an exception or a signal.

    Args:
        code: with all of sessionkit imported, and `peak` and `refused`.
        arguments: its ``sys.argv[1:]``.
        megabytes: of address space, at most.
        stack: kilobytes of the stack of the thread that runs it; 0 for the main thread.
        recursion: the limit of recursion, where it is another.
    """
    body = _PRELUDE + (f"sys.setrecursionlimit({recursion})\n" if recursion else "")
    if stack:
        indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
        threaded = "threading.Thread(target=job); thread.start(); thread.join()\n"
        body += f"def job():\n{indented}\nthreading.stack_size({stack} * 1024)\nthread = {threaded}"
    else:
        body += code
    done = subprocess.run(
        [sys.executable, "-c", body, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limited(megabytes) if megabytes else None,
    )
    assert done.returncode == 0, f"it ended with {done.returncode}:\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout


def _limited(megabytes: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    return limit
