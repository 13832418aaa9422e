"""`python -m tests.power jsonl|sqlite ...`: cut the power at every moment of a random run, and look what is left."""

import importlib
import sys


def main(arguments: list[str]) -> int:
    """Hand over to the proof of that store."""
    if not arguments or arguments[0] not in {"jsonl", "sqlite"}:
        print("usage: python -m tests.power {jsonl,sqlite} [--operations N] [--seed S]", file=sys.stderr)  # noqa: T201 -- a command's
        return 2
    ended: int = importlib.import_module(f"tests.power.{arguments[0]}").main(arguments[1:])
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
