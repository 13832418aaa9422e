"""The driver that sees which lines an input reaches: Atheris, which is libFuzzer; ``pip install atheris``.

Nothing of sessionkit may be imported before `guide`: what is imported within it is made to tell where it goes.
"""

import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

_OURS = ["sessionkit", "sessionkit_jsonl", "sessionkit_memory", "sessionkit_sqlite"]


def guide(name: str, *, inputs: int, seed: int, findings: Path) -> None:
    """Give the target called so at least so many inputs, print the report, and end the process: libFuzzer can't return.

    Raises:
        ModuleNotFoundError: Atheris is not installed.
    """
    fuzzer: Any = importlib.import_module("atheris")
    with fuzzer.instrument_imports(include=_OURS):
        from tests.fuzz.driving import Run  # noqa: PLC0415 -- instrumented as it is imported
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 -- likewise

    target = TARGETS[name]
    run = Run(target, "atheris", seed, findings)

    folder = Path(tempfile.mkdtemp(prefix="sessionkit-fuzz-"))

    def one(data: bytes) -> None:
        run.give(data)
        if run.report.inputs >= inputs or run.is_over:
            report = run.ended()
            sys.stdout.write(report.text() + "\n")
            sys.stdout.flush()
            shutil.rmtree(folder)
            os._exit(1 if report.findings else 0)

    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed{number:04}").write_bytes(data)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")
    options = [f"-seed={seed}", f"-max_len={target.largest}", f"-dict={words}", "-verbosity=0", "-rss_limit_mb=0"]
    fuzzer.Setup([sys.argv[0], *options, str(corpus)], one)
    fuzzer.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
