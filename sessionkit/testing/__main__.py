"""``python -m sessionkit.testing URL [--json] [-k EXPR] [-v]``: the suite against whatever the URL opens, and a report.

Exit status: 0 where no promise is broken, 1 where one is, 2 where the suite could not be run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from sessionkit import BackendURL, SessionKitError
from sessionkit.codec import converter
from sessionkit.secret import VISIBLE
from sessionkit.testing.plugin import URL_VARIABLE
from sessionkit.testing.report import Report, Verdict
from sessionkit.testing.suite import Grade
from sessionkit.testing.suite.by_url import PLACE, fresh_url, open_fresh

_EPILOG = """
{store} in the URL, as in sqlite:////tmp/stores/{store}.db, becomes a fresh name for each test; remove the stores
afterwards. Without a URL it is that of $SESSIONKIT_URL: better for one with a password, as everybody on a machine may
see the arguments of a process. A URL without {store} is accepted only if it names no place at all, as memory:// does.
A scheme may still open a place of its own for it, as a bare postgresql:// does: an empty store there is written to. A
store that holds sessions is not; it ends the run.
"""


class UsageError(Exception):
    """The suite can't be run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit status."""
    parser = argparse.ArgumentParser("python -m sessionkit.testing", description="Prove a backend.", epilog=_EPILOG)
    parser.add_argument(
        "url", metavar="URL", nargs="?", help="what sessionkit.open_backend opens, with {store}; else $SESSIONKIT_URL"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "-k", metavar="EXPR", default="", help="only promises, by id or test name, that match (as pytest's -k)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print what is kept, too")
    options = parser.parse_args(arguments)
    url = options.url or os.environ.get("SESSIONKIT_URL")
    if not url:
        parser.error("give a URL, or set SESSIONKIT_URL")
    try:
        if options.url and BackendURL.parse(url).password is not None:
            sys.stderr.write(f"Warning: {VISIBLE}\n")
        report = run(url, expression=options.k, quiet=options.json)
    except (SessionKitError, UsageError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except Exception as error:  # noqa: BLE001 -- what is proven may raise anything before it is
        sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
        return 2
    sys.stdout.write((report.to_json() if options.json else report.to_text(verbose=options.verbose)) + "\n")
    return 1 if report.graded(Grade.BROKEN) else 0


def run(url: str, *, expression: str = "", quiet: bool = False) -> Report:
    """Run the suite in a process of its own, which nothing of the caller's configures, and report.

    Raises:
        SessionKitError: the URL can't be opened, or could reach sessions that exist.
        UsageError: a store was not empty, or the expression matches no promise.
    """
    with tempfile.TemporaryDirectory(prefix="sessionkit-") as scratch, open_fresh(fresh_url(url)) as backend:
        verdicts = Path(scratch, "verdicts.json")
        ended = subprocess.run(  # noqa: S603 -- our own Python
            [
                *_pytest(Path(scratch)),
                "--sessionkit-verdicts",
                str(verdicts),
                "-k",
                expression,
            ],
            env=_environment(scratch) | {URL_VARIABLE: url},
            stdout=subprocess.PIPE if quiet else sys.stderr,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if not verdicts.exists():
            if ended.returncode == _NO_TESTS:
                raise UsageError(f"no promise matches {expression!r}")
            said = (ended.stdout or b"see above").decode(errors="replace").strip()
            raise UsageError(f"the suite was ended: {said.splitlines()[-1]}")
        found = converter().structure(json.loads(verdicts.read_text()), list[Verdict])
        return Report.of(str(BackendURL.parse(url)).replace(quote(PLACE), PLACE), backend, found)


_NO_TESTS = 5
"""pytest's exit status where it selected nothing."""


def _pytest(scratch: Path) -> list[str]:
    """pytest, told to look at no configuration but its own, to load nothing of others, and to leave nothing behind."""
    configuration = scratch / "pytest.ini"
    configuration.write_text("[pytest]\n")
    return [
        *(sys.executable, "-m", "pytest", "--pyargs", "sessionkit.testing.url_tests"),
        *("-c", str(configuration), "--rootdir", str(scratch), "--noconftest"),
        *("-p", "no:cacheprovider", "-p", "sessionkit.testing.plugin"),
        *("-q", "--tb=short", "--no-summary", "--show-capture=no"),
    ]


def _environment(scratch: str) -> dict[str, str]:
    ours = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(scratch, "hypothesis")),
    }
    return {**os.environ, **ours}


if __name__ == "__main__":
    sys.exit(main())
