"""Whether what a run took is bounded.

A run is cut in thirds; the first is for warming up. What is measured is bounded where, in the last third, neither

- the middle value is more than that of the middle third by a tenth and an allowance,
- nor the highest is more than the highest of the first two thirds by a quarter and the allowance,
- nor does a straight line through both later thirds rise by more than a fifth of their mean and the allowance.

The allowance is what a bounded thing may move by: memory that an allocator keeps, a file that is open for a moment.
What leaks a little for each operation breaks the first and the third in minutes, what leaks in bursts the second.
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
    first, middle, last = _thirds(series)
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
    return Verdict(name, medians, highest, why)


def _thirds(series: Series) -> tuple[list[float], list[float], list[float]]:
    start, end = series[0][0], series[-1][0]
    limits = [start + (end - start) * part / 3 for part in range(4)]
    first, middle, last = (
        [value for time, value in series if low <= time and (time < high or high == end)]
        for low, high in pairwise(limits)
    )
    return first, middle, last
