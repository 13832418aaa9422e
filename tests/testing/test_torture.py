"""`python -m sessionkit.testing.torture`: what it proves of our stores and of a third party's, and what it refuses."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, open_backend
from sessionkit.testing._worker import Step
from sessionkit.testing.torture import Report, UsageError, Violation, run
from sessionkit.testing.torture.__main__ import main
from sessionkit.testing.torture.history import Log, NoLogError, read_log, without_secret
from sessionkit.testing.torture.messages import name_of, say, term_of
from sessionkit.testing.torture.plan import Life, Powers, course, crowd_sessions, fate
from tests.testing.torturing import installed

URLS = {"sqlite": "sqlite:///{folder}/{{store}}.db", "jsonl": "jsonl:///{folder}/{{store}}"}


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    with installed(tmp_path / "installed", monkeypatch):
        yield


def powers() -> Powers:
    """Those of a backend that offers all."""
    with open_backend("memory://") as backend:
        return Powers.of(backend)


def assert_clean(report: Report, *, kills: int) -> None:
    """Nothing was broken, though enough was killed."""
    assert report.is_clean, report.to_text()
    assert report.kills >= kills
    assert report.acknowledged > 0
    assert report.looks > 0
    assert report.rounds > 0


def tortured(url: str, *, processes: int, kills: int, asked: set[str]) -> set[str]:
    """Torture new stores for a moment each until enough was killed and all was asked; all that was asked."""
    done: set[str] = set()
    killed = 0
    for seed in itertools.count(7):  # a slow machine takes some more; the test's own timeout ends it
        report = run(url, seconds=0.6, processes=processes, seed=seed)
        assert_clean(report, kills=0)
        killed += report.kills
        done |= report.steps.keys()
        if killed >= kills and asked <= done:
            break
    return done


@pytest.mark.parametrize("scheme", URLS)
def test_killing_the_writers_of_our_stores(scheme: str, tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, whenever its writers are killed."""
    asked = {"append", "write", "delete_session", "search", "compact"}
    tortured(URLS[scheme].format(folder=tmp_path), processes=3, kills=3, asked=asked)


def test_killing_the_writers_of_a_third_party_store(tmp_path: Path) -> None:
    """Four methods are enough: nothing else is asked that the backend does not offer as one step. It may print, too."""
    writes = {"append", "remove_last", "compact"}
    done = tortured(f"onefile:////{tmp_path}/{{store}}", processes=2, kills=1, asked={"append", "look"})
    assert done <= writes | {"open", "close", "look", "list", "search"}
    report = run(f"onefile:////{tmp_path}/store", seconds=0.1, processes=1, seed=3)
    assert report.backend == "OneFile"


@pytest.mark.slow
@pytest.mark.parametrize("url", [*URLS.values(), URLS["sqlite"] + "?synchronous=full"])
def test_killing_processes_for_longer(url: str, tmp_path: Path) -> None:
    """Nor is it with more writers, for longer."""
    assert_clean(run(url.format(folder=tmp_path), seconds=10, processes=5), kills=10)


def test_what_a_process_does_follows_from_the_seed() -> None:
    """The same seed has each process do the same, and be killed after as many steps; another one does not."""

    def plan(seed: int) -> list[object]:
        lives = [Life(seed, 0, slot, number) for slot in range(3) for number in range(4)]
        return [(fate(life), list(islice(course(life, powers()), 50))) for life in lives]

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


ONE_LIFE = """
import sys
from pathlib import Path
from sessionkit import open_backend
from sessionkit.testing.torture.history import Log, read_log
from sessionkit.testing.torture.plan import Fate, Life, Powers
from sessionkit.testing.torture.writer import live

folder = Path(sys.argv[1])
url = f"sqlite:///{folder}/store.db"
with open_backend(url) as backend:
    powers = Powers.of(backend)
life = Life(11, 0, 0, 0)
live(url, life, Fate("clean", 150, 0, None), powers, Log(folder / "log", url), tell=print)
for did in read_log(folder / "log", slot=0, life="x"):
    if did.step.operation != "search":
        print(ascii([did.key, did.step, did.succeeded]))
"""


def test_a_life_is_lived_again(tmp_path: Path) -> None:
    """With the seed that a report names, a process does the same steps, and nothing else."""
    told: list[str] = []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", ONE_LIFE, str(tmp_path / name)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert len(told[0].splitlines()) > 100


def test_the_report_names_the_seed(tmp_path: Path) -> None:
    """A seed that was drawn is told, as is all that was done; as JSON it comes back equal."""
    report = run(f"sqlite:///{tmp_path}/store.db", seconds=0.1, processes=1)
    assert f"--seed {report.seed} --processes 1" in report.to_text()
    assert Report.from_json(report.to_json()) == report
    assert sum(report.steps.values()) >= report.acknowledged


def test_what_is_promised_is_counted_where_it_was_kept_too() -> None:
    """Lost, invented, out of order and torn are numbers in every report; what else was found follows them."""
    report = Report("sqlite:///x.db", "SQLiteBackend", 1, 1)
    none = "lost 0, invented 0, out of order 0, torn 0, twice 0, back again 0"
    assert f"\nfound: {none}\n" in report.to_text()
    assert list(json.loads(report.to_json())["kinds"].values()) == [0] * 6
    report.violations += [Violation(kind, "s", "a", "b") for kind in ("torn", "counts", "torn")]
    assert f"\nBROKEN: {none.replace('torn 0', 'torn 2')}, counts 1\n" in report.to_text()
    assert json.loads(report.to_json())["kinds"] == {**report.kinds, "lost": 0, "torn": 2, "counts": 1}
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("written", [0, 5])
def test_logs_that_find_no_space_accuse_nobody(written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is not known then: that is said, and is no fault of the store."""
    log = Log(tmp_path / "log", "sqlite:///x.db")

    def write(_descriptor: int, _raw: bytes) -> int:
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(NoLogError, match=r"(?i)no space"):
        log.announce("s", Step("append", added=("a",)))


def test_every_kind_of_ending_is_met() -> None:
    """Processes are killed in their first steps and in later ones, in opening and in closing; some are not killed."""
    fates = [fate(Life(0, 0, 0, number)) for number in range(500)]
    assert {each.ending for each in fates} == {"kill", "opening", "closing", "clean"}
    assert min(each.steps for each in fates) == 1
    assert max(each.steps for each in fates) > 100
    assert sum(each.pause is not None for each in fates) > 5


def test_only_what_is_one_step_is_done_where_many_write() -> None:
    """A default that is not atomic is not chosen, and neither is what the backend does not declare."""
    few = Powers("Few", [], ["append", "remove_last", "compact"], [], [])
    chosen = {operation for operations in crowd_sessions(0, few).values() for operation in operations}
    assert chosen == {"append", "remove_last", "compact", "look"}


def test_messages_tell_whether_they_are_whole() -> None:
    """A message is known by its name, and one that was changed in any way is not."""
    names = [f"1.0.0.{i}.o0.{i}" for i in range(300)]
    assert [name_of(say(name)) for name in names] == names
    assert any(len(say(name).text) > 2_000 for name in names)
    assert any(say(name).tool_calls for name in names)
    torn = say(names[0]).to_dict() | {"content": say(names[0]).text[:-1]}
    assert name_of(type(say(names[0])).from_dict(torn)).startswith("!assistant message")
    assert term_of(names[0]) in say(names[0]).text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://", "private to a process"),
        ("nowhere://x", "no backend knows the scheme 'nowhere'"),
        ("chats.db", "begins with a scheme"),
        ("sqlite:////dev/null/x.db", "a file stands where a folder should be"),
        ("onefile://user:xyzzy%2Fplugh@host/", "can't reach host with ***"),
    ],
)
def test_refused_urls(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be tortured is an error that says why, without a secret, and status 2."""
    assert main([url, "--seconds", "1"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "xyzzy" not in told.err
    assert told.out == ""


def test_refused_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers out of range are refused, and nothing is created."""
    for option in ("--seconds", "--processes"):
        assert main([f"sqlite:///{tmp_path}/store.db", option, "0"]) == 2
        assert "must be above 0" in capsys.readouterr().err
    assert not (tmp_path / "store.db").exists()


def test_a_store_that_is_not_empty(tmp_path: Path) -> None:
    """It is refused before anything is written."""
    with open_backend(f"jsonl:///{tmp_path}/store") as backend:
        backend.append("a", say("precious"))
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").iterdir())
    with pytest.raises(UsageError, match="holds sessions"):
        run(f"jsonl:///{tmp_path}/store", seconds=1)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").iterdir()) == before


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it with the report so far, and leaves no process behind; no process is told the URL openly."""
    with subprocess.Popen(
        [sys.executable, "-m", "sessionkit.testing.torture", f"sqlite:///{tmp_path}/{{store}}.db", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not list(tmp_path.glob("*.db")):  # the test's own timeout ends it
            os.sched_yield()
        [conductor] = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        told = Path(f"/proc/{conductor}/cmdline").read_text()
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    report = Report.from_json(out)
    assert (report.ended_early, report.is_clean) == (True, True)
    assert str(tmp_path) not in told
    with pytest.raises(ProcessLookupError):
        os.killpg(int(conductor), 0)


def test_a_process_that_breaks_is_no_violation(tmp_path: Path) -> None:
    """Where a process itself breaks, and not the store, the run ends with that, and proves nothing."""
    log = Log(tmp_path / "log", "sqlite:///x.db")
    log.announce("own/0/0/0", Step("append", added=["a"]))
    log.confess("Traceback: ours")
    with pytest.raises(NoLogError, match="Traceback: ours"):
        read_log(tmp_path / "log", slot=0, life="x")


def test_a_log_tells_what_was_in_flight(tmp_path: Path) -> None:
    """What was announced and not answered was in flight; a line that was cut off was never said; all in words."""
    path = tmp_path / "log"
    assert read_log(path, slot=0, life="x") == []
    log = Log(path, "sqlite:///x.db")
    log.announce("k", Step("write", "v", 1, ["a", "b"], 4))
    log.answer(5)
    log.announce("k", Step("append", added=["c"]))
    log.fail(BackendUnavailableError("locked", retryable=True))
    log.announce("k", Step("set_session_name", "n"))
    path.write_bytes(path.read_bytes() + b'[1, "gave"')
    done = read_log(path, slot=0, life="x")
    assert [did.in_doubt for did in done] == [False, False, True]
    assert [str(did) for did in done] == [
        "x: write(drop 1, add a b, if revision 4): acknowledged, gave 5",
        "x: append(add c): BackendUnavailableError (not_applied)",
        "x: set_session_name(n): in flight when it was killed",
    ]


def test_secrets_are_not_told() -> None:
    """A password, written as in the URL or as it is, is in nothing that is told."""
    url = "onefile://user:a%2Fb@host/x"
    assert without_secret("wrong: a/b or a%2Fb", url) == "wrong: *** or ***"
    assert without_secret("no secret", "onefile:///x") == "no secret"
