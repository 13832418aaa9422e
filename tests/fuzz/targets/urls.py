"""URLs and their options: taken apart as they were put together, and no secret in anything that is said."""

import traceback
from contextlib import ExitStack
from typing import Any, Literal
from unittest import mock
from urllib.parse import quote, quote_plus

import attrs

from sessionkit import BackendURL, BackendURLError, open_backend, register_backend, registry
from sessionkit_memory import MemoryBackend
from tests.fuzz.source import Source
from tests.fuzz.target import Outcomes, Target, check, outcome

SECRET = "hunter2-" + "x" * 4
SCHEME = "fuzz-memory"
_SAFE = "abcxyzABC019-._~"

_given: list[dict[str, Any]] = []


def factory(
    url: BackendURL,
    *,
    count: int = 1,
    ratio: float = 1.0,
    flag: bool = False,
    kind: Literal["one", "two"] = "one",
    token: str = "",
    limit: int | None = None,
) -> MemoryBackend:
    """In memory, with an option of each type."""
    del url
    _given.append({"count": count, "ratio": ratio, "flag": flag, "kind": kind, "token": token, "limit": limit})
    return MemoryBackend()


def run(data: bytes) -> Outcomes:
    """Any text, a URL put together of parts, or options."""
    source = Source(data)
    way = source.below(3)
    if way == 0:
        return outcome(f"{parse(source.rest().decode(errors='surrogateescape'))} (text)")
    if way == 1:
        return outcome(f"{put_together(source)} (parts)")
    return outcome(f"{options(source)} (options)")


def parse(text: str) -> str:
    """Any text: a URL that says the same when it is read again, or `BackendURLError`."""
    try:
        url = BackendURL.parse(text)
    except BackendURLError as error:
        before, _, query = text.partition("?")
        named = SECRET in query or SECRET in before.partition("://")[0].lower()
        check(named or SECRET not in _said(error), "an error shows what may be a password")
        return "refused"
    _check_shown(url)
    return "accepted"


def put_together(source: Source) -> str:
    """A URL of known parts, each character percent-encoded or not as it may be: just those parts."""
    host = source.pick((None, "host", "10.0.0.1", "::1", "h-1.example"))
    user = source.text(6) if host and source.chance(2) else None
    password = SECRET + source.text(6) if user is not None and source.chance(2) else None
    port = source.pick((0, 1, 5432, 65535)) if host and source.chance(2) else None
    path = ("/" if source.chance(2) else "") + source.text(20)
    if source.chance(6):
        path += source.pick(("%2F", "%25", "a%20b", "%", "+", "100%", "..", "//", "?", "#", "\udc80"))
    query = {source.text(5): source.text(8) for _ in range(source.below(3))}
    expected = BackendURL(
        source.pick(("memory", "x-1", "sqlite", "postgresql")), user, password, host, port, path, query
    )
    spelled = _spelled(source, expected)
    try:
        found = BackendURL.parse(spelled)
    except BackendURLError as error:
        check(SECRET not in _said(error), "an error shows the password")
        check("\udc80" in spelled or "\udc80" in path, f"a URL of valid parts is refused: {error}")
        return "refused"
    check(found == expected, f"{spelled!a} is {found!a}, not {expected!a}")
    _check_shown(found)
    return "accepted"


def options(source: Source) -> str:
    """Options in the query and in the call: each of its type and with its value, or an error without the value."""
    register_backend(SCHEME, factory)
    names = ("count", "ratio", "flag", "kind", "token", "limit", "Count", "", "other")
    texts = (
        "1",
        "0",
        "-1",
        "1.5",
        "true",
        "False",
        "one",
        "nan",
        "inf",
        "1e5",
        "null",
        "",
        " 1",
        "\u0661",
        "1_0",
        SECRET,
    )
    query = {
        source.pick(names): source.text(6) if source.chance(3) else source.pick(texts) for _ in range(source.below(3))
    }
    call: dict[str, Any] = {}
    if source.chance(3):
        call[source.pick(names)] = source.pick((1, True, "1", SECRET, None, float("nan"), 1.5, b"x", [SECRET]))
    url = f"{source.pick((SCHEME, SCHEME, 'memory', SCHEME.upper(), 'nobody'))}://"
    if query:
        url += "?" + "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in query.items())
    if source.chance(9):
        url += "&" + url.partition("?")[2]
    del _given[:]
    with ExitStack() as stack:
        # Which distributions are installed is no matter of the URL, and takes longer than all else.
        stack.enter_context(mock.patch.object(registry, "entry_points", return_value=()))
        try:
            stack.enter_context(open_backend(url, **call))
        except BackendURLError as error:
            check(SECRET not in _said(error), "an error shows an option's value")
            return "refused"
    for given in _given:
        _check_options(given, query | call)
    check(not (query | call) or len(_given) == 1, "options were taken that nobody was given")
    return "accepted"


def _check_options(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    kinds = {"count": int, "ratio": (int, float), "flag": bool, "kind": str, "token": str, "limit": (int, type(None))}
    check(wanted.keys() <= given.keys(), "an unknown option was taken")
    for name, value in given.items():
        is_bool = isinstance(value, bool) and name != "flag"
        check(isinstance(value, kinds[name]) and not is_bool, f"{name} was given {value!r}")  # type: ignore[arg-type]
        text = wanted.get(name, value)
        if isinstance(text, str) and text.isascii() and text.isdecimal() and name in ("count", "limit", "ratio"):
            check(value == int(text), f"{name}={text} was given as {value!r}")
        if name in ("token", "kind"):
            check(value == text, f"{name} was changed")
    check(given["kind"] in ("one", "two"), "an option has none of its values")
    check(given["ratio"] == given["ratio"], "an option is no number")


def _check_shown(url: BackendURL) -> None:
    """What is shown hides the password, and can be read again."""
    shown = f"{url} {url!r}"
    elsewhere = (url.username, url.host, url.path, url.scheme)
    hidden = (
        url.password is not None and SECRET in url.password and not any(SECRET in (part or "") for part in elsewhere)
    )
    check(not hidden or SECRET not in shown, "the URL's text or repr shows the password")
    if url.password is None:
        check(BackendURL.parse(str(url)) == attrs.evolve(url, query={}), f"{str(url)!a} is not read as {url!a} again")


def _spelled(source: Source, url: BackendURL) -> str:
    user = "" if url.username is None else _encoded(source, url.username)
    secret = "" if url.password is None else ":" + _encoded(source, url.password)
    at = "" if url.username is None else "@"
    host = "" if url.host is None else f"[{url.host}]" if ":" in url.host else url.host
    port = "" if url.port is None else f":{url.port}"
    path = "" if not url.path else "/" + _encoded(source, url.path, safe=source.pick(("/", "/:+,;=", "")))
    query = "&".join(f"{_encoded(source, name)}={_encoded(source, text)}" for name, text in url.query.items())
    return f"{url.scheme}://{user}{secret}{at}{host}{port}{path}{'?' if query else ''}{query}"


def _encoded(source: Source, text: str, safe: str = "") -> str:
    parts: list[str] = []
    for character in text:
        if character == "\udc80" or (character in _SAFE + safe and not source.chance(5)):
            parts.append(character)
        else:
            parts.append("".join(f"%{byte:02X}" for byte in character.encode()))
    return "".join(parts)


def _said(error: BaseException) -> str:
    """Everything that would be shown of it, its causes too."""
    return "".join(traceback.format_exception(error)).split("Traceback (most recent call last):")[-1] + str(error)


def seeds() -> list[bytes]:
    """URLs of every kind."""
    urls = [
        "memory://",
        "sqlite:///rel.db",
        "sqlite:////abs%20path/a%2525.db?synchronous=full&busy_timeout=10",
        f"postgresql://user:{quote(SECRET)}@host:5432/db?sslmode=require",
        f"redis://:{SECRET}@[::1]:6379/0",
        f"unix://u:{SECRET}%40@/var/run/x.sock",
        f"x+y-1.z://u:{SECRET}/@h:99999/p",
        f"jsonl://u:{SECRET}@h:port/p?%zz",
    ]
    return [
        *(b"\0" + url.encode() for url in urls),
        *(bytes([way, *range(at, at + 50)]) for way in (1, 2) for at in (0, 99, 180)),
    ]


WORDS = [
    *(b"://", b"%2F", b"%25", b"%2525", b"%", b"%00", b"%ff", b"@", b":", b"?", b"&", b"=", b"#", b"[", b"]", b"[::1]"),
    *(b"//", b"+", b"\t", b";", b"sqlite", b"memory", SECRET.encode(), b":" + SECRET.encode() + b"@", b"\xff", b"%E4"),
    *("\u2100\uff0f\uff1f\u2025".encode(), "\u0130".encode(), b"a=1&a=2", b":99999", b":0", b":-1", b":\xd9\xa1"),
]

TARGET = Target(
    "urls", "URLs are read as they were put together, and nothing said shows a secret", run, seeds, WORDS, 1_500
)
