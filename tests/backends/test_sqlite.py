"""The SQLite backend keeps the contract."""

from pathlib import Path

import pytest

from tests.backends.trouble import SQLiteTrouble, TroubledSuite


class TestSQLite(TroubledSuite):
    """The conformance suite, each store in a place of its own."""

    trouble = SQLiteTrouble

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path}/{{store}}.db"


@pytest.mark.slow
@pytest.mark.timeout(900)  # 200 kills take as long on a busy machine
class TestSQLiteAtLength(TestSQLite):
    """The same with more of everything that chance decides."""

    appends = 1_000
    examples = 200
    kills = 200
