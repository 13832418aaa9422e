"""JSON by the standard library: slower than msgspec, and as strict."""

from typing import NoReturn

import msgspec

from sessionkit.errors import InvalidMessageError
from sessionkit.messages import JSON


def decode_slowly(raw: bytes | str) -> JSON:
    """By the standard library, which takes a few long integers that msgspec does not.

    Raises:
        InvalidMessageError: it is no JSON, or holds NaN, infinity, a number that would become one, or a lone surrogate.
    """
    import json  # noqa: PLC0415 -- hardly ever needed

    def refuse(constant: str) -> NoReturn:
        msg = f"JSON has no {constant}"
        raise InvalidMessageError(msg)

    def finite(digits: str) -> float:
        number = float(digits)
        return number if number - number == 0 else refuse(f"number as large as {digits[:40]}")

    try:
        text = raw if isinstance(raw, str) else raw.decode()  # or else the standard library takes UTF-16 too
        value = json.loads(text, parse_constant=refuse, parse_float=finite)
        msgspec.json.encode(value)  # refuses the lone surrogates that the standard library lets through
    except InvalidMessageError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        msg = f"no valid JSON: {error}"
        raise InvalidMessageError(msg) from None
    return value
