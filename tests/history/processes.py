"""Other processes at a store, for tests of what they do to each other."""

import os
import subprocess
import sys
from typing import IO, Self, cast

_PRELUDE = """
import sys, warnings
warnings.simplefilter("error")
import sessionkit
from sessionkit import *
from sessionkit.history import *

def say(*what):
    sys.stdout.write(" ".join(map(str, what)) + chr(10))
    sys.stdout.flush()

def wait_for_a_line():
    assert sys.stdin.readline()

url, *arguments = sys.argv[1:]
backend = sessionkit.open_backend(url)
"""


class Worker:
    """A process that runs a program with a store's ``backend``; with ``say()`` and ``wait_for_a_line()`` it is led."""

    def __init__(self, url: str, program: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + program, url, *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._input = cast("IO[str]", self.process.stdin)
        self._output = cast("IO[str]", self.process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.process.kill()
        self.process.communicate()

    def hear(self) -> str:
        """The next line that it says."""
        return self._output.readline().rstrip("\n")

    def go_on(self) -> None:
        """Send it a line."""
        self._input.write("\n")
        self._input.flush()

    def finish(self) -> list[str]:
        """Wait for its end; what else it has said. Fails where it failed."""
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return output.splitlines()
