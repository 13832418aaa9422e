"""What can be set about the history of an agent: by arguments, in a TOML file, and by the environment."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import attrs

from sessionkit.errors import BackendURLError, ConfigurationError
from sessionkit.registry import BackendURL

if TYPE_CHECKING:
    from cattrs import Converter

TABLE = "history"
"""The table of the TOML file."""

PREFIX = "SESSIONKIT_HISTORY_"
"""What the names of the environment's variables begin with."""

_PLACES = ("url", "db_path")

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _is_switch(_config: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise _wrong(attribute.name, "true or false", value)


def _is_url(_config: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise _wrong(attribute.name, "text", value)
    try:
        BackendURL.parse(value)
    except BackendURLError as error:
        msg = f"{attribute.name}: {error}"
        raise ConfigurationError(msg) from error


def _is_path(_config: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise _wrong(attribute.name, "the path of a file", value)


def _is_limit(_config: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise _wrong(attribute.name, "a whole number of 1 or more", value)


def _wrong(name: str, expected: str, value: object) -> ConfigurationError:
    """The error that says what was expected; text is not repeated, as it may be a secret in the wrong place."""
    given = repr(value) if isinstance(value, int | float) else type(value).__name__
    if isinstance(value, str):
        given = "text" if value else "empty"
    return ConfigurationError(f"{name} must be {expected}, not {given}")


def _path_text(path: str | os.PathLike[str] | None) -> str | None:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _masked(url: str | None) -> str:
    return repr(url and str(BackendURL.parse(url)))


@attrs.frozen(kw_only=True)
class HistoryConfig:
    """Whether, where and how sessions are kept.

    Attributes:
        enabled: whether they are kept at all.
        url: the backend's, as `open_backend` takes it. Its password and options are shown in no repr.
        db_path: the path of a SQLite file, instead of a URL; a relative one begins at the working directory. Its
            directory is created. With neither, the default store of `open_backend`: what ``$SESSIONKIT_URL`` names,
            else SQLite in the user's data directory.
        auto_save: whether each message is stored as it comes, rather than all of an exchange at its end.
        max_sessions: how many sessions are kept, those with the oldest activity being deleted first; None: all.

    Raises:
        ConfigurationError: one of them is of another type or out of range, or both `url` and `db_path` are given.
    """

    enabled: bool = attrs.field(default=False, validator=_is_switch)
    url: str | None = attrs.field(default=None, validator=_is_url, repr=_masked)
    db_path: str | None = attrs.field(default=None, validator=_is_path, converter=_path_text)
    auto_save: bool = attrs.field(default=True, validator=_is_switch)
    max_sessions: int | None = attrs.field(default=None, validator=_is_limit)

    def __attrs_post_init__(self) -> None:
        if self.url is not None and self.db_path is not None:
            msg = "url and db_path both say where sessions are kept; give one of them"
            raise ConfigurationError(msg)

    @classmethod
    def load(cls, file: str | os.PathLike[str] | None = None, **arguments: Any) -> Self:
        """What the table ``[history]`` of a TOML file says, over it the arguments, over both the environment.

        The environment's variables are ``SESSIONKIT_HISTORY_ENABLED`` and ``_AUTO_SAVE`` (``1``, ``true``, ``yes``,
        ``on``, or ``0``, ``false``, ``no``, ``off``, in any case), ``_URL``, ``_DB_PATH`` and ``_MAX_SESSIONS``; an
        empty one counts as not set, and any other that begins so is an error. Where one source names a place, by `url`
        or `db_path`, the place of the others is forgotten.

        Args:
            file: the TOML file; one without the table is as none.
            arguments: any of the attributes; None is the same as not given.

        Raises:
            ConfigurationError: the file can't be read, or a source has an unknown key, a value of the wrong type or
                out of range, or two places; the message names the source, the key and what was expected.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        table = {} if file is None else _checked(cls, _table(Path(file)), f"[{TABLE}] in {os.fspath(file)}")
        return cls(**_merged(table, _checked(cls, given, "the arguments"), _environment(cls)))

    def with_environment(self) -> Self:
        """The same, but for what the environment says otherwise; see `load`.

        Raises:
            ConfigurationError: a variable is wrong or unknown; the message names it and what was expected.
        """
        kind = type(self)
        return kind(**_merged(attrs.asdict(self), _environment(kind)))

    @property
    def backend_url(self) -> str | None:
        """What `open_backend` is to open: `url`, or SQLite at `db_path`; None for the default store."""
        return self.url if self.db_path is None else f"sqlite:///{quote(os.fsencode(self.db_path))}"


def _merged(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """All that the sources say, the later ones winning; the two ways to name a place are one setting."""
    merged: dict[str, Any] = {}
    for source in sources:
        if any(place in source for place in _PLACES):
            merged |= dict.fromkeys(_PLACES)
        merged |= source
    return merged


def _table(file: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 -- only for whoever has a file

    try:
        with file.open("rb") as opened:
            document = tomllib.load(opened)
    except OSError as error:
        msg = f"the configuration {file} can't be read: {error.strerror}"
        raise ConfigurationError(msg) from error
    except ValueError as error:  # no TOML, or no UTF-8
        msg = f"the configuration {file} is no valid TOML: {error}"
        raise ConfigurationError(msg) from error
    table = document.get(TABLE, {})
    if not isinstance(table, dict):
        msg = f"{TABLE} in {file} must be a table, [{TABLE}], not {type(table).__name__}"
        raise ConfigurationError(msg)
    return table


def _environment(kind: type[HistoryConfig]) -> dict[str, Any]:
    """What the environment says, each variable checked by itself so that the error names it."""
    found: dict[str, Any] = {}
    variables = {f"{PREFIX}{name.upper()}": name for name in attrs.fields_dict(kind)}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in variables)
    if unknown:
        msg = f"the environment: there is no {' and no '.join(unknown)}; known are {', '.join(variables)}"
        raise ConfigurationError(msg)
    for variable, name in variables.items():
        text = os.environ.get(variable, "")
        if text.strip():
            found |= _checked(kind, {name: text}, variable, from_text=True)
    if all(place in found for place in _PLACES):
        both = " and ".join(f"{PREFIX}{place.upper()}" for place in _PLACES)
        msg = f"{both} both say where sessions are kept; set one of them"
        raise ConfigurationError(msg)
    return found


def _checked(
    kind: type[HistoryConfig], source: Mapping[str, Any], where: str, *, from_text: bool = False
) -> dict[str, Any]:
    """What the source says, found right and of the right types; `where` names it in errors."""
    if not source:
        return {}
    from cattrs.errors import ForbiddenExtraKeysError  # noqa: PLC0415 -- not needed where nothing is configured

    try:
        config = _converter(from_text=from_text).structure(source, kind)
    except ForbiddenExtraKeysError as error:
        unknown = " and no ".join(sorted(map(repr, error.extra_fields)))
        msg = f"{where}: there is no {unknown}; known are {', '.join(attrs.fields_dict(kind))}"
        raise ConfigurationError(msg) from error
    except ConfigurationError as error:
        msg = f"{where}: {error}"
        raise ConfigurationError(msg) from error
    return {name: getattr(config, name) for name in source}


@cache
def _converter(*, from_text: bool) -> "Converter":
    """Refuses unknown keys, and leaves the types to the class; of the environment's texts, it takes what they say."""
    from sessionkit.codec import converter  # noqa: PLC0415 -- not needed where nothing is configured

    def take(value: Any, kind: type) -> Any:
        return _READ[kind](value) if from_text else value

    made = converter().copy(forbid_extra_keys=True, detailed_validation=False)
    for kind in _READ:
        made.register_structure_hook(kind, take)
    return made


def _switch(text: str) -> bool | str:
    word = text.strip().lower()
    return word in _TRUE if word in _TRUE | _FALSE else text


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


_READ: dict[type, Callable[[str], Any]] = {bool: _switch, int: _number, str: str}
"""What a text of the environment says; one that says nothing of the kind is left for the class to refuse."""
