"""``python -m tests.corruption.worker STORE TEMPLATES MUTANT`` tries the damaged store of each seed from stdin."""

import json
import sys
from pathlib import Path

import attrs

from tests.corruption.trial import run


def main(store: str, templates: str, mutant: str) -> None:
    """Answer each line with an outcome, as a line of JSON."""
    if mutant:
        import pytest  # noqa: PLC0415 -- for mutants only

        from tests.corruption.mutants import MUTANTS  # noqa: PLC0415 -- likewise

        MUTANTS[mutant].breaking(pytest.MonkeyPatch())
    for line in sys.stdin:
        sys.stdout.write(json.dumps(attrs.asdict(run(store, int(line), Path(templates)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
