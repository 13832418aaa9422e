"""What is mutated, and which tests are asked: those in one process, as a mutant lives in one."""

from pathlib import Path

import attrs

_IN_PROCESS = "not process and not kill and not children and not signals and not interrupted"


@attrs.frozen
class Area:
    """Modules that the same tests are about.

    Attributes:
        modules: patterns of their files.
        tests: what pytest collects.
        chosen: pytest's ``-k``.
        without: operators that are left out, where they bring little: an argument that is None, or not there, and a
            value that is never assigned are errors at the first call nearly always, and there are thousands of them.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    chosen: str = ""
    without: frozenset[str] = frozenset()

    def paths(self, root: Path) -> list[Path]:
        """The files."""
        return [path for pattern in self.modules for path in sorted(root.glob(pattern))]


_OF_BACKENDS = frozenset({"argument", "assignment", "lambda", "augmented_assignment", "number", "name"}) | {
    "remove_unary_ops",
    "symmetric_string_methods_swap",
}

AREAS = {
    "keys": Area(("sessionkit/keys.py",), ("tests/test_keys.py",)),
    "core": Area(
        (
            "sessionkit/text.py",
            "sessionkit/codec.py",
            "sessionkit/twins.py",
            "sessionkit/strict_json.py",
            "sessionkit/registry.py",
            "sessionkit/third_parties.py",
        ),
        (
            "tests/test_text.py",
            "tests/test_codec.py",
            "tests/test_codec_ways.py",
            "tests/test_messages.py",
            "tests/test_registry.py",
            "tests/test_third_parties.py",
            "tests/test_urls.py",
            "tests/test_bad_places.py",
            "tests/safety/test_depth.py",
        ),
        _IN_PROCESS,
    ),
    "memory": Area(
        ("backends/sessionkit_memory/*.py",),
        (
            "tests/backends/test_memory.py",
            "tests/backends/test_memory_edges.py",
            "tests/test_bad_input.py",
            "tests/test_urls.py",
        ),
        _IN_PROCESS,
    ),
    "jsonl": Area(
        ("backends/sessionkit_jsonl/*.py",),
        ("tests/backends/jsonl", "tests/backends/test_jsonl.py"),
        _IN_PROCESS,
        _OF_BACKENDS,
    ),
    "sqlite": Area(
        ("backends/sessionkit_sqlite/*.py",),
        ("tests/backends/sqlite", "tests/backends/test_sqlite.py"),
        _IN_PROCESS,
        _OF_BACKENDS,
    ),
}
