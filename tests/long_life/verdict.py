"""Whether what a run took is bounded.

A run is cut in thirds; the first is for warming up. What is measured is bounded where, in the last third, neither

- the middle value is more than that of the middle third by a tenth and an allowance,
- nor the highest is more than the highest of the first two thirds by a quarter and the allowance,
- nor does a straight line through both later thirds rise by more than a fifth of their mean and the allowance,
- nor do both later thirds, of a run of ten minutes or more, cut in four, rise steadily: each part above the one before,
  without growing much slower, and by a sixth of the allowance in all.

The allowance is what a bounded thing may move by: memory that an allocator keeps, a file that is open for a moment.
What leaks much for each operation breaks the first and the third in minutes, what leaks in bursts the second. What
leaks a little is less than an allowance for hours: it is told by being as steady as the work is. What warms up slows
down, and what waves goes back.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, linear_regression, median

import attrs

ALLOWANCES = {
    "memory": 8.0,  # MiB
    "handles": 8.0,
    "threads": 3.0,
    "log": 24.0,  # a log is made to begin anew past 16 MiB, and grows for as long as a reader of that moment reads
    "database": 2.0,
    "folder": 0.5,
    "largest file": 0.5,
    "files": 12.0,
    "messages": 200.0,
    "sessions": 12.0,
}
"""By how much each may move, in its unit."""

UNITS: dict[str, str] = dict.fromkeys(("memory", "log", "database", "folder", "largest file"), "MiB")

_WARMED = 360.0
"""How many seconds both later thirds must take until a small rise is told from the last of the warming up."""

Series = Sequence[tuple[float, float]]
"""A time in seconds, and what was measured then."""


@attrs.frozen
class Verdict:
    """Of one measure: its middle value in each third, its highest one, and why it is not bounded, if it is not."""

    name: str
    thirds: tuple[float, float, float]
    highest: float
    why: str | None

    def text(self) -> str:
        """A row of a table."""
        first, middle, last = self.thirds
        unit = UNITS.get(self.name.partition(" of ")[0], "")
        said = "bounded" if self.why is None else f"NOT BOUNDED: {self.why}"
        values = f"{first:10,.1f} {middle:10,.1f} {last:10,.1f} {self.highest:10,.1f}"
        return f"{self.name:32} {unit:4} {values}  {said}"


HEADINGS = f"{'':32} {'':4} {'first':>10} {'middle':>10} {'last third':>10} {'highest':>10}"


def judge(name: str, series: Series) -> Verdict:
    """Whether a measure is bounded; a name may say of which process it is: ``memory of writer 1``."""
    allowance = ALLOWANCES[name.partition(" of ")[0]]
    first, middle, last = _parts(series, 3)
    medians = (median(first), median(middle), median(last))
    highest = max(value for _, value in series)
    why: str | None = None
    later = [point for point in series if point[0] >= series[0][0] + (series[-1][0] - series[0][0]) / 3]
    slope = linear_regression([time for time, _ in later], [value for _, value in later]).slope
    rise = slope * (later[-1][0] - later[0][0])
    if medians[2] > medians[1] * 1.1 + allowance:
        why = "the last third is above the middle one"
    elif max(last) > max(*first, *middle) * 1.25 + allowance:
        why = "the last third peaks above all before it"
    elif rise > 0.2 * fmean(value for _, value in later) + allowance:
        why = f"it rises by {rise:,.1f} over the last two thirds"
    elif (risen := _steady_rise(later)) > allowance / 6:
        why = f"it rises steadily, by {risen:,.1f}"
    return Verdict(name, medians, highest, why)


def _steady_rise(series: Series) -> float:
    """By how much it rises, if it does so all the time and without growing slower; else 0."""
    if series[-1][0] - series[0][0] < _WARMED:
        return 0.0
    parts = [median(part) for part in _parts(series, 4)]
    first, middle, last = (higher - lower for lower, higher in pairwise(parts))
    rises = min(first, middle, last) > 0 and last > 0.6 * first
    return parts[-1] - parts[0] if rises else 0.0


def _parts(series: Series, count: int) -> list[list[float]]:
    """What was measured in each of so many parts of the time, all equally long."""
    start, end = series[0][0], series[-1][0]
    limits = [start + (end - start) * part / count for part in range(count + 1)]
    return [
        [value for time, value in series if low <= time and (time < high or high == end)]
        for low, high in pairwise(limits)
    ]
