"""What the tests of torture share: backends that other processes open by URL, as they would any installed one."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

ONE_FILE = '''
"""A third party's backend: four methods, on one file of lines, under a lock."""

import fcntl
import json
from contextlib import contextmanager
from pathlib import Path

from sessionkit import SessionBackend, decode_message, encode_message


class OneFile(SessionBackend):
    """The newest line of a session tells all of it; every change is one line."""

    def __init__(self, path):
        self.path = Path(path)

    def __repr__(self):
        return "OneFile()"

    @contextmanager
    def locked(self):
        with open(self.path, "ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            lines = file.read().split(b"\\n")
            if lines[-1]:
                file.truncate(file.tell() - len(lines[-1]))
            yield dict(json.loads(line) for line in lines[:-1]), file

    def _put(self, file, session_key, messages):
        file.write(json.dumps([session_key, messages]).encode() + b"\\n")
        file.flush()

    def load(self, session_key, /):
        with self.locked() as (sessions, _):
            return [decode_message(raw) for raw in sessions.get(session_key, ())]

    def append(self, session_key, message, /):
        with self.locked() as (sessions, file):
            self._put(file, session_key, [*sessions.get(session_key, ()), encode_message(message).decode()])

    def remove_last(self, session_key, /):
        with self.locked() as (sessions, file):
            if not sessions.get(session_key):
                return False
            self._put(file, session_key, sessions[session_key][:-1])
            return True

    def list_sessions(self):
        with self.locked() as (sessions, _):
            return list(sessions)


def open_url(url, *, place: str = ""):
    print("opening", flush=True)
    if url.password and not url.path:
        raise RuntimeError(f"can't reach {url.host} with {url.password}")
    return OneFile(url.path)
'''

_INSTALLED = "[sessionkit.backends]\nmutant = tests.mutants.outliving:open_url\nonefile = onefile:open_url\n"


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Have other processes find a third party's backend, and the mutants."""
    information = folder / "onefile-0.dist-info"
    information.mkdir(parents=True)
    (folder / "onefile.py").write_text(ONE_FILE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: onefile\nVersion: 0\n")
    (information / "entry_points.txt").write_text(_INSTALLED)
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("onefile", None)
