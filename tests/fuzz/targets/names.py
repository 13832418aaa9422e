"""The file names of JSONL sessions: one for each key, safe everywhere, and back."""

import os
import re
import unicodedata
from collections.abc import Callable

from sessionkit import InvalidSessionKeyError, check_session_key
from sessionkit_jsonl import names
from tests.fuzz.source import HOSTILE, Source
from tests.fuzz.target import Outcomes, Target, check, outcome

_SAFE = re.compile(r"[a-z0-9_\-.@+=,%~]{1,126}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def run(data: bytes) -> Outcomes:
    """Two keys, or a file name that somebody gave."""
    source = Source(data)
    way = source.below(3)
    if way == 0:
        return outcome(of_name(os.fsdecode(source.rest().replace(b"/", b"").replace(b"\0", b""))))
    if way == 1:
        one, _, other = source.rest().decode(errors="surrogatepass" if source.chance(4) else "replace").partition("|")
        return outcome(of_keys(one, other))
    one = source.text(40) * source.pick((1, 1, 1, 9, 40))
    change: Callable[[str], str] = source.pick(
        (str.upper, str.lower, str.casefold, _composed, _decomposed, str.strip, lambda text: text[:-1])
    )
    return outcome(of_keys(one, change(one) if source.chance(2) else source.text(40)))


def of_keys(one: str, other: str) -> str:
    """Keys in: names that are safe, not the same for two keys, and tell the key."""
    valid = [key for key in (one, other) if _is_valid(key)]
    for key in valid:
        name = names.file_name(key)
        stem = name.removesuffix(".jsonl")
        check(name != stem and _SAFE.fullmatch(stem), "a file name holds what some file system does not take")
        check(not _RESERVED.fullmatch(stem) and stem[0] != ".", "a file name is reserved, or hides the file")
        found = names.session_key(name)
        check(found in (key, None), "a file name tells another key")
        check(found == key or (len(stem) == 121 and stem[56] == "~"), "a name that is no hash tells no key")
    if len(valid) < 2:
        return "refused: no key" if not valid else "accepted: one key"
    if one != other:
        folded = {unicodedata.normalize("NFC", names.file_name(key)).casefold() for key in valid}
        check(len(folded) == 2, "two keys have one file on some file system")
    return "accepted: two keys" if one != other else "accepted: the same key twice"


def of_name(name: str) -> str:
    """A name in: the key of which it is the name, or `ValueError`."""
    try:
        key = names.session_key(name)
    except ValueError as error:
        check(str(error).isprintable() or "\\" in repr(str(error)), "an error can't be shown")
        return "refused: no session's"
    if key is None:
        check(len(name.removesuffix(".jsonl")) == 121, "a name that is no hash tells no key")
        return "accepted: a hash"
    check(_is_valid(key) or len(key.encode()) > 1024, "a name tells what is no key")
    check(names.file_name(key) == name, "the key that a name tells has another name")
    return "accepted: a name"


def _is_valid(key: str) -> bool:
    """By the contract's words, which the check of keys must agree with."""
    try:
        valid = 1 <= len(key.encode()) <= 1024 and "\0" not in key
    except UnicodeEncodeError:
        valid = False
    try:
        check_session_key(key)
    except InvalidSessionKeyError:
        check(not valid, "a key is refused that the contract takes")
        return False
    check(valid, "a key is taken that the contract refuses")
    return valid


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def seeds() -> list[bytes]:
    """Names as they are, and keys that file systems have trouble with."""
    keys = [
        "notes",
        "support/7",
        "CON",
        "con.txt",
        "../etc",
        "A",
        "\u00c4",
        "a" * 300,
        ".",
        "..",
        "com1",
        "e\u0301",
        "%41",
    ]
    named = [b"\0" + names.file_name(key).encode() for key in keys]
    pairs = [f"{one}|{other}".encode() for one in keys for other in ("a", one.upper(), _decomposed(one), "A" + one)]
    return [*named, b"\0%41b.jsonl", b"\0a%2g.jsonl", *(b"\1" + pair for pair in pairs), b"\2" + HOSTILE.encode()[:60]]


WORDS = [
    b"%41",
    b"%2f",
    b"%00",
    b"%ff",
    b"%c3%a4",
    b"~",
    b".jsonl",
    b"con",
    b"CON.",
    b"lpt1",
    b"..",
    b"|",
    b"%",
    b"%7e",
]

TARGET = Target(
    "names", "a file name for each key and a key for each file name, never ambiguous", run, seeds, WORDS, 3_000
)
