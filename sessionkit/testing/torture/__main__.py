"""``python -m sessionkit.testing.torture URL``: see `sessionkit.testing.torture`.

Exit status: 0 where nothing is broken, 1 where something is, 2 where the store could not be tortured, 130 where it was
interrupted and nothing was broken until then.
"""

import argparse
import sys
from collections.abc import Sequence

from sessionkit import SessionKitError
from sessionkit.testing.torture.asking import UsageError
from sessionkit.testing.torture.report import Report
from sessionkit.testing.torture.running import run

_EPILOG = """
The store must be empty; {store} in the URL, as in sqlite:////tmp/stores/{store}.db, becomes a fresh name. It is not
removed afterwards, so that it can be looked at.
"""

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit status."""
    parser = argparse.ArgumentParser(
        "python -m sessionkit.testing.torture",
        description="Kill writers, and see that nothing is lost.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", metavar="URL", help="what sessionkit.open_backend opens")
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--processes", type=int, default=4, help="how many write side by side (4)")
    parser.add_argument("--seed", type=int, default=None, help="what they do, and when they are killed (random)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    shows = sys.stderr.isatty()
    try:
        report = run(
            options.url,
            seconds=options.seconds,
            processes=options.processes,
            seed=options.seed,
            going=_show if shows else lambda _: None,
        )
    except KeyboardInterrupt:  # a second one, or one before anything was begun
        return _INTERRUPTED
    except (SessionKitError, UsageError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if shows:
        sys.stderr.write("\r\x1b[K")
    sys.stdout.write((report.to_json() if options.json else report.to_text()) + "\n")
    return 1 if not report.is_clean else _INTERRUPTED if report.ended_early else 0


def _show(report: Report) -> None:
    sys.stderr.write(
        f"\r\x1b[K{report.seconds:.0f} s: {report.kills:,} kills, {report.acknowledged:,} acknowledged writes, "
        f"{report.looks:,} looks, {len(report.violations)} violations"
    )
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
