"""The command, as a person runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sessionkit.cli.commands import cli

Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run the command in a fresh folder; a test says which exit status it expects."""
    monkeypatch.delenv("SESSIONKIT_URL", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0, text: str | None = None) -> Result:
        result = CliRunner().invoke(cli, arguments, input=text, prog_name="sessionkit")
        assert result.exit_code == status, f"{result.output}{result.exception!r}"
        return result

    return run
