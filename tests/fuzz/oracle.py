"""What JSON is, by the standard library: the judge of our codec, of which nothing is used here."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 200
MAX_DIGITS = 4300


class RefusedError(ValueError):
    """The contract has no place for it."""


def read_json(raw: bytes) -> Any:
    """The value of some JSON in UTF-8.

    Raises:
        RefusedError: it is no JSON, or no value that the contract lets anybody store.
    """
    try:
        text = raw.decode()
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RefusedError(str(error)) from None
    if _depth(text) > MAX_DEPTH or not is_storable(value):  # a key that comes twice may hide what is too deep
        msg = "it can't be stored"
        raise RefusedError(msg)
    return value


def is_storable(value: Any) -> bool:
    """Whether JSON holds the value exactly, within the limits of the contract."""
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if type(item) is dict:
                if not all(type(key) is str and _is_leaf(key) for key in item):
                    return False
                deeper += item.values()
            elif type(item) is list:
                deeper += item
            elif not _is_leaf(item):
                return False
        if not deeper:
            return True
        level = deeper
    return all(map(_is_leaf, level))


def same(one: Any, other: Any) -> bool:
    """Whether they are equal in values and types, all the way down: 1, 1.0 and True are three, as are 0.0 and -0.0."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is float:
        return repr(one) == repr(other)
    return bool(one == other)


def _depth(text: str) -> int:
    """How deep valid JSON is nested."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_leaf(value: Any) -> bool:
    if value is None or type(value) is bool:
        return True
    if type(value) is int:
        return bool(abs(value) < _TOO_LONG)
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return False


_TOO_LONG = 10**MAX_DIGITS


def _finite(digits: str) -> float:
    return float(digits) if math.isfinite(float(digits)) else _refuse(digits)


def _refuse(constant: str) -> NoReturn:
    raise RefusedError(constant)
