"""``python -m tests.mutants`` writes the table in README.md anew."""

from tests.mutants.table import README, text

if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
