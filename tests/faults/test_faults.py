"""Whatever the machine does: a clear error of ours, or the work goes on; and nothing that was acknowledged is lost."""

import re

import pytest

from tests.faults import isolated
from tests.faults.broken import BROKEN
from tests.faults.stores import STORES
from tests.faults.table import FAULTS, in_every_run, prove


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(fault: str, store: str) -> None:
    """A few of each kind, in every run; ``python -m tests.faults`` asks everywhere."""
    report = in_every_run(fault, STORES[store])
    assert report.broken == [], "\n".join(report.lines())
    assert report.done or report.skipped


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_in_any_process(fault: str, store: str) -> None:
    """More of each kind, from another seed."""
    more = {name: 4 * times for name, (_, times) in FAULTS[fault].proofs.items()}
    report = prove(fault, STORES[store], times=lambda name: more[name], seed=7, deadline=300)
    assert report.broken == [], "\n".join(report.lines())


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_caught(name: str) -> None:
    """Each store with a bug is found broken, in words that say what is wrong with it."""
    broken = BROKEN[name]
    assert broken.bug
    found: list[str] = []
    for seed in range(3):  # some meet their bug by chance
        times = broken.times
        proofs = FAULTS[broken.fault].proofs
        report = prove(
            broken.fault,
            broken.store(),
            times=lambda part, times=times, proofs=proofs: times or proofs[part][1],  # type: ignore[misc]
            seed=seed,
            deadline=broken.deadline,
            part=broken.part,
        )
        if any(re.search(broken.caught, words) for words in report.broken):
            return
        found += report.lines()
    pytest.fail(f"{broken.fault} does not catch {name}: {broken.bug}\n" + "\n".join(found))


def test_what_hangs_is_ended_and_tells_where() -> None:
    """A proof that hangs is a broken promise, with the line where it stood."""

    def hang() -> None:
        import threading  # noqa: PLC0415 -- in the child

        threading.Event().wait()

    with pytest.raises(isolated.DiedError, match=r"in wait"):
        isolated.run(hang, deadline=0.5)
