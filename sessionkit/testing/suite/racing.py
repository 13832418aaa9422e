"""What tests of concurrency are written with: calls made at once, and what they may leave."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import groupby

from sessionkit import capabilities
from sessionkit.testing._powers import fields, setters
from sessionkit.testing._worker import READ, TURN, Step, in_threads, sets
from sessionkit.testing.suite.base import Backend, SuiteBase

THREADS = 8


class RacingBase(SuiteBase):
    """Calls made at once."""

    def together(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Run all at once, each in a thread."""
        with _eager_switching():
            errors = in_threads(jobs)
        for error in errors:
            raise error

    def meanwhile(
        self, writes: Sequence[Callable[[], object]], read: Callable[[], object], *, readers: int = 2
    ) -> None:
        """Do each of the writes once, and have others read again and again until all have ended, and once more."""
        going = list(writes)

        def write_to_the_end(write: Callable[[], object]) -> None:
            try:
                write()
            finally:
                going.pop()

        def read_on() -> None:
            while going:
                read()
            read()

        jobs = [lambda write=write: write_to_the_end(write) for write in writes]
        self.together([*jobs, *[read_on] * readers])

    def setters(self, backend: Backend) -> list[str]:
        """The methods that set something which can be read."""
        return setters(capabilities(backend))

    def fields(self, backend: Backend) -> list[str]:
        """What can be set and read, by the names that `look` knows."""
        return fields(capabilities(backend))


def assert_is_set(backend: Backend, key: str, step: Step) -> None:
    """What the step has set is there."""
    for field, wanted in sets(step).items():
        assert READ[field](backend, key) == wanted, f"{step.operation} has returned, and another write has undone it"


def assert_all_arrived(found: list[str], writers: list[str], count: int) -> None:
    """Everything that the writers appended is there, once, each writer's in its order, and nothing else."""
    by_writer: dict[str, list[int]] = {writer: [] for writer in writers}
    for text in found:
        writer, _, number = text.partition(" ")
        by_writer[writer].append(int(number))
    for writer, numbers in by_writer.items():
        assert numbers == list(range(count)), f"{writer}'s messages are lost, doubled or out of order"


def assert_turns_apart(found: list[str], said: list[str], turns: list[str], *, waited: bool) -> None:
    """What `hold_turns` has written and said, of all the turns: each turn's messages together, in order, and nothing
    lost or besides; and if all `waited` for their turns, all of each.
    """
    by_turn = {turn: [text for text in found if text.partition(" ")[0] == turn] for turn in turns}
    together = [turn for turn, _ in groupby(found, lambda text: text.partition(" ")[0])]
    assert len(together) == len(set(together)), "two turns have written at the same time"
    assert sorted(found) == sorted(text for text in said if not text.endswith(" ended")), "what was said is not there"
    for turn, contents in by_turn.items():
        whole = [f"{turn} {i}" for i in range(TURN)]
        assert contents == whole[: len(contents)], f"the messages of {turn} are out of order"
        assert not waited or contents == whole, f"{turn} was taken over, though nobody takes over"
        assert not waited or f"{turn} ended" in said, f"{turn} could not end, though nobody takes over"


@contextmanager
def _eager_switching() -> Generator[None]:
    """Have threads take turns as often as they can, so that what is not one step shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
