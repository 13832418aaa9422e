"""The factory of ``jsonl://``."""

from sessionkit.codec import MAX_MESSAGE_BYTES
from sessionkit.registry import BackendURL
from sessionkit_jsonl.backend import JSONLBackend, Mode


def open_url(
    url: BackendURL,
    *,
    lock_timeout: float = 10.0,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    fsync: bool = False,
    mode: Mode = "rw",
) -> JSONLBackend:
    """Open ``jsonl:///rel/dir`` or ``jsonl:////abs/dir``; the options are those of `JSONLBackend`.

    Raises:
        BackendURLError: the URL names no folder of this machine.
        BackendUnavailableError: the folder can't be created, or with ``mode=ro`` is not there.
    """
    path = url.local_path("jsonl:///rel/dir or jsonl:////abs/dir")
    return JSONLBackend(path, lock_timeout=lock_timeout, max_message_bytes=max_message_bytes, fsync=fsync, mode=mode)
