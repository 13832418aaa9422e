"""The pytest plugin of ``python -m sessionkit.testing``, and of nothing else: URL in, verdicts out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sessionkit import BackendURL
from sessionkit.testing.suite import Grade, Promise, promise_of
from sessionkit.testing.suite.by_url import PLACE
from sessionkit.testing.url_tests import TestBackend

URL_VARIABLE = "SESSIONKIT_TESTING_URL"
"""Holds the URL: nobody else may see a process's environment, but its arguments everybody."""

_NOT_OFFERED = "not offered: "


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that the runner gives; the URL stands in the environment."""
    group = parser.getgroup("sessionkit")
    group.addoption("--sessionkit-verdicts", required=True, help="the file to write the verdicts to")


def pytest_configure(config: pytest.Config) -> None:
    """Tell the suite its URL, and listen."""
    url = os.environ.pop(URL_VARIABLE)  # what the suite starts is told by other ways
    TestBackend.url = url
    config.pluginmanager.register(_Verdicts(Path(str(config.getoption("sessionkit_verdicts"))), url))


class _Verdicts:
    """Gathers a verdict for each promise, and writes them when all is done."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.secret = BackendURL.parse(url.replace(PLACE, "store")).password
        self.promises: dict[str, Promise] = {}
        self.verdicts: dict[str, dict[str, str]] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """A promise's id is a keyword for ``-k``."""
        kept = promise_of(getattr(item, "function", None))
        if kept:
            self.promises[item.nodeid] = kept
            item.extra_keyword_matches.add(kept.id)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A failure in any phase breaks the promise; a skip offers nothing."""
        kept = self.promises.get(report.nodeid)
        if kept is None or (report.passed and report.when != "call"):
            return
        broken = self.verdicts.get(report.nodeid, {}).get("grade") == Grade.BROKEN.value
        if not broken:
            grade, detail = _graded(report)
            if self.secret:
                detail = detail.replace(self.secret, "***")
            self.verdicts[report.nodeid] = {
                "promise": kept.id,
                "grade": grade.value,
                "requirement": kept.requirement,
                "detail": detail,
            }

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write them, unless the run was ended."""
        if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self.path.write_text(json.dumps(list(self.verdicts.values())))


def _graded(report: pytest.TestReport) -> tuple[Grade, str]:
    if report.failed or hasattr(report, "wasxfail"):
        return Grade.BROKEN, report.longreprtext
    if report.skipped:
        reason: Any = report.longrepr
        return Grade.NOT_OFFERED, str(reason[2]).removeprefix("Skipped: ").removeprefix(_NOT_OFFERED)
    return Grade(dict(report.user_properties)["sessionkit_grade"]), ""
