"""The command's entry point, and the screens that tell how to use it."""

import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from sessionkit.cli import main
from sessionkit.cli.commands import cli

Command = Callable[..., Result]


@pytest.mark.parametrize("extra", ["click", "rich"])
def test_a_missing_extra_takes_one_line(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the command says what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == extra or name.startswith("sessionkit.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(SystemExit, match=r"^sessionkit: .* pip install 'sessionkit\[cli\]'$"):
        main()


def test_main_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The console script runs the command on the arguments of the process."""
    monkeypatch.setattr(sys, "argv", ["sessionkit", "list", "--url", "memory://"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "no session" in capsys.readouterr().out


def test_help_fits_a_terminal(command: Command) -> None:
    """Every help screen has at most 80 columns, and every command a summary that is not cut off."""
    screens = [command("--help").output, *(command(name, "--help").output for name in cli.commands)]
    assert max(len(line) for screen in screens for line in screen.splitlines()) <= 80
    assert "..." not in screens[0].replace("[OPTIONS] COMMAND [ARGS]...", "")
    assert set(cli.commands) == {"delete", "demo", "doctor", "import", "list", "search", "show"}
