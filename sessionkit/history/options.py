"""The options of an exchange with an agent: those of its turn, of the window it is given, and of its growing answer."""

from collections.abc import Callable
from typing import Any, TypedDict

import attrs

from sessionkit.history.streams import INTERVAL
from sessionkit.history.turns import HEARTBEAT, check_heartbeat
from sessionkit.history.windows import window
from sessionkit.keys import check_not_negative
from sessionkit.messages import ChatMessage


class ExchangeOptions(TypedDict, total=False):
    """What may be said of an exchange.

    Attributes:
        wait: as for `turn`.
        stuck_after: as for `turn`.
        heartbeat: as for `turn`.
        interval: as for `Turn.stream`.
        max_messages: as for `window`; without limits an agent is given all messages but those that no provider accepts.
        max_tokens: as for `window`.
        count_tokens: as for `window`.
    """

    wait: float
    stuck_after: float | None
    heartbeat: float
    interval: float
    max_messages: int | None
    max_tokens: int | None
    count_tokens: Callable[[ChatMessage], int] | None


def _not_negative(_options: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    check_not_negative(value, attribute.name)


def _heartbeat(_options: object, _attribute: "attrs.Attribute[Any]", value: float) -> None:
    check_heartbeat(value)


@attrs.frozen(kw_only=True)
class Options:
    """`ExchangeOptions`, all of them and checked, before anything is changed.

    Raises:
        TypeError: there is no such option, or it is of another type.
        ValueError: one is out of range, or lacks another.
    """

    wait: float = attrs.field(default=0.0, validator=_not_negative)
    stuck_after: float | None = attrs.field(default=None, validator=attrs.validators.optional(_not_negative))
    heartbeat: float = attrs.field(default=HEARTBEAT, validator=_heartbeat)
    interval: float = attrs.field(default=INTERVAL, validator=_not_negative)
    max_messages: int | None = None
    max_tokens: int | None = None
    count_tokens: Callable[[ChatMessage], int] | None = None

    def __attrs_post_init__(self) -> None:
        window([], **self.window)  # checks its own

    @property
    def turn(self) -> dict[str, Any]:
        """Those of `turn`."""
        return {"wait": self.wait, "stuck_after": self.stuck_after, "heartbeat": self.heartbeat}

    @property
    def window(self) -> dict[str, Any]:
        """Those of `window`."""
        return {
            "max_messages": self.max_messages,
            "max_tokens": self.max_tokens,
            "count_tokens": self.count_tokens,
        }
