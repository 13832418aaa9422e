"""What several tests share: this project's wheel, and clean environments to install it in."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

collect_ignore = ["third_party"]  # a distribution of its own, which test_third_party.py installs and tests

# No test may depend on how fast, or how busy, a machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command that knows nothing of the checkout; fails where its exit status is not `status`."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "SESSIONKIT"))
    }

    def run(*command: str | Path, cwd: Path, status: int = 0, **variables: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            cwd=cwd,
            env=clean | variables,
            input="",
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == status, f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """The folder with this project's sdist, and the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """This project's wheel."""
    [wheel] = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Callable[..., Path]:
    """Make a clean virtual environment with these requirements; gives its ``bin`` folder."""

    def make(*requirements: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        run(sys.executable, "-m", "venv", folder, cwd=folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements, cwd=folder)
        return folder / "bin"

    return make
