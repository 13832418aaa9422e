"""The report: told by grade to people, and whole to machines."""

import json
from pathlib import Path

from sessionkit import open_backend
from sessionkit.protocol import OPTIONAL_PROTOCOLS
from sessionkit.testing import Grade
from sessionkit.testing.report import Report, Verdict

VERDICTS = [
    Verdict("b.two", Grade.BROKEN, "It holds.", "line one\nline two"),
    Verdict("d.four", Grade.NOT_OFFERED, "It would.", "update_last"),
    Verdict("a.one", Grade.KEPT, "It does."),
    Verdict("c.three", Grade.DEFAULT, "It works."),
]


def made(path: Path) -> Report:
    """A report on an open backend."""
    with open_backend(f"jsonl:///{path}") as backend:
        return Report.of("jsonl:///store", backend, VERDICTS)


def test_to_read(tmp_path: Path) -> None:
    """What is broken stands first and in full, then what is not offered and why, then the rest."""
    assert made(tmp_path).to_text().splitlines() == [
        "JSONLBackend, opened as jsonl:///store",
        "",
        "Broken: 1",
        "  b.two",
        "    It holds.",
        "      line one",
        "      line two",
        "Not offered: 1",
        "  update_last: d.four",
        "Kept by a default that works: 1",
        "  c.three",
        "Kept: 1",
        "Not covered, whatever the backend: costs, power-cut, reading-touches-nothing",
    ]


def test_verbose(tmp_path: Path) -> None:
    """On request every promise is told in full."""
    text = made(tmp_path).to_text(verbose=True)
    assert "  d.four\n    It would.\n      update_last" in text
    assert "Kept: 1\n  a.one\n    It does.\n" in text
    assert "\n  power-cut: What survives the death of the machine" in text


def test_to_json(tmp_path: Path) -> None:
    """Machines get every verdict, in the order of the ids, what is declared, and a summary."""
    report = json.loads(made(tmp_path).to_json())
    assert [verdict["promise"] for verdict in report["verdicts"]] == ["a.one", "b.two", "c.three", "d.four"]
    assert report["verdicts"][1] == {
        "promise": "b.two",
        "grade": "broken",
        "requirement": "It holds.",
        "detail": "line one\nline two",
    }
    assert report["summary"] == {"kept": 1, "broken": 1, "default": 1, "not offered": 1}
    assert report["methods"]["search"] == "native"
    assert report["protocols"] == sorted(OPTIONAL_PROTOCOLS)
    assert list(report["not_covered"]) == ["costs", "power-cut", "reading-touches-nothing"]
