"""Parsers that are broken on purpose, by patching ours: the mistakes that such parsers are known for.

Each is a context manager; `MUTANTS` says which target must find it.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any
from unittest import mock
from urllib.parse import unquote

import attrs
import msgspec

from sessionkit import BackendURL, BackendURLError, ChatMessage, codec, fields, registry, text
from sessionkit.cli import importing
from sessionkit.history import keeping
from sessionkit_jsonl import lines, names, reading, scanning, view
from sessionkit_sqlite import terms

Mutant = Callable[[], AbstractContextManager[object]]


@attrs.frozen
class Declared:
    """A mutant, the target that must find it, and what it does wrong."""

    mutant: Mutant
    target: str

    @property
    def name(self) -> str:
        """As the tests call it."""
        return getattr(self.mutant, "__name__", "?")


MUTANTS: list[Declared] = []


def found_by(target: str) -> Callable[[Callable[[], Generator[None]]], Mutant]:
    """Declare a mutant: a generator that breaks something until it goes on."""

    def declare(mutant: Callable[[], Generator[None]]) -> Mutant:
        made: Mutant = contextmanager(mutant)
        MUTANTS.append(Declared(made, target))
        return made

    return declare


@found_by("codec")
def loses_big_integers() -> Generator[None]:
    """Integers past 53 bits become floats, as in JavaScript."""

    def rounded(digits: str) -> Any:
        return int(digits) if abs(int(digits)) < 2**53 else float(digits)

    decode = codec.decode_json

    def decoded(raw: bytes | str) -> Any:
        decode(raw)
        return json.loads(raw, parse_int=rounded)

    with mock.patch.object(codec, "decode_json", decoded):
        yield


@found_by("codec")
def turns_nan_to_null() -> Generator[None]:
    """What JSON does not have is null, as msgspec has it when nobody looks."""
    with mock.patch.object(codec, "encode_message", lambda message: msgspec.json.encode(message.to_dict())):
        yield


@found_by("codec")
def drops_a_repeated_key() -> Generator[None]:
    """Of a key that comes twice the first value is kept; every other reader keeps the last."""

    def first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(reversed(pairs))

    decode = codec.decode_json

    def decoded(raw: bytes | str) -> Any:
        decode(raw)
        return json.loads(raw, object_pairs_hook=first)

    with mock.patch.object(codec, "decode_json", decoded):
        yield


@found_by("codec")
def takes_text_for_a_time() -> Generator[None]:
    """Any spelling of a time is taken, and given back in another."""

    def take(value: Any) -> Any:
        try:
            return datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return fields.REFUSED

    with mock.patch.object(codec, "take_timestamp", take):
        yield


@found_by("codec")
def forgets_null() -> Generator[None]:
    """An explicit null is an absent key."""
    to_dict = ChatMessage.to_dict

    def without(message: ChatMessage) -> dict[str, Any]:
        return {name: value for name, value in to_dict(message).items() if value is not None}

    with mock.patch.object(ChatMessage, "to_dict", without):
        yield


@found_by("urls")
def decodes_twice() -> Generator[None]:
    """What is percent-encoded is decoded until nothing is: ``%2525`` is no path any more."""
    with mock.patch.object(registry, "_unquoted", lambda part: unquote(unquote(part))):
        yield


@found_by("urls")
def shows_what_it_can_not_read() -> Generator[None]:
    """An error that helps by showing the whole URL, password and all."""
    parse = BackendURL.parse.__func__  # type: ignore[attr-defined]

    def parsed(cls: type[BackendURL], url: str) -> BackendURL:
        try:
            found: BackendURL = parse(cls, url)
        except BackendURLError as error:
            raise BackendURLError(f"{url}: {error}") from None
        return found

    with mock.patch.object(BackendURL, "parse", classmethod(parsed)):
        yield


@found_by("urls")
def shows_an_option() -> Generator[None]:
    """An error that repeats the value of an option, which may be a token."""
    from_text = registry._from_text

    def shown(name: str, value: str, kind: Any) -> Any:
        try:
            return from_text(name, value, kind)
        except BackendURLError as error:
            raise BackendURLError(f"{error}, not {value}") from None

    with mock.patch.object(registry, "_from_text", shown):
        yield


@found_by("search")
def forgets_nfkc() -> Generator[None]:
    """Texts are compared as they were typed: composed and decomposed differ."""

    class Plain:
        @staticmethod
        def normalize(_form: str, value: str) -> str:
            return value

        name, category = staticmethod(unicodedata.name), staticmethod(unicodedata.category)

    with mock.patch.object(text, "unicodedata", Plain):
        text.query_terms.cache_clear()
        yield
    text.query_terms.cache_clear()


@found_by("search")
def lowers_instead_of_folding() -> Generator[None]:
    """``str.lower`` for ``str.casefold``."""

    def runs(value: str) -> list[tuple[str, str]]:
        folded = unicodedata.normalize("NFKC", value).lower().translate(text._MARKED)
        return [("", run[0][1::3]) if run[1] else (run[0], "") for run in text._RUN.finditer(folded)]

    with mock.patch.object(text, "_runs", runs):
        text.query_terms.cache_clear()
        yield
    text.query_terms.cache_clear()


@found_by("search")
def pairs_across() -> Generator[None]:
    """Each second pair only: of three characters, the second and third are no pair."""
    with mock.patch.object(text, "_pairs", lambda run: [run[at : at + 2] for at in range(0, len(run) - 1, 2)]):
        text.query_terms.cache_clear()
        yield
    text.query_terms.cache_clear()


@found_by("search")
def leaves_old_terms_in_the_index() -> Generator[None]:
    """What is replaced or removed stays in the index."""
    with mock.patch.object(terms, "_take_out", return_value=True):
        yield


@found_by("search")
def trusts_the_quick_look() -> Generator[None]:
    """A text in which some character is an escape is taken for one that can't match."""

    def may_hold(raw: bytes, wanted: list[bytes]) -> bool:
        return all(term in raw.lower() for term in wanted)

    with mock.patch.object(view, "_may_hold", may_hold):
        yield


@found_by("jsonl")
def takes_a_mark_for_anothers() -> Generator[None]:
    """A last line that was moved or copied there is taken for how things stand."""
    with mock.patch.object(reading, "_is_in_place", return_value=True):
        yield


@found_by("jsonl")
def reads_what_was_torn() -> Generator[None]:
    """A line that ends early is mended by a brace, and so there is a message that nobody wrote."""
    parse = lines.parse

    def mended(raw: bytes) -> Any:
        return parse(raw) or parse(raw.rstrip(b',":{') + b"}")

    with mock.patch.object(reading, "parse", mended), mock.patch.object(scanning, "parse", mended):
        yield


@found_by("jsonl")
def ignores_whose_file_it_is() -> Generator[None]:
    """The header's key is not looked at: a file that was renamed is another session's messages."""

    def key(_self: Any, wanted: str | None) -> str:
        return wanted or ""

    with mock.patch.object(view.SessionView, "_checked_key", key):
        yield


@found_by("names")
def forgets_reserved_names() -> Generator[None]:
    """``con`` is a file name like any other."""
    names.file_name.cache_clear()
    with mock.patch.object(names, "_RESERVED", re.compile(r"(?!)")):
        yield
    names.file_name.cache_clear()


@found_by("names")
def keeps_capitals() -> Generator[None]:
    """Capitals stand for themselves: two sessions on Linux, one on a Mac."""
    names.file_name.cache_clear()
    with mock.patch.object(names, "_UNSAFE", re.compile(rb"[^A-Za-z0-9_\-.@+=,]")):
        yield
    names.file_name.cache_clear()


@found_by("import")
def stores_before_it_checks() -> Generator[None]:
    """A file is stored line by line, up to the first that is wrong."""
    with mock.patch.object(importing, "_check"):
        yield


@found_by("history")
def rewrites_the_record() -> Generator[None]:
    """What somebody else keeps in a session's record is gone once we save."""
    with mock.patch.object(keeping, "is_foreign", return_value=False):
        yield
