"""Texts that may be secrets, and errors that may repeat them."""

from typing import Self

VISIBLE = "everybody on this machine may see the password on the command line; set SESSIONKIT_URL instead"
"""What a command says to whoever gave it a password."""


class Secret(str):
    """A text that its repr doesn't show, as tracebacks with variables, debuggers and loggers print reprs.

    It is the text in every other way: ``str.__str__``, formatting and encoding give it, for whoever must send it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Stars."""
        return "'***'"

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """For a pool of processes: with the text."""
        return type(self), (str.__str__(self),)


def hidden(text: str | None) -> Secret | None:
    """The text, hidden; None stays None."""
    return None if text is None else Secret(text)


def shows(error: BaseException, secret: str | None) -> bool:
    """Whether the secret stands in an error, or in one that it came from or followed on."""
    link: BaseException | None = error
    while link is not None and secret:
        if secret in f"{link} {link!r} {link.args}":
            return True
        link = link.__cause__ or link.__context__
    return False
