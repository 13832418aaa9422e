"""The rows with many writers: what all of them together get through, who waits longest, and that nothing is lost."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from benchmarks.measure import FLOOR, OURS, SMOKE, Bound, Measured, Row, Run
from benchmarks.stores import JSONL, ON_DISK, SQLITE, Store
from benchmarks.writers import Faults, Length, Outcome, Setting, write_together

KINDS = {"processes": (1, 2, 4, 8), "threads": (1, 2, 4, 8, 16)}
"""What the writers are, and how many of them a row has."""

QUICK = 4
"""How many writers those rows have that a quick run measures too."""

ALONE = {SQLITE: 1 / 1.6, JSONL: 1 / 2}
"""The least throughput of one writer: an append may take so many times as long as the floor's."""

TOGETHER = {SQLITE: 0.8, JSONL: 1 / 2}
"""And of several."""

_LARGE = 100_000  # messages: about as many as the writers of a row append in full
_ROUNDS = 3
_SHARE = 0.1  # of the seconds, for a contender's part of a round: enough for batches of the index, and for who starves
_SMOKE = 2  # writers are enough to see that it runs

_outcomes: dict[tuple[Path, Setting], tuple[Outcome, set[str]]] = {}


def _outcome(run: Run, setting: Setting, row: str) -> Outcome:
    """Measured once for all rows that tell of it; anew for a row that asks again."""
    found = _outcomes.get((run.shared, setting))
    if found is None or row in found[1]:
        length = Length(min(run.scale.rounds, _ROUNDS), int(run.scale.seconds * 1e9 * _SHARE))
        found = _outcomes[run.shared, setting] = write_together(setting, length, run.shared), set()
    found[1].add(row)
    return found[0]


def _allowed(run: Run, setting: Setting) -> Setting:
    """As many writers as the scale allows."""
    return setting.at_most(_SMOKE) if run.scale.most <= SMOKE.most else setting


def _throughput(setting: Setting, name: str, run: Run) -> Measured:
    outcome = _outcome(run, _allowed(run, setting), name)
    numbers = _numbers(outcome)
    return Measured(
        outcome.throughput,
        outcome.waits,
        f"{numbers['per_second']:,.0f} against {numbers['floor_per_second']:,.0f} a second;"
        f" worst wait {numbers['worst_wait_ms']:,.1f} against {numbers['floor_worst_wait_ms']:,.1f} ms",
        numbers,
    )


def _p999(setting: Setting, name: str, run: Run) -> Measured:
    outcome = _outcome(run, _allowed(run, setting), name)
    numbers = _numbers(outcome)
    note = f"{numbers['p999_ms']:,.2f} against {numbers['floor_p999_ms']:,.2f} ms"
    return Measured(outcome.p999(OURS) / outcome.p999(FLOOR), note=note, numbers=numbers)


def _lost(settings: Iterable[Setting], name: str, run: Run) -> Measured:
    """Of all rows that the scale measures."""
    settings = {_allowed(run, setting) for setting in settings if _size(setting) <= run.scale.most}
    outcomes = [_outcome(run, setting, name) for setting in settings]
    faults = sum((outcome.faults for outcome in outcomes), Faults())
    note = f"of {sum(outcome.acknowledged for outcome in outcomes):,} appends"
    return Measured(faults.total, note=note, numbers=_counted(faults))


def _numbers(outcome: Outcome) -> dict[str, float]:
    numbers = _counted(outcome.faults)
    for contender, prefix in ((OURS, ""), (FLOOR, "floor_")):
        numbers |= {
            f"{prefix}per_second": outcome.per_second(contender),
            f"{prefix}p999_ms": outcome.p999(contender) / 1e6,
            f"{prefix}worst_wait_ms": outcome.waits[contender].worst / 1e6,
        }
    return numbers


def _counted(faults: Faults) -> dict[str, float]:
    return {"lost": faults.lost, "doubled": faults.doubled, "disordered": faults.disordered}


def _settings(store: Store) -> dict[str, Setting]:
    """By the name of the row that measures it."""
    return {
        f"{store.name}.writers.{'many' if many else 'one'}.{kind}.{count}": Setting(store, many=many, **{kind: count})
        for many in (False, True)
        for kind, counts in KINDS.items()
        for count in counts
    }


def _size(setting: Setting) -> int:
    return 0 if setting.count == QUICK else _LARGE


def _row(name: str, setting: Setting) -> Row:
    kind, count = name.split(".")[-2:]
    where = "each to a session of its own" if setting.many else "all to one session"
    least = (ALONE if setting.count == 1 else TOGETHER)[setting.store]
    return Row(
        name,
        f"appends a second, {count} {kind}, {where} : the floor's",
        "x",
        partial(_throughput, setting, name),
        Bound(least, at_least=True),
        _size(setting),
    )


def _rows_of(store: Store) -> list[Row]:
    settings = _settings(store)
    four = f"{store.name}.writers.one.processes.4"
    p999, lost = f"{four}.p999", f"{store.name}.writers.lost"
    return [
        *(_row(name, setting) for name, setting in settings.items()),
        Row(
            p999,
            "what one append in 1,000 exceeds, 4 processes, one session : the floor's",
            "x",
            partial(_p999, settings[four], p999),
            Bound(1),
            _size(settings[four]),
        ),
        Row(
            lost,
            "appends of all these writers that are lost, doubled or out of order",
            "lost",
            partial(_lost, settings.values(), lost),
            Bound(0),
        ),
    ]


ROWS = [row for store in ON_DISK for row in _rows_of(store)]
