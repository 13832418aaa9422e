"""Deliberate mistakes, of the kind that authors of stores make, and the proof that must find each."""

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

import sessionkit.cli.commands
import sessionkit_jsonl.files
import sessionkit_jsonl.lines
import sessionkit_jsonl.log
import sessionkit_sqlite.backend
import sessionkit_sqlite.opening
from sessionkit import (
    BackendURL,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    codec,
    open_backend,
    private,
    registry,
    secret,
)
from sessionkit_jsonl.names import file_name
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import search, terms
from tests.safety import test_secrets
from tests.safety.places import nothing_outside_changes
from tests.safety.test_depth import the_limit_is_two_hundred
from tests.safety.test_injection import FORGED, no_terminal_obeys, no_text_becomes_a_record
from tests.safety.test_keys import Name, names_stay_apart
from tests.safety.test_permissions import a_copy_is_the_owners_only, all_is_the_owners_only
from tests.safety.test_queries import CORPUS, VALUES, filled, filters_are_data, finds_what_a_scan_finds
from tests.safety.test_sizes import refused_before_it_is_built

Patch = pytest.MonkeyPatch


@attrs.frozen
class Mutant:
    """A mistake, made for as long as the patch lasts, and the proof that fails then and passes else."""

    bug: str
    make: Callable[[Patch], object]
    proof: Callable[[Path, Patch], object]


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str, proof: Callable[[Path, Patch], object]) -> Callable[[Callable[[Patch], object]], object]:
    """The mistake is what the function does; its docstring says it."""

    def note(make: Callable[[Patch], object]) -> object:
        MUTANTS[name] = Mutant(make.__doc__ or "", make, proof)
        return make

    return note


# -- names -------------------------------------------------------------------------------------------------------------

_names: dict[str, Name] = {"name": file_name}


def _apart(one: str, other: str) -> Callable[[Path, Patch], object]:
    return lambda _folder, _patch: names_stay_apart(_names["name"], one, other)


@mutant("names-lower-case", _apart("Session", "session"))
def _names_lower_case(patch: Patch) -> None:
    """Names are lower-cased, so that they look alike everywhere: two keys share a file."""
    patch.setitem(_names, "name", lambda key: file_name(key.lower()))


@mutant("names-are-keys", _apart("../up", "C:\\x"))
def _names_are_keys(patch: Patch) -> None:
    """The key itself is the name."""
    patch.setitem(_names, "name", lambda key: f"{key}.jsonl")


@mutant("names-replace", _apart("a/b", "a_b"))
def _names_replace(patch: Patch) -> None:
    """What no name may hold becomes an underscore."""
    patch.setitem(_names, "name", lambda key: re.sub(r"[^a-z0-9_.-]", "_", key.lower()) + ".jsonl")


@mutant("names-are-cut", _apart("k" * 500 + "a", "k" * 500 + "b"))
def _names_are_cut(patch: Patch) -> None:
    """Long names are cut off, and no hash says of what."""
    patch.setitem(_names, "name", lambda key: file_name(key[:100]))


@mutant("names-of-devices", _apart("con", "lpt1.txt"))
def _names_of_devices(patch: Patch) -> None:
    """Only separators are encoded: ``con.jsonl`` is a device of Windows."""
    patch.setitem(_names, "name", lambda key: re.sub(r"[^a-z0-9_.-]", "", key) + ".jsonl")


# -- files -------------------------------------------------------------------------------------------------------------


@mutant(
    "follows-links", lambda folder, _: nothing_outside_changes("jsonl", folder, "store/.revisions", "dangling_link")
)
def _follows_links(patch: Patch) -> None:
    """Files of a store are opened without O_NOFOLLOW."""
    for name in ("READ", "CHANGE", "CREATE", "CREATE_IN_PLACE"):
        patch.setattr(sessionkit_jsonl.files, name, getattr(sessionkit_jsonl.files, name) & ~os.O_NOFOLLOW)


@mutant(
    "locks-through-links", lambda folder, _: nothing_outside_changes("sqlite", folder, "store-lock", "symbolic_link")
)
def _locks_through_links(patch: Patch) -> None:
    """The lock file is opened as any file is, and written."""
    patch.setattr(sessionkit_sqlite.opening, "open_beside", lambda path, flags: os.open(path, flags, 0o600))


@mutant("writes-hard-links", lambda folder, _: nothing_outside_changes("jsonl", folder, "store/s.jsonl", "hard_link"))
def _writes_hard_links(patch: Patch) -> None:
    """How many names a session's file has is not asked."""
    never = property(lambda _: False, lambda *_: None)
    patch.setattr(sessionkit_jsonl.log.SessionLog, "_has_other_names", never, raising=False)


@mutant(
    "logs-through-hard-links", lambda folder, _: nothing_outside_changes("sqlite", folder, "store-shm", "hard_link")
)
def _logs_through_hard_links(patch: Patch) -> None:
    """What stands beside a database is left to SQLite, which knows nothing of hard links."""
    patch.setattr(sessionkit_sqlite.opening, "check_beside", lambda _: None)


@mutant("readable-by-all", lambda folder, _: all_is_the_owners_only("jsonl", 0o022, folder))
def _readable_by_all(patch: Patch) -> None:
    """Files are created as the process creates any."""
    patch.setattr(sessionkit_jsonl.files, "FILE", 0o666)


@mutant("narrowed-later", lambda folder, _: all_is_the_owners_only("sqlite", 0o022, folder))
def _narrowed_later(patch: Patch) -> None:
    """The lock file's mode is set once it is there."""

    def open_wide(path: str, flags: int) -> int:
        descriptor = os.open(path, flags, 0o666)
        os.fchmod(descriptor, 0o600)
        return descriptor

    patch.setattr(sessionkit_sqlite.opening, "open_beside", open_wide)


@mutant("open-folders", lambda folder, _: all_is_the_owners_only("jsonl", 0, folder))
def _open_folders(patch: Patch) -> None:
    """Folders that lead to a store are as wide as the umask leaves them: under 0 anybody may exchange the store."""
    patch.setattr(private, "FOLDER", 0o777)


@mutant("wide-copies", a_copy_is_the_owners_only)
def _wide_copies(patch: Patch) -> None:
    """A reader's copy of a database may be read by all."""
    patch.setattr(sessionkit_sqlite.opening, "copy_to", shutil.copyfile)


# -- queries -----------------------------------------------------------------------------------------------------------


def _finds(folder: Path, _patch: Patch) -> None:
    texts = {f"k{i}": [text] for i, text in enumerate(CORPUS)}
    with filled(open_backend(f"sqlite:///{folder}/store"), texts, indexed=True) as backend:
        for keyword in ("alpha", "a OR b", "alpha*", 'alpha "', "NEAR(alpha Beta)", "text: alpha"):
            finds_what_a_scan_finds(backend, texts, keyword)


@mutant("keyword-as-query", _finds)
def _keyword_as_query(patch: Patch) -> None:
    """The keyword goes to MATCH as it is."""

    def find(connection: Any, query: SessionQuery, damaged: Any) -> Any:
        patch.setattr(terms, "match_expression", lambda _: query.keyword)
        return search.find_sessions(connection, query, damaged)

    patch.setattr(sessionkit_sqlite.backend, "find_sessions", find)


_memory: dict[str, type[MemoryBackend]] = {"backend": MemoryBackend}


def _filters(_folder: Path, _patch: Patch) -> None:
    backend = _memory["backend"]()
    known = {f"{value}{i}": value for i, value in enumerate(VALUES)}
    for key, value in known.items():
        backend.set_session_agent_alias(key, value)
        backend.set_session_context(key, SessionContext(value, value, value, {value: value}))
    for value in VALUES:
        filters_are_data(backend, known, value)


def _like(pattern: str, text: str) -> bool:
    return bool(re.match(re.escape(pattern).replace("%", ".*").replace("_", "."), text, re.IGNORECASE | re.DOTALL))


class LikeBackend(MemoryBackend):
    """Whose prefixes are patterns."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        """By LIKE."""
        rest = attrs.evolve(query, key_prefix=None)
        return [found for found in super().search(rest) if not query.key_prefix or _like(query.key_prefix, found.key)]


@mutant("prefix-by-like", _filters)
def _prefix_by_like(patch: Patch) -> None:
    """A prefix goes into LIKE, with its wildcards, and in any case."""
    patch.setitem(_memory, "backend", LikeBackend)


# -- sizes and depths --------------------------------------------------------------------------------------------------


@mutant("size-checked-afterwards", lambda _folder, _patch: refused_before_it_is_built())
def _size_checked_afterwards(patch: Patch) -> None:
    """A message is encoded, and then its bytes are counted."""
    patch.setattr(codec, "message_weight", lambda _message, _most: 0)


@mutant("no-depth-limit", lambda _folder, _patch: the_limit_is_two_hundred(201))
def _no_depth_limit(patch: Patch) -> None:
    """How deep JSON is nested is left to whoever decodes it, on the stack of C."""
    patch.setattr(codec, "is_too_deep", lambda *_: False)


# -- secrets -----------------------------------------------------------------------------------------------------------


def _nothing_shows(_folder: Path, patch: Patch) -> None:
    test_secrets.guard(patch)
    test_secrets.nothing_shows_it()


def _refusing_hides(url: str, _folder: Path, patch: Patch) -> None:
    test_secrets.guard(patch)
    test_secrets.refusing_hides_the_password(url)


_TELLING = f"guarded://me:{test_secrets.SECRET}@host/?refuse=telling"
_BAD = f"guarded://me:{test_secrets.SECRET}@host:port/"


@mutant("url-shows-itself", _nothing_shows)
def _url_shows_itself(patch: Patch) -> None:
    """The repr of a URL is what dataclasses make of it."""
    patch.setattr(BackendURL, "__repr__", lambda url: f"BackendURL({url.scheme}, {url.password!s})")


@mutant("password-is-a-text", _nothing_shows)
def _password_is_a_text(patch: Patch) -> None:
    """Only the URL's repr hides the password: what is made of the URL shows it."""
    patch.setattr(secret.Secret, "__repr__", str.__repr__)


@mutant("passes-words-on", partial(_refusing_hides, _TELLING))
def _passes_words_on(patch: Patch) -> None:
    """What a driver says is repeated, whatever it is."""
    patch.setattr(registry, "shows", lambda *_: False)


@mutant("frames-keep-the-url", partial(_refusing_hides, _BAD))
def _frames_keep_the_url(patch: Patch) -> None:
    """A bad URL is refused where it still stands in a variable."""
    scope = {"__name__": registry.__name__, "read": registry._read, "BackendURL": BackendURL}
    exec(compile(_READING, registry.__file__, "exec"), scope)  # noqa: S102 -- our own text, run as if it stood there
    patch.setattr(registry, "_read", scope["reading"])


_READING = """
def reading(url):
    found = read(url)
    if isinstance(found, BackendURL):
        return found
    raise found
"""


# -- injection ---------------------------------------------------------------------------------------------------------


@mutant("writes-line-breaks", lambda folder, _: no_text_becomes_a_record(folder / "store", FORGED[0]))
def _writes_line_breaks(patch: Patch) -> None:
    """JSON is written with its line breaks, as whoever puts it together by hand does."""
    write = sessionkit_jsonl.lines.record_line

    def record_line(mark: Any, messages: Any = (), snapshot: Any = None) -> bytes:
        return write(mark, messages, snapshot)[:-1].replace(rb"\n", b"\n") + b"\n"

    patch.setattr(sessionkit_jsonl.log, "record_line", record_line)


@mutant("prints-as-it-is", lambda _folder, _patch: no_terminal_obeys("a\x07\u202eb"))
def _prints_as_it_is(patch: Patch) -> None:
    """A command prints keys as they are stored."""
    patch.setattr(sessionkit.cli.commands, "harmless", str)
    patch.setattr("sessionkit.cli.terminal.harmless", str)
