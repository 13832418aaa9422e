"""The `sessionkit` command: look into any store, fill it, and see what sessionkit is for.

It needs the extra ``cli``, which is click and rich; nothing else of sessionkit does.
"""

import sys


def main() -> None:
    """Run the command on ``sys.argv``; the console script's entry point."""
    try:
        from sessionkit.cli.commands import cli  # noqa: PLC0415 -- the extra may not be installed
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.exit("sessionkit: the command needs click and rich; install them with: pip install 'sessionkit[cli]'")
    cli(prog_name="sessionkit")
