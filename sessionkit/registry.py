"""Picking a backend by URL: what a URL says, which factory opens its scheme, and how its options get their types."""

import inspect
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs
import msgspec

from sessionkit.defaults import as_open_backend
from sessionkit.errors import BackendUnavailableError, BackendURLError, SessionKitError
from sessionkit.private import make_folders
from sessionkit.protocol import CoreBackend, OpenBackend
from sessionkit.secret import Secret, hidden, shows
from sessionkit.third_parties import entry_points

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "jsonl": "sessionkit_jsonl:open_url",
        "memory": "sessionkit_memory:open_url",
        "sqlite": "sessionkit_sqlite:open_url",
    },
)
"""The schemes of our own backends, and where their factories are; nothing is imported before one is opened."""

Factory = Callable[..., CoreBackend]
"""``factory(url: BackendURL, *, option: type = default, ...) -> CoreBackend``."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

# What urlsplit would drop in silence, and the mark of a fragment, which no backend has.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f#]")

_EXAMPLES = "sqlite:///chats.db, jsonl:///chats or memory://"
_registered: dict[str, list[Factory]] = {}


def _all_hidden(query: Mapping[str, str]) -> Mapping[str, str]:
    return {name: Secret(value) for name, value in query.items()}


@attrs.frozen
class BackendURL:
    """A backend's URL, in parts, percent-decoded. Its text and repr hide the password and the query.

    So do the reprs of the password and of the query's values themselves, wherever they go: also as options, where those
    are text. What prints them, or makes a pickle of the URL, gives them away. They are of a class of their own below
    `str`: ``str(value)`` is for whoever takes none but that, as msgspec's encoder.

    Attributes:
        scheme: in lower case.
        path: without the slash that ends the host, as SQLAlchemy has it: ``sqlite:///rel.db`` gives ``rel.db``,
            ``sqlite:////abs.db`` gives ``/abs.db``.
        query: the options that stand in the URL.
    """

    scheme: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False, converter=hidden)
    host: str | None = None
    port: int | None = None
    path: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False, converter=_all_hidden)

    @classmethod
    def parse(cls, url: str) -> "BackendURL":
        """Take a URL apart.

        Raises:
            BackendURLError: it is no URL of the form ``scheme://...``, or gives an option twice. The message repeats
                nothing that could hold a password.
        """
        read = _read(url)
        del url  # so that no frame of ours that a traceback shows holds it as it was given
        if isinstance(read, BackendURLError):
            raise read
        return read

    def local_path(self, example: str) -> str:
        """The path, for a backend whose URLs name a place on this machine and nothing else.

        Args:
            example: such a URL, for the error: ``"sqlite:///chats.db"``.

        Raises:
            BackendURLError: there is no path, it holds NUL, or the URL names a user, a password, a host or a port.
        """
        elsewhere = (self.username, self.password, self.host or None, self.port)
        if not self.path or "\0" in self.path or any(part is not None for part in elsewhere):
            raise BackendURLError(f"{self.scheme}:// names a place on this machine, by its path alone: {example}")
        return self.path

    def __str__(self) -> str:
        """The URL without its query, the password as ``***``."""
        user = "" if self.username is None else quote(self.username, safe="")
        secret = "" if self.password is None else ":***"
        at = "" if self.username is None and not secret else "@"
        host = "" if self.host is None else f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        port = "" if self.port is None else f":{self.port}"
        path = f"/{quote(self.path)}" if self.path else ""
        return f"{self.scheme}://{user}{secret}{at}{host}{port}{path}"


def register_backend(scheme: str, factory: Factory) -> None:
    """Have `open_backend` open the scheme with the factory, in this process.

    A second claim to the same scheme, by another factory, an installed distribution or sessionkit itself, is an error
    when the scheme is opened.

    Raises:
        BackendURLError: the scheme is no scheme.
        TypeError: the factory can't be called.
    """
    if not callable(factory):
        msg = f"a factory is called with a BackendURL; {type(factory).__name__} can't be"
        raise TypeError(msg)
    if not _SCHEME.fullmatch(scheme):
        raise BackendURLError(
            f"a scheme is a lower-case letter, then letters, digits, '+', '-' and '.': {scheme!r} is not"
        )
    claims = _registered.setdefault(scheme, [])
    if factory not in claims:
        claims.append(factory)


def known_schemes() -> list[str]:
    """Every scheme that `open_backend` knows: built in, installed or registered."""
    return sorted({*BUILT_IN, *_registered, *(entry.name for entry in entry_points())})


def open_backend(url: str | BackendURL | None = None, **options: Any) -> OpenBackend:
    """Open the backend that a URL names; use it in ``with``, or ``close()`` it.

    Args:
        url: such as ``memory://``, ``sqlite:///chats.db`` or ``jsonl:///chats``. None: what ``$SESSIONKIT_URL`` says,
            else SQLite in the user's data directory.
        options: the backend's options, of the types that the factory declares; those in the URL's query are turned
            into them.

    Raises:
        BackendURLError: the URL can't be read, nobody or more than one knows its scheme, or an option is unknown, given
            twice, of the wrong type or out of range.
        BackendUnavailableError: the store can't be opened.
    """
    if url is None:
        url = os.environ.get("SESSIONKIT_URL") or default_url()
    read = url if isinstance(url, BackendURL) else _read(url)
    del url  # as in `BackendURL.parse`
    if isinstance(read, BackendURLError):
        raise read
    factory = factory_of(read.scheme)
    backend = _made(factory, read, _typed_options(read, factory, options))
    try:
        return as_open_backend(backend)
    except TypeError as error:
        raise BackendURLError(f"what opens the scheme {read.scheme!r} gave no backend: {error}") from error


def _made(factory: Factory, url: BackendURL, options: dict[str, Any]) -> CoreBackend:
    """What the factory gives; its `ValueError` is about an option, and is hidden where it shows the password."""
    try:
        return factory(url, **options)
    except SessionKitError:
        raise
    except ValueError as error:
        if not shows(error, url.password):
            raise BackendURLError(f"an option of {url.scheme} is wrong: {error}") from error
    # Outside of the handler: else the error that shows it would be the context of ours.
    raise BackendURLError(f"{url.scheme} refuses the URL, or an option, in words that would show the password")


def default_url() -> str:
    """SQLite in the platform's directory for the user's data, which is created for the user alone.

    Raises:
        BackendUnavailableError: it can't be.
    """
    import platformdirs  # noqa: PLC0415 -- not needed where a URL is given

    try:
        directory = platformdirs.user_data_path("sessionkit", appauthor=False)
        make_folders(directory)
    except OSError as error:
        msg = f"the user's data directory can't be used ({error}); give a URL, such as {_EXAMPLES}"
        raise BackendUnavailableError(msg) from error
    return f"sqlite:///{quote(os.fsencode(directory / 'sessions.db'))}"


def _read(url: str) -> BackendURL | BackendURLError:  # noqa: PLR0911 -- a way out for each fault
    """The URL, or what is wrong with it: given back, for whoever raises it is seen with all that it knows."""
    scheme, separator, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    scheme = scheme.lower()
    if not separator or not _SCHEME.fullmatch(scheme):
        return BackendURLError(f"a backend's URL begins with a scheme and '://', such as {_EXAMPLES}")
    if not _is_unicode(rest):
        return BackendURLError(
            f"a {scheme} URL can't name what is no UTF-8; the class of the backend itself takes any path"
        )
    fault = _FORBIDDEN.search(rest)
    if fault:
        code = f"%{ord(fault[0]):02X}"
        return BackendURLError(f"a {scheme} URL can't hold {fault[0]!r} as it is; write {code}")
    parts = _split(rest)
    if parts is None:
        return BackendURLError(f"the {scheme} URL can't be read: check its port, its query and its percent signs")
    username, password, host, port, path, options = parts
    if host and "@" in urlsplit(f"any://{rest}").path:  # as it is written: %40 is none
        return BackendURLError(f"the {scheme} URL is ambiguous: write '/' in a password as %2F, '@' in a path as %40")
    names = [name for name, _ in options]
    if len(set(names)) < len(names):
        return BackendURLError(f"option {max(names, key=names.count)!r} is given twice")
    return BackendURL(scheme, username, password, host, port, path, dict(options))


def _split(rest: str) -> tuple[str | None, str | None, str | None, int | None, str, list[tuple[str, str]]] | None:
    """Username, password, host, port, path and query of what follows ``scheme://``; None where they can't be told.

    The errors of the standard library are not passed on, because they show what they could not read.
    """
    try:
        # Under a scheme that urlsplit knows nothing of, so that it treats all of ours alike.
        parts = urlsplit(f"any://{rest}")
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict")
        return (
            None if parts.username is None else _unquoted(parts.username),
            None if parts.password is None else _unquoted(parts.password),
            None if parts.hostname is None else _unquoted(parts.hostname),
            parts.port,
            _unquoted(parts.path.removeprefix("/")),
            options,
        )
    except ValueError:
        return None


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold it: no byte of a path that is none, as Python smuggles it into a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unquoted(part: str) -> str:
    return unquote(part, errors="strict")


def factory_of(scheme: str) -> Factory:
    """The one factory that claims the scheme.

    Raises:
        BackendURLError: nobody or more than one does, or it can't be imported or called.
    """
    claims = list(_claims(scheme))
    if not claims:
        raise BackendURLError(f"no backend knows the scheme {scheme!r}; known are {', '.join(known_schemes())}")
    if len(claims) > 1:
        names = " and ".join(name for name, _ in claims)
        raise BackendURLError(f"the scheme {scheme!r} is claimed more than once: {names}; remove all but one")
    [(name, load)] = claims
    try:
        factory = load()
    except Exception as error:  # somebody else's module may raise anything when it is imported
        raise BackendURLError(f"the backend of the scheme {scheme!r}, {name}, can't be imported: {error}") from error
    if not callable(factory):
        raise BackendURLError(f"the backend of the scheme {scheme!r}, {name}, can't be called with a URL")
    return factory


def _claims(scheme: str) -> Iterator[tuple[str, Callable[[], Factory]]]:
    """Who claims the scheme, and how to get the factory."""
    if scheme in BUILT_IN:
        yield f"sessionkit's own {BUILT_IN[scheme]}", partial(_import, BUILT_IN[scheme])
    for entry in entry_points():
        if entry.name == scheme:
            yield f"{entry.dist.name if entry.dist else 'a distribution'}'s {entry.value}", entry.load
    for factory in _registered.get(scheme, ()):
        yield f"the registered {_described(factory)}", partial(_itself, factory)


def _described(factory: Factory) -> str:
    return f"{factory.__module__}:{getattr(factory, '__qualname__', type(factory).__name__)}"


def _itself(factory: Factory) -> Factory:
    return factory


def _import(path: str) -> Factory:
    from importlib import import_module  # noqa: PLC0415 -- only once a backend is opened

    module, _, name = path.partition(":")
    factory: Factory = getattr(import_module(module), name)
    return factory


def _typed_options(url: BackendURL, factory: Factory, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the query, turned into the types that the factory declares, and those of the call, checked."""
    declared = _declared(url, factory)
    known = [name for name, parameter in declared.items() if parameter.kind is parameter.KEYWORD_ONLY]
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared.values())
    for name in (*url.query, *options):
        if name not in known and not anything:
            wants = f"known are {', '.join(known)}" if known else "there are none"
            raise BackendURLError(f"{url.scheme} has no option {name!r}; {wants}")
        if name in url.query and name in options:
            raise BackendURLError(f"option {name!r} is given twice: in the URL and in the call")
    kinds = {name: declared[name].annotation for name in known}
    return {name: _from_text(name, text, kinds.get(name, str)) for name, text in url.query.items()} | {
        name: _checked(name, value, kinds.get(name, Any)) for name, value in options.items()
    }


def _declared(url: BackendURL, factory: Factory) -> Mapping[str, inspect.Parameter]:
    """The factory's parameters; types that can't be looked up matter only where a text must be turned into one."""
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except NameError as error:
        if url.query:
            raise BackendURLError(f"the options of {url.scheme} have no types that can be read: {error}") from error
        return inspect.signature(factory).parameters


def _from_text(name: str, text: str, kind: Any) -> Any:
    """The option's text as its type; the text is not repeated in an error, because an option may be a secret."""
    if kind is inspect.Parameter.empty:
        return text
    with suppress(msgspec.ValidationError, TypeError):  # TypeError: no text could be of that type
        return _no_nan(name, msgspec.convert(text, kind, strict=False))
    raise _wrong(name, kind)


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The option itself, where it is of its type; nor is its value repeated in an error."""
    with suppress(TypeError):  # a type that msgspec knows nothing of is the factory's to check
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            raise _wrong(name, kind) from None
    return _no_nan(name, value)


def _no_nan(name: str, value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        raise BackendURLError(f"option {name!r} can't be NaN, which is no number")
    return value


def _wrong(name: str, kind: Any) -> BackendURLError:
    """The error that says what the option must be."""
    if get_origin(kind) is Literal:
        wanted = f"one of {', '.join(map(str, get_args(kind)))}"
    else:
        wanted = kind.__name__ if isinstance(kind, type) else str(kind)
    return BackendURLError(f"option {name!r} must be {wanted}")
