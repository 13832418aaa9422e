"""Every mutant is caught, by the promise that says what is wrong with it; and nothing unbroken is."""

import inspect
import itertools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pytest
from hypothesis import Phase, settings

import sessionkit.testing
from sessionkit import CoreBackend
from sessionkit.testing import Grade, SessionBackendSuite, promises_of, run_promise
from sessionkit_jsonl import JSONLBackend
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import SQLiteBackend
from tests.backends.trouble import IMPATIENCE, JSONLTrouble, SQLiteTrouble, Trouble
from tests.mutants.declared import Mutant
from tests.mutants.table import README, all_mutants, text
from tests.mutants.unbroken import WritingBackend
from tests.toys import KeepingBackend

MUTANTS = all_mutants()
CATCHES = [pytest.param(mutant, kept, id=f"{mutant.name} -> {kept}") for mutant in MUTANTS for kept in mutant.promises]
CATCHING = sorted({kept for mutant in MUTANTS for kept in mutant.promises})

UNBROKEN: dict[type[CoreBackend], str | None] = {
    KeepingBackend: None,
    WritingBackend: None,
    MemoryBackend: None,
    JSONLBackend: "jsonl:///{path}",
    SQLiteBackend: "sqlite:///{path}",
}
"""What mutants are made of, one that offers some of it, and the URL of those on disk."""


TROUBLES: dict[type, type[Trouble]] = {JSONLBackend: JSONLTrouble, SQLiteBackend: SQLiteTrouble}
"""What can be done to the stores of those on disk."""


ATTEMPTS = 5
"""How often a promise is asked before a mutant counts as not caught.

Threads, processes, kills and Hypothesis meet a bug by chance, which has failed once in thousands of runs. What does not
catch a mutant by its nature fails every time.
"""


class MutantSuite(SessionBackendSuite):
    """The suite, on one class; enough of everything that a bug shows, and no more."""

    appends = 15
    examples = 200
    kills = 30

    def __init__(self, kind: type[Any], folder: Path, url: str | None) -> None:
        self.kind = kind
        self.url = url
        self.trouble = next((trouble for on_disk, trouble in TROUBLES.items() if issubclass(kind, on_disk)), None)
        folder.mkdir(exist_ok=True)
        self.paths = (folder / f"{i}" for i in itertools.count())
        self.places: list[tuple[object, Path]] = []

    def make_backend(self) -> CoreBackend:
        """A new one, on disk at a place of its own."""
        made: CoreBackend = self.kind() if self.url is None else self.opened(next(self.paths))
        return made

    def reopen(self, backend: Any) -> CoreBackend | None:
        """Its place, opened anew."""
        return None if self.url is None else self.opened(self.place(backend))

    def address(self, backend: Any) -> str | None:
        """The URL of its place."""
        return self.url and self.url.format(path=self.place(backend))

    def read_only(self, backend: Any) -> CoreBackend | None:
        """Its place, opened with ``mode="ro"``."""
        return self.opened(self.place(backend), mode="ro") if self.takes("mode") else None

    def hold_lock(self, backend: Any, session_key: str) -> AbstractContextManager[CoreBackend] | None:
        """Its place, opened to wait shortly, and locked."""
        return (
            self.held(self.place(backend), session_key) if self.trouble and self.takes(self.trouble.patience) else None
        )

    def corrupt(self, backend: Any, session_key: str) -> Callable[[], bool] | None:
        """Done to the files at its place."""
        return self.trouble(self.place(backend)).corrupt(session_key) if self.trouble else None

    def wreck(self, backend: Any) -> bool:
        """Done to the files at its place."""
        if self.trouble:
            self.trouble(self.place(backend)).wreck()
        return self.trouble is not None

    def settings(self, **others: Any) -> settings:
        """The suite's, without looking for the shortest example: any will do."""
        return super().settings(phases=(Phase.generate,), **others)

    @contextmanager
    def held(self, path: Path, session_key: str) -> Generator[CoreBackend]:
        """What is on disk at that place, and is locked."""
        assert self.trouble is not None
        waiting = self.opened(path, **{self.trouble.patience: IMPATIENCE})
        with self.trouble(path).lock(session_key):
            yield waiting

    def takes(self, option: str) -> bool:
        """Whether the class, on disk, can be made with that option."""
        return self.url is not None and option in inspect.signature(self.kind).parameters

    def opened(self, path: Path, **options: Any) -> CoreBackend:
        """What is on disk at that place."""
        made: CoreBackend = self.kind(path, **options)
        self.places.append((made, path))
        return made

    def place(self, backend: object) -> Path:
        """Where it is."""
        return next(path for made, path in self.places if made is backend)


class BriefSuite(MutantSuite):
    """The same, for what is likely to pass."""

    examples = 5
    kills = 3


@pytest.fixture
def _mutants_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes open mutants by URL, as they would any installed backend."""
    installed = tmp_path / "installed" / "mutants-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mutants\nVersion: 0\n")
    (installed / "entry_points.txt").write_text("[sessionkit.backends]\nmutant = tests.mutants.outliving:open_url\n")
    monkeypatch.syspath_prepend(str(installed.parent))


def breaks(
    mutant: Mutant, promise_id: str, folder: Path, suite: type[MutantSuite] = MutantSuite
) -> BaseException | None:
    """What shows that the mutant breaks the promise; None where it keeps it, or does not offer it."""
    url = (
        f"mutant://somebody:xyzzy-plugh@localhost/{{path}}?mutant={mutant.name}&area={mutant.area}"
        if mutant.on_disk
        else None
    )
    try:
        run_promise(suite(mutant.kind, folder, url), promise_id)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 -- a mutant may raise anything
        return error
    return None


def is_a_finding(error: BaseException, mutant: Mutant) -> bool:
    """Whether it is the bug that was found, and not the mutant that fell over."""
    if isinstance(error, mutant.raises):
        return True
    crash_elsewhere = "Traceback" in str(error) and not any(kind.__name__ in str(error) for kind in mutant.raises)
    if crash_elsewhere or not isinstance(error, AssertionError | pytest.fail.Exception):
        return False
    place = extract_tb(error.__traceback__)[-1].filename
    return place.startswith(str(Path(sessionkit.testing.__file__).parent)) or "_pytest" in place


@pytest.mark.usefixtures("_mutants_by_url")
@pytest.mark.parametrize(("mutant", "promise_id"), CATCHES)
def test_mutant_is_caught(mutant: Mutant, promise_id: str, tmp_path: Path) -> None:
    """The promise finds the mutant broken, by an assertion, or by the error that is the bug itself."""
    attempts = (breaks(mutant, promise_id, tmp_path / f"{attempt}") for attempt in range(ATTEMPTS))
    error = next(filter(None, attempts), None)
    assert error is not None, f"{promise_id} does not catch {mutant.name}: {mutant.bug}"
    if not is_a_finding(error, mutant):
        raise error
    print(f"{mutant.name} -> {promise_id}: {mutant.bug}")  # noqa: T201 -- for who asks with -rP


@pytest.mark.parametrize("kind", UNBROKEN, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("promise_id", CATCHING)
def test_unbroken_is_not_caught(kind: type[CoreBackend], promise_id: str, tmp_path: Path) -> None:
    """What the mutants are made of breaks none of the promises that catch them."""
    assert run_promise(BriefSuite(kind, tmp_path, UNBROKEN[kind]), promise_id) is not Grade.BROKEN


def test_every_promise_catches_a_mutant() -> None:
    """No test of the suite is idle: each finds something broken."""
    idle = [promise_id for promise_id in promises_of(SessionBackendSuite) if promise_id not in CATCHING]
    assert idle == []


def test_table_is_up_to_date() -> None:
    """README.md says what there is; ``python -m tests.mutants`` writes it anew."""
    assert README.read_text(encoding="utf-8") == text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant",
    # Those on disk wait in each opening or write, so that all promises would take them hours.
    [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS if not mutant.on_disk],
)
def test_mutant_has_one_bug(mutant: Mutant, tmp_path: Path) -> None:
    """Of all promises the mutant breaks those named beside it, and few besides: it is one bug, and not a wreck."""
    broken: list[str] = []
    for promise_id in promises_of(MutantSuite):
        suite = MutantSuite if promise_id in mutant.promises else BriefSuite
        if breaks(mutant, promise_id, tmp_path / promise_id, suite) is not None:
            broken.append(promise_id)
    print(f"{mutant.name} -> {', '.join(broken)}")  # noqa: T201 -- for who asks with -rP
    assert set(mutant.promises) <= set(broken)
    assert len(broken) <= len(promises_of(MutantSuite)) // 3
