"""What a proof found, in words."""

from collections import Counter
from collections.abc import Iterable

import attrs

_MOST = 12


@attrs.define
class Report:
    """One fault, asked of one store.

    Attributes:
        fault: its name.
        store: that of the store.
        done: how often what was tried.
        refused: how often which call was refused in which words, where names and numbers are left out.
        broken: what must not be, in a sentence each, that says how to have it again.
        skipped: what could not be asked here, and why.
    """

    fault: str
    store: str
    done: "Counter[str]" = attrs.Factory(Counter)
    refused: "Counter[str]" = attrs.Factory(Counter)
    broken: list[str] = attrs.Factory(list)
    skipped: list[str] = attrs.Factory(list)

    def add(self, other: "Report") -> None:
        """Count in what another one found."""
        self.done += other.done
        self.refused += other.refused
        self.broken += other.broken
        self.skipped += other.skipped

    def lines(self) -> Iterable[str]:
        """The report, fit for a page."""
        tried = ", ".join(f"{count:,} {what}" for what, count in self.done.most_common())
        verdict = "nothing was lost" if not self.broken else f"{len(self.broken)} PROMISES BROKEN"
        yield f"{self.fault}, {self.store}: {tried or 'nothing was tried'}; {verdict}"
        yield from (f"    refused {count:,} times: {what}" for what, count in self.refused.most_common(_MOST))
        if len(self.refused) > _MOST:
            yield f"    and in {len(self.refused) - _MOST} other ways"
        yield from (f"    skipped: {why}" for why in dict.fromkeys(self.skipped))
        yield from (f"    BROKEN: {what}" for what in self.broken[:_MOST])
        if len(self.broken) > _MOST:
            yield f"    and {len(self.broken) - _MOST} more"
