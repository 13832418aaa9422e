"""The one clock of sessionkit: UTC, in whole microseconds.

Backends keep times as integers of microseconds since 1970-01-01 UTC, which hold every `datetime` exactly, and never let
the times of one session run backwards: what they store is ``max(now(), the session's last activity)``.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first and the last microsecond of which there is a `datetime`."""


def now() -> int:
    """The present, in microseconds since the epoch."""
    return time.time_ns() // 1000


def to_datetime(microseconds: int) -> datetime:
    """The moment as a timezone-aware UTC datetime, exactly."""
    return _EPOCH + timedelta(0, 0, microseconds)


def from_datetime(moment: datetime) -> int:
    """Microseconds since the epoch, exactly.

    Raises:
        TypeError: it is no datetime.
        ValueError: the datetime is naive, so that nobody can say which moment it is, or outside the years 1 to 9999 in
            UTC, so that `to_datetime` could not give it back.
    """
    if not isinstance(moment, datetime):
        msg = f"a time is a datetime, not {type(moment).__name__}"
        raise TypeError(msg)
    if moment.utcoffset() is None:
        msg = f"a naive datetime ({moment.isoformat()}) names no moment; give it a timezone, such as datetime.UTC"
        raise ValueError(msg)
    microseconds = (moment - _EPOCH) // _MICROSECOND
    if not EARLIEST <= microseconds <= LATEST:
        msg = f"{moment.isoformat()} is outside the years 1 to 9999 in UTC"
        raise ValueError(msg)
    return microseconds


def optional_datetime(microseconds: int | None) -> datetime | None:
    """`to_datetime`, with None staying None."""
    return None if microseconds is None else to_datetime(microseconds)


def optional_microseconds(moment: datetime | None) -> int | None:
    """`from_datetime`, with None staying None."""
    return None if moment is None else from_datetime(moment)
