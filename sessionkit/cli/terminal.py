"""What reaches the terminal: stored text made harmless, JSON lines, and errors on one line."""

import json
import sys
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console

from sessionkit.codec import converter
from sessionkit.errors import CorruptRecordWarning, SessionKitError, UnsupportedFeatureWarning

# Format characters that join letters and emoji, and can't reorder or hide anything.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"

# Control and format characters, lone surrogates, and the line and paragraph separators of Unicode.
_HARMFUL = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))

_NO_WRAPPING = 100_000  # columns: more than any line takes


class OneLineErrors(click.Group):
    """A group of commands whose errors and warnings, where they are sessionkit's, take one line of stderr each."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of sessionkit or of a file ends it with status 1."""
        _escape_what_stdout_cannot_encode()
        with warnings.catch_warnings():
            warnings.simplefilter("default", CorruptRecordWarning)
            warnings.simplefilter("default", UnsupportedFeatureWarning)
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except SessionKitError as error:
                raise click.ClickException(harmless(str(error))) from error
            except BrokenPipeError:
                raise  # the reader has seen enough; click ends quietly
            except OSError as error:  # of a file that the user named, or of stdout
                raise click.ClickException(harmless(str(error))) from error


def console() -> Console:
    """The console of stdout: it prints texts literally, and where nobody looks it neither wraps nor colours."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _NO_WRAPPING)


def harmless(text: str) -> str:
    """The text on one line, with every character that a terminal could obey as its visible escape."""
    if text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _HARMFUL and c not in _JOINERS else c for c in text)


def harmless_lines(text: str) -> str:
    """As `harmless`, with its line breaks kept and its tabs as spaces."""
    return "\n".join(map(harmless, text.replace("\r\n", "\n").expandtabs(4).split("\n")))


def to_json(value: Any) -> str:
    """A value of sessionkit's as one line of ASCII JSON, in which every control character is escaped."""
    # DEL is the one that is ASCII and that JSON lets through.
    return json.dumps(converter().unstructure(value)).replace("\x7f", "\\u007f")


def print_json_lines(values: Iterable[object]) -> None:
    """Each value as a line of JSON."""
    for value in values:
        click.echo(to_json(value))


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _escape_what_stdout_cannot_encode() -> None:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")


def _show_warning(message: Warning | str, *_details: Any, **_more: Any) -> None:
    click.echo(f"Warning: {harmless(str(message))}", err=True)
