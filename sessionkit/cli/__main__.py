"""``python -m sessionkit.cli`` is the `sessionkit` command."""

from sessionkit.cli import main

main()
