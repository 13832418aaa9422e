"""The command reports, checks, records and refuses as its page says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import (
    Bound,
    Measured,
    Row,
    Run,
)
from benchmarks.peers import NoPeersError
from benchmarks.recorded import machine, read


def _row(name: str, *values: float, unit: str = "x", at_least: bool = False, size: int = 0) -> Row:
    """A row that finds one value after the other, and then none."""
    found = iter(values)
    return Row(name, "one thing : another", unit, lambda _: Measured(next(found)), Bound(2, at_least), size)


@pytest.fixture(name="results")
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records, and beside it a README: none of the project's is touched."""
    readme = tmp_path / "README.md"
    readme.write_text("# Benchmarks\n\n## The last figures\n\nold\n", encoding="utf-8")
    monkeypatch.setattr(command, "README", readme)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture(name="rows")
def _rows(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the rows that there are."""
    return lambda *rows: monkeypatch.setattr(command, "ROWS", rows)


def _recorded(file: Path) -> dict[str, float | None]:
    record = read(file)
    assert record is not None
    return {figure.name: figure.value for figure in record.rows}


@pytest.mark.usefixtures("results")
def test_command_reports(tmp_path: Path, rows: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """Table, JSON and Markdown say whether each target is reached; one that is missed is no failure."""
    rows(_row("good", 1.5), _row("slow", 2.5))
    file, page = tmp_path / "figures.json", tmp_path / "figures.md"
    assert command.main(["--json", str(file), "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "1.50 x" in printed
    assert "<= 2 MISSED" in printed
    assert "missed: slow" in printed
    assert _recorded(file) == {"good": 1.5, "slow": 2.5}
    assert [row["reached"] for row in json.loads(file.read_text(encoding="utf-8"))["rows"]] == [True, False]
    assert "| `slow` |  |  |  |  |  |  | 2.50 x | <= 2 MISSED |  |\n" in page.read_text(encoding="utf-8")


def test_quick_run_leaves_out_what_is_large(
    results: Path, rows: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of a size that a quick run does not allow are neither measured nor failures; its record is its own."""
    rows(_row("small", 1), _row("large", 1, size=1_000_000))
    assert command.main(["--quick", "--record"]) == 0
    assert "large" not in capsys.readouterr().out
    assert _recorded(results / "quick.json") == {"small": 1}
    assert [path.name for path in results.iterdir()] == ["quick.json"]
    assert "old" in command.README.read_text(encoding="utf-8")


def test_check_fails_where_a_figure_is_a_third_worse(
    results: Path, rows: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only that fails: neither what is slightly worse, nor what is better, nor what is measured in milliseconds."""
    rows(_row("one", 3), _row("more", 3, at_least=True), _row("took", 3, unit="ms"))
    command.main(["--quick", "--record"])
    rows(_row("one", 3.9), _row("more", 2.3, at_least=True), _row("took", 9, unit="ms"), _row("new", 9))
    assert command.main(["--quick", "--check"]) == 0
    assert "not in the record: new\n" in capsys.readouterr().out
    rows(_row("one", 1), _row("more", 9, at_least=True))
    assert command.main(["--quick", "--check"]) == 0
    rows(_row("one", 4.1, 4.2, 4.3), _row("more", 3, at_least=True))
    assert command.main(["--quick", "--check"]) == 1
    assert "got worse: one, 4.20 x; recorded 3.00 x\n" in capsys.readouterr().out
    rows(_row("more", 2.2, 2.1, 2.0, at_least=True))
    assert command.main(["--quick", "--check"]) == 1
    assert _recorded(results / "quick.json") == {"one": 3, "more": 3, "took": 3}


@pytest.mark.usefixtures("results")
def test_check_looks_again_before_it_fails(rows: Callable[..., None]) -> None:
    """A busy moment is no worse figure, and so the median of three looks counts; but what was lost was lost."""
    rows(_row("one", 3), _row("all", 0, unit="lost"))
    command.main(["--quick", "--record"])
    rows(_row("one", 9, 3.2, 3.1), _row("all", 0, unit="lost"))
    assert command.main(["--quick", "--check"]) == 0
    rows(_row("one", 9, 5, 3.1), _row("all", 0, unit="lost"))
    assert command.main(["--quick", "--check"]) == 1
    rows(_row("one", 3), _row("all", 1, 0, 0, unit="lost"))
    assert command.main(["--quick", "--check"]) == 1


@pytest.mark.usefixtures("results")
def test_second_look_takes_nothing_from_the_first(rows: Callable[..., None]) -> None:
    """What rows share is kept through a run, but not for a row that is measured again."""
    shared: list[Path] = []

    def measure(run: Run) -> Measured:
        shared.append(run.shared)
        return Measured(3.0 * len(shared))

    rows(Row("one", "", "x", measure))
    command.main(["--quick", "--record"])
    rows(_row("other", 1), Row("one", "", "x", measure))
    command.main(["--quick", "--check"])
    assert len(set(shared)) == len(shared) == 2 + command.AGAIN


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("options", [["--check"], ["--check", "--quick"], ["--plots"]])
def test_what_needs_a_record_says_how_to_make_it(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a record, nothing is measured first."""
    with pytest.raises(SystemExit):
        command.main(options)
    assert "--record makes it" in capsys.readouterr().err


@pytest.mark.usefixtures("results")
def test_row_that_raises_costs_no_other_its_figure(
    tmp_path: Path, rows: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured is kept; the traceback is shown, and the exit status is 1."""
    rows(_row("broken"), _row("good", 1))
    file = tmp_path / "figures.json"
    assert command.main(["--json", str(file)]) == 1
    assert _recorded(file) == {"good": 1}
    captured = capsys.readouterr()
    assert "StopIteration" in captured.err
    assert "failed" in captured.out


def test_record_keeps_what_was_not_measured(results: Path, rows: Callable[..., None]) -> None:
    """A record of some rows replaces theirs; one of all drops rows that are no more, but not the peers'."""
    old = (_row("one", 1), _row("two", 1), _row("gone", 1), _row("peers.append.100.other", 7))
    rows(*old)
    command.main(["--quick", "--record"])
    rows(_row("one", 1.1), _row("two"))
    assert command.main(["--quick", "--record", "--only", "one"]) == 0
    assert _recorded(results / "quick.json") == {"one": 1.1, "two": 1, "peers.append.100.other": 7}


@pytest.mark.usefixtures("results")
def test_record_names_the_command_that_makes_all_of_it(tmp_path: Path, rows: Callable[..., None]) -> None:
    """Not what happened to be called last, nor where else its figures went."""
    rows(_row("one", 1))
    assert command.main(["--quick", "--record", "--only", "one", "--json", str(tmp_path / "figures.json")]) == 0
    record = read(command.RESULTS / "quick.json")
    assert record is not None
    assert record.command == "python -m benchmarks --record --quick"


def test_record_of_some_rows_is_of_the_same_machine(
    rows: Callable[..., None], results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured elsewhere is not mixed with it."""
    rows(_row("one", 1, 2), _row("two", 1))
    command.main(["--quick", "--record"])
    monkeypatch.setattr(command, "machine", lambda: {"system": "another"})
    with pytest.raises(SystemExit):
        command.main(["--quick", "--record", "--only", "one"])
    assert "without --only" in capsys.readouterr().err
    rows(_row("one", 2))
    command.main(["--quick", "--record"])
    assert _recorded(results / "quick.json") == {"one": 2}


def test_full_record_fills_readme_and_draws(results: Path, rows: Callable[..., None]) -> None:
    """``--record`` keeps what the README says above its figures; the plots are drawn, and can be drawn again."""
    pytest.importorskip("matplotlib", reason="pip install -e '.[benchmarks]'")
    rows(_row("good", 1.5, 1.5), _writers(4), _writers(4))
    for _ in range(2):
        assert command.main(["--record", "--only", "good", "sqlite"]) == 0
        text = command.README.read_text(encoding="utf-8")
        assert text.startswith("# Benchmarks\n\n## The last figures\n\n2")
        assert "old" not in text
        assert text.count("| `good` |  |  |  |  |  |  | 1.50 x | <= 2 reached |  |\n") == 1
    drawn = (results / "writers.svg").read_bytes()
    (results / "writers.svg").unlink()
    assert command.main(["--plots"]) == 0
    assert (results / "writers.svg").read_bytes() == drawn


def _writers(count: int) -> Row:
    numbers = {"per_second": 10.0, "floor_per_second": 12.0}
    name = f"sqlite.writers.one.processes.{count}"
    return Row(name, "", "x", lambda _: Measured(0.9, numbers=numbers), Bound(0.8, at_least=True))


def test_without_matplotlib_a_full_record_is_refused_at_once(
    rows: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody measures for half an hour to learn then what was missing."""
    rows(_row("never"))
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        command.main(["--record"])
    assert "pip install -e '.[benchmarks]'" in capsys.readouterr().err


def test_peers_are_rows_where_they_are_asked_for(
    rows: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--peers`` adds their rows; where none is installed, it says what installs them."""
    rows(_row("one", 1))
    monkeypatch.setattr(command, "peer_rows", lambda: [_row("peers.append.100.other", 7)])
    file = tmp_path / "figures.json"
    assert command.main(["--quick", "--peers", "--json", str(file)]) == 0
    assert _recorded(file) == {"one": 1, "peers.append.100.other": 7}

    def nothing() -> list[Row]:
        raise NoPeersError("no peer is installed")

    monkeypatch.setattr(command, "peer_rows", nothing)
    with pytest.raises(SystemExit):
        command.main(["--quick", "--peers"])
    assert "no peer is installed" in capsys.readouterr().err


@pytest.mark.usefixtures("results")
def test_peers_that_nobody_chose_need_not_be_there(rows: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """``--peers --only`` with rows of ours measures those, installed peers or not."""
    rows(_row("one", 1))

    def nothing() -> list[Row]:
        raise NoPeersError("no peer is installed")

    monkeypatch.setattr(command, "peer_rows", nothing)
    assert command.main(["--quick", "--peers", "--only", "one"]) == 0
    with pytest.raises(SystemExit):
        command.main(["--quick", "--peers", "--only", "one", "peers.append"])


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--only", "sqllite.append"], "near are sqlite.append"),
        (["--only", "large"], "'large' is too large for --quick"),
        (["--plots"], "goes with no other option"),
        (["--json", "."], "Is a directory"),
    ],
)
def test_what_would_be_in_vain_is_refused(
    options: list[str], expected: str, rows: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt row names those it may have meant, a row too large is no empty table; nothing is measured first."""
    rows(_row("sqlite.append"), _row("large", size=1_000_000))
    with pytest.raises(SystemExit):
        command.main(["--quick", *options])
    assert expected in capsys.readouterr().err


@pytest.mark.usefixtures("results")
def test_folders_of_what_is_written_are_made(tmp_path: Path, rows: Callable[..., None]) -> None:
    """Not found missing after half an hour."""
    rows(_row("one", 1))
    page = tmp_path / "missing" / "figures.md"
    assert command.main(["--quick", "--markdown", str(page)]) == 0
    assert "| `one` |" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("results")
def test_record_that_loses_peers_is_refused(
    rows: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On another machine, or with another Python, peers' figures can't be kept: they are measured too, or nothing."""
    rows(_row("one", 1), _row("peers.load.other", 7))
    command.main(["--quick", "--record"])
    monkeypatch.setattr(command, "machine", lambda: machine() | {"python": "3.0.0"})
    with pytest.raises(SystemExit):
        command.main(["--quick", "--record"])
    assert f"python {machine()['python']}, now 3.0.0, and would be lost" in capsys.readouterr().err


@pytest.mark.usefixtures("results")
def test_check_on_another_machine_leaves_out_what_that_decides(
    rows: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cores and disks decide some ratios, and are not held against us; what is no longer measured is named."""
    rows(_row("one", 1), _row("sqlite.aio", 1), _row("gone", 1))
    command.main(["--quick", "--record"])
    rows(_row("one", 1), _row("sqlite.aio", 9))
    monkeypatch.setattr(command, "machine", lambda: {"system": "another"})
    assert command.main(["--quick", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "the record is another machine's" in printed
    assert "not in the record" not in printed
    assert "no longer measured: gone\n" in printed
