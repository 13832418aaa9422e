"""What is asked for, and whether a store may be used for it: found out by processes that change nothing in it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from sessionkit import BackendURL, SessionKitError, open_backend
from sessionkit.codec import converter
from sessionkit.testing._worker import say
from sessionkit.testing.torture.history import without_secret
from sessionkit.testing.torture.plan import Powers


class UsageError(Exception):
    """This store can't be tortured."""


@attrs.frozen
class Job:
    """What is asked for.

    Attributes:
        url: of a store that is empty.
        shown: the same, without secrets.
        seconds: how long processes are started.
        processes: how many work side by side.
        seed: what they do.
        patience: after how many seconds in which it does nothing a process counts as stuck.
    """

    url: str
    shown: str
    seconds: float
    processes: int
    seed: int
    patience: float = 60


def ask(job: Job, folder: Path) -> Powers:
    """What may be asked of the backend, found out by a process that opens the store, and changes nothing.

    Raises:
        UsageError: it can't be opened, holds sessions, or is not what other processes see.
    """
    answer = _by_another(_asked, job.url, folder)
    if "error" in answer:
        raise UsageError(answer["error"])
    if answer["sessions"]:
        raise UsageError(f"{job.shown} holds sessions; it writes to empty stores only")
    parsed = BackendURL.parse(job.url)
    if not any((parsed.host, parsed.port, parsed.username, parsed.path, parsed.query)):
        _by_another(_left, job.url, folder)
        if not _by_another(_asked, job.url, folder).get("sessions"):
            raise UsageError(f"{job.shown} is private to a process: nothing can be seen of one that was killed")
        _by_another(_taken_back, job.url, folder)
    return converter().structure(answer["powers"], Powers)


_PROBE = "probe"


def _asked(url: str) -> dict[str, Any]:
    with open_backend(url) as backend:
        return {"sessions": len(backend.list_sessions()), "powers": converter().unstructure(Powers.of(backend))}


def _left(url: str) -> dict[str, Any]:
    with open_backend(url) as backend:
        backend.append(_PROBE, say("probe"))
    return {}


def _taken_back(url: str) -> dict[str, Any]:
    with open_backend(url) as backend:
        backend.delete_session(_PROBE)
    return {}


def _by_another(asked: Callable[[str], dict[str, Any]], url: str, folder: Path) -> dict[str, Any]:
    """What another process answers, or what went wrong there, as its ``error``."""
    path = folder / "answer"
    path.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            answer = asked(url)
        except SessionKitError as error:
            answer = {"error": without_secret(str(error), url)}
        except Exception as error:  # noqa: BLE001 -- a backend may raise anything
            answer = {"error": without_secret(f"{type(error).__name__}: {error}", url)}
        path.write_text(json.dumps(answer))
        os._exit(0)
    os.waitpid(pid, 0)
    return json.loads(path.read_text()) if path.exists() else {"error": "whoever opened it died"}
