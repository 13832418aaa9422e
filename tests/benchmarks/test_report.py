"""The tables say what was recorded, where a reader looks for it."""

from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import FULL
from benchmarks.peers import OURS, PEERS
from benchmarks.peers.operations import NORMAL
from benchmarks.peers.peer import Peer
from benchmarks.recorded import Figure, Record, Times, machine, read
from benchmarks.report import OTHERS, RECORDED, header, in_order, insert, line, markdown, shown

DAY = "2026-01-02T03:04:05+00:00"
TIMES = Times(operations=9, fastest=1, median=1_234.56, mean=3, typical_mean=4, p99=5, worst=6)


def _record(*figures: Figure) -> Record:
    return Record(DAY, "python -m benchmarks --record", "full", machine(), list(figures))


def test_line_has_the_times_under_their_headings() -> None:
    """Ours with median, mean and 99th percentile, the floor's as well, the figure, the target and the note."""
    times = {"ours": TIMES, "floor": TIMES}
    figure = Figure("sqlite.append", "", 1.5, "x", 1.6, note="why", microseconds=times)
    assert header().split(maxsplit=2)[:2] == ["row", "ours,"]
    assert line(figure).split() == [
        "sqlite.append",
        "1,234.6",
        "4.0",
        "5.0",
        "1,234.6",
        "4.0",
        "5.0",
        "1.50",
        "x",
        "<=",
        "1.6",
        "reached",
        "why",
    ]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (Figure("row", "", 1.234, "x"), "1.23 x"),
        (Figure("row", "", 1_800.4, "x"), "1,800 x"),
        (Figure("row", "", 0, "lost"), "0 lost"),
        (Figure("row", "", None, "x", note="cannot: no call lists sessions"), "cannot"),
        (Figure("row", "", None, "x", note="over 10 s: 500 of 10,000 messages were there by then"), "over 10 s"),
        (Figure("row", "", None, "x"), "none"),
    ],
)
def test_cells_say_what_was_found_or_why_not(figure: Figure, expected: str) -> None:
    """A figure with its unit; a peer that can't do it, or not in time, is never an empty cell."""
    assert shown(figure) == expected


def test_rows_stand_in_the_table_of_their_subject() -> None:
    """A table a subject, whatever the store; numbers in names count as numbers; no table without rows."""
    names = ["sqlite.writers.one.threads.16", "import", "sqlite.writers.one.threads.2", "jsonl.append", "odd.row"]
    text = markdown(_record(*(Figure(name, "", 1, "x", measured_at=DAY) for name in names)))
    found = [part for part in text.splitlines() if part.startswith(("###", "| `"))]
    assert [part.split(" | ")[0].removeprefix("| ") for part in found] == [
        "### Appending",
        "`jsonl.append`",
        "### Many writers",
        "`sqlite.writers.one.threads.2`",
        "`sqlite.writers.one.threads.16`",
        "### Starting, space and memory",
        "`import`",
        f"### {OTHERS}",
        "`odd.row`",
    ]
    assert text.startswith("2026-01-02, system ")


def test_every_row_has_a_subject() -> None:
    """No row of ours stands among the others, where nobody looks."""
    text = markdown(_record(*(Figure(row.name, row.what, 1, row.unit) for row in command.ROWS)))
    assert text.partition(f"### {OTHERS}")[2] == ""


def test_peers_stand_side_by_side() -> None:
    """Operations down in their order, peers across, ours first; below, what the figures alone don't say."""
    text = markdown(
        _record(
            Figure("peers.list.1000.other", "", None, "x", note="cannot: no call lists"),
            Figure(
                "peers.append.100.other",
                "",
                45,
                "x",
                note="900.4 times a floor that doesn't sync; 3 LOST",
                numbers={"times_normal": 900.4},
                microseconds={NORMAL: TIMES},
            ),
            Figure("peers.append.100.sessionkit-sqlite", "", 1.5, "x"),
            Figure("peers.page.1000.other", "", None, "x", note="cannot: no call lists"),
        )
    )
    assert text.splitlines()[-9:] == [
        "| | sessionkit-sqlite | other |",
        "| --- | ---: | ---: |",
        "| syncs at each append | no | yes |",
        "| `append.100` | 1.50 | 45.00 |",
        "| against a floor that doesn't sync | 1.50 | 900 |",
        "| `list.1000` |  | cannot |",
        "| `page.1000` |  | cannot |",
        "",
        "- other: `append.100` 3 LOST; `list.1000`, `page.1000` cannot: no call lists",
    ]


def test_names_with_numbers_are_in_order() -> None:
    """Sixteen comes behind two, and what has no number before what has one."""
    assert in_order(["a.16", "a.2", "a", "a.b"]) == ["a", "a.b", "a.2", "a.16"]


def test_insert_needs_a_place(tmp_path: Path) -> None:
    """A README without the heading is left alone."""
    readme = tmp_path / "README.md"
    readme.write_text("# Benchmarks\n", encoding="utf-8")
    with pytest.raises(ValueError, match=RECORDED):
        insert(readme, "figures")
    assert readme.read_text(encoding="utf-8") == "# Benchmarks\n"


@pytest.mark.parametrize("peer", [*OURS, *PEERS], ids=lambda peer: peer.name)
def test_readme_introduces_every_peer(peer: type[Peer]) -> None:
    """What is compared is said, and how often it waits for the disk at each append."""
    lines = command.README.read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if line.startswith(f"| `{peer.name}` |")]
    assert (row.split(" | ")[2] == "0") is not peer.syncs


def test_readme_shows_the_record() -> None:
    """The figures that people read are those that are recorded, every one of them."""
    record = read(command.RESULTS / f"{FULL.name}.json")
    if record is None:
        pytest.skip("nothing is recorded: python -m benchmarks --record")
    assert command.README.read_text(encoding="utf-8").endswith(f"{RECORDED}\n\n{markdown(record)}")
