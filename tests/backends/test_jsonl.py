"""The JSONL backend keeps the contract."""

from pathlib import Path

import pytest

from tests.backends.trouble import JSONLTrouble, TroubledSuite


class TestJSONL(TroubledSuite):
    """The conformance suite, each store in a place of its own."""

    trouble = JSONLTrouble

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.url = f"jsonl:///{tmp_path}/{{store}}"


@pytest.mark.slow
@pytest.mark.timeout(900)  # 200 kills take as long on a busy machine
class TestJSONLAtLength(TestJSONL):
    """The same with more of everything that chance decides."""

    appends = 1_000
    examples = 200
    kills = 200
