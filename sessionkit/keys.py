"""What may be given to a backend: keys, other texts, states, counts and times; for authors of backends."""

import sys

from sessionkit.errors import InvalidSessionKeyError

MAX_KEY_BYTES = 1024

MAX_TEXT_BYTES = 64 * 1024
"""Of a name, an alias, a field of a context, a state or a turn id: every list carries all of them."""

_LONGEST_SHOWN = 80


def check_session_key(session_key: str) -> None:
    """Accept any text of 1 to 1,024 UTF-8 bytes without NUL; compared code point by code point, never folded.

    Every method of every backend that takes a key calls this before it touches anything. Costs well under a microsecond
    where the key is ASCII, and one encoding of it elsewhere.

    Raises:
        InvalidSessionKeyError: it is anything else.
    """
    if not isinstance(session_key, str):
        msg = f"a session key is text, not {type(session_key).__name__}"
        raise InvalidSessionKeyError(msg)
    if session_key.isascii():
        size = len(session_key)
    else:
        try:
            size = len(session_key.encode())
        except UnicodeEncodeError as error:
            msg = f"a session key can't hold a lone surrogate (at position {error.start}): {shown(session_key)}"
            raise InvalidSessionKeyError(msg) from None
    if size == 0:
        msg = "a session key can't be empty"
        raise InvalidSessionKeyError(msg)
    if size > MAX_KEY_BYTES:
        msg = f"a session key has at most {MAX_KEY_BYTES} UTF-8 bytes, this one {size}: {shown(session_key)}"
        raise InvalidSessionKeyError(msg)
    if "\0" in session_key:
        msg = f"a session key can't hold NUL: {shown(session_key)}"
        raise InvalidSessionKeyError(msg)


def check_text(value: str, what: str, most: int = MAX_TEXT_BYTES) -> None:
    """Accept any text of up to 64 KiB that UTF-8 can hold, for names, aliases, contexts, states and turn ids.

    Raises:
        TypeError: it is no text.
        ValueError: it holds a lone surrogate, or takes more than `most` bytes.
    """
    if not isinstance(value, str):
        msg = f"{what} is text, not {type(value).__name__}"
        raise TypeError(msg)
    size = len(value)
    if size <= most and not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            msg = f"{what} can't hold a lone surrogate (at position {error.start}): {shown(value)}"
            raise ValueError(msg) from None
    if size > most:
        msg = f"{what} takes {size} bytes, and may take {most}; what is larger belongs into a message"
        raise ValueError(msg)


def check_any_text(value: str, what: str) -> None:
    """The same of any length: for what becomes part of a message, and for what was stored before there was a limit.

    Raises:
        TypeError: it is no text.
        ValueError: it holds a lone surrogate.
    """
    check_text(value, what, sys.maxsize)


def check_not_negative(value: float, what: str) -> None:
    """Accept zero and more, infinity included.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, or NaN.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        msg = f"{what} is a number, not {type(value).__name__}"
        raise TypeError(msg)
    if not value >= 0:
        msg = f"{what} must be 0 or more, not {value}"
        raise ValueError(msg)


def check_count(value: int, what: str) -> None:
    """Accept zero and more, in whole numbers.

    Raises:
        TypeError: it is no whole number; 1.0 is none either.
        ValueError: it is negative.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"{what} is a whole number, not {type(value).__name__}"
        raise TypeError(msg)
    check_not_negative(value, what)


def check_state(state: str, turn_id: str | None) -> None:
    """Accept what `SessionBackend.set_session_state` does: a state that is not empty, and any turn id.

    Raises:
        TypeError: one of them is no text.
        ValueError: the state is empty, or one of them holds a lone surrogate.
    """
    check_text(state, "a state")
    if not state:
        msg = "a state can't be empty; 'idle' is the state of a session where nothing happens"
        raise ValueError(msg)
    if turn_id is not None:
        check_text(turn_id, "a turn id")


def check_turn_id(turn_id: str) -> None:
    """Accept what `SupportsTurns.begin_turn` does: a turn id that is not empty.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty, or holds a lone surrogate.
    """
    check_text(turn_id, "a turn id")
    if not turn_id:
        msg = "a turn id can't be empty; uuid.uuid4().hex makes a fresh one"
        raise ValueError(msg)


def shown(text: str) -> str:
    """The text as ASCII, short enough for one line of an error."""
    literal = ascii(text[:_LONGEST_SHOWN])
    return literal if len(text) <= _LONGEST_SHOWN >= len(literal) else f"{literal[: _LONGEST_SHOWN - 3]}..."
