"""What importing the package costs: nothing that its user did not ask for."""

import subprocess
import sys

import pytest

_REPORT = """
import sys
before = set(sys.modules)
import {module}
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""


def imported_by(module: str) -> set[str]:
    """The top-level packages that importing the module imports."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(module=module)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    return set(done.stdout.split())


def test_importing_sessionkit_is_light() -> None:
    """No backend, no test framework, no terminal, no network, no event loop and no converter comes with it."""
    names = imported_by("sessionkit")
    ours = {name for name in names if name.startswith("sessionkit")}
    assert ours == {"sessionkit"}
    others = names - set(sys.stdlib_module_names) - ours
    assert others <= {"attr", "attrs", "msgspec", "typing_extensions"}  # the last by msgspec, where it is installed
    assert not names & {"socket", "ssl", "http", "asyncio", "sqlite3", "subprocess", "email", "importlib_metadata"}


def test_the_asynchronous_layer_says_what_it_needs() -> None:
    """Without anyio, importing it is an error that names the extra to install."""
    program = "import sys; sys.modules['anyio'] = None; import sessionkit.aio"
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the asynchronous layer needs anyio; install it with: pip install 'sessionkit[aio]'"
    )


@pytest.mark.parametrize("backend", ["sessionkit_memory", "sessionkit_jsonl", "sessionkit_sqlite"])
def test_a_backend_imports_no_other(backend: str) -> None:
    """Each stands by itself on the core."""
    names = imported_by(backend)
    assert {name for name in names if name.startswith("sessionkit")} == {"sessionkit", backend}
